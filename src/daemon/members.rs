//! Thread that answers about members once their photos are there, stores the answers, and tells them by events.
//!
//! A member is answered again when its captures have changed and then rested for the time in the settings. What has to be
//! answered follows from the database alone, so nothing is forgotten when the device is switched off.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use log::{debug, info};

use crate::domain::{Sha256, TagOrder};
use crate::journal::{DeviceIdentity, Journal, JournalError, NewMemberAnswer, Reader, TaggedCaptures};
use crate::members::{self, Answered, MembersError};
use crate::pipeline::Classifier;
use crate::uplink::Link;

/// Pause between two looks at the database.
const PAUSE: Duration = Duration::from_secs(2);

/// Answers about members, in step with the journal.
pub struct Members {
    pub params: members::Params,
    pub journal: Journal,
    pub identity: Arc<DeviceIdentity>,
    pub classifier: Classifier,
    pub link: Link,
}

/// Running thread.
pub struct MembersThread {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

impl Members {
    /// Starts the thread.
    pub fn start(self, reader: Reader) -> io::Result<MembersThread> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("members".into()).spawn(move || self.run(&reader, &stopped))?;
        Ok(MembersThread { stop, thread })
    }

    fn run(&self, reader: &Reader, stopped: &mpsc::Receiver<()>) {
        let mut waiting = Waiting::default();
        while stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
            match waiting.due(reader, self.params.quiet, Instant::now()) {
                Ok(due) => {
                    for member in due {
                        if stopped.try_recv() != Err(mpsc::TryRecvError::Empty) {
                            return;
                        }
                        self.answer(reader, member);
                    }
                }
                // The journal logs it once, for everyone who wants to write.
                Err(error) => debug!("{error}; looking at members again in {PAUSE:?}"),
            }
        }
    }

    fn answer(&self, reader: &Reader, of: TaggedCaptures) {
        let tag = of.tag.clone();
        match self.try_answer(reader, self.identity.embedding_space, of) {
            Ok(()) => info!("{tag}: answered"),
            Err(error) => debug!("{tag}: {error}; trying again in {PAUSE:?}"),
        }
    }

    fn try_answer(&self, reader: &Reader, space: Sha256, of: TaggedCaptures) -> Result<(), MembersError> {
        let Answered { of, of_other_encoders, answer } =
            members::answer(reader, &self.classifier.answerer(), space, of)?;
        let new = NewMemberAnswer {
            of,
            of_other_encoders,
            answer,
            tell: self.params.tell,
            queued: !self.link.is_online(),
            stored_at: Timestamp::now(),
        };
        Ok(self.journal.store_member(&self.identity, new)?)
    }
}

impl MembersThread {
    /// Stops the thread, and waits for its end.
    pub fn stop(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            log::error!("the members thread panicked");
        }
    }
}

/// Members whose captures have changed since they were answered.
#[derive(Default)]
struct Waiting {
    /// Number of the last event when the database was last looked at and nothing waited.
    settled: Option<i64>,
    /// Captures of each waiting member at the last look, and when they were first found so.
    seen: BTreeMap<TagOrder, (TaggedCaptures, Instant)>,
}

impl Waiting {
    /// Returns the members that wait and have not changed for `quiet`.
    fn due(&mut self, reader: &Reader, quiet: Duration, now: Instant) -> Result<Vec<TaggedCaptures>, JournalError> {
        let last = reader.last_sequence()?;
        if self.settled == Some(last) {
            return Ok(Vec::new());
        }
        let stale = members::standing(reader)?.stale;
        self.settled = stale.is_empty().then_some(last);
        let mut seen = BTreeMap::new();
        for member in stale {
            let order = member.tag.order();
            let since = self.seen.get(&order).filter(|(before, _)| *before == member).map_or(now, |(_, since)| *since);
            seen.insert(order, (member, since));
        }
        self.seen = seen;
        let is_due = |(_, since): &&(TaggedCaptures, Instant)| now.duration_since(*since) >= quiet;
        Ok(self.seen.values().filter(is_due).map(|(member, _)| member.clone()).collect())
    }
}
