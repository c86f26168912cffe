//! The device's knowledge of time.
//!
//! A cheap device starts in 1970, or at the time when it was switched off, and its calendar jumps when somebody sets
//! it. So nothing is ordered by the calendar. Moments are readings of the clock that counts from the start of the
//! machine and that nobody can set, together with the id of that start (the boot). Their calendar time is worked out as
//! late as possible, from the best source known by then.

use std::fs;
use std::io;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use bridgeclip_domain::{Time, TimeQuality};

/// Returns the nanoseconds since the start of the machine, including suspended time (`CLOCK_BOOTTIME`).
pub fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    // Neither part is negative, because the clock starts at 0.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Returns the id of this boot of the machine.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Both clocks of the device, read together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Nanoseconds since the start of the machine.
    pub monotonic_ns: u64,
    /// Wall clock, which may be wrong.
    pub wall: Timestamp,
    /// Whether NTP keeps the wall clock.
    pub ntp: bool,
}

impl Reading {
    /// Reads both clocks.
    pub fn now(ntp: bool) -> Self {
        Reading { monotonic_ns: monotonic_ns(), wall: Timestamp::now(), ntp }
    }

    /// Returns the reading of the monotonic clock at the moment when the wall clock, as it is set now, showed `wall`.
    /// `None` for moments before the start of the machine.
    pub fn monotonic_at(&self, wall: Timestamp) -> Option<u64> {
        let ago = self.wall.duration_since(wall).as_nanos();
        u64::try_from(i128::from(self.monotonic_ns) - ago).ok()
    }

    /// Returns the time that the wall clock, as it is set now, showed at a moment of this boot.
    fn wall_at(&self, monotonic_ns: u64) -> Timestamp {
        let ahead = i128::from(monotonic_ns) - i128::from(self.monotonic_ns);
        moved(self.wall, ahead).unwrap_or(self.wall)
    }
}

/// Years in which this program can run, fewer than the 19.6 years by which a receiver is off that has lost count of its
/// weeks. A receiver without a fix starts in 1980, and a device without a battery in 1970.
const YEARS: std::ops::Range<i16> = 2025..2044;

/// Reports whether a moment lies in the years in which this program can run.
pub fn is_plausible(time: Timestamp) -> bool {
    YEARS.contains(&jiff::tz::Offset::UTC.to_datetime(time).year())
}

/// Relation of satellite time to the monotonic clock of this boot.
///
/// A receiver's sentences arrive some 50 to 500 ms after the moment that they report, never before it. So the shortest
/// delay seen is the best one. It may grow no faster than a cheap crystal drifts.
#[derive(Clone, Debug, Default)]
pub struct GpsTime {
    relation: Option<Relation>,
    /// A relation that contradicts the known one, and the number of moments in a row that agree with it.
    doubt: Option<(Relation, u32)>,
}

/// Offset of satellite time from the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Relation {
    /// UTC minus monotonic time, in nanoseconds.
    offset_ns: i128,
    /// Monotonic time of the last moment that confirmed the relation.
    received_ns: u64,
}

/// Time in seconds from a moment to the arrival of the sentence that tells it, in the middle of the range: 0.05 to 0.3 s
/// for most receivers. The device's clocks are related no better than this. Assumed.
pub const LATENCY_S: f64 = 0.2;

/// Drift of a quartz crystal, in nanoseconds per nanosecond: 100 ppm.
const DRIFT: f64 = 100e-6;

/// Difference in nanoseconds beyond which two moments belong to different counts of time. A receiver that does not know
/// the leap seconds yet is off by whole seconds; the delays of one receiver differ by less.
const GPS_STEP_NS: i128 = 800_000_000;

/// Number of consecutive moments that must agree on a new count of time before it is believed.
const STEP_AGREEMENTS: u32 = 5;

impl GpsTime {
    /// Adds a moment reported by a receiver with a fix, and its arrival. Returns true if it is the first one or starts
    /// another count of time.
    pub fn observe(&mut self, utc: Timestamp, received_ns: u64) -> bool {
        if !is_plausible(utc) {
            return false;
        }
        let new = Relation { offset_ns: utc.as_nanosecond() - i128::from(received_ns), received_ns };
        match self.relation {
            None => self.set(new),
            Some(known) if known.is_near(&new) => {
                self.relation = Some(known.joined(new));
                self.doubt = None;
                false
            }
            Some(_) => self.doubt(new),
        }
    }

