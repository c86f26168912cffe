//! Events that seem to be at fault themselves: the broker refused them, or ended the connection while they alone were on
//! their way.
//!
//! They are left out and tried again after pauses that grow, and the others go on. Whether it is the event shows in the
//! others like it: if one that is sent later is taken, it is; a refusal counts then, and an event with too many of them is
//! set aside. If one after the other is refused and none is taken, it is none of them: then all like them are held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bridgeclip_journal::EventClass;
use bridgeclip_random::Random;

use super::backoff;
use super::scope::{Kind, Scope};
use super::settlement::Fate;

/// Before the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// So many different events in a row, and none like them taken: it is not the events.
const EVENTS_IN_A_ROW: usize = 3;
/// Events that are remembered singly, some 100 bytes each. From then on all like the next one are held.
const DOUBTS_MAX: usize = 1_024;

/// The events that are left out, by their ids in the outbox.
#[derive(Debug, Default)]
pub struct Doubts {
    by_row: BTreeMap<i64, Doubt>,
    changes: u64,
}

#[derive(Debug)]
pub struct Doubt {
    pub kind: Kind,
    pub flaw: Flaw,
    pub since: Instant,
    /// When it is tried again.
    pub until: Instant,
    refusals: u32,
    /// Messages that were sent before it was last refused.
    sent_before: u64,
    /// One like it was taken after it was last refused.
    is_vouched: bool,
    /// Others like it go through, as one showed at some time.
    is_single: bool,
}

/// What is wrong with an event, as far as it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub reason: String,
    pub guilt: Guilt,
    /// The connection ended: an access list may be why, which speaks of topics.
    pub ended_connection: bool,
    /// Longest pause between two tries.
    pub pause_max: Duration,
}

/// What it means that the broker takes others like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guilt {
    /// Nothing: it may be taken later, or it was the network.
    None,
    /// This refusal counts.
    Counts,
    /// It will never be taken: its bytes are what the broker said that it does not take.
    Proven,
}

impl Doubt {
    /// The others like it.
    fn likes(&self) -> Scope {
        match self.flaw.ended_connection {
            true => Scope::On(self.kind.topics.clone()),
            false => Scope::Of(self.kind.class, self.kind.topics.clone()),
        }
    }

    fn is_fresh(&self) -> bool {
        !self.is_vouched && !self.is_single
    }

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
    /// Goes up with whatever changes which events are doubted, why, and until when.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub fn is_empty(&self) -> bool {
        self.by_row.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, &Doubt)> {
        self.by_row.iter().map(|(row, doubt)| (*row, doubt))
    }

    /// Whether the event is left out for now.
    pub fn contains(&self, row: i64) -> bool {
        self.by_row.contains_key(&row)
    }

    /// Whether nothing is known yet of others like the event.
    pub fn is_fresh(&self, row: i64) -> bool {
        self.by_row.get(&row).is_some_and(Doubt::is_fresh)
    }

    /// Whether the connection ended over the event: nothing else may be on its way with it then.
    pub fn wants_alone(&self, row: i64) -> bool {
        self.by_row.get(&row).is_some_and(|doubt| doubt.flaw.ended_connection)
    }

    /// Whether an event may be tried over which the connection ended.
    pub fn tries_alone(&self, now: Instant) -> bool {
        self.by_row.values().any(|doubt| doubt.flaw.ended_connection && doubt.until <= now)
    }

    /// Leaves an event out, of which a refusal has just come. `sent`: messages sent so far. The answer is what has to be
    /// held, because it is not the events.
    pub fn refused(
        &mut self,
        row: i64,
        kind: &Kind,
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

    /// An event was taken, the `number`th message that was sent. Gives the events whose refusals count now. What `is_held`
    /// was refused as a whole, and says nothing of single events.
    pub fn accepted(&mut self, kind: &Kind, number: u64, is_held: impl Fn(&Scope) -> bool) -> Vec<(i64, Fate)> {
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

    /// What held these events back is over. They are tried again at once; they may be at fault none the less.
    pub fn lifted(&mut self, scope: &Scope, now: Instant) {
        for doubt in self.by_row.values_mut().filter(|doubt| doubt.likes() == *scope) {
            (doubt.is_vouched, doubt.is_single, doubt.until) = (true, true, now);
        }
        self.changes += 1;
    }

    pub fn remove(&mut self, row: i64) {
        self.changes += u64::from(self.by_row.remove(&row).is_some());
    }

    /// The event of a class that may be tried again and has waited longest.
    pub fn due(&self, class: EventClass, now: Instant, may_go: impl Fn(i64, &Kind) -> bool) -> Option<i64> {
        let due = self
            .iter()
            .filter(|(row, doubt)| doubt.until <= now && doubt.kind.class == class && may_go(*row, &doubt.kind));
        due.min_by_key(|(_, doubt)| doubt.until).map(|(row, _)| row)
    }

    /// The event that was tried longest ago of those that this scope covers.
    pub fn oldest(&self, scope: &Scope, may_go: impl Fn(i64, &Kind) -> bool) -> Option<i64> {
        let covered = self.iter().filter(|(row, doubt)| scope.covers(&doubt.kind) && may_go(*row, &doubt.kind));
        covered.min_by_key(|(_, doubt)| doubt.sent_before).map(|(row, _)| row)
    }

    /// When the next event may be tried again that may not be yet.
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

        fn kind() -> Kind {
            Kind { class: EventClass::Result, topics: Topics::like("capture/result") }
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
