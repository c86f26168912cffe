//! Where commands are received and carried out, one after the other, on a thread of its own.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use log::{info, warn};
use serde_json::Value;

use super::judge::{Facts, Refusal, address, judge};
use super::{Command, CommandHandler, State, VerifyingKey};
use crate::domain::Time;
use crate::journal::Journal;
use crate::uplink::connection::Incoming;
use crate::uplink::rate::Bucket;

/// Messages that wait for the desk.
const INBOX_MAX: usize = 16;
/// Messages a second that are looked at; a signature costs up to a millisecond to check.
const PER_S_MAX: u32 = 10;
/// Answers that wait for the link. The sender of one that is lost asks again.
const REPLIES_MAX: usize = 64;

/// What the desk needs to know.
pub struct DeskParams {
    /// `bridge/v1/{site}/{device}`.
    pub device: String,
    pub boot_id: String,
    pub key: VerifyingKey,
    pub journal: Journal,
    /// What time it is, and whether that can be trusted.
    pub clock: Box<dyn Fn() -> Time + Send>,
}

/// Takes messages in and keeps the answers until they are fetched.
#[derive(Clone)]
pub struct Desk {
    inbox: SyncSender<Incoming>,
    replies: Arc<Mutex<Replies>>,
}

/// An answer, for the topic `cmd/{op}/{id}/state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Below the device's prefix.
    pub topic: String,
    pub payload: Vec<u8>,
}

#[derive(Default)]
struct Replies {
    waiting: VecDeque<Reply>,
    refused: u64,
}

impl Desk {
    /// Starts the thread; it ends when the last handle is dropped. `wake` is called after every answer.
    pub fn start(
        params: DeskParams,
        handler: Box<dyn CommandHandler>,
        wake: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (inbox, messages) = sync_channel(INBOX_MAX);
        let replies = Arc::default();
        let clerk = Clerk { params, handler, wake: Box::new(wake), replies: Arc::clone(&replies) };
        std::thread::Builder::new().name("commands".into()).spawn(move || clerk.work(&messages))?;
        Ok(Desk { inbox, replies })
    }

    /// Hands in a message. One that comes while too many wait is dropped.
    pub fn hand_in(&self, incoming: Incoming) {
        if self.inbox.try_send(incoming).is_err() {
            self.replies().refused += 1;
        }
    }

    /// The answers since the last call.
    pub fn take_replies(&self) -> Vec<Reply> {
        self.replies().waiting.drain(..).collect()
    }

    /// Messages that were not carried out, since the start.
    pub fn refused(&self) -> u64 {
        self.replies().refused
    }

    fn replies(&self) -> std::sync::MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Clerk {
    params: DeskParams,
    handler: Box<dyn CommandHandler>,
    wake: Box<dyn Fn() + Send>,
    replies: Arc<Mutex<Replies>>,
}

/// What happened to a command.
enum Outcome {
    Accepted,
    Refused(Refusal),
    Done(Value),
    Failed(String),
}

impl Clerk {
    fn work(mut self, messages: &Receiver<Incoming>) {
        let mut bucket = Bucket::new(Some(PER_S_MAX), Instant::now());
        for incoming in messages {
            let now = Instant::now();
            match address(&incoming.topic, &self.params.device) {
                Some((op, id)) if bucket.wait(now).is_zero() => {
                    bucket.take(1, now);
                    self.handle(&incoming, op, id);
                }
                _ => self.replies().refused += 1,
            }
        }
    }

    fn handle(&mut self, incoming: &Incoming, op: &str, id: &str) {
        let command = match self.accept(incoming, op, id) {
            Ok(command) => command,
            Err(refusal) => {
                warn!("command {op} {id} refused: {refusal}");
                self.replies().refused += 1;
                return self.reply(op, id, Outcome::Refused(refusal));
            }
        };
        info!("command {op} {id} (counter {}) accepted", command.counter);
        self.reply(op, id, Outcome::Accepted);
        let outcome = match self.handler.act(&command) {
            Ok(result) => Outcome::Done(result),
            Err(reason) => {
                warn!("command {op} {id} failed: {reason}");
                Outcome::Failed(reason)
            }
        };
        self.reply(op, id, outcome);
    }

    /// Judges the message and makes its counter durable: from then on it is a replay.
    fn accept(&self, incoming: &Incoming, op: &str, id: &str) -> Result<Command, Refusal> {
        let DeskParams { device, key, journal, clock, .. } = &self.params;
        let not_stored = |error: crate::journal::JournalError| Refusal::NotStored(error.to_string());
        let counter = journal.command_counter().map_err(not_stored)?;
        let command = judge(incoming, (op, id), &Facts { device, key, counter, now: &clock() })?;
        journal.store_command_counter(command.counter).map_err(not_stored)?;
        Ok(command)
    }

    fn reply(&self, op: &str, id: &str, outcome: Outcome) {
        let (state, reason, detail, result) = match outcome {
            Outcome::Accepted => ("accepted", None, None, None),
            Outcome::Refused(refusal) => ("refused", Some(refusal.code()), Some(refusal.to_string()), None),
            Outcome::Done(result) => ("done", None, None, Some(result)),
            Outcome::Failed(detail) => ("failed", None, Some(detail), None),
        };
        let state =
            State { op, id, state, reason, detail, result, boot_id: &self.params.boot_id, time: Timestamp::now() };
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

    fn replies(&self) -> std::sync::MutexGuard<'_, Replies> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
