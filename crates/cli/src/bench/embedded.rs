//! A broker for a benchmark that was given none.

use std::thread::{self, JoinHandle};

use milena::broker::{Cluster, StartError};
use tokio::sync::oneshot;

use crate::failure::Failure;

/// An embedded broker on a thread of its own, reached over TCP as any other; it ends with this.
pub(super) struct EmbeddedBroker {
    pub(super) bootstrap: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    pub(super) async fn start() -> Result<Self, Failure> {
        let (stop, stopped) = oneshot::channel();
        let (started, bootstrap) = oneshot::channel::<Result<String, String>>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error.to_string()))),
            };
            runtime.block_on(async {
                let cluster = match Cluster::builder().start().await {
                    Ok(cluster) => cluster,
                    Err(error) => return drop(started.send(Err(StartError::to_string(&error)))),
                };
                // An error of either channel means that the benchmark is over.
                if started.send(Ok(cluster.bootstrap())).is_ok() {
                    let _over = stopped.await;
                }
            });
        });
        let bootstrap =
            bootstrap.await.map_err(|_| Failure::operation("the embedded broker ended at its start"))?;
        let bootstrap = bootstrap.map_err(Failure::Operation)?;
        Ok(Self { bootstrap, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was printed there.
            let _ended = thread.join();
        }
    }
}
