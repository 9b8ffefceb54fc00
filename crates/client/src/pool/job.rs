//! A request on its way to a shared connection.

use milena_protocol::Request;
use tokio::sync::oneshot;

use crate::config::ClientConfig;
use crate::connection::{ApiVersions, Connection, RequestError, Response};

/// Where the answer goes.
pub(super) type Reply = oneshot::Sender<Result<Response<()>, RequestError>>;
/// Makes the request, and chooses its version, once it is known what the broker speaks.
pub(super) type Prepare<R> = Box<dyn FnOnce(&ApiVersions) -> Result<(R, i16), RequestError> + Send>;

/// A request whose type is forgotten until a connection tells which version to write.
pub(super) trait Job: Send {
    /// The API's name.
    fn api(&self) -> &'static str;
    /// Whether somebody still waits for the answer.
    fn is_wanted(&self) -> bool;
    fn submit(self: Box<Self>, connection: &mut Connection<Reply>, config: &ClientConfig);
    fn fail(self: Box<Self>, error: RequestError);
}

pub(super) struct TypedJob<R> {
    pub(super) prepare: Prepare<R>,
    pub(super) reply: Reply,
}

impl<R: Request> Job for TypedJob<R> {
    fn api(&self) -> &'static str {
        R::KEY.name()
    }

    fn is_wanted(&self) -> bool {
        !self.reply.is_closed()
    }

    fn submit(self: Box<Self>, connection: &mut Connection<Reply>, config: &ClientConfig) {
        let (request, version) = match (self.prepare)(connection.versions()) {
            Ok(prepared) => prepared,
            Err(error) => return answer(self.reply, Err(error)),
        };
        let timeout = config.connection.request_timeout;
        if let Err((error, reply)) = connection.submit(&request, version, timeout, self.reply) {
            answer(reply, Err(error.into()));
        }
    }

    fn fail(self: Box<Self>, error: RequestError) {
        answer(self.reply, Err(error));
    }
}

pub(super) fn answer(reply: Reply, result: Result<Response<()>, RequestError>) {
    // Whoever asked may have stopped waiting: that is no error.
    let _ = reply.send(result);
}
