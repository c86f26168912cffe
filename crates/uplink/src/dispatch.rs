//! Which event is sent next, and what the broker's answer to it means for others. This outlives connections: what is held
//! back stays so, and what was answered is stored.

mod answers;
mod tries;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use log::warn;

use bridgeclip_journal::{EventClass, JournalError, OutboxRow, Topics, Which};

use super::LinkEvent;
use super::action::Turn;
use super::doubts::Doubts;
use super::holds::Holds;
use super::lanes::Lanes;
use super::link::Held;
use super::scope::{Kind, Scope};
use super::settlement::{Settled, Settlement};
use super::window::Sent;

/// Pause after `device.db` could not be read.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

pub struct Dispatch {
    pub settlement: Settlement,
    lanes: Lanes,
    holds: Holds,
    doubts: Doubts,
    /// Events that were sent in this connection and not answered.
    on_way: BTreeMap<i64, OnWay>,
    /// Topics of events that the broker took in this connection.
    taken: BTreeSet<Topics>,
    /// Connections in a row that ended while events on these topics were on their way and acknowledged none of them.
    barren: BTreeMap<Topics, u32>,
    /// Events that were on their way when connections ended, and may be why. Each is sent alone.
    suspects: BTreeMap<i64, Kind>,
    /// The event that is tried next, of what is held or doubted.
    candidate: Option<OutboxRow>,
    fault_until: Option<Instant>,
    /// Events sent so far.
    sent: u64,
}

/// Whether a connection ended because of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    None,
    /// Perhaps; it will be found out.
    Searched,
    /// This one alone was on its way. It waits, and what holds it says when it is tried again: the others need not wait
    /// longer for the next connection.
    Found,
}

struct OnWay {
    kind: Kind,
    number: u64,
    alone: bool,
}

impl Dispatch {
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

    /// There may be new rows, or other settings.
    pub fn woken(&mut self) {
        self.lanes.woken();
        self.candidate = None;
    }

    /// Whether there is something to send now, or there may be.
    pub fn has_work(&self, last: EventClass, now: Instant) -> bool {
        let may_go = |class| class <= last && self.holds.is_class_open(class, now);
        self.fault_until.is_some() || self.candidate.is_some() || self.lanes.may_have_rows(may_go)
    }

    /// Whether everything that was sent was answered, and `device.db` knows it.
    pub fn is_settled(&self) -> bool {
        self.on_way.is_empty() && self.settlement.open() == 0
    }

    /// Whether events wait that the broker does not take.
    pub fn holds_back(&self) -> bool {
        !self.holds.is_empty() || !self.doubts.is_empty()
    }

    /// Events that a crash would have sent again.
    pub fn open(&self) -> usize {
        self.on_way.len() + self.settlement.open()
    }

    /// Whether an event is on its way with which no other may be.
    pub fn is_one_alone(&self) -> bool {
        self.on_way.values().any(|way| way.alone)
    }

    /// Whether it is being found out which event the broker ends connections over, or whether it still does.
    pub fn searches(&self, now: Instant) -> bool {
        !self.suspects.is_empty() || self.holds.tries_alone(now) || self.doubts.tries_alone(now)
    }

    /// The next event, and whether it has to be on its way alone, unless there is none or `fits` says that it must wait.
    /// `is_unclear`: something else is on its way that the broker may end the connection over. What has to be alone is
    /// not tried then.
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

    /// Whether it is the candidate's turn in this class, and not that of the next event of the queue, which is fetched.
    fn offers_candidate(&mut self, class: EventClass, is_unclear: bool, turn: &Turn) -> Result<bool, JournalError> {
        let may_try = |row: &&OutboxRow| row.class == class && !(is_unclear && self.must_be_alone(row));
        let candidate = self.candidate.as_ref().filter(may_try);
        let (is_one, others_first) = (candidate.is_some(), candidate.is_some_and(|row| self.comes_after_others(row)));
        if !is_one || others_first {
            self.fill(class, turn)?;
        }
        Ok(is_one && !(others_first && self.lanes.front(class).is_some()))
    }

    /// Whether nothing has been sent since the event was refused that could tell whether it is at fault.
    fn comes_after_others(&self, row: &OutboxRow) -> bool {
        self.doubts.is_fresh(row.id) && self.holds.is_free(&Kind::of(row))
    }

    fn fill(&mut self, class: EventClass, turn: &Turn) -> Result<(), JournalError> {
        let Dispatch { settlement, on_way, doubts, holds, lanes, .. } = self;
        let is_known = |row| settlement.contains(row) || on_way.contains_key(&row) || doubts.contains(row);
        let read = |class, after, limit| turn.queue.page(class, after, limit, Which::Without(&holds.topics_of(class)));
        lanes.fill(class, is_known, read)
    }

    fn must_be_alone(&self, row: &OutboxRow) -> bool {
        let is_doubted = self.suspects.contains_key(&row.id) || self.doubts.wants_alone(row.id);
        is_doubted || self.holds.wants_alone(&Kind::of(row))
    }

    /// The event is handed over now.
    pub fn sends(&mut self, row: &OutboxRow, alone: bool) {
        self.sent += 1;
        self.candidate = None;
        let kind = Kind::of(row);
        self.holds.tries(&kind, Sent::Event(row.id));
        self.on_way.insert(row.id, OnWay { kind, number: self.sent, alone });
    }

    /// To be told what became of a group of answers.
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

    /// When there is something to do, if nothing happens before.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let all = [self.fault_until, self.holds.next_due(now), self.doubts.next_due(now)];
        all.into_iter().flatten().min()
    }

    /// Goes up with whatever changes what [`Dispatch::held`] tells.
    pub fn changes(&self) -> u64 {
        self.holds.changes() + self.doubts.changes()
    }

    /// What the broker does not take for now.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.holds.held().chain(self.single())
    }

    /// Single events, those of a class on the same topics together.
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
