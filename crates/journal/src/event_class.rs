//! Classes of events, which determine the order of delivery.

/// Class of an event. Lower classes are delivered first; within a class, lower ids are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventClass {
    /// Result that an engineer should see first.
    Urgent = 0,
    /// Any other result.
    Result = 1,
    /// Event that replaces an earlier result, or that tells an answer about a member.
    Correction = 2,
    /// Full result whose summary was sent ahead.
    Detail = 3,
    /// Small JPEG of a capture.
    Thumbnail = 4,
}

/// Number of bits of an id below its class. Ids stay below 2^53, up to which every JSON reader keeps whole numbers
/// exact.
const NUMBER_BITS: u32 = 48;

impl EventClass {
    /// All classes in the order of delivery.
    pub const ALL: [EventClass; 5] =
        [EventClass::Urgent, EventClass::Result, EventClass::Correction, EventClass::Detail, EventClass::Thumbnail];

    /// Returns the class's name in commands and lists.
    pub fn name(self) -> &'static str {
        ["urgent", "result", "correction", "detail", "thumbnail"][self as usize]
    }

    /// Finds the class with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Returns the exclusive lower bound of the class's ids. The class is part of the id, so the table itself is in the
    /// order of delivery, and no index has to be written.
    pub fn floor(self) -> i64 {
        (self as i64) << NUMBER_BITS
    }

    /// Returns the exclusive upper bound of the class's ids.
    pub fn ceiling(self) -> i64 {
        (self as i64 + 1) << NUMBER_BITS
    }

    /// Returns the table that holds the payload when an outbox row of this class points to a capture.
    pub fn home(self) -> &'static str {
        if self == EventClass::Thumbnail { "thumbnail" } else { "capture" }
    }

    /// Returns the class of the outbox row with this id; `None` for the counters and for ids outside all classes.
    pub fn of(id: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|class| id > class.floor() && id < class.ceiling())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_class() {
        for class in EventClass::ALL {
            assert_eq!(EventClass::of(class.floor() + 1), Some(class));
            assert_eq!(EventClass::of(class.ceiling() - 1), Some(class));
            assert_eq!(EventClass::from_name(class.name()), Some(class));
        }
        for id in [0, -1, i64::MIN, EventClass::Result.floor(), EventClass::Thumbnail.ceiling() + 1] {
            assert_eq!(EventClass::of(id), None, "{id}");
        }
        assert!(EventClass::Thumbnail.ceiling() < 1 << 53);
    }
}
