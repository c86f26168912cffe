//! Bounds on what is read, and the counts that every reader keeps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::error::TrackError;
use crate::report::{Note, Skip, TrackFormat};

/// Bounds on what is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadParams {
    /// Number of fixes that are kept; a file with more is thinned. A fix takes about 250 bytes while a file is read.
    pub fixes_max: usize,
    /// Number of pictures that are kept.
    pub images_max: usize,
    /// Latest moment that can be true. Later fixes come from a clock that was not set.
    pub latest: Timestamp,
}

impl ReadParams {
    /// Returns the usual bounds: 250,000 fixes, which is 69 hours at one fix a second, and 100,000 pictures. `latest`
    /// is the latest moment that can be true.
    pub fn until(latest: Timestamp) -> Self {
        ReadParams { fixes_max: 250_000, images_max: 100_000, latest }
    }
}

/// 2000-01-01T00:00:00Z in microseconds since 1970. Receivers that do not know the time report 1980 or 1999.
const EARLIEST_US: i64 = 946_684_800_000_000;

/// Counts and notes of a file that is being read.
pub struct Gather {
    pub format: TrackFormat,
    pub params: ReadParams,
    skipped: BTreeMap<Skip, u64>,
    notes: BTreeSet<Note>,
}

impl Gather {
    pub fn new(format: TrackFormat, params: &ReadParams) -> Self {
        Gather { format, params: *params, skipped: BTreeMap::new(), notes: BTreeSet::new() }
    }

    pub fn skip(&mut self, reason: Skip) {
        self.skip_several(reason, 1);
    }

    pub fn skip_several(&mut self, reason: Skip, count: u64) {
        if count > 0 {
            *self.skipped.entry(reason).or_default() += count;
        }
    }

    pub fn note(&mut self, note: Note) {
        self.notes.insert(note);
    }

    /// Reports whether microseconds since 1970 can be a moment of the track.
    pub fn is_plausible(&self, utc_us: i64) -> bool {
        (EARLIEST_US..=self.params.latest.as_microsecond()).contains(&utc_us)
    }

    pub fn malformed(&self, reason: impl Into<String>) -> TrackError {
        TrackError::Malformed { format: self.format, reason: reason.into() }
    }

    /// Returns the counts and the notes.
    pub fn into_parts(self) -> (BTreeMap<Skip, u64>, BTreeSet<Note>) {
        (self.skipped, self.notes)
    }
}
