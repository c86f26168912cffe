//! The device's own messages: status, health, the subscription to commands, and replies. A broker that denies one of
//! these still takes events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use log::{info, warn};

use bridgeclip_journal::{EventClass, Topics};

use crate::action::Turn;
use crate::command::Reply;
use crate::connection::{Answer, Loss};
use crate::dispatch::Blame;
use crate::holds::{HoldReason, Holds};
use crate::link::{Held, LinkEvent};
use crate::scope::{EventKind, Scope};
use crate::window::Sent;

/// Number of connections that must end without a reason, while a message is the only one on its way, before the message
/// is to blame.
const SILENT_ENDS_MAX: u32 = 3;

/// State of the device's own messages. It outlives connections.
#[derive(Default)]
pub struct OwnMessages {
    /// Replies that the broker has not acknowledged yet.
    pub replies: Replies,
    /// Messages that the broker currently refuses.
    holds: Holds,
    /// Whether own messages go one at a time, because a connection ended while several were on their way.
    pub is_careful: bool,
    /// Number of connections that ended without a reason while only this message was on its way, since it was last
    /// taken.
    silent_ends: BTreeMap<Topics, u32>,
}

/// Replies to commands that the broker has not acknowledged yet. They outlive connections.
#[derive(Default)]
pub struct Replies {
    open: BTreeMap<u64, Reply>,
    /// Number of the last reply, counted from 1.
    last: u64,
}

impl Replies {
    /// Adds replies, and returns the numbers that they receive.
    pub fn add(&mut self, replies: Vec<Reply>) -> Vec<u64> {
        let number = |reply| {
            self.last += 1;
            self.open.insert(self.last, reply);
            self.last
        };
        replies.into_iter().map(number).collect()
    }

    /// Returns the numbers of the unacknowledged replies, oldest first.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.open.keys().copied()
    }

    /// Returns the reply with this number, if it is unacknowledged.
    pub fn get(&self, number: u64) -> Option<&Reply> {
        self.open.get(&number)
    }

    /// Removes an answered reply. If the broker refused it, the sender of the command must ask again.
    pub fn answered(&mut self, number: u64, answer: &Answer) {
        let reply = self.open.remove(&number);
        if let (Some(reply), Some(reason)) = (reply, refusal(answer)) {
            warn!("the broker does not take the answer on {}: {reason}", reply.topic);
        }
    }
}

/// Returns why the broker refuses a message of the device itself, or `None` if it takes it.
fn refusal(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Accepted | Answer::NoSubscriber => None,
        Answer::NotAuthorised => Some("this device is not authorised to; correct the broker's access list"),
        Answer::Busy(reason) | Answer::Later(reason) | Answer::Unacceptable(reason) => Some(reason),
    }
}

/// Returns the topics of one of the device's own messages.
fn topics(sent: Sent) -> Topics {
    match sent {
        Sent::Status => Topics::like("status"),
        Sent::Health => Topics::like("health"),
        Sent::Subscription | Sent::Reply(_) | Sent::Event(_) => Topics::below("cmd"),
    }
}

/// Returns the kind of one of the device's own messages.
fn kind(sent: Sent) -> EventKind {
    EventKind { class: EventClass::Urgent, topics: topics(sent) }
}

impl OwnMessages {
    /// Reports whether this message may be sent now.
    pub fn may_send(&self, sent: Sent, now: Instant) -> bool {
        self.holds.is_open(&kind(sent), now)
    }

    /// Notes that the message is handed over now.
    pub fn sends(&mut self, sent: Sent) {
        self.holds.tries(&kind(sent), sent);
    }

    /// Reports whether the message was refused and may be tried again now.
    pub fn due(&self, sent: Sent, now: Instant) -> bool {
        self.holds.due(now).any(|scope| *scope == Scope::On(topics(sent)))
    }

    /// Returns the next time at which a refused message may be tried again.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        self.holds.next_due(now)
    }

    /// Handles the broker's answer to the message.
    pub fn answered(&mut self, sent: Sent, answer: &Answer, turn: &mut Turn) {
        let pause_max = match answer {
            Answer::NotAuthorised | Answer::Unacceptable(_) => turn.params.refused_pause,
            _ => turn.params.retry_max,
        };
        match refusal(answer) {
            Some(reason) => self.refused(sent, reason, pause_max, turn),
            None => self.taken(sent, turn),
        }
    }

    /// Notes that the broker appears to have taken the message.
    pub fn taken(&mut self, sent: Sent, turn: &mut Turn) {
        self.silent_ends.remove(&topics(sent));
        for scope in self.holds.accepted(sent) {
            let words = scope.words(&turn.params.prefix);
            info!("the broker takes {words} again");
            turn.report(LinkEvent::Lifted(words));
        }
    }

    fn refused(&mut self, sent: Sent, reason: &str, pause_max: Duration, turn: &mut Turn) {
        let scope = Scope::On(topics(sent));
        let tried = self.holds.refused(sent, reason, turn.now, &mut turn.random);
        let why = HoldReason { reason: reason.to_owned(), pause_max, alone: false };
        let is_new = tried.is_none() && self.holds.hold(scope.clone(), why, turn.now, &mut turn.random);
        if is_new || tried.is_some_and(|changed| !changed.is_empty()) {
            let what = scope.words(&turn.params.prefix);
            warn!("the broker does not take {what}; everything else goes on: {reason}");
            turn.report(LinkEvent::Held { what, reason: reason.to_owned() });
        }
    }

    /// Handles the end of a connection on which only these messages, and no event, were on their way.
    pub fn lost(&mut self, loss: &Loss, on_way: &[Sent], turn: &mut Turn) -> Blame {
        let blame = match (loss, on_way) {
            (Loss::Denied(reason), [one]) => {
                self.blamed(*one, reason, turn.params.refused_pause, turn);
                Blame::Found
            }
            (Loss::Closed(_) | Loss::Broken(_), [one]) => self.ended_silently(*one, turn),
            (Loss::Denied(_) | Loss::Closed(_) | Loss::Broken(_), [_, _, ..]) => {
                self.is_careful = true;
                Blame::Searched
            }
            _ => Blame::None,
        };
        self.holds.forget_tries();
        blame
    }

    /// Blames a message for a refusal. Replies are not tried again: the sender of the command asks.
    fn blamed(&mut self, sent: Sent, reason: &str, pause_max: Duration, turn: &mut Turn) {
        match sent {
            Sent::Reply(number) => self.replies.answered(number, &Answer::Unacceptable(reason.to_owned())),
            _ => self.refused(sent, reason, pause_max, turn),
        }
    }

    /// Counts an end without a reason. Only the last of [`SILENT_ENDS_MAX`] blames the message, as fewer may be chance.
    fn ended_silently(&mut self, sent: Sent, turn: &mut Turn) -> Blame {
        let ends = self.silent_ends.entry(topics(sent)).or_default();
        *ends = ends.saturating_add(1);
        if *ends < SILENT_ENDS_MAX {
            return Blame::Searched;
        }
        self.blamed(sent, "the broker ends the connection over it", turn.params.retry_max, turn);
        Blame::Found
    }

    /// Returns a count that goes up with every change in what [`OwnMessages::held`] returns.
    pub fn changes(&self) -> u64 {
        self.holds.changes()
    }

    /// Returns the messages that the broker currently refuses.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.holds.held()
    }
}
