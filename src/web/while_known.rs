//! Answers that continue only while their visitor is known.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

/// Body of the live stream, a photo or an export, which breaks off when its visitor has left or was sent away.
pub struct WhileKnown {
    body: Body,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl WhileKnown {
    /// Wraps a body, which breaks off when `ended` completes.
    pub fn new(body: Body, ended: impl Future<Output = ()> + Send + 'static) -> Self {
        WhileKnown { body, ended: Box::pin(ended) }
    }
}

impl HttpBody for WhileKnown {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new("the visitor is not known any more"))));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
