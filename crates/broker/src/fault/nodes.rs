//! What happens to nodes.

use std::io;

use tokio::net::TcpListener;

use super::Faults;
use crate::NodeId;
use crate::node::{Exit, Listener};

impl Faults {
    /// Kills a node: its connections are cut in the middle of what they were doing, it stops listening, it leaves
    /// every ISR, and what it led is led by the next in-sync replica in a higher leader epoch. What it had written may
    /// be lost, as far as others can know: it does not lead again for having been in sync, unless it led last and nobody
    /// else is left.
    ///
    /// A node that is down stays so.
    pub async fn kill(&self, node: NodeId) {
        self.kill_unnoticed(node).await;
        self.notice(node);
    }

    /// Kills a node as [`kill`](Self::kill) does, but nobody notices: metadata still names it, and it still leads.
    ///
    /// [`notice`](Self::notice) ends that.
    pub async fn kill_unnoticed(&self, node: NodeId) {
        self.take_down(node, Exit::Crash).await;
    }

    /// The controller notices that a node is dead: it leaves every ISR, and others lead.
    pub fn notice(&self, node: NodeId) {
        self.shared.node_lost(node);
        self.shared.seen.changed();
    }

    /// Stops a node in order: first others lead, so that clients learn where to go; then it goes down.
    pub async fn stop(&self, node: NodeId) {
        self.notice(node);
        self.take_down(node, Exit::InOrder).await;
    }

    /// Starts a node that is down, at the address that it had; it is in sync at once. One that runs is only let back into the cluster, if
    /// it was taken for dead ([`notice`](Self::notice)) or unregistered.
    ///
    /// # Errors
    /// When the port has been taken meanwhile.
    pub async fn restart(&self, node: NodeId) -> io::Result<()> {
        let Some(node) = self.shared.node(node) else { return Ok(()) };
        let has_crashed = !node.is_running() && node.has_crashed();
        if !node.is_running() {
            let tcp = match self.has_tcp {
                true => Some(TcpListener::bind(node.address).await?),
                false => None,
            };
            node.frozen.set(false);
            node.deaf.set(false);
            Listener::start(&self.shared, node, tcp);
        }
        self.shared.node_back(node.id, has_crashed);
        self.shared.seen.changed();
        Ok(())
    }

    /// Freezes a node: it accepts connections and bytes, does nothing and answers nothing, as a process that is
    /// stopped. It still leads.
    pub fn freeze(&self, node: NodeId) {
        self.set_frozen(node, true);
    }

    /// Lets a frozen node go on, with what it has received meanwhile.
    pub fn unfreeze(&self, node: NodeId) {
        self.set_frozen(node, false);
    }

    /// Has a node stop reading from its connections, so that the clients' writes stall once buffers are full.
    pub fn stop_reading(&self, node: NodeId) {
        self.set_deaf(node, true);
    }

    /// Has a node read again.
    pub fn resume_reading(&self, node: NodeId) {
        self.set_deaf(node, false);
    }

    /// Closes all connections of a node, in the middle of what they were doing; it accepts new ones.
    pub async fn disconnect(&self, node: NodeId) {
        if let Some(node) = self.shared.node(node) {
            node.hang_up().await;
        }
    }

    /// Closes all fetch sessions of a node.
    pub fn expire_fetch_sessions(&self, node: NodeId) {
        if let Some(node) = self.shared.node(node) {
            crate::sync::lock(&node.sessions).clear();
        }
    }

    async fn take_down(&self, node: NodeId, exit: Exit) {
        if let Some(node) = self.shared.node(node)
            && node.is_running()
        {
            node.note_exit(exit);
            node.stop().await;
        }
    }

    fn set_frozen(&self, node: NodeId, frozen: bool) {
        if let Some(node) = self.shared.node(node) {
            node.frozen.set(frozen);
        }
    }

    fn set_deaf(&self, node: NodeId, deaf: bool) {
        if let Some(node) = self.shared.node(node) {
            node.deaf.set(deaf);
        }
    }
}
