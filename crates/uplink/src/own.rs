//! What the device says of itself and asks for: status, health, commands, and what became of them. A broker that denies
//! one of these still takes events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use log::{info, warn};

use bridgeclip_journal::{EventClass, Topics};

use super::LinkEvent;
use super::action::Turn;
use super::command::Reply;
use super::connection::{Answer, Loss};
use super::dispatch::Blame;
use super::holds::{Holds, Why};
use super::link::Held;
use super::scope::{Kind, Scope};
use super::window::Sent;

/// So often a connection has ended without a word while a message was the only one on its way: it is because of that.
const SILENT_ENDS_MAX: u32 = 3;

#[derive(Default)]
pub struct Own {
    pub replies: Replies,
    holds: Holds,
    /// A connection ended while several were on their way: they go one at a time.
    pub is_careful: bool,
    /// Connections that ended while only this was on its way, without a word; since it was last taken.
    silent_ends: BTreeMap<Topics, u32>,
}

/// Answers to commands that the broker has not acknowledged yet. They outlive a connection.
#[derive(Default)]
pub struct Replies {
    open: BTreeMap<u64, Reply>,
    last: u64,
}

impl Replies {
    /// Takes answers in; gives the numbers that they have here.
    pub fn add(&mut self, replies: Vec<Reply>) -> Vec<u64> {
        let number = |reply| {
            self.last += 1;
            self.open.insert(self.last, reply);
            self.last
        };
        replies.into_iter().map(number).collect()
    }

    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.open.keys().copied()
    }

    pub fn get(&self, number: u64) -> Option<&Reply> {
        self.open.get(&number)
    }

    /// Whoever gave the command asks again, if the broker does not take the answer.
    pub fn answered(&mut self, number: u64, answer: &Answer) {
        let reply = self.open.remove(&number);
        if let (Some(reply), Some(reason)) = (reply, refusal(answer)) {
            warn!("the broker does not take the answer on {}: {reason}", reply.topic);
        }
    }
}

/// Why the broker does not take a message of the device itself.
fn refusal(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Accepted | Answer::NoSubscriber => None,
        Answer::NotAuthorised => Some("this device is not authorised to; correct the broker's access list"),
        Answer::Busy(reason) | Answer::Later(reason) | Answer::Unacceptable(reason) => Some(reason),
    }
}

/// The topic of what is sent; only of the device's own.
fn topics(sent: Sent) -> Topics {
    match sent {
        Sent::Status => Topics::like("status"),
        Sent::Health => Topics::like("health"),
        Sent::Subscription | Sent::Reply(_) | Sent::Event(_) => Topics::below("cmd"),
    }
}

fn kind(sent: Sent) -> Kind {
    Kind { class: EventClass::Urgent, topics: topics(sent) }
}

impl Own {
    pub fn may_send(&self, sent: Sent, now: Instant) -> bool {
        self.holds.is_open(&kind(sent), now)
    }

    /// It is handed over now.
    pub fn sends(&mut self, sent: Sent) {
        self.holds.tries(&kind(sent), sent);
    }

    /// What was refused and may be tried again now.
    pub fn due(&self, sent: Sent, now: Instant) -> bool {
        self.holds.due(now).any(|scope| *scope == Scope::On(topics(sent)))
    }

    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        self.holds.next_due(now)
    }

    /// The broker has answered.
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

    /// The broker took it, as far as can be known.
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
        let why = Why { reason: reason.to_owned(), pause_max, alone: false };
        let is_new = tried.is_none() && self.holds.hold(scope.clone(), why, turn.now, &mut turn.random);
        if is_new || tried.is_some_and(|changed| !changed.is_empty()) {
            let what = scope.words(&turn.params.prefix);
            warn!("the broker does not take {what}; everything else goes on: {reason}");
            turn.report(LinkEvent::Held { what, reason: reason.to_owned() });
        }
    }

    /// The connection ended while these were on their way, and no event was.
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

    /// Answers to commands are not tried again: whoever gave the command asks.
    fn blamed(&mut self, sent: Sent, reason: &str, pause_max: Duration, turn: &mut Turn) {
        match sent {
            Sent::Reply(number) => self.replies.answered(number, &Answer::Unacceptable(reason.to_owned())),
            _ => self.refused(sent, reason, pause_max, turn),
        }
    }

    /// Once or twice may be chance.
    fn ended_silently(&mut self, sent: Sent, turn: &mut Turn) -> Blame {
        let ends = self.silent_ends.entry(topics(sent)).or_default();
        *ends = ends.saturating_add(1);
        if *ends < SILENT_ENDS_MAX {
            return Blame::Searched;
        }
        self.blamed(sent, "the broker ends the connection over it", turn.params.retry_max, turn);
        Blame::Found
    }

    pub fn changes(&self) -> u64 {
        self.holds.changes()
    }

    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.holds.held()
    }
}
