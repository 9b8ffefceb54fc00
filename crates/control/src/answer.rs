//! What goes back: a status and JSON.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// An answer that tells something, or that what was asked is done.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    body: Bytes,
    allow: Option<&'static str>,
}

/// Why nothing was done, with what to do about it in the text.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    text: String,
    allow: Option<&'static str>,
}

impl Answer {
    pub(crate) fn json(value: &Value) -> Self {
        Self { status: StatusCode::OK, body: value.to_string().into(), allow: None }
    }

    pub(crate) fn created(value: &Value) -> Self {
        Self { status: StatusCode::CREATED, ..Self::json(value) }
    }

    /// Text that is JSON already.
    pub(crate) fn document(text: &'static str) -> Self {
        Self { status: StatusCode::OK, body: Bytes::from_static(text.as_bytes()), allow: None }
    }

    /// It is done, and there is nothing to tell.
    pub(crate) fn done() -> Self {
        Self { status: StatusCode::NO_CONTENT, body: Bytes::new(), allow: None }
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        if self.status != StatusCode::NO_CONTENT {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl Refusal {
    /// What was sent cannot be read.
    pub(crate) fn malformed(text: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// There is no such thing.
    pub(crate) fn not_found(text: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// It can be read and makes no sense.
    pub(crate) fn senseless(text: impl ToString) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, text)
    }

    pub(crate) fn too_large(text: impl ToString) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// It makes sense and did not work.
    pub(crate) fn failed(text: impl ToString) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    pub(crate) fn method(allow: &'static str) -> Self {
        let text = format!("only {allow} is understood here");
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    fn new(status: StatusCode, text: impl ToString) -> Self {
        Self { status, text: text.to_string(), allow: None }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let body = json!({ "error": refusal.text }).to_string().into();
        Self { status: refusal.status, body, allow: refusal.allow }
    }
}
