//! The scopes that the broker currently refuses. Each is tried with one event at a time, after growing pauses, and
//! lifted when that event is taken.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bridgeclip_journal::{EventClass, Topics};
use bridgeclip_random::Random;

use crate::backoff;
use crate::link::Held;
use crate::scope::{EventKind, Scope};
use crate::window::Sent;

/// Pause before the second try.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The scopes that are held.
#[derive(Debug, Default)]
pub struct Holds {
    by_scope: BTreeMap<Scope, Hold>,
    /// Number of changes so far; see [`Holds::changes`].
    changes: u64,
}

/// Reason for a hold, and how the hold is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldReason {
    /// Text for the log and for observers of the link.
    pub reason: String,
    /// Longest pause between two tries.
    pub pause_max: Duration,
    /// Whether a try must be alone on its way, because the broker ends the connection over it.
    pub alone: bool,
}

/// The state of one held scope.
#[derive(Debug)]
struct Hold {
    why: HoldReason,
    /// Start of the hold.
    since: Instant,
    /// Time from which it may be tried again.
    until: Instant,
    /// Number of refusals in a row.
    refusals: u32,
    /// Message that is on its way as a try.
    probe: Option<Sent>,
}

impl Hold {
    /// Reports whether the scope may be tried now.
    fn is_due(&self, now: Instant) -> bool {
        self.until <= now && self.probe.is_none()
    }

    /// Starts the pause after a refusal.
    fn pause(&mut self, now: Instant, random: &mut Random) {
        self.until = now + backoff::pause(FIRST_PAUSE, self.why.pause_max, self.refusals, random.unit());
        self.refusals = self.refusals.saturating_add(1);
        self.probe = None;
    }
}

impl Holds {
    /// Returns a count that goes up with every change in what [`Holds::held`] returns.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Reports whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.by_scope.is_empty()
    }

    /// Returns the number of held scopes.
    pub fn len(&self) -> usize {
        self.by_scope.len()
    }

    /// Returns the held scopes, for observers of the link.
    pub fn held(&self) -> impl Iterator<Item = Held> {
        self.by_scope.iter().map(|(scope, hold)| Held {
            scope: scope.clone(),
            events: None,
            reason: hold.why.reason.clone(),
            since: hold.since,
            next_try: hold.until,
        })
    }

    /// Reports whether this very scope is held.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.by_scope.contains_key(scope)
    }

    /// Reports whether an event of this kind may be sent now, even if only as a try.
    pub fn is_open(&self, kind: &EventKind, now: Instant) -> bool {
        self.over(kind).all(|(_, hold)| hold.is_due(now))
    }

    /// Reports whether an event of this kind must be alone on its way.
    pub fn wants_alone(&self, kind: &EventKind) -> bool {
        self.over(kind).any(|(_, hold)| hold.why.alone)
    }

    /// Reports whether no hold on topics covers events of this kind; a hold on the link as a whole may.
    pub fn is_free(&self, kind: &EventKind) -> bool {
        self.over(kind).all(|(scope, _)| scope.topics().is_none())
    }

    /// Reports whether the holds on the link as a whole let events of this class go now, even if only as a try.
    pub fn is_class_open(&self, class: EventClass, now: Instant) -> bool {
        let link = self.by_scope.iter().filter(|(scope, _)| scope.topics().is_none() && scope.may_cover(class));
        link.map(|(_, hold)| hold).all(|hold| hold.is_due(now))
    }

    /// Returns the topics on which events of this class are held.
    pub fn topics_of(&self, class: EventClass) -> Vec<Topics> {
        let of_class = self.by_scope.keys().filter(|scope| scope.may_cover(class));
        of_class.filter_map(|scope| scope.topics().cloned()).collect()
    }

    /// Returns the holds that cover events of this kind.
    fn over(&self, kind: &EventKind) -> impl Iterator<Item = (&Scope, &Hold)> {
        self.by_scope.iter().filter(|(scope, _)| scope.covers(kind))
    }

    /// Returns the scopes that may be tried now.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = &Scope> {
        self.by_scope.iter().filter(move |(_, hold)| hold.is_due(now)).map(|(scope, _)| scope)
    }

    /// Reports whether a scope over which the broker ends connections is due for a try.
    pub fn tries_alone(&self, now: Instant) -> bool {
        self.by_scope.values().any(|hold| hold.why.alone && hold.until <= now)
    }

    /// Returns the next time at which a scope becomes due that is not yet due.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        self.by_scope
            .values()
            .filter(|hold| hold.probe.is_none())
            .map(|hold| hold.until)
            .filter(|until| *until > now)
            .min()
    }

    /// Holds a scope. Returns false if it is held already: then only the refusal of a try counts, see
    /// [`Holds::refused`].
    pub fn hold(&mut self, scope: Scope, why: HoldReason, now: Instant, random: &mut Random) -> bool {
        if self.contains(&scope) {
            return false;
        }
        let mut hold = Hold { why, since: now, until: now, refusals: 0, probe: None };
        hold.pause(now, random);
        self.by_scope.insert(scope, hold);
        self.changes += 1;
        true
    }

    /// Notes that a message is sent, which is a try of every scope that covers it.
    pub fn tries(&mut self, kind: &EventKind, sent: Sent) {
        self.by_scope.iter_mut().filter(|(scope, _)| scope.covers(kind)).for_each(|(_, hold)| hold.probe = Some(sent));
    }

    /// Notes that a message was refused.
    ///
    /// Returns `None` if the message was no try, otherwise the scopes whose reason has changed.
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

    /// Notes that a message was accepted, lifts the scopes that it tried, and returns them.
    pub fn accepted(&mut self, sent: Sent) -> Vec<Scope> {
        let lifted: Vec<Scope> =
            self.by_scope.extract_if(.., |_, hold| hold.probe == Some(sent)).map(|(scope, _)| scope).collect();
        self.changes += lifted.len() as u64;
        lifted
    }

    /// Forgets the tries on their way, which a lost connection leaves unanswered.
    pub fn forget_tries(&mut self) {
        self.by_scope.values_mut().for_each(|hold| hold.probe = None);
    }

    /// Removes a scope.
    pub fn remove(&mut self, scope: &Scope) {
        self.by_scope.remove(scope);
        self.changes += 1;
    }

    /// Removes the scopes that `wide` includes, but not `wide` itself.
    pub fn remove_within(&mut self, wide: &Scope) {
        self.by_scope.retain(|scope, _| scope == wide || !wide.includes(scope));
        self.changes += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(60);

    fn why() -> HoldReason {
        HoldReason { reason: "no".to_owned(), pause_max: MAX, alone: false }
    }

    #[test]
    fn what_is_held_is_tried_with_one_event_after_pauses_that_grow() {
        let (mut holds, mut random, mut now) = (Holds::default(), Random::new(&[1]), Instant::now());
        let thumbnail = EventKind { class: EventClass::Thumbnail, topics: Topics::like("capture/thumb/1") };
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
        let result = EventKind { class: EventClass::Result, topics: Topics::like("capture/result") };
        holds.hold(Scope::From(EventClass::Result), HoldReason { pause_max: MAX * 9, ..why() }, now, &mut random);
        holds.hold(Scope::On(result.topics.clone()), why(), now, &mut random);
        let first = holds.next_due(now).expect("a try");
        assert!(!holds.is_open(&result, first) || holds.next_due(first).is_none());
        let both = now + MAX;
        assert!(holds.is_open(&result, both));
        holds.tries(&result, Sent::Event(1));
        assert_eq!(holds.accepted(Sent::Event(1)).len(), 2);
    }
}
