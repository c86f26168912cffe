//! The desk that receives commands and carries them out, one after the other, on a thread of its own. A command that
//! takes long gets another thread, so that the following ones go on.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use jiff::Timestamp;
use log::{info, warn};
use serde::Serialize;
use serde_json::Value;

use bridgeclip_domain::Time;
use bridgeclip_journal::{CommandNote, Journal};

use crate::command::envelope::VerifyingKey;
use crate::command::handler::{Acting, CommandHandler, LongWork};
use crate::command::judge::{Facts, Refusal, address, judge};
use crate::command::operation::Command;
use crate::connection::Incoming;
use crate::rate::TokenBucket;

/// Maximum number of messages that wait for the desk.
const INBOX_MAX: usize = 16;
/// Maximum number of messages per second that are examined; checking a signature takes up to a millisecond.
const PER_S_MAX: u32 = 10;
/// Maximum number of replies that wait for the link. The oldest are dropped first; their senders ask again.
const REPLIES_MAX: usize = 64;

const BUSY: &str = "another command that takes long is being carried out; give this one again when that is done";

/// Settings of the desk.
pub struct DeskParams {
    /// Prefix of the device's topics, `bridge/v1/{site}/{device}`.
    pub device: String,
    /// Id of the current boot, for replies.
    pub boot_id: String,
    /// Public key that commands must be signed with.
    pub key: VerifyingKey,
    /// Journal that stores the counter of the last command.
    pub journal: Journal,
    /// Returns the time, and whether it can be trusted.
    pub clock: Box<dyn Fn() -> Time + Send>,
}

/// A handle to the desk: it takes messages, and keeps the replies until they are fetched.
#[derive(Clone)]
pub struct Desk {
    inbox: SyncSender<Incoming>,
    replies: Arc<Mutex<Replies>>,
    /// Sign of life: long work goes on while a handle to it exists.
    _open: Arc<()>,
}

/// A reply, for the topic `cmd/{op}/{id}/state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Topic below the device's prefix.
    pub topic: String,
    /// JSON of the reply.
    pub payload: Vec<u8>,
}

/// Replies and counters that the desk shares with its handles.
#[derive(Default)]
struct Replies {
    waiting: VecDeque<Reply>,
    refused: u64,
}

impl Desk {
    /// Starts the desk's thread, and calls `wake` after every reply.
    ///
    /// When the last handle is dropped, the thread ends, and long work is told to.
    pub fn start(
        params: DeskParams,
        handler: Box<dyn CommandHandler>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (inbox, messages) = sync_channel(INBOX_MAX);
        let (replies, open) = (Arc::default(), Arc::default());
        let answers = Answers {
            boot_id: params.boot_id.clone(),
            wake: Arc::new(wake),
            replies: Arc::clone(&replies),
            desk: Arc::downgrade(&open),
        };
        let clerk = Clerk { params, handler, answers, long: None };
        thread::Builder::new().name("commands".into()).spawn(move || clerk.work(&messages))?;
        Ok(Desk { inbox, replies, _open: open })
    }

    /// Hands in a message. It is dropped, and counted as refused, if too many wait.
    pub fn hand_in(&self, incoming: Incoming) {
        if self.inbox.try_send(incoming).is_err() {
            self.replies().refused += 1;
        }
    }

    /// Returns the replies since the last call.
    pub fn take_replies(&self) -> Vec<Reply> {
        self.replies().waiting.drain(..).collect()
    }

    /// Returns the number of messages since the start that were not carried out.
    pub fn refused(&self) -> u64 {
        self.replies().refused
    }

    fn replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker on the desk's thread.
struct Clerk {
    params: DeskParams,
    handler: Box<dyn CommandHandler>,
    answers: Answers,
    /// Thread of the current long work. There is one at a time, as each may load the reference into memory again.
    long: Option<JoinHandle<()>>,
}

/// The outlet for replies. Its clones share one queue.
#[derive(Clone)]
struct Answers {
    boot_id: String,
    wake: Arc<dyn Fn() + Send + Sync>,
    replies: Arc<Mutex<Replies>>,
    desk: Weak<()>,
}

/// The outcome of a command.
enum Outcome {
    Accepted,
    Refused(Refusal),
    Done(Value),
    Failed(String),
}

/// The outcome of a command, as its sender receives it on `…/cmd/{op}/{id}/state`.
#[derive(Clone, Debug, Serialize)]
struct CommandState<'a> {
    op: &'a str,
    id: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    boot_id: &'a str,
    time: Timestamp,
}

