//! From method and path to an action. What is here is described in `openapi.json`; a test compares the two.

use hyper::Method;

use crate::actions::{self, GroupAction, NodeAction, PartitionAction, TransactionAction};
use crate::answer::{Answer, Refusal};
use crate::server::Controlled;

/// Does what a request asks for.
pub(crate) async fn answer(
    controlled: &Controlled,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Answer, Refusal> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match segments.as_slice() {
        ["openapi.json"] => only("GET", method).map(|()| Answer::document(crate::OPENAPI)),
        ["v1", rest @ ..] => version_1(controlled, method, rest, body).await,
        _ => Err(nothing_at(path)),
    }
}

async fn version_1(
    controlled: &Controlled,
    method: &Method,
    path: &[&str],
    body: &[u8],
) -> Result<Answer, Refusal> {
    match path {
        ["cluster"] => {
            only("GET", method)?;
            Ok(Answer::json(&actions::describe(&controlled.cluster)))
        }
        ["requests"] => {
            only("GET", method)?;
            Ok(Answer::json(&actions::requests(&controlled.cluster)))
        }
        ["nodes", node, action] => {
            only("POST", method)?;
            let action = NodeAction::named(action).ok_or_else(|| nothing_at(action))?;
            actions::on_node(&controlled.cluster, number(node)?, action, body).await
        }
        ["topics", topic, "recreate"] => {
            only("POST", method)?;
            actions::recreate_topic(&controlled.cluster, topic)
        }
        ["topics", topic, "partitions", partition, action] => {
            only("POST", method)?;
            let action = PartitionAction::named(action).ok_or_else(|| nothing_at(action))?;
            actions::on_partition(&controlled.cluster, topic, number(partition)?, action, body)
        }
        ["groups", action] => {
            only("POST", method)?;
            let action = GroupAction::named(action).ok_or_else(|| nothing_at(action))?;
            actions::on_group(&controlled.cluster, action, body)
        }
        ["clock"] => {
            only("POST", method)?;
            actions::turn_clock(&controlled.cluster, body)
        }
        ["retention"] => {
            only("POST", method)?;
            controlled.cluster.faults().run_retention();
            Ok(Answer::done())
        }
        ["transactions", action] => {
            only("POST", method)?;
            let action = TransactionAction::named(action).ok_or_else(|| nothing_at(action))?;
            actions::on_transactions(&controlled.cluster, action, body)
        }
        ["connections", "reset"] => {
            only("POST", method)?;
            actions::reset_connections(&controlled.cluster, body).await
        }
        ["faults"] => faults(controlled, method, body),
        ["faults", id] => fault(controlled, method, number(id)?),
        _ => Err(nothing_at(&path.join("/"))),
    }
}

fn faults(controlled: &Controlled, method: &Method, body: &[u8]) -> Result<Answer, Refusal> {
    let Controlled { cluster, rules } = controlled;
    match *method {
        Method::GET => Ok(Answer::json(&rules.list())),
        Method::POST => rules.add(&cluster.faults(), actions::parse(body)?).map(|id| Answer::created(&id)),
        Method::DELETE => {
            rules.clear(&cluster.faults());
            Ok(Answer::done())
        }
        _ => Err(Refusal::method("GET, POST, DELETE")),
    }
}

fn fault(controlled: &Controlled, method: &Method, id: u64) -> Result<Answer, Refusal> {
    let unknown = || Refusal::not_found(format!("there is no fault {id}"));
    match *method {
        Method::GET => controlled.rules.get(id).map(|rule| Answer::json(&rule)).ok_or_else(unknown),
        Method::DELETE => controlled.rules.remove(id).then(Answer::done).ok_or_else(unknown),
        _ => Err(Refusal::method("GET, DELETE")),
    }
}

fn only(understood: &'static str, method: &Method) -> Result<(), Refusal> {
    if method.as_str() == understood { Ok(()) } else { Err(Refusal::method(understood)) }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::malformed(format!("{text:?} is no number that fits here")))
}

fn nothing_at(path: &str) -> Refusal {
    Refusal::not_found(format!("there is nothing at {path:?}; /openapi.json tells what there is"))
}