    fn doubt(&mut self, new: Relation) -> bool {
        let agreements = match self.doubt {
            // Several sentences report the same moment.
            Some((doubt, _)) if doubt.received_ns == new.received_ns => return false,
            Some((doubt, agreements)) if doubt.is_near(&new) => agreements + 1,
            _ => 1,
        };
        self.doubt = Some((new, agreements));
        agreements >= STEP_AGREEMENTS && self.set(new)
    }

    fn set(&mut self, relation: Relation) -> bool {
        self.relation = Some(relation);
        self.doubt = None;
        true
    }

    /// Returns the UTC time at a moment of this boot, or `None` while no satellite time is known.
    pub fn at(&self, monotonic_ns: u64) -> Option<Timestamp> {
        Timestamp::from_nanosecond(self.relation?.offset_ns + i128::from(monotonic_ns)).ok()
    }
}

impl Relation {
    fn is_near(&self, other: &Relation) -> bool {
        (self.offset_ns - other.offset_ns).abs() <= GPS_STEP_NS
    }

    /// Returns the relation with the shorter delay, after allowing for the drift of the older one.
    fn joined(self, new: Relation) -> Relation {
        let elapsed_ns = new.received_ns.saturating_sub(self.received_ns);
        let drifted_ns = self.offset_ns - (elapsed_ns as f64 * DRIFT) as i128;
        Relation { offset_ns: new.offset_ns.max(drifted_ns), received_ns: new.received_ns }
    }
}

/// Time in nanoseconds without satellites after which NTP, if there is any, is the better source: at 100 ppm, the clock
/// has drifted by 2 s.
const GPS_HOLD_NS: u64 = 6 * 3600 * 1_000_000_000;

/// Returns the calendar time at a moment of this boot, from the best source known now.
pub fn time_at(monotonic_ns: u64, gps: &GpsTime, now: &Reading) -> Time {
    let ntp = now.ntp && is_plausible(now.wall);
    let fresh = gps.relation.is_some_and(|known| now.monotonic_ns.saturating_sub(known.received_ns) <= GPS_HOLD_NS);
    match gps.at(monotonic_ns) {
        Some(at) if fresh || !ntp => Time::new(at, TimeQuality::Gps),
        _ if ntp => Time::new(now.wall_at(monotonic_ns), TimeQuality::Ntp),
        _ => Time::new(now.wall_at(monotonic_ns), TimeQuality::Unsynced),
    }
}

/// Change in nanoseconds against the monotonic clock beyond which the wall clock has been set.
const WALL_STEP_NS: i128 = 2_000_000_000;

/// Detector for steps of the wall clock.
#[derive(Clone, Debug, Default)]
pub struct WallClock {
    /// Wall time minus monotonic time, in nanoseconds.
    offset_ns: Option<i128>,
}

impl WallClock {
    /// Returns how far the wall clock has been stepped since the last call; forward is positive. NTP's slow corrections
    /// are not steps.
    pub fn stepped(&mut self, now: &Reading) -> Option<SignedDuration> {
        let offset_ns = now.wall.as_nanosecond() - i128::from(now.monotonic_ns);
        let step_ns = offset_ns - self.offset_ns.replace(offset_ns)?;
        (step_ns.abs() > WALL_STEP_NS).then(|| SignedDuration::from_secs((step_ns / 1_000_000_000) as i64))
    }
}