impl Clerk {
    fn work(mut self, messages: &Receiver<Incoming>) {
        let mut bucket = TokenBucket::new(Some(PER_S_MAX));
        for incoming in messages {
            let now = Instant::now();
            match address(&incoming.topic, &self.params.device) {
                Some((op, id)) if bucket.wait(now).is_zero() => {
                    bucket.take(1, now);
                    self.handle(&incoming, op, id);
                }
                _ => self.answers.replies().refused += 1,
            }
        }
    }

    fn handle(&mut self, incoming: &Incoming, op: &str, id: &str) {
        let command = match self.accept(incoming, op, id) {
            Ok(command) => command,
            Err(refusal) => {
                warn!("command {op} {id} refused: {refusal}");
                self.answers.replies().refused += 1;
                return self.answers.give(op, id, Outcome::Refused(refusal));
            }
        };
        info!("command {op} {id} (counter {}) accepted", command.counter);
        self.answers.give(op, id, Outcome::Accepted);
        match self.handler.act(&command) {
            Acting::Done(outcome) => self.answers.tell(op, id, outcome),
            Acting::Long(work) => self.begin(op, id, work),
        }
    }

    fn begin(&mut self, op: &str, id: &str, work: LongWork) {
        if self.long.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return self.answers.tell(op, id, Err(BUSY.to_owned()));
        }
        let (answers, of, number) = (self.answers.clone(), op.to_owned(), id.to_owned());
        let work = move || answers.tell(&of, &number, work(&|| answers.desk.strong_count() > 0));
        match thread::Builder::new().name(op.to_owned()).spawn(work) {
            Ok(thread) => self.long = Some(thread),
            Err(error) => self.answers.tell(op, id, Err(format!("cannot start a thread: {error}"))),
        }
    }

    /// Judges a message, and makes its counter durable so that any repetition counts as a replay.
    fn accept(&self, incoming: &Incoming, op: &str, id: &str) -> Result<Command, Refusal> {
        let DeskParams { device, key, journal, clock, .. } = &self.params;
        let not_stored = |error: bridgeclip_journal::JournalError| Refusal::NotStored(error.to_string());
        let (counter, now) = (journal.command_counter().map_err(not_stored)?, clock());
        let command = judge(incoming, (op, id), &Facts { device, key, counter, now: &now })?;
        match journal.accept_command(command.counter, command.issued_at, now.at).map_err(not_stored)? {
            CommandNote::New => Ok(command),
            CommandNote::Replayed { last } => Err(Refusal::Replayed { counter: command.counter, last }),
            CommandNote::Forgotten { until } => Err(Refusal::Forgotten(until)),
        }
    }
}

impl Answers {
    fn tell(&self, op: &str, id: &str, outcome: Result<Value, String>) {
        let outcome = outcome.map_or_else(Outcome::Failed, Outcome::Done);
        if let Outcome::Failed(reason) = &outcome {
            warn!("command {op} {id} failed: {reason}");
        }
        self.give(op, id, outcome);
    }

    fn give(&self, op: &str, id: &str, outcome: Outcome) {
        let (state, reason, detail, result) = match outcome {
            Outcome::Accepted => ("accepted", None, None, None),
            Outcome::Refused(refusal) => ("refused", Some(refusal.code()), Some(refusal.to_string()), None),
            Outcome::Done(result) => ("done", None, None, Some(result)),
            Outcome::Failed(detail) => ("failed", None, Some(detail), None),
        };
        let state =
            CommandState { op, id, state, reason, detail, result, boot_id: &self.boot_id, time: Timestamp::now() };
        let payload = serde_json::to_vec(&state).expect("a state has string keys");
        self.keep(Reply { topic: format!("cmd/{op}/{id}/state"), payload });
        (self.wake)();
    }

