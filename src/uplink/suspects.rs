//! Events at which a broker seems to end the connection without saying why.
//!
//! While events are sent singly, one that is on its way when the connection breaks is passed over in the next. If that
//! takes another event, the broker is well and the event is to blame; if not, it is the broker.

use std::collections::HashSet;

/// So many events are not wrong at once: it is the broker.
const SUSPECTS_MAX: usize = 8;

#[derive(Debug, Default)]
pub struct Suspects {
    passed_over: HashSet<i64>,
    /// A connection broke at them, and the next took another event.
    proven: HashSet<i64>,
}

impl Suspects {
    pub fn is_empty(&self) -> bool {
        self.passed_over.is_empty()
    }

    /// Whether the event is left out for now.
    pub fn contains(&self, row: i64) -> bool {
        self.passed_over.contains(&row)
    }

    /// A connection broke while this event alone was on its way. True if the event is to blame.
    pub fn broke_at(&mut self, row: i64) -> bool {
        if self.proven.contains(&row) {
            return true;
        }
        if self.passed_over.len() == SUSPECTS_MAX {
            self.acquit();
        }
        self.passed_over.insert(row);
        false
    }

    /// The broker took this event. Gives those that are to blame for earlier breaks.
    pub fn accepted(&mut self, row: i64) -> Vec<i64> {
        self.proven.remove(&row);
        let guilty: Vec<i64> = self.passed_over.drain().collect();
        self.proven.extend(&guilty);
        guilty
    }

    /// No event is passed over any more.
    pub fn acquit(&mut self) {
        self.passed_over.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_to_blame_once_another_went_through() {
        let mut suspects = Suspects::default();
        assert!(!suspects.broke_at(7));
        assert!(suspects.contains(7));
        assert_eq!(suspects.accepted(8), [7]);
        assert!(suspects.is_empty() && suspects.broke_at(7), "now it counts at once");
        assert!(suspects.accepted(7).is_empty());
        assert!(!suspects.broke_at(7), "it went through");
    }

    #[test]
    fn when_every_event_breaks_the_connection_none_is_to_blame() {
        let mut suspects = Suspects::default();
        for row in 0..100 {
            assert!(!suspects.broke_at(row));
        }
        suspects.acquit();
        assert!(suspects.accepted(100).is_empty());
    }
}
