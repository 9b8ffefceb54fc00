//! Tests of the whole core: with brokers that answer by script, and with brokers, an application and a decoder that do what
//! chance says.

mod model;
mod scripted;
mod world;
