//! Events that seem to be at fault themselves: the broker refused them, or ended the connection while they alone were
//! on their way.
//!
//! A doubted event is left out and tried again after growing pauses, while the other events go on. Similar events show
//! whether the event itself is at fault. If the broker takes a similar event that was sent later, the doubted event is
//! at fault: its refusal counts, and an event with too many refusals is set aside. If the broker refuses one similar
//! event after another and takes none, no single event is at fault: then all of them are held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bridgeclip_journal::EventClass;
use bridgeclip_random::Random;

use crate::backoff;
use crate::scope::{EventKind, Scope};
use crate::settlement::Fate;

/// Pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Number of different similar events refused in a row, with none taken, after which the events are not to blame.
const EVENTS_IN_A_ROW: usize = 3;
/// Maximum number of events that are remembered singly, at some 100 bytes each. Beyond it, a refused event's whole
/// scope is held.
const DOUBTS_MAX: usize = 1_024;

/// The doubted events, by their ids in the outbox.
#[derive(Debug, Default)]
pub struct Doubts {
    by_row: BTreeMap<i64, Doubt>,
    /// Number of changes so far; see [`Doubts::changes`].
    changes: u64,
}

/// A doubted event.
#[derive(Debug)]
pub struct Doubt {
    /// Class and topics of the event.
    pub kind: EventKind,
    /// Fault that the event showed last.
    pub flaw: Flaw,
    /// Time of the first refusal.
    pub since: Instant,
    /// Time of the next try.
    pub until: Instant,
    /// Number of refusals so far.
    refusals: u32,
    /// Number of messages sent before the last refusal.
    sent_before: u64,
    /// Whether a similar event was taken after the last refusal.
    is_vouched: bool,
    /// Whether similar events are known to pass, so that the doubt concerns this event alone.
    is_single: bool,
}

/// Apparent fault of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Text for the log and for observers of the link.
    pub reason: String,
    /// Consequence once the broker takes similar events.
    pub guilt: Guilt,
    /// Whether the connection ended. The cause may be an access list, which speaks of topics rather than classes.
    pub ended_connection: bool,
    /// Longest pause between two tries.
    pub pause_max: Duration,
}

/// The meaning of a refusal once the broker takes similar events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// The refusal proves nothing: the event may be taken later, or the network was to blame.
    None,
    /// The refusal counts against the event.
    Counts,
    /// The event can never be sent: the broker has stated that it does not take such bytes.
    Proven,
}

impl Doubt {
    /// Returns the scope of similar events.
    fn likes(&self) -> Scope {
        match self.flaw.ended_connection {
            true => Scope::On(self.kind.topics.clone()),
            false => Scope::Of(self.kind.class, self.kind.topics.clone()),
        }
    }

    /// Reports whether it is unknown if similar events pass.
    fn is_fresh(&self) -> bool {
        !self.is_vouched && !self.is_single
    }

    /// Returns what the doubt means for the event once a similar event was taken.
    fn fate(&self) -> Option<Fate> {
        let reason = || self.flaw.reason.clone();
        match self.flaw.guilt {
            Guilt::None => None,
            Guilt::Counts => Some(Fate::Refused(reason())),
            Guilt::Proven => Some(Fate::Impossible(reason())),
        }
    }
}

impl Doubts {
    /// Returns a count that goes up with every change in the doubted events, their reasons or their next tries.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Reports whether no event is doubted.
    pub fn is_empty(&self) -> bool {
        self.by_row.is_empty()
    }

