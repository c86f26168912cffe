//! The scope of a refusal: a topic, a class of events on it, or the link. What is refused waits, and all else goes on.

use bridgeclip_journal::{EventClass, OutboxRow, Topics};

/// The properties of an event that decide whether it may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventKind {
    /// Class of the event.
    pub class: EventClass,
    /// Topics to which the event's topic belongs.
    pub topics: Topics,
}

/// The events that a refusal holds back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Events of this class and of all less urgent classes, whatever their topics. All share the broker's quota, so
    /// less urgent events must not use up what is refused to this class.
    From(EventClass),
    /// All events on these topics.
    On(Topics),
    /// Events of one class on these topics.
    Of(EventClass, Topics),
}

impl EventKind {
    /// Returns the kind of an event in the outbox.
    pub fn of(row: &OutboxRow) -> Self {
        EventKind { class: row.class, topics: Topics::like(&row.topic) }
    }
}

impl Scope {
    /// Reports whether the scope covers events of this kind.
    pub fn covers(&self, kind: &EventKind) -> bool {
        self.may_cover(kind.class) && self.topics().is_none_or(|topics| topics.include(&kind.topics))
    }

    /// Reports whether the scope covers everything that `other`, a scope of topics, covers.
    pub fn includes(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::On(wide), Scope::On(topics) | Scope::Of(_, topics)) => wide.include(topics),
            (Scope::Of(class, wide), Scope::Of(of, topics)) => class == of && wide.include(topics),
            (Scope::From(_), _) | (_, Scope::From(_)) | (Scope::Of(..), Scope::On(_)) => false,
        }
    }

    /// Reports whether the scope may cover events of this class.
    pub fn may_cover(&self, class: EventClass) -> bool {
        match self {
            Scope::From(first) => class >= *first,
            Scope::On(_) => true,
            Scope::Of(only, _) => class == *only,
        }
    }

    /// Returns the scope's topics, or `None` if it covers events on all topics.
    pub fn topics(&self) -> Option<&Topics> {
        match self {
            Scope::From(_) => None,
            Scope::On(topics) | Scope::Of(_, topics) => Some(topics),
        }
    }

    /// Returns the class that the scope names.
    pub fn class(&self) -> Option<EventClass> {
        match self {
            Scope::From(class) | Scope::Of(class, _) => Some(*class),
            Scope::On(_) => None,
        }
    }

    /// Returns the scope in words for a log; `prefix` is that of the device's topics.
    pub fn words(&self, prefix: &str) -> String {
        match self {
            Scope::From(EventClass::Urgent) => "all events".to_owned(),
            Scope::From(class) => format!("events from class {} on", class.name()),
            Scope::On(topics) if *topics == Topics::foreign() => "all events of other devices".to_owned(),
            Scope::On(topics) => topics.filter(prefix),
            Scope::Of(class, topics) => format!("{} (class {})", topics.filter(prefix), class.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_its_own() {
        let kind = |class, topic: &str| EventKind { class, topics: Topics::like(topic) };
        let result = kind(EventClass::Result, "capture/result");
        let urgent = kind(EventClass::Urgent, "capture/result");
        let foreign = kind(EventClass::Result, "/bridge/v1/a/b/capture/result");
        let covered = |scope: Scope| [&result, &urgent, &foreign].map(|kind| scope.covers(kind));
        assert_eq!(covered(Scope::From(EventClass::Result)), [true, false, true]);
        assert_eq!(covered(Scope::On(result.topics.clone())), [true, true, false]);
        assert_eq!(covered(Scope::Of(EventClass::Urgent, result.topics.clone())), [false, true, false]);
        assert_eq!(covered(Scope::On(Topics::foreign())), [false, false, true]);
    }

    #[test]
    fn a_scope_includes_what_it_holds_as_a_whole() {
        let on = |topic: &str| Scope::On(Topics::like(topic));
        let of = |class, topic: &str| Scope::Of(class, Topics::like(topic));
        let (own, foreign) = ("capture/result", "/bridge/v1/a/b/capture/result");
        assert!(on(own).includes(&of(EventClass::Detail, own)) && Scope::On(Topics::foreign()).includes(&on(foreign)));
        let detail = of(EventClass::Detail, own);
        for other in
            [of(EventClass::Result, own), on(own), of(EventClass::Detail, foreign), Scope::From(EventClass::Detail)]
        {
            assert!(!detail.includes(&other), "{other:?}");
        }
        assert!(!Scope::From(EventClass::Urgent).includes(&detail), "a quota may be over while a topic is denied");
    }
}
