//! Whose turn it is.

use std::future::pending;
use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use milena_client::env::{Connecting, Connector};
use milena_client::{Address, Client, ClientConfig, Env};

use super::*;
use crate::config::ProducerConfig;

struct Nowhere;

impl Connector for Nowhere {
    fn connect<'a>(&'a self, _: &'a Address) -> Connecting<'a> {
        Box::pin(pending())
    }
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// User code runs in a turn, for as long as it likes: nobody waits for it, and what came meanwhile is looked at afterwards.
#[tokio::test(start_paused = true)]
async fn whoever_finds_the_turn_taken_goes_on_and_has_the_task_woken_afterwards() {
    let env = Env::builder().connector(Nowhere).seed(1).build();
    let client = Client::new(ClientConfig::new(Address::parse_list("nowhere:9092").unwrap()), env);
    let shared = Arc::new(Shared::new(client, ProducerConfig::default()));
    let sender = BrokerSender::new(1, &shared);
    let wakes = Arc::new(Wakes::default());
    let waker = wakes.clone().into();
    let mut cx = Context::from_waker(&waker);
    let woken = || wakes.0.swap(0, Ordering::Relaxed);
    assert!(sender.poll(&mut cx, &shared).is_pending());
    woken();

    let turn = sender.take_turn().expect("nobody has it");
    assert!(sender.poll(&mut cx, &shared).is_pending());
    sender.send_now(&shared);
    assert_eq!(woken(), 0);
    sender.end_turn(turn);
    assert_eq!(woken(), 1, "once for all who came");

    let turn = sender.take_turn().expect("it was given back");
    sender.end_turn(turn);
    assert_eq!(woken(), 0, "nobody came");
    sender.send_now(&shared);
    assert_eq!(woken(), 1, "there is no connection: the task opens one");
}
