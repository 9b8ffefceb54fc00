//! The task that keeps fetch loops where the leaders are, and positions known.

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_client::TopicPartition;
use milena_client::env::Task;

use crate::core::{Action, Answer, Asked, LoopId, Question, Subscription};
use crate::shared::Shared;
use crate::{fetch, offsets, panics};

/// Runs until the consumer is closed, and ends when its fetch loops have. After a panic it begins anew, and with it all tasks that
/// it started.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut panics = 0;
    while let Err(message) = panics::catch(manage(shared.clone())).await {
        shared.with(Subscription::handle_manager_restart);
        shared.tell_panic("looking after fetch loops and positions".to_owned(), message);
        panics += 1;
        shared.pause_after_panic(panics).await;
    }
}

async fn manage(shared: Arc<Shared>) {
    let mut manager = Manager { shared: shared.clone(), loops: BTreeMap::new(), questions: Vec::new() };
    let env = shared.client.env().clone();
    let metadata = shared.client.metadata().clone();
    while !shared.is_closing() {
        let current = metadata.current();
        let version = current.version;
        shared.with(|subscription| subscription.handle_metadata(current));
        while let Some(action) = shared.with(|subscription| subscription.poll_action(env.now())) {
            manager.perform(action);
        }
        manager.questions.retain(|question| !question.is_finished());
        let wake_at = shared.with(|subscription| subscription.poll_timeout());
        let wake_at = async {
            match wake_at {
                Some(at) => env.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.closing() => {}
            () = shared.manager.notified() => {}
            _ = metadata.changed_since(version) => {}
            () = wake_at => {}
        }
    }
    for (_, task) in std::mem::take(&mut manager.loops) {
        task.join().await;
    }
}

struct Manager {
    shared: Arc<Shared>,
    loops: BTreeMap<LoopId, Task>,
    /// Requests to leaders under way; each ends by itself.
    questions: Vec<Task>,
}

impl Manager {
    fn perform(&mut self, action: Action) {
        match action {
            Action::Fetch(ids) => {
                self.loops.retain(|id, _| ids.contains(id));
                for id in ids {
                    self.loops.entry(id).or_insert_with(|| {
                        let bell = self.shared.add_loop(id);
                        self.shared.client.env().spawn(fetch::run(self.shared.clone(), id, bell))
                    });
                }
            }
            Action::Ask(questions) => self.ask(questions),
        }
    }

    /// Asks each leader by a task of its own, so that one that hangs delays nobody else's partitions.
    fn ask(&mut self, questions: Vec<(TopicPartition, Asked)>) {
        let mut by_request: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (partition, asked) in questions {
            let is_epoch_end = matches!(asked.question, Question::EpochEnd(_));
            by_request.entry((asked.leader.node_id, is_epoch_end)).or_default().push((partition, asked));
        }
        for ((node_id, is_epoch_end), questions) in by_request {
            let shared = self.shared.clone();
            let task = self.shared.client.env().spawn(async move {
                if let Err(message) = panics::catch(ask(&shared, node_id, is_epoch_end, &questions)).await {
                    take_answers(&shared, &questions, &BTreeMap::new());
                    shared.tell_panic(format!("asking broker {node_id} for offsets"), message);
                }
            });
            self.questions.push(task);
        }
    }
}

async fn ask(shared: &Shared, node_id: i32, is_epoch_end: bool, questions: &[(TopicPartition, Asked)]) {
    let answers = match is_epoch_end {
        true => offsets::ask_epoch_ends(shared, node_id, questions).await,
        false => offsets::ask_offsets(shared, node_id, questions).await,
    };
    take_answers(shared, questions, &answers);
}

/// Takes the answers; a question without one is asked again.
fn take_answers(
    shared: &Shared,
    questions: &[(TopicPartition, Asked)],
    answers: &BTreeMap<TopicPartition, Answer>,
) {
    let env = shared.client.env();
    let (now, unit_random) = (env.now(), env.random_unit());
    shared.with(|subscription| {
        for (partition, asked) in questions {
            let answer = answers.get(partition).copied().unwrap_or(Answer::None);
            subscription.handle_answer(partition, *asked, answer, now, unit_random);
        }
    });
}
