//! What has arrived and what is missing.

use jiff::Timestamp;
use serde::Serialize;

/// Gaps that are listed of one device.
pub const GAPS_MAX: usize = 100;

/// All devices, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    pub devices: Vec<DeviceReport>,
    /// Messages that no device of ours would send.
    pub refused: u64,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceReport {
    /// `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Events that are here.
    pub events: u64,
    /// Greatest sequence number.
    pub last_sequence: i64,
    /// Numbers from 1 to the greatest that no event here has.
    pub missing: u64,
    /// Where they are, the first hundred.
    pub gaps: Vec<Gap>,
    /// When the last event came.
    pub last_received: Timestamp,
}

/// Sequence numbers that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub first: i64,
    pub last: i64,
}

impl Report {
    /// Whether every event that a device made before its last one is here.
    pub fn is_complete(&self) -> bool {
        self.devices.iter().all(|device| device.missing == 0)
    }
}

/// Sums up for each device: number of events, number of distinct sequence numbers, least and greatest of them, time of the
/// last arrival. The same in both databases, but for the form of the time.
pub fn totals_sql(time: &str) -> String {
    format!(
        "SELECT source, count(*), count(DISTINCT sequence), max(sequence), {time} FROM event
         GROUP BY source ORDER BY source"
    )
}

/// The gaps of all devices: one row for each, in order. Numbers before the first that came are a gap too.
pub const GAPS_SQL: &str = "
    SELECT source, before + 1, sequence - 1 FROM (
        SELECT source, sequence, coalesce(lag(sequence) OVER (PARTITION BY source ORDER BY sequence), 0) AS before
        FROM event) AS pairs
    WHERE sequence - 1 > before ORDER BY source, sequence";

/// One device's row of [`totals_sql`].
pub struct Totals {
    pub source: String,
    pub events: i64,
    pub distinct: i64,
    pub last_sequence: i64,
    /// Microseconds since 1970.
    pub last_received_us: i64,
}

/// Joins what the two queries found.
pub fn report(totals: Vec<Totals>, gaps: &[(String, Gap)], refused: i64) -> Report {
    let device = |totals: Totals| {
        let of_device = gaps.iter().filter(|(source, _)| *source == totals.source);
        DeviceReport {
            gaps: of_device.map(|(_, gap)| *gap).take(GAPS_MAX).collect(),
            source: totals.source,
            events: totals.events as u64,
            last_sequence: totals.last_sequence,
            missing: totals.last_sequence.saturating_sub(totals.distinct).max(0) as u64,
            last_received: Timestamp::from_microsecond(totals.last_received_us).unwrap_or(Timestamp::UNIX_EPOCH),
        }
    };
    Report { devices: totals.into_iter().map(device).collect(), refused: refused as u64 }
}
