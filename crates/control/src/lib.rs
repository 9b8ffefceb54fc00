//! The control port of the embedded broker: what [`Faults`](milena_broker::Faults) does, over HTTP, so that tests in any language can
//! break a cluster on purpose.
//!
//! ```text
//! curl -X POST http://127.0.0.1:PORT/v1/nodes/2/kill
//! curl -X POST http://127.0.0.1:PORT/v1/faults -d '{"api": "Produce", "times": 3, "effect": {"type": "lose_answer"}}'
//! curl -X POST http://127.0.0.1:PORT/v1/faults -d '{"client_id": "orders", "effect": {"type": "delay", "ms": 200}}'
//! curl http://127.0.0.1:PORT/openapi.json
//! ```
//!
//! | where | what |
//! | --- | --- |
//! | `server` | the listener and its limits; HTTP by hyper |
//! | `routes` | from method and path to an action |
//! | `actions` | what an action does to the cluster |
//! | `spec` | fault rules as JSON |
//! | `rules` | those in force |
//! | `answer` | answers and errors as JSON |
//! | `openapi.json` | the description that clients can be generated from, served at `/openapi.json` |

mod actions;
mod answer;
mod routes;
mod rules;
mod server;
mod spec;

pub use server::ControlPort;

/// The OpenAPI 3.1 description of the control port, as JSON.
pub const OPENAPI: &str = include_str!("openapi.json");
