//! Explains a line: what is heard on it, what is understood, and what is missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use bridgeclip_domain::FixQuality;

use super::missing::missing;
use super::params::Protocol;
use super::watch::{LineState, Watch};
use crate::mavlink::MavlinkReport;
use crate::nmea::{DateState, Heard, Kind};

/// What is heard on a line, and what is missing. Counts begin anew when the line is opened again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LineReport {
    /// Source as it is written in the settings.
    pub source: String,
    pub state: LineState,
    /// Reason of a loss, in words; `None` unless the line is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Protocol that was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Bits per second of a serial line at which the last valid message arrived, or at which one is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baud: Option<u32>,
    /// Number of bytes that have arrived.
    pub bytes: u64,
    /// Number of messages with a correct checksum.
    pub valid: u64,
    /// Number of sentences with a wrong checksum, or torn ones.
    pub broken: u64,
    /// Number of valid NMEA sentences by kind, such as GGA; kinds that are not read are `other`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sentences: BTreeMap<String, u64>,
    /// Seconds since the last valid message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_valid_s: Option<f64>,
    /// Seconds since the last fix arrived. A receiver that repeats its last fix has no new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fix_s: Option<f64>,
    /// Kind of the last fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<FixQuality>,
    /// Number of satellites that the last fix used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satellites: Option<u8>,
    /// Number of satellites in view of all systems, by recent GSV sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satellites_in_view: Option<u32>,
    /// Horizontal dilution of precision of the last fix, dimensionless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hdop: Option<f64>,
    pub time: LineTime,
    /// Senders and messages of a MAVLink line.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub mavlink: Option<MavlinkReport>,
    /// What is missing, in words, with what to do. Empty if all is well.
    pub missing: Vec<String>,
}

/// What the fixes of a line tell about the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineTime {
    /// No fix has told a time yet.
    #[default]
    None,
    /// Fixes have a time of day and no date.
    TimeOfDay,
    /// Fixes have date and time.
    DateAndTime,
    /// The receiver has lost count of the GPS weeks, and its dates are corrected by whole periods of 1024 weeks.
    WeekRolloverCorrected,
    /// The receiver seems to have lost count of the GPS weeks; its dates are not used yet.
    WeekRolloverUnconfirmed,
    /// The receiver's date cannot be right and is not used.
    ImpossibleDate,
}

impl LineReport {
    /// Explains a line at this monotonic time.
    pub fn of(watch: &Watch, source: String, now_ns: u64) -> Self {
        let age_s = |at_ns: u64| now_ns.saturating_sub(at_ns) as f64 / 1e9;
        let fix = watch.last_fix.as_ref();
        LineReport {
            source,
            state: watch.state,
            reason: watch.reason.clone(),
            protocol: watch.protocol,
            baud: watch.baud,
            bytes: watch.bytes,
            valid: watch.valid,
            broken: watch.broken,
            sentences: watch.nmea.map(|nmea| counted(&nmea.heard)).unwrap_or_default(),
            last_valid_s: watch.last_valid_ns.map(age_s),
            last_fix_s: fix.map(|fix| age_s(fix.received_ns)),
            quality: fix.and_then(|fix| fix.quality),
            satellites: fix.and_then(|fix| fix.satellites),
            satellites_in_view: watch.nmea.and_then(|nmea| nmea.heard.in_view(now_ns)),
            hdop: fix.and_then(|fix| fix.hdop),
            time: time(watch),
            mavlink: watch.mavlink.clone(),
            missing: missing(watch, now_ns),
        }
    }
}

fn time(watch: &Watch) -> LineTime {
    let has_utc = watch.last_fix.is_some_and(|fix| fix.has_utc);
    match watch.nmea.map(|nmea| nmea.date) {
        None if has_utc => LineTime::DateAndTime,
        None | Some(DateState::Nothing) => LineTime::None,
        Some(DateState::TimeOfDay) => LineTime::TimeOfDay,
        Some(DateState::Known) => LineTime::DateAndTime,
        Some(DateState::RolledOver) => LineTime::WeekRolloverCorrected,
        Some(DateState::MaybeRolledOver) => LineTime::WeekRolloverUnconfirmed,
        Some(DateState::Impossible(_)) => LineTime::ImpossibleDate,
    }
}

fn counted(heard: &Heard) -> BTreeMap<String, u64> {
    let counts = Kind::ALL.into_iter().map(|kind| (kind.name().to_owned(), heard.count(kind)));
    counts.filter(|(_, count)| *count > 0).collect()
}
