//! What the broker does not take for now. It is tried again with one event at a time, after pauses that grow, and goes on
//! when that one is taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bridgeclip_journal::{EventClass, Topics};
use bridgeclip_random::Random;

use super::backoff;
use super::link::Held;
use super::scope::{Kind, Scope};
use super::window::Sent;

/// Before the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// All that is held.
#[derive(Debug, Default)]
pub struct Holds {
    by_scope: BTreeMap<Scope, Hold>,
    changes: u64,
}

/// Why something is held, and how it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    pub reason: String,
    /// Longest pause between two tries.
    pub pause_max: Duration,
    /// The broker ends the connection over it, so nothing else may be on its way with it.
    pub alone: bool,
}

#[derive(Debug)]
struct Hold {
    why: Why,
    since: Instant,
    /// When it may be tried again.
    until: Instant,
    /// In a row.
    refusals: u32,
    /// With what it is being tried.
    probe: Option<Sent>,
}

impl Hold {
    fn is_due(&self, now: Instant) -> bool {
        self.until <= now && self.probe.is_none()
    }

    fn pause(&mut self, now: Instant, random: &mut Random) {
        self.until = now + backoff::pause(FIRST_PAUSE, self.why.pause_max, self.refusals, random.unit());
        self.refusals = self.refusals.saturating_add(1);
        self.probe = None;
    }
}

