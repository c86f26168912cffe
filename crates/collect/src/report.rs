//! A report of the events that have arrived and of those that are missing.

use jiff::Timestamp;
use serde::Serialize;

/// Maximum number of gaps that are listed for one device.
pub const GAPS_MAX: usize = 100;

/// A report on all devices, sorted by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The devices that have sent events.
    pub devices: Vec<DeviceReport>,
    /// Number of messages that were set aside.
    pub refused: u64,
}

/// A report on one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceReport {
    /// Topic prefix of the device, `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Number of events stored.
    pub events: u64,
    /// Greatest sequence number stored.
    pub last_sequence: i64,
    /// Number of sequence numbers between 1 and the greatest that no stored event has.
    pub missing: u64,
    /// Ranges of the missing sequence numbers; the first 100.
    pub gaps: Vec<Gap>,
    /// Arrival time of the last event.
    pub last_received: Timestamp,
}

/// A range of missing sequence numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// First missing number.
    pub first: i64,
    /// Last missing number before the next stored one.
    pub last: i64,
}

impl Report {
    /// Reports whether no event is missing before the last one of each device.
    pub fn is_complete(&self) -> bool {
        self.devices.iter().all(|device| device.missing == 0)
    }
}

/// Returns a query for one row per device: source, number of events, number of distinct sequence numbers, greatest
/// sequence number, time of the last arrival.
///
/// Both databases share the query; `time` is the expression for the time in microseconds since 1970.
pub fn totals_sql(time: &str) -> String {
    format!(
        "SELECT source, count(*), count(DISTINCT sequence), max(sequence), {time} FROM event
         GROUP BY source ORDER BY source"
    )
}

/// Query for the gaps of all devices: one row per gap, in order. The numbers before the first stored event are a gap
/// too.
pub const GAPS_SQL: &str = "
    SELECT source, before + 1, sequence - 1 FROM (
        SELECT source, sequence, coalesce(lag(sequence) OVER (PARTITION BY source ORDER BY sequence), 0) AS before
        FROM event) AS pairs
    WHERE sequence - 1 > before ORDER BY source, sequence";

/// One device's row of [`totals_sql`].
pub struct Totals {
    /// Topic prefix of the device, `bridge/v1/{site}/{device}`.
    pub source: String,
    /// Number of events stored.
    pub events: i64,
    /// Number of distinct sequence numbers.
    pub distinct: i64,
    /// Greatest sequence number.
    pub last_sequence: i64,
    /// Arrival time of the last event, in microseconds since 1970.
    pub last_received_us: i64,
}

/// Joins the results of the two queries and the number of refused messages into a report.
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
