//! The choice of the next event, and the consequences of the broker's answers. This state outlives connections: what is
//! held stays held, and what was answered is stored.

mod answers;
mod tries;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use log::warn;

use bridgeclip_journal::{EventClass, JournalError, OutboxRow, Topics, Which};

use crate::action::Turn;
use crate::doubts::Doubts;
use crate::holds::Holds;
use crate::lanes::Lanes;
use crate::link::{Held, LinkEvent};
use crate::scope::{EventKind, Scope};
use crate::settlement::{Settled, Settlement};
use crate::window::Sent;

/// Pause after a failure to read `device.db`.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// The events to send: what is queued, on its way, held back, doubted or answered.
pub struct Dispatch {
    /// Answers on their way into `device.db`.
    pub settlement: Settlement,
    lanes: Lanes,
    holds: Holds,
    doubts: Doubts,
    /// Events that were sent on this connection and are unanswered, by outbox id.
    on_way: BTreeMap<i64, OnWay>,
    /// Topics of the events that the broker took on this connection.
    taken: BTreeSet<Topics>,
    /// Number of connections in a row that ended while events on these topics were on their way and acknowledged none
    /// of them.
    barren: BTreeMap<Topics, u32>,
    /// Events that were on their way when connections ended, and may be the cause. Each is sent alone.
    suspects: BTreeMap<i64, EventKind>,
    /// The held or doubted event that is tried next.
    candidate: Option<OutboxRow>,
    /// End of the pause after a failure to read `device.db`.
    fault_until: Option<Instant>,
    /// Number of events sent so far.
    sent: u64,
}

/// Whether a message caused the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// No message is to blame.
    None,
    /// A message may be to blame; the search for it goes on.
    Searched,
    /// A message that was alone on its way is to blame. It now waits on its own, so the other messages need no longer
    /// pause before the next connection.
    Found,
}

/// An event on its way.
struct OnWay {
    kind: EventKind,
    /// Number of events sent up to and including this one.
    number: u64,
    /// Whether nothing else may be on its way at the same time.
    alone: bool,
}

impl Dispatch {
    /// Creates the state of an uplink that has sent nothing.
    pub fn new() -> Self {
        Dispatch {
            settlement: Settlement::default(),
            lanes: Lanes::new(),
            holds: Holds::default(),
            doubts: Doubts::default(),
            on_way: BTreeMap::new(),
            taken: BTreeSet::new(),
            barren: BTreeMap::new(),
            suspects: BTreeMap::new(),
            candidate: None,
            fault_until: None,
            sent: 0,
        }
    }

    /// Notes that there may be new rows or other settings.
    pub fn woken(&mut self) {
        self.lanes.woken();
        self.candidate = None;
    }

    /// Reports whether there is, or may be, something to send now. `last` is the least urgent class that may go.
    pub fn has_work(&self, last: EventClass, now: Instant) -> bool {
        let may_go = |class| class <= last && self.holds.is_class_open(class, now);
        self.fault_until.is_some() || self.candidate.is_some() || self.lanes.may_have_rows(may_go)
    }

    /// Reports whether every sent event was answered, and every answer is in `device.db`.
    pub fn is_settled(&self) -> bool {
        self.on_way.is_empty() && self.settlement.open() == 0
    }

    /// Reports whether events wait that the broker does not take.
    pub fn holds_back(&self) -> bool {
        !self.holds.is_empty() || !self.doubts.is_empty()
    }

    /// Returns the number of events that would be sent again after a crash.
    pub fn open(&self) -> usize {
        self.on_way.len() + self.settlement.open()
    }

    /// Reports whether an event is on its way that must be alone.
    pub fn is_one_alone(&self) -> bool {
        self.on_way.values().any(|way| way.alone)
    }

    /// Reports whether the search for an event over which the broker ends connections is under way, or such an event is
    /// due.
    pub fn searches(&self, now: Instant) -> bool {
        !self.suspects.is_empty() || self.holds.tries_alone(now) || self.doubts.tries_alone(now)
    }

    /// Returns the next event, and whether it must be alone on its way.
    ///
    /// Returns `None` if there is no event, or if `fits` says that it must wait. `is_unclear` says whether another
    /// message is on its way over which the broker may end the connection; no event that must be alone is tried then.
    pub fn next(
        &mut self,
        turn: &Turn,
        is_unclear: bool,
        fits: impl Fn(&OutboxRow, bool) -> bool,
    ) -> Option<(OutboxRow, bool)> {
        match self.fault_until {
            Some(until) if until > turn.now => return None,
            Some(_) => self.lanes.rewind(|_| true),
            None => (),
        }
        self.fault_until = None;
        self.look(turn, is_unclear, fits).unwrap_or_else(|error| {
            warn!("{error}");
            self.fault_until = Some(turn.now + FAULT_PAUSE);
            None
        })
    }

