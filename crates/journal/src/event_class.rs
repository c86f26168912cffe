//! Classes of events, which are the order of delivery.

/// Order of delivery. Within a class: by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventClass {
    /// A result that cannot wait.
    Urgent = 0,
    Result = 1,
    /// Takes the place of an earlier result.
    Correction = 2,
    /// The rest of a result that was sent in short.
    Detail = 3,
    Thumbnail = 4,
}

/// Bits of an id below its class. Ids stay below 2^53, the greatest whole number that every JSON reader keeps.
const NUMBER_BITS: u32 = 48;

impl EventClass {
    pub const ALL: [EventClass; 5] =
        [EventClass::Urgent, EventClass::Result, EventClass::Correction, EventClass::Detail, EventClass::Thumbnail];

    pub fn name(self) -> &'static str {
        ["urgent", "result", "correction", "detail", "thumbnail"][self as usize]
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// All ids of the class are greater. The class is a part of the id, so that the table itself is in the order of
    /// delivery, and no index has to be written.
    pub fn floor(self) -> i64 {
        (self as i64) << NUMBER_BITS
    }

    /// All ids of the class are less.
    pub fn ceiling(self) -> i64 {
        (self as i64 + 1) << NUMBER_BITS
    }

    /// The table whose rows hold the payloads that a row of this class can point to.
    pub fn home(self) -> &'static str {
        if self == EventClass::Thumbnail { "thumbnail" } else { "capture" }
    }

    /// The class of an outbox row.
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
