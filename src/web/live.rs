//! The live stream: hints for every open page that something has changed.
//!
//! A hint names what to ask for and carries no data. A page that missed some hints therefore asks once and is up to
//! date.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::pools::Who;

/// Maximum number of pages that may listen at the same time.
const LISTENERS_MAX: usize = 64;
/// Maximum number of pages of one visitor that may listen: a browser opens one stream for each tab.
const LISTENERS_PER_VISITOR: usize = 8;
/// Maximum number of hints that wait for a slow page. A page that falls further behind is disconnected, and its browser
/// connects again.
const WAITING_MAX: usize = 64;

/// Hint that something has changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Hint {
    /// A photo was classified.
    Captured { capture: i64, file: String },
    /// Captures were changed by a correction, a tag or a judgement.
    Changed { captures: Vec<i64> },
    /// A file gave no result.
    Failed { file: String, reason: String },
    /// A file holds a photo that was classified before.
    Known { file: String },
    /// Events were delivered, or the state of the link changed.
    Queue,
}

/// List of all listeners. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Live(Arc<Mutex<Vec<Listening>>>);

/// Visitor who listens, and the channel for their hints.
type Listening = (Who, mpsc::Sender<Hint>);

impl Live {
    /// Sends a hint to all listeners. Never waits.
    pub fn tell(&self, hint: &Hint) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(_, listener)| match listener.try_send(hint.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => false,
        });
    }

    /// Adds a listener. Returns `None` if too many listen, or too many of this visitor.
    pub fn listen(&self, who: Who) -> Option<mpsc::Receiver<Hint>> {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|(_, listener)| !listener.is_closed());
        let own = listeners.iter().filter(|(other, _)| who.is_some() && *other == who).count();
        (listeners.len() < LISTENERS_MAX && own < LISTENERS_PER_VISITOR).then(|| {
            let (listener, hints) = mpsc::channel(WAITING_MAX);
            listeners.push((who, listener));
            hints
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_hear_and_the_slow_are_let_go() {
        let live = Live::default();
        let (mut quick, mut slow) = (live.listen(None).expect("a place"), live.listen(None).expect("a place"));
        for _ in 0..=WAITING_MAX {
            live.tell(&Hint::Queue);
            assert_eq!(quick.try_recv(), Ok(Hint::Queue));
        }
        let mut heard = 0;
        while slow.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!((heard, slow.is_closed()), (WAITING_MAX, true));
        let visitor = || Some("a".to_owned());
        let own: Vec<_> = std::iter::from_fn(|| live.listen(visitor())).collect();
        assert_eq!(own.len(), LISTENERS_PER_VISITOR);
        drop(own);
        let others: Vec<_> = std::iter::from_fn(|| live.listen(None)).collect();
        assert_eq!(others.len(), LISTENERS_MAX - 1);
        drop(others);
        assert!(live.listen(visitor()).is_some());
    }
}