    fn look(
        &mut self,
        turn: &Turn,
        is_unclear: bool,
        fits: impl Fn(&OutboxRow, bool) -> bool,
    ) -> Result<Option<(OutboxRow, bool)>, JournalError> {
        self.choose(turn)?;
        for class in turn.classes() {
            if !self.holds.is_class_open(class, turn.now) {
                break;
            }
            let is_candidate = self.offers_candidate(class, is_unclear, turn)?;
            let row = if is_candidate { self.candidate.as_ref() } else { self.lanes.front(class) };
            let Some(row) = row else { continue };
            let alone = self.must_be_alone(row);
            if !fits(row, alone) {
                return Ok(None);
            }
            let row = if is_candidate { self.candidate.take() } else { self.lanes.take(class) };
            return Ok(row.map(|row| (row, alone)));
        }
        Ok(None)
    }

    /// Reports whether it is the candidate's turn in this class, rather than that of the next event of the queue, which
    /// is fetched if necessary.
    fn offers_candidate(&mut self, class: EventClass, is_unclear: bool, turn: &Turn) -> Result<bool, JournalError> {
        let may_try = |row: &&OutboxRow| row.class == class && !(is_unclear && self.must_be_alone(row));
        let candidate = self.candidate.as_ref().filter(may_try);
        let (is_one, others_first) = (candidate.is_some(), candidate.is_some_and(|row| self.comes_after_others(row)));
        if !is_one || others_first {
            self.fill(class, turn)?;
        }
        Ok(is_one && !(others_first && self.lanes.front(class).is_some()))
    }

    /// Reports whether events like this one go first, because it is still unknown whether the event itself is at fault.
    fn comes_after_others(&self, row: &OutboxRow) -> bool {
        self.doubts.is_fresh(row.id) && self.holds.is_free(&EventKind::of(row))
    }

    fn fill(&mut self, class: EventClass, turn: &Turn) -> Result<(), JournalError> {
        let Dispatch { settlement, on_way, doubts, holds, lanes, .. } = self;
        let is_known = |row| settlement.contains(row) || on_way.contains_key(&row) || doubts.contains(row);
        let read = |class, after, limit| turn.queue.page(class, after, limit, Which::Without(&holds.topics_of(class)));
        lanes.fill(class, is_known, read)
    }

    fn must_be_alone(&self, row: &OutboxRow) -> bool {
        let is_doubted = self.suspects.contains_key(&row.id) || self.doubts.wants_alone(row.id);
        is_doubted || self.holds.wants_alone(&EventKind::of(row))
    }

    /// Notes that the event is handed over now.
    pub fn sends(&mut self, row: &OutboxRow, alone: bool) {
        self.sent += 1;
        self.candidate = None;
        let kind = EventKind::of(row);
        self.holds.tries(&kind, Sent::Event(row.id));
        self.on_way.insert(row.id, OnWay { kind, number: self.sent, alone });
    }

    /// Notes the result of storing a group of answers.
    pub fn settled(&mut self, mut settled: Settled, turn: &mut Turn) {
        if settled.delivered > 0 {
            turn.report(LinkEvent::Delivered(settled.delivered));
        }
        for (row, reason) in std::mem::take(&mut settled.set_aside) {
            warn!("event {row} of the queue is set aside: {reason}");
            self.doubts.remove(row);
            turn.report(LinkEvent::SetAside(row, reason));
        }
        if let Some(error) = &settled.error {
            warn!("{error}; answered events stay in the queue for now");
        }
        self.settlement.after(&mut settled, turn.now);
    }

    /// Returns the next moment at which something has to be done, if nothing happens before.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let all = [self.fault_until, self.holds.next_due(now), self.doubts.next_due(now)];
        all.into_iter().flatten().min()
    }

    /// Returns a count that goes up with every change in what [`Dispatch::held`] returns.
    pub fn changes(&self) -> u64 {
        self.holds.changes() + self.doubts.changes()
    }

    /// Returns the parts of the events that the broker currently refuses.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.holds.held().chain(self.single())
    }

    /// Returns the events that are refused singly, summed up by class and topics.
    fn single(&self) -> impl Iterator<Item = Held> {
        let mut single: BTreeMap<Scope, Held> = BTreeMap::new();
        for (_, doubt) in self.doubts.iter().filter(|(_, doubt)| self.holds.is_free(&doubt.kind)) {
            let scope = Scope::Of(doubt.kind.class, doubt.kind.topics.clone());
            let (reason, since, next_try) = (doubt.flaw.reason.clone(), doubt.since, doubt.until);
            let new = Held { scope: scope.clone(), events: Some(0), reason, since, next_try };
            let held = single.entry(scope).or_insert(new);
            held.events = held.events.map(|events| events + 1);
            held.since = held.since.min(since);
            held.next_try = held.next_try.min(next_try);
        }
        single.into_values()
    }
}
