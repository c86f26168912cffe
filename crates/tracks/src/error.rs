//! Reasons why a track file gives nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::report::{Note, Skip, TrackFormat};

/// Reason why a track file gives nothing.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    #[error("cannot read: {0}")]
    Read(#[from] io::Error),
    #[error(
        "not a known track file; use GPX, an NMEA log, a MAVLink telemetry log (.tlog), an ArduPilot log (.bin, .log) \
         or a PX4 log (.ulg)"
    )]
    Unknown,
    /// The format is recognised and not supported.
    #[error("{found}: {remedy}")]
    Unsupported { found: &'static str, remedy: &'static str },
    #[error("{format}: {reason}")]
    Malformed { format: TrackFormat, reason: String },
    #[error(
        "the log has no date: GGA and GLL tell only the time of day; record RMC or ZDA too, or convert the log to GPX \
         with its date"
    )]
    NoDate,
    #[error("{0}: no satellite time in the log, so its moments cannot be told; did the receiver ever have a fix?")]
    NoUtc(TrackFormat),
    #[error("{format}: no fix with a time and a place{}", reasons(.skipped, .notes))]
    Empty { format: TrackFormat, skipped: BTreeMap<Skip, u64>, notes: BTreeSet<Note> },
    #[error("more than {0} fixes, and they cannot be thinned because their times do not increase")]
    TooMany(usize),
}

fn reasons(skipped: &BTreeMap<Skip, u64>, notes: &BTreeSet<Note>) -> String {
    let skipped = skipped.iter().map(|(reason, count)| format!("; left out: {count} {reason}"));
    skipped.chain(notes.iter().map(|note| format!("; {note}"))).collect()
}