impl Holds {
    /// Goes up with whatever changes what [`Holds::held`] tells.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    pub fn is_empty(&self) -> bool {
        self.by_scope.is_empty()
    }

    pub fn len(&self) -> usize {
        self.by_scope.len()
    }

    /// For whoever watches the link.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.by_scope.iter().map(|(scope, hold)| Held {
            scope: scope.clone(),
            events: None,
            reason: hold.why.reason.clone(),
            since: hold.since,
            next_try: hold.until,
        })
    }

    pub fn contains(&self, scope: &Scope) -> bool {
        self.by_scope.contains_key(scope)
    }

    /// Whether an event of this kind may be sent now, if only to try.
    pub fn is_open(&self, kind: &Kind, now: Instant) -> bool {
        self.over(kind).all(|(_, hold)| hold.is_due(now))
    }

    /// Whether an event of this kind must be on its way alone.
    pub fn wants_alone(&self, kind: &Kind) -> bool {
        self.over(kind).any(|(_, hold)| hold.why.alone)
    }

    /// Whether nothing but the link as a whole holds an event of this kind back.
    pub fn is_free(&self, kind: &Kind) -> bool {
        self.over(kind).all(|(scope, _)| scope.topics().is_none())
    }

    /// Whether events of this class may be sent now, if only to try, as far as the link as a whole is concerned.
    pub fn is_class_open(&self, class: EventClass, now: Instant) -> bool {
        let link = self.by_scope.iter().filter(|(scope, _)| scope.topics().is_none() && scope.may_cover(class));
        link.map(|(_, hold)| hold).all(|hold| hold.is_due(now))
    }

    /// The topics on which events of this class are held back.
    pub fn topics_of(&self, class: EventClass) -> Vec<Topics> {
        let of_class = self.by_scope.keys().filter(|scope| scope.may_cover(class));
        of_class.filter_map(|scope| scope.topics().cloned()).collect()
    }

    fn over(&self, kind: &Kind) -> impl Iterator<Item = (&Scope, &Hold)> {
        self.by_scope.iter().filter(|(scope, _)| scope.covers(kind))
    }

    /// What may be tried.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = &Scope> {
        self.by_scope.iter().filter(move |(_, hold)| hold.is_due(now)).map(|(scope, _)| scope)
    }

    /// Whether something may be tried over which the broker ends connections.
    pub fn tries_alone(&self, now: Instant) -> bool {
        self.by_scope.values().any(|hold| hold.why.alone && hold.until <= now)
    }

    /// When the next thing may be tried that may not be tried yet.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        self.by_scope
            .values()
            .filter(|hold| hold.probe.is_none())
            .map(|hold| hold.until)
            .filter(|until| *until > now)
            .min()
    }

    /// Holds this back. False if that was done before: then only a refusal of the try counts, see [`Holds::refused`].
    pub fn hold(&mut self, scope: Scope, why: Why, now: Instant, random: &mut Random) -> bool {
        if self.contains(&scope) {
            return false;
        }
        let mut hold = Hold { why, since: now, until: now, refusals: 0, probe: None };
        hold.pause(now, random);
        self.by_scope.insert(scope, hold);
        self.changes += 1;
        true
    }

    /// This is sent to try what covers it.
    pub fn tries(&mut self, kind: &Kind, sent: Sent) {
        self.by_scope.iter_mut().filter(|(scope, _)| scope.covers(kind)).for_each(|(_, hold)| hold.probe = Some(sent));
    }

    /// A try was refused. Tells whether this was one, and what is held for another reason than before.
    pub fn refused(&mut self, sent: Sent, reason: &str, now: Instant, random: &mut Random) -> Option<Vec<Scope>> {
        let mut was_try = false;
        let mut changed = Vec::new();
        for (scope, hold) in self.by_scope.iter_mut().filter(|(_, hold)| hold.probe == Some(sent)) {
            was_try = true;
            hold.pause(now, random);
            if hold.why.reason != reason {
                reason.clone_into(&mut hold.why.reason);
                changed.push(scope.clone());
            }
        }
        self.changes += u64::from(was_try);
        was_try.then_some(changed)
    }

    /// What was sent was accepted. Gives what was tried with it and is held no more.
    pub fn accepted(&mut self, sent: Sent) -> Vec<Scope> {
        let lifted: Vec<Scope> =
            self.by_scope.extract_if(.., |_, hold| hold.probe == Some(sent)).map(|(scope, _)| scope).collect();
        self.changes += lifted.len() as u64;
        lifted
    }

    /// The connection is gone: nobody will answer for what was on its way.
    pub fn forget_tries(&mut self) {
        self.by_scope.values_mut().for_each(|hold| hold.probe = None);
    }

    pub fn remove(&mut self, scope: &Scope) {
        self.by_scope.remove(scope);
        self.changes += 1;
    }

    /// Removes what this scope covers as well.
    pub fn remove_within(&mut self, wide: &Scope) {
        self.by_scope.retain(|scope, _| scope == wide || !wide.includes(scope));
        self.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn why() -> Why {
        Why { reason: "no".to_owned(), pause_max: MAX, alone: false }
    }

    #[test]
    fn what_is_held_is_tried_with_one_event_after_pauses_that_grow() {
        let (mut holds, mut random, mut now) = (Holds::default(), Random::new(&[1]), Instant::now());
        let thumbnail = Kind { class: EventClass::Thumbnail, topics: Topics::like("capture/thumb/1") };
        let scope = Scope::On(thumbnail.topics.clone());
        assert!(holds.hold(scope.clone(), why(), now, &mut random));
        assert!(!holds.hold(scope.clone(), why(), now, &mut random), "those on their way with it change nothing");
        let mut pauses = Vec::new();
        for row in 0..9 {
            assert!(!holds.is_open(&thumbnail, now));
            let until = holds.next_due(now).expect("a try");
            pauses.push(until - now);
            now = until;
            assert!(holds.is_open(&thumbnail, now) && holds.due(now).eq([&scope]));
            holds.tries(&thumbnail, Sent::Event(row));
            assert!(!holds.is_open(&thumbnail, now), "one at a time");
            assert_eq!(holds.refused(Sent::Event(row + 100), "no", now, &mut random), None);
            assert_eq!(holds.refused(Sent::Event(row), "no", now, &mut random), Some(vec![]));
        }
        assert!(pauses[0] <= FIRST_PAUSE && pauses[8] >= MAX / 2 && pauses[8] <= MAX, "{pauses:?}");
        now += MAX;
        holds.tries(&thumbnail, Sent::Event(9));
        holds.forget_tries();
        assert!(holds.is_open(&thumbnail, now), "the connection broke: another may be tried");
        holds.tries(&thumbnail, Sent::Event(10));
        assert_eq!(holds.accepted(Sent::Event(10)), [scope]);
        assert!(holds.is_empty());
    }

    #[test]
    fn what_lies_within_another_scope_waits_for_both() {
        let (mut holds, mut random, now) = (Holds::default(), Random::new(&[1]), Instant::now());
        let result = Kind { class: EventClass::Result, topics: Topics::like("capture/result") };
        holds.hold(Scope::From(EventClass::Result), Why { pause_max: MAX * 9, ..why() }, now, &mut random);
        holds.hold(Scope::On(result.topics.clone()), why(), now, &mut random);
        let first = holds.next_due(now).expect("a try");
        assert!(!holds.is_open(&result, first) || holds.next_due(first).is_none());
        let both = now + MAX;
        assert!(holds.is_open(&result, both));
        holds.tries(&result, Sent::Event(1));
        assert_eq!(holds.accepted(Sent::Event(1)).len(), 2);
    }
}
