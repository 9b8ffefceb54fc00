//! Commands that send, and that a signal may end in the middle: what was sent is brought to its end first.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use milena::Producer;

use crate::failure::Failure;
use crate::interrupt::Interrupt;

/// After a signal, how long acknowledgements of what was sent are waited for. A second signal ends that.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(10);

/// The producers of a command.
#[derive(Default)]
pub(crate) struct Senders(RefCell<Vec<Producer>>);

impl Senders {
    /// Takes note of a producer, which has to be drained.
    pub(crate) fn keep(&self, producer: Producer) -> Producer {
        self.0.borrow_mut().push(producer.clone());
        producer
    }

    /// Runs `command`. A signal stops it where it is, and the producers that it made are drained.
    pub(crate) async fn run(
        &self,
        interrupt: &mut Interrupt,
        command: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        // Not dropped before the end: an embedded broker, which may belong to it, has to take what is still on its way.
        let mut command = pin!(command);
        let signal = tokio::select! {
            biased;
            signal = interrupt.wait() => signal,
            result = &mut command => return result,
        };
        tokio::select! {
            biased;
            _ = interrupt.wait() => eprintln!("interrupted twice: what was sent last may not be written"),
            () = self.drain() => {}
        }
        Err(Failure::Interrupted(signal))
    }

    async fn drain(&self) {
        let producers = self.0.take();
        for producer in producers {
            match producer.close(DRAIN_MAX).await {
                Ok(()) => eprintln!("interrupted; what was sent was brought to its end"),
                Err(error) => eprintln!("interrupted: {error}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use milena::broker::{Cluster, TopicSpec};
    use milena::{ClusterConnector, Env, Kafka, Record};

    use super::*;

    #[tokio::test]
    async fn what_waits_for_its_batch_is_acknowledged_when_a_command_is_drained() {
        let cluster = Cluster::builder().in_memory().topic(TopicSpec::new("orders")).start().await.unwrap();
        let env = Env::builder().connector(ClusterConnector::new(&cluster)).build();
        let kafka = Kafka::builder(cluster.bootstrap()).env(env).connect().await.unwrap();
        let senders = Senders::default();
        let producer = kafka.producer().linger(Duration::from_secs(60)).build().await.unwrap();
        let producer = senders.keep(producer);
        let delivery = producer.send(Record::to("orders").value("last")).await.unwrap();
        senders.drain().await;
        assert_eq!(delivery.await.unwrap().offset, Some(0));
        assert!(
            producer.send(Record::to("orders").value("later")).await.is_err(),
            "nothing is sent any more"
        );
    }
}
