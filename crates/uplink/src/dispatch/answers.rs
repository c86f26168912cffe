//! The consequences of answers, and of ends of connections, for events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use log::{info, warn};

use bridgeclip_journal::{OutboxRow, Topics};

use crate::action::Turn;
use crate::connection::{Answer, Loss};
use crate::dispatch::{Blame, Dispatch, OnWay};
use crate::doubts::{Flaw, Guilt};
use crate::holds::HoldReason;
use crate::link::LinkEvent;
use crate::scope::{EventKind, Scope};
use crate::settlement::Fate;
use crate::window::Sent;

/// Number of connections in a row that took events on a topic and acknowledged none, after which these events are sent
/// one at a time.
const BARREN_MAX: u32 = 2;
/// Maximum number of suspects, twice as many events as can be on their way at once: some may have left the queue
/// without being sent again.
const SUSPECTS_MAX: usize = 2_048;
/// Number of topics that are held one by one. Beyond it, all topics of other devices are held together; a device has
/// only a handful of its own.
const HOLDS_MAX: usize = 64;

/// Reason for a refusal that the broker expresses only by closing the connection.
const OVER_IT: &str = "the broker ends the connection over it";

/// Subject of a refusal, judged from its reason.
enum Refusal {
    /// All events of a scope are refused.
    Scope(Scope, HoldReason),
    /// A single event is refused.
    Event(Flaw),
}

impl Dispatch {
    /// Handles the broker's answer to an event. Returns true if the broker took the event.
    pub fn answered(&mut self, row: i64, answer: Answer, turn: &mut Turn) -> bool {
        let Some(way) = self.on_way.remove(&row) else { return false };
        self.suspects.remove(&row);
        let is_taken = match answer {
            Answer::Accepted => true,
            Answer::NoSubscriber => !turn.params.hold_without_subscriber,
            _ => false,
        };
        if is_taken {
            self.taken(row, &way, turn);
        } else {
            self.refused(row, &way.kind, refusal(answer, &way.kind, turn), turn);
        }
        is_taken
    }

    fn taken(&mut self, row: i64, way: &OnWay, turn: &mut Turn) {
        let topics = &way.kind.topics;
        self.taken.insert(topics.clone());
        self.barren.remove(topics);
        self.doubts.remove(row);
        self.settlement.add(row, Fate::Delivered, turn.now);
        for scope in self.holds.accepted(Sent::Event(row)) {
            self.lifted(&scope, turn);
        }
        for (row, fate) in self.doubts.accepted(&way.kind, way.number, |scope| self.holds.contains(scope)) {
            self.settlement.add(row, fate, turn.now);
        }
    }

    fn lifted(&mut self, scope: &Scope, turn: &mut Turn) {
        let words = scope.words(&turn.params.prefix);
        info!("the broker takes {words} again");
        self.doubts.lifted(scope, turn.now);
        self.lanes.rewind(|class| scope.may_cover(class));
        self.candidate = None;
        turn.report(LinkEvent::Lifted(words));
    }

    /// Handles an event whose packet would exceed the broker's stated limit; it is not sent.
    pub fn too_large(&mut self, row: &OutboxRow, bytes: usize, limit: usize, turn: &mut Turn) {
        let reason = format!("a packet of {bytes} bytes; this broker takes {limit}");
        let flaw = Flaw { reason, guilt: Guilt::Proven, ended_connection: false, pause_max: turn.params.refused_pause };
        self.sent += 1;
        self.refused(row.id, &EventKind::of(row), Refusal::Event(flaw), turn);
    }

    fn refused(&mut self, row: i64, kind: &EventKind, refusal: Refusal, turn: &mut Turn) {
        let reason = match &refusal {
            Refusal::Scope(_, why) => &why.reason,
            Refusal::Event(flaw) => &flaw.reason,
        };
        let tried = self.holds.refused(Sent::Event(row), reason, turn.now, &mut turn.random);
        tried.iter().flatten().for_each(|scope| tell_held(scope, reason, turn));
        let to_hold = match refusal {
            Refusal::Scope(scope, why) => Some((scope, why)),
            Refusal::Event(flaw) => {
                let why = flaw.as_why();
                let scope = self.doubts.refused(row, kind, flaw, self.sent, turn.now, &mut turn.random);
                scope.map(|scope| (scope, why))
            }
        };
        // A held scope stays held until one of its events is taken, whatever else is wrong with its events.
        if let Some((scope, why)) = to_hold.filter(|_| tried.is_none()) {
            self.hold(scope, why, turn);
        }
    }

    fn hold(&mut self, scope: Scope, why: HoldReason, turn: &mut Turn) {
        let is_foreign = scope.topics().is_some_and(Topics::are_foreign);
        let scope = if is_foreign && self.holds.len() >= HOLDS_MAX { Scope::On(Topics::foreign()) } else { scope };
        let reason = why.reason.clone();
        if self.holds.hold(scope.clone(), why, turn.now, &mut turn.random) {
            self.holds.remove_within(&scope);
            // The cause is known now, so the scope's events are no longer suspects.
            self.suspects.retain(|_, kind| !scope.covers(kind));
            self.lanes.drop_rows(|row| scope.topics().is_some() && scope.covers(&EventKind::of(row)));
            self.candidate = None;
            tell_held(&scope, &reason, turn);
        }
    }

