//! A clock that moves only when everything at a moment is done, and a record of what was done.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Arguments;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::world::Happening;

pub const MS: u64 = 1_000;
pub const SECOND: u64 = 1_000 * MS;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

/// Planned happenings with their times, in microseconds since the world began.
pub struct Schedule {
    pub now: u64,
    start: Instant,
    coming: BinaryHeap<Reverse<Coming>>,
    given: u64,
}

/// A planned happening. It is ordered by time, and then by the order in which it was planned.
struct Coming {
    at: u64,
    number: u64,
    what: Happening,
}

impl Schedule {
    pub fn new() -> Self {
        Schedule { now: 0, start: Instant::now(), coming: BinaryHeap::new(), given: 0 }
    }

    pub fn at(&mut self, at: u64, what: Happening) {
        self.given += 1;
        self.coming.push(Reverse(Coming { at: at.max(self.now), number: self.given, what }));
    }

    pub fn after(&mut self, delay: u64, what: Happening) {
        self.at(self.now + delay, what);
    }

    /// Moves to the next moment at which something happens.
    pub fn next(&mut self) -> Option<Happening> {
        let Reverse(coming) = self.coming.pop()?;
        self.now = coming.at;
        Some(coming.what)
    }

    pub fn instant(&self) -> Instant {
        self.start + Duration::from_micros(self.now)
    }

    /// Returns the first moment that is not before `instant`, in microseconds.
    pub fn moment(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_nanos().div_ceil(1_000) as u64
    }
}

impl PartialEq for Coming {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Coming {}

impl PartialOrd for Coming {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Coming {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A hash of everything that happened. `SIM_TRACE=1` prints it too.
pub struct Trace {
    hasher: DefaultHasher,
    pub lines: u64,
    is_shown: bool,
}

impl Trace {
    pub fn new() -> Self {
        Trace { hasher: DefaultHasher::new(), lines: 0, is_shown: std::env::var_os("SIM_TRACE").is_some() }
    }

    pub fn note(&mut self, at: u64, unit: usize, what: Arguments) {
        let text = what.to_string();
        (at, unit, &text).hash(&mut self.hasher);
        self.lines += 1;
        if self.is_shown {
            println!("{:>14.3} unit {unit}: {text}", at as f64 / SECOND as f64);
        }
    }

    pub fn sum(&self) -> u64 {
        self.hasher.finish()
    }
}