    fn keep(&self, reply: Reply) {
        let mut replies = self.replies();
        if replies.waiting.len() == REPLIES_MAX {
            replies.waiting.pop_front();
        }
        replies.waiting.push_back(reply);
    }

    fn replies(&self) -> MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use bytes::Bytes;
    use jiff::SignedDuration;

    use bridgeclip_domain::TimeQuality;
    use bridgeclip_journal::Params;

    use super::*;
    use crate::{Op, Order, SigningKey, sign};

    const DEVICE: &str = "bridge/v1/site/unit";

    /// A handler for which everything but a ping takes until `go` receives, or until the desk is closed.
    struct Slow {
        go: Arc<Mutex<Receiver<()>>>,
        ended: Sender<()>,
    }

    impl CommandHandler for Slow {
        fn act(&mut self, command: &Command) -> Acting {
            if command.op == Op::Ping {
                return Acting::Done(Ok("pong".into()));
            }
            let (go, ended) = (Arc::clone(&self.go), self.ended.clone());
            Acting::Long(Box::new(move |goes_on| {
                let go = go.lock().expect("no panic");
                let has_come = || go.recv_timeout(Duration::from_millis(5)).is_ok();
                while goes_on() && !has_come() {}
                ended.send(()).expect("the test waits");
                goes_on().then(|| "done".into()).ok_or_else(|| "stopped".into())
            }))
        }
    }

    fn order(counter: u64, op: &str) -> Incoming {
        let now = Timestamp::now();
        let args = if op == "ping" { "{}" } else { "{\"sequence\": [1, 2]}" };
        let order = Order {
            device: DEVICE.to_owned(),
            op: op.to_owned(),
            id: counter.to_string(),
            counter,
            issued_at: now,
            expires_at: now + SignedDuration::from_mins(1),
            args: serde_json::from_str(args).expect("JSON"),
        };
        let payload = Bytes::from(sign(&order, &SigningKey::from_bytes(&[1; 32])));
        Incoming { topic: format!("{DEVICE}/cmd/{op}/{counter}"), payload, retained: false }
    }

    /// Waits for the next replies: the id of each command, and its state.
    fn answers(desk: &Desk, count: usize) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let end = Instant::now() + Duration::from_secs(20);
        while all.len() < count && Instant::now() < end {
            all.extend(desk.take_replies().iter().map(|reply| {
                let state: Value = serde_json::from_slice(&reply.payload).expect("JSON");
                let text = |name: &str| state[name].as_str().expect("a text").to_owned();
                (text("id"), text("state"))
            }));
            thread::sleep(Duration::from_millis(5));
        }
        all
    }

    #[test]
    fn what_takes_long_holds_up_nothing_else_and_ends_with_the_desk() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (journal, _) = Journal::open(dir.path(), Params::default(), |_| ()).expect("a journal");
        let ((go, gone), (ended, has_ended)) = (channel(), channel());
        let params = DeskParams {
            device: DEVICE.to_owned(),
            boot_id: "boot".to_owned(),
            key: SigningKey::from_bytes(&[1; 32]).verifying_key(),
            journal,
            clock: Box::new(|| Time::new(Timestamp::now(), TimeQuality::Ntp)),
        };
        let handler = Slow { go: Arc::new(Mutex::new(gone)), ended };
        let desk = Desk::start(params, Box::new(handler), || ()).expect("a thread");
        let state = |id: &str, state: &str| (id.to_owned(), state.to_owned());
        [order(1, "resend"), order(2, "ping"), order(3, "reclassify")]
            .into_iter()
            .for_each(|order| desk.hand_in(order));
        let expected = [("1", "accepted"), ("2", "accepted"), ("2", "done"), ("3", "accepted"), ("3", "failed")];
        assert_eq!(answers(&desk, 5), expected.map(|(id, of)| state(id, of)), "busy with the first one");
        go.send(()).expect("it waits");
        assert_eq!(answers(&desk, 1), [state("1", "done")]);
        has_ended.recv_timeout(Duration::from_secs(20)).expect("an end");
        desk.hand_in(order(4, "resend"));
        assert_eq!(answers(&desk, 1), [state("4", "accepted")]);
        drop(desk);
        has_ended.recv_timeout(Duration::from_secs(20)).expect("told to end");
    }
}
