//! What happens to the users of a shop, as events. Pure.

use serde::{Deserialize, Serialize};

/// The steps of a journey, in order: what happened, and who says so.
pub(super) const JOURNEY: [(&str, &str); 7] = [
    ("view_product", "web"),
    ("add_to_cart", "web"),
    ("checkout", "web"),
    ("payment_success", "payments"),
    ("order_created", "orders"),
    ("order_shipped", "warehouse"),
    ("order_delivered", "courier"),
];

const PRODUCTS: [(&str, u32); 6] = [
    ("espresso-machine", 24_900),
    ("typewriter-ribbon", 990),
    ("fountain-pen", 4_500),
    ("letter-paper", 1_250),
    ("desk-lamp", 7_900),
    ("ink-bottle", 1_590),
];

/// The version of [`UserEvent`]'s form, for the header `schema_ver`.
const SCHEMA_VERSION: &str = "1";

/// An event: the value of a record, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserEvent {
    pub(super) user_id: String,
    pub(super) event: String,
    /// The place in the journey, from 1.
    pub(super) step: usize,
    pub(super) order_id: String,
    pub(super) product: String,
    pub(super) price_cents: u32,
}

/// One user's way through the shop.
#[derive(Clone, Debug)]
pub(super) struct Journey {
    user_id: String,
    order_id: String,
    product: usize,
    /// Marks the records of this journey among all others in the topic.
    pub(super) trace_id: String,
}

/// An event with the headers of its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) event: UserEvent,
    pub(super) timestamp_ms: i64,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Journey {
    /// The journey of user number `number`; `random` makes it differ from others.
    pub(super) fn new(number: usize, mut random: impl FnMut() -> u64) -> Self {
        Self {
            user_id: format!("user-{number:02}"),
            order_id: format!("order-{:06}", random() % 1_000_000),
            product: (random() % PRODUCTS.len() as u64) as usize,
            trace_id: format!("{:016x}{:016x}", random(), random()),
        }
    }

    /// What happens at `step` of [`JOURNEY`], from 0.
    pub(super) fn message(&self, step: usize, timestamp_ms: i64) -> Message {
        let (event, source) = JOURNEY[step];
        let (product, price_cents) = PRODUCTS[self.product];
        Message {
            event: UserEvent {
                user_id: self.user_id.clone(),
                event: event.to_owned(),
                step: step + 1,
                order_id: self.order_id.clone(),
                product: product.to_owned(),
                price_cents,
            },
            timestamp_ms,
            headers: vec![
                ("trace_id", self.trace_id.clone()),
                ("schema_ver", SCHEMA_VERSION.to_owned()),
                ("event_type", event.to_owned()),
                ("timestamp", timestamp_ms.to_string()),
                ("source", source.to_owned()),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_five_headers_and_tells_its_step() {
        let mut next = 0;
        let journey = Journey::new(3, || {
            next += 7;
            next
        });
        let message = journey.message(1, 1_763_892_000_000);
        assert_eq!(message.event.user_id, "user-03");
        assert_eq!((message.event.event.as_str(), message.event.step), ("add_to_cart", 2));
        let names: Vec<_> = message.headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["trace_id", "schema_ver", "event_type", "timestamp", "source"]);
        assert_eq!(message.headers[3].1, "1763892000000");
    }
}