fn moved(time: Timestamp, nanoseconds: i128) -> Option<Timestamp> {
    Timestamp::from_nanosecond(time.as_nanosecond().checked_add(nanoseconds)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn utc(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn reading(second: u64, wall: &str, ntp: bool) -> Reading {
        Reading { monotonic_ns: second * S, wall: utc(wall), ntp }
    }

    fn said(time: &Time) -> (String, TimeQuality) {
        (time.at.to_string(), time.quality)
    }

    #[test]
    fn the_machine_has_both() {
        let (first, second) = (monotonic_ns(), monotonic_ns());
        assert!(0 < first && first <= second);
        assert_eq!(boot_id().expect("Linux").len(), 36);
    }

    #[test]
    fn satellites_come_before_ntp_before_nothing() {
        let mut gps = GpsTime::default();
        let at = |gps: &GpsTime, ntp, now: u64, wall: &str| said(&time_at(100 * S, gps, &reading(now, wall, ntp)));
        // A device that started in 1970, 200 s ago.
        assert_eq!(
            at(&gps, false, 200, "1970-01-01T00:03:20Z"),
            ("1970-01-01T00:01:40Z".into(), TimeQuality::Unsynced)
        );
        assert_eq!(at(&gps, true, 200, "2026-11-25T00:01:40Z"), ("2026-11-25T00:00:00Z".into(), TimeQuality::Ntp));
        // A clock that claims to be kept by NTP in 1970 is not.
        assert_eq!(at(&gps, true, 200, "1970-01-01T00:03:20Z").1, TimeQuality::Unsynced);
        assert!(gps.observe(utc("2026-11-25T00:01:00Z"), 150 * S));
        let expected = ("2026-11-25T00:00:10Z".to_owned(), TimeQuality::Gps);
        assert_eq!(at(&gps, true, 200, "2006-11-25T00:00:00Z"), expected);
        assert_eq!(at(&gps, false, 100_000, "2046-11-25T00:00:00Z"), expected, "for the whole boot");
        assert_eq!(at(&gps, true, 100_000, "2026-11-26T03:45:00Z").1, TimeQuality::Ntp, "no satellites for a day");
    }

    #[test]
    fn the_least_delay_counts() {
        let mut gps = GpsTime::default();
        let start = utc("2026-11-25T00:00:00Z");
        for (second, delay_ms) in [(0, 400_u64), (1, 80), (2, 300), (3, 90)] {
            gps.observe(start + SignedDuration::from_secs(second), (100 + second as u64) * S + delay_ms * 1_000_000);
        }
        let off = gps.at(200 * S).expect("in sync").duration_since(start + SignedDuration::from_secs(100));
        assert!((-80_250..-79_750).contains(&(off.as_micros() as i64)), "{off:?}");
    }

    #[test]
    fn dates_that_cannot_be_are_not_believed() {
        let mut gps = GpsTime::default();
        for wrong in ["1970-01-01T00:00:00Z", "1980-01-06T00:00:00Z", "2007-04-11T00:00:00Z", "2046-07-01T00:00:00Z"] {
            assert!(!gps.observe(utc(wrong), 100 * S), "{wrong}");
        }
        assert_eq!(gps.at(100 * S), None);
    }

    #[test]
    fn one_wrong_moment_changes_nothing_but_many_do() {
        let mut gps = GpsTime::default();
        gps.observe(utc("2026-11-25T00:00:00Z"), 100 * S);
        assert!(!gps.observe(utc("2036-11-25T00:00:00Z"), 101 * S));
        assert!(!gps.observe(utc("2026-11-25T00:00:02Z"), 102 * S));
        assert_eq!(gps.at(100 * S), Some(utc("2026-11-25T00:00:00Z")));
        let turned = (0..6).map(|second| {
            let utc = utc("2026-11-26T00:00:00Z") + SignedDuration::from_secs(second);
            // Three sentences report each moment.
            (0..3).any(|_| gps.observe(utc, (200 + second as u64) * S))
        });
        assert_eq!(turned.collect::<Vec<_>>(), [false, false, false, false, true, false]);
        assert_eq!(gps.at(200 * S), Some(utc("2026-11-26T00:00:00Z")));
    }

    #[test]
    fn steps_of_the_wall_clock_are_noticed() {
        let mut wall = WallClock::default();
        let moments = [
            (10, "1970-01-01T00:00:10Z", None),
            (11, "1970-01-01T00:00:12Z", None),
            (12, "2026-11-25T00:00:00Z", Some(1_795_564_787)),
            (13, "2006-11-25T00:00:01Z", Some(-631_152_000)),
            (14, "2006-11-25T00:00:02Z", None),
        ];
        for (second, now, expected) in moments {
            let step = wall.stepped(&reading(second, now, false)).map(|step| step.as_secs());
            assert_eq!(step, expected, "{now}");
        }
    }

    #[test]
    fn the_wall_clock_is_read_backwards() {
        let now = reading(500, "2026-11-25T00:10:00Z", false);
        assert_eq!(now.monotonic_at(utc("2026-11-25T00:05:00Z")), Some(200 * S));
        assert_eq!(now.monotonic_at(utc("2026-11-24T00:05:00Z")), None, "before the start");
    }
}