    /// Handles the end of the connection. `others` says whether messages other than events were on their way.
    pub fn lost(&mut self, loss: &Loss, others: bool, turn: &mut Turn) -> Blame {
        let on_way = std::mem::take(&mut self.on_way);
        let only = if others || on_way.len() != 1 { None } else { on_way.iter().next() };
        only.iter().for_each(|(row, _)| drop(self.suspects.remove(row)));
        let is_found = only.is_some_and(|(row, way)| self.blamed(*row, way, loss, turn));
        if !is_found && !matches!(loss, Loss::Refused(_)) {
            self.suspect(&on_way, loss);
        }
        self.begin_anew();
        match (is_found, on_way.is_empty()) {
            (true, _) => Blame::Found,
            (false, true) => Blame::None,
            (false, false) => Blame::Searched,
        }
    }

    /// Handles the end of a connection on which only this event was on its way. Returns true if the event is blamed.
    fn blamed(&mut self, row: i64, way: &OnWay, loss: &Loss, turn: &mut Turn) -> bool {
        let (retry_max, refused_pause) = (turn.params.retry_max, turn.params.refused_pause);
        match loss {
            Loss::Denied(reason) => {
                let why = HoldReason { reason: reason.clone(), pause_max: refused_pause, alone: true };
                self.refused(row, &way.kind, Refusal::Scope(Scope::On(way.kind.topics.clone()), why), turn);
            }
            Loss::Unacceptable(reason) => {
                self.broke(row, &way.kind, reason.clone(), Guilt::Counts, refused_pause, turn);
            }
            Loss::Closed(_) if way.alone => {
                self.broke(row, &way.kind, OVER_IT.to_owned(), Guilt::Counts, retry_max, turn);
            }
            Loss::Broken(reason) | Loss::Dead(reason) if way.alone => {
                let reason = format!("the connection breaks over it: {reason}");
                self.broke(row, &way.kind, reason, Guilt::None, retry_max, turn);
            }
            Loss::Closed(_) | Loss::Broken(_) | Loss::Dead(_) | Loss::Refused(_) => return false,
        }
        true
    }

    fn broke(
        &mut self,
        row: i64,
        kind: &EventKind,
        reason: String,
        guilt: Guilt,
        pause_max: Duration,
        turn: &mut Turn,
    ) {
        let flaw = Flaw { reason, guilt, ended_connection: true, pause_max };
        self.refused(row, kind, Refusal::Event(flaw), turn);
    }

    /// Makes suspects of the events that were on their way, which are then sent one at a time.
    ///
    /// This happens if the broker said that one of them is at fault, or if such an end repeats.
    fn suspect(&mut self, on_way: &BTreeMap<i64, OnWay>, loss: &Loss) {
        let is_said = matches!(loss, Loss::Denied(_) | Loss::Unacceptable(_));
        let topics: BTreeSet<_> = on_way.values().map(|way| &way.kind.topics).collect();
        for topics in topics.into_iter().filter(|topics| is_said || !self.taken.contains(*topics)) {
            let times = self.barren.entry(topics.clone()).or_default();
            *times = times.saturating_add(1);
            if is_said || *times >= BARREN_MAX {
                let of_topics = on_way.iter().filter(|(_, way)| way.kind.topics == *topics);
                self.suspects.extend(of_topics.map(|(row, way)| (*row, way.kind.clone())));
            }
        }
        while self.suspects.len() > SUSPECTS_MAX {
            self.suspects.pop_first();
        }
    }

    /// Prepares for the next connection: every unanswered event is read again.
    fn begin_anew(&mut self) {
        self.holds.forget_tries();
        self.lanes.rewind(|_| true);
        self.candidate = None;
        self.taken.clear();
    }
}

impl Flaw {
    /// Returns the reason for holding all events like it, if none of them alone is at fault.
    fn as_why(&self) -> HoldReason {
        HoldReason { reason: self.reason.clone(), pause_max: self.pause_max, alone: self.ended_connection }
    }
}

fn refusal(answer: Answer, kind: &EventKind, turn: &Turn) -> Refusal {
    let (retry_max, refused_pause) = (turn.params.retry_max, turn.params.refused_pause);
    let flaw = |reason, guilt, pause_max| Refusal::Event(Flaw { reason, guilt, ended_connection: false, pause_max });
    let hold = |scope, reason, pause_max| Refusal::Scope(scope, HoldReason { reason, pause_max, alone: false });
    let on_topics = || Scope::On(kind.topics.clone());
    match answer {
        Answer::NotAuthorised => {
            let reason = "the broker does not let this device publish there; correct its access list";
            hold(on_topics(), reason.to_owned(), refused_pause)
        }
        Answer::Accepted | Answer::NoSubscriber => hold(on_topics(), "nobody has subscribed".to_owned(), retry_max),
        Answer::Busy(reason) => hold(Scope::From(kind.class), reason, retry_max),
        Answer::Later(reason) => flaw(reason, Guilt::None, retry_max),
        Answer::Unacceptable(reason) => flaw(reason, Guilt::Counts, refused_pause),
    }
}

fn tell_held(scope: &Scope, reason: &str, turn: &mut Turn) {
    let what = scope.words(&turn.params.prefix);
    warn!("holding {what}, the others go on: {reason}");
    turn.report(LinkEvent::Held { what, reason: reason.to_owned() });
}