    /// Returns the doubted events with their outbox ids.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Doubt)> {
        self.by_row.iter().map(|(row, doubt)| (*row, doubt))
    }

    /// Reports whether the event is left out for now.
    pub fn contains(&self, row: i64) -> bool {
        self.by_row.contains_key(&row)
    }

    /// Reports whether it is unknown if events similar to this one pass.
    pub fn is_fresh(&self, row: i64) -> bool {
        self.by_row.get(&row).is_some_and(Doubt::is_fresh)
    }

    /// Reports whether the connection ended over the event, which must then be alone on its way.
    pub fn wants_alone(&self, row: i64) -> bool {
        self.by_row.get(&row).is_some_and(|doubt| doubt.flaw.ended_connection)
    }

    /// Reports whether an event over which the connection ended is due for a try.
    pub fn tries_alone(&self, now: Instant) -> bool {
        self.by_row.values().any(|doubt| doubt.flaw.ended_connection && doubt.until <= now)
    }

    /// Leaves out an event that was just refused. `sent` is the number of messages sent so far.
    ///
    /// Returns the scope that must be held, if the events are not to blame.
    pub fn refused(
        &mut self,
        row: i64,
        kind: &EventKind,
        flaw: Flaw,
        sent: u64,
        now: Instant,
        random: &mut Random,
    ) -> Option<Scope> {
        let is_full = self.by_row.len() >= DOUBTS_MAX && !self.contains(row);
        let (refusals, is_single, since) =
            self.by_row.get(&row).map_or((0, false, now), |doubt| (doubt.refusals, doubt.is_single, doubt.since));
        let until = now + backoff::pause(FIRST_PAUSE, flaw.pause_max, refusals, random.unit());
        let refusals = refusals.saturating_add(1);
        let kind = kind.clone();
        let doubt = Doubt { kind, flaw, since, until, refusals, sent_before: sent, is_vouched: false, is_single };
        let likes = doubt.likes();
        if is_full {
            return Some(likes);
        }
        self.by_row.insert(row, doubt);
        self.changes += 1;
        let in_a_row = self.by_row.values().filter(|doubt| doubt.is_fresh() && doubt.likes() == likes).count();
        (in_a_row >= EVENTS_IN_A_ROW).then_some(likes)
    }

    /// Notes that the broker took an event, the `number`th message sent, and returns the events whose refusals now
    /// count.
    ///
    /// A scope for which `is_held` returns true was refused as a whole; its refusals say nothing about single events.
    pub fn accepted(&mut self, kind: &EventKind, number: u64, is_held: impl Fn(&Scope) -> bool) -> Vec<(i64, Fate)> {
        let mut guilty = Vec::new();
        for (row, doubt) in self.by_row.iter_mut().filter(|(_, doubt)| !doubt.is_vouched && doubt.sent_before < number)
        {
            let likes = doubt.likes();
            if likes.covers(kind) && !is_held(&likes) {
                (doubt.is_vouched, doubt.is_single) = (true, true);
                guilty.extend(doubt.fate().map(|fate| (*row, fate)));
            }
        }
        guilty
    }

    /// Notes that a scope is no longer held. Its events are tried again at once, although they may still be at fault.
    pub fn lifted(&mut self, scope: &Scope, now: Instant) {
        for doubt in self.by_row.values_mut().filter(|doubt| doubt.likes() == *scope) {
            (doubt.is_vouched, doubt.is_single, doubt.until) = (true, true, now);
        }
        self.changes += 1;
    }

    /// Forgets an event.
    pub fn remove(&mut self, row: i64) {
        self.changes += u64::from(self.by_row.remove(&row).is_some());
    }

    /// Returns the event of a class that is due for a try and has waited longest.
    pub fn due(&self, class: EventClass, now: Instant, may_go: impl Fn(i64, &EventKind) -> bool) -> Option<i64> {
        let due = self
            .iter()
            .filter(|(row, doubt)| doubt.until <= now && doubt.kind.class == class && may_go(*row, &doubt.kind));
        due.min_by_key(|(_, doubt)| doubt.until).map(|(row, _)| row)
    }

    /// Returns the event in this scope whose last try was longest ago.
    pub fn oldest(&self, scope: &Scope, may_go: impl Fn(i64, &EventKind) -> bool) -> Option<i64> {
        let covered = self.iter().filter(|(row, doubt)| scope.covers(&doubt.kind) && may_go(*row, &doubt.kind));
        covered.min_by_key(|(_, doubt)| doubt.sent_before).map(|(row, _)| row)
    }

    /// Returns the next time at which an event becomes due that is not yet due.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        self.by_row.values().map(|doubt| doubt.until).filter(|until| *until > now).min()
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_journal::Topics;

    use super::*;

    struct Bench {
        doubts: Doubts,
        random: Random,
        now: Instant,
        sent: u64,
    }

    impl Bench {
        fn new() -> Self {
            Bench { doubts: Doubts::default(), random: Random::new(&[1]), now: Instant::now(), sent: 0 }
        }

        fn kind() -> EventKind {
            EventKind { class: EventClass::Result, topics: Topics::like("capture/result") }
        }

        fn refuse(&mut self, row: i64, guilt: Guilt) -> Option<Scope> {
            self.sent += 1;
            let pause_max = Duration::from_secs(60);
            let flaw = Flaw { reason: "no".to_owned(), guilt, ended_connection: false, pause_max };
            self.doubts.refused(row, &Self::kind(), flaw, self.sent, self.now, &mut self.random)
        }

        fn accept(&mut self) -> Vec<(i64, Fate)> {
            self.sent += 1;
            self.doubts.accepted(&Self::kind(), self.sent, |_| false)
        }
    }

    #[test]
    fn a_refusal_counts_once_another_event_went_through() {
        let mut bench = Bench::new();
        let no = || Fate::Refused("no".to_owned());
        assert_eq!(bench.refuse(7, Guilt::Counts), None);
        assert_eq!(bench.doubts.accepted(&Bench::kind(), bench.sent, |_| false), [], "that was sent before");
        assert_eq!(bench.accept(), [(7, no())]);
        assert_eq!(bench.accept(), [], "once");
        assert_eq!(bench.refuse(7, Guilt::Counts), None);
        assert_eq!(bench.accept(), [(7, no())]);
        bench.refuse(8, Guilt::Proven);
        bench.refuse(9, Guilt::None);
        assert_eq!(bench.accept(), [(8, Fate::Impossible("no".to_owned()))]);
    }

    #[test]
    fn when_all_are_refused_it_is_none_of_them() {
        let mut bench = Bench::new();
        let scope = Scope::Of(EventClass::Result, Topics::like("capture/result"));
        assert_eq!([1, 2, 3].map(|row| bench.refuse(row, Guilt::Counts)), [None, None, Some(scope.clone())]);
        assert_eq!(bench.doubts.accepted(&Bench::kind(), 99, |held| *held == scope), [], "it was held as a whole");
        bench.doubts.lifted(&scope, bench.now);
        assert_eq!(bench.accept(), [], "nothing counts that was refused while all was");
        assert_eq!([1, 2, 3].map(|row| bench.refuse(row, Guilt::Counts)), [const { None }; 3], "but now it is they");
        assert_eq!(bench.accept().len(), 3);
    }

    #[test]
    fn not_all_are_remembered() {
        let mut bench = Bench::new();
        for row in 0..DOUBTS_MAX as i64 {
            assert_eq!(bench.refuse(row, Guilt::None), None);
            bench.accept();
        }
        assert!(bench.refuse(-1, Guilt::None).is_some());
        assert!(!bench.doubts.contains(-1) && bench.refuse(1, Guilt::None).is_none());
    }

    #[test]
    fn pauses_grow_and_the_longest_waiting_comes_first() {
        let mut bench = Bench::new();
        let (mut before, class) = (Duration::ZERO, EventClass::Result);
        for _ in 0..4 {
            bench.refuse(1, Guilt::None);
            assert_eq!(bench.doubts.due(class, bench.now, |_, _| true), None);
            let until = bench.doubts.next_due(bench.now).expect("a try");
            assert!(until - bench.now > before.mul_f64(0.9), "{before:?}");
            (before, bench.now) = (until - bench.now, until);
        }
        bench.refuse(2, Guilt::None);
        bench.now += Duration::from_secs(60);
        assert_eq!(bench.doubts.due(class, bench.now, |_, _| true), Some(1));
        assert_eq!(bench.doubts.due(class, bench.now, |row, _| row != 1), Some(2));
        assert_eq!(bench.doubts.due(EventClass::Urgent, bench.now, |_, _| true), None);
    }
}
