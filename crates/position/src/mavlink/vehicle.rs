//! Combines the messages of the flight controller that is followed.

use jiff::Timestamp;

use bridgeclip_domain::{AltitudeAbove, FixQuality, Position, PositionSource};

use super::clocks::{Beat, BootClock, UtcClock, WRAP_MS_US, Years, nearest};
use super::message::{GlobalPosition, GpsRaw, Message, RawPosition};
use crate::Fix;

/// Latest state of a flight controller's clocks and receiver.
#[derive(Debug, Default)]
pub struct Vehicle {
    pub clock: BootClock,
    pub utc: UtcClock,
    /// Latest state of the receiver, and its arrival in monotonic nanoseconds.
    receiver: Option<(GpsRaw, u64)>,
    /// Arrival of the latest position of the filter, in monotonic nanoseconds; before the first one, the moment from
    /// which the controller is followed.
    position_ns: u64,
    /// Whether the filter has sent a position.
    has_positions: bool,
    /// Newest moment of a position, in microseconds since the controller's start.
    placed_us: Option<i64>,
    /// Years that the controller's calendar time may have.
    pub years: Years,
}

/// Time in nanoseconds for which a state of the receiver counts. It is sent about once a second.
const RECEIVER_NS: u64 = 5_000_000_000;

/// Time in nanoseconds without a position of the filter after which the receiver's own is used.
const FILTER_NS: u64 = 3_000_000_000;

/// Microseconds for which a time that the receiver's state tells is used. Some controllers count it otherwise.
const FIX_US: i64 = 5_000_000;

/// Altitudes in metres above the sea that a receiver can report. A civil receiver stops at 50 km at the latest.
const ALTITUDES_M: std::ops::RangeInclusive<f64> = -1_000.0..=50_000.0;

/// Value of `GPS_FIX_TYPE` from which on there is a horizontal position.
const FIX_2D: u8 = 2;
/// Value of `GPS_FIX_TYPE` from which on there is an altitude too.
const FIX_3D: u8 = 3;

/// Value that an unknown `u16` has.
const UNKNOWN: u16 = u16::MAX;

impl Vehicle {
    /// Starts to follow a controller, at a moment in monotonic nanoseconds.
    pub fn new(now_ns: u64, years: Years) -> Self {
        Vehicle { position_ns: now_ns, years, ..Vehicle::default() }
    }

    /// Adds a message and returns the fix that it completes.
    pub fn hear(&mut self, message: &Message, received_ns: u64) -> Option<Fix> {
        match message {
            Message::SystemTime { unix_us, boot_ms } => {
                self.hear_time(*unix_us, *boot_ms, received_ns);
                None
            }
            Message::GpsRaw(state) => {
                self.receiver = Some((*state, received_ns));
                self.fix_of_receiver(state, received_ns)
            }
            Message::Position(position) => self.fix(position, received_ns),
            _ => None,
        }
    }

    /// Takes the time of a controller that counts from its start. One whose receiver has no fix tells the time of a
    /// clock that somebody has set.
    fn hear_time(&mut self, unix_us: u64, boot_ms: u32, received_ns: u64) {
        let Ok(Some(boot_us)) = self.moment(boot_ms, received_ns) else { return };
        let has_fix = self.fresh_receiver(received_ns).is_none_or(|state| state.fix_type >= FIX_2D);
        if let Some(unix_us) = self.years.plausible(unix_us).filter(|_| has_fix) {
            self.utc.hear(unix_us, boot_us);
        }
    }

    /// Returns the moment of a message in microseconds since the controller's start; `None` if the message tells none.
    /// A message that contradicts the clock is an error. After a restart, all that was known is dropped.
    fn moment(&mut self, boot_ms: u32, received_ns: u64) -> Result<Option<i64>, Contradiction> {
        if boot_ms == 0 {
            return Ok(None);
        }
        match self.clock.hear(boot_ms, received_ns) {
            Beat::Same(boot_us) => Ok(Some(boot_us)),
            Beat::Doubtful => Err(Contradiction),
            Beat::Restarted(boot_us) => {
                let clock = std::mem::take(&mut self.clock);
                *self = Vehicle { clock, ..Vehicle::new(received_ns, self.years) };
                Ok(Some(boot_us))
            }
        }
    }

    fn fix(&mut self, told: &GlobalPosition, received_ns: u64) -> Option<Fix> {
        let moment = self.moment(told.boot_ms, received_ns);
        (self.position_ns, self.has_positions) = (received_ns, true);
        let boot_us = moment.ok()?;
        if boot_us.is_some_and(|boot_us| self.placed_us.is_some_and(|placed_us| boot_us < placed_us)) {
            // Old messages come again if two lines of a controller are joined.
            return None;
        }
        self.placed_us = boot_us.or(self.placed_us);
        let [north, east] = told.speed_cms.map(|speed| f64::from(speed) / 100.0);
        let speed_mps = north.hypot(east);
        Some(Fix {
            utc: boot_us.and_then(|boot_us| self.utc.at(boot_us)),
            position: self.position(told.position, received_ns)?,
            received_ns,
            measured_ns: self.measured_ns(boot_us, received_ns),
            speed_mps: Some(speed_mps),
            course_deg: (speed_mps > 0.0).then(|| east.atan2(north).to_degrees().rem_euclid(360.0)),
            satellites: self.fresh_receiver(received_ns).and_then(satellites),
        })
    }

    /// Returns the receiver's own fix if the filter sends no positions.
    fn fix_of_receiver(&self, state: &GpsRaw, received_ns: u64) -> Option<Fix> {
        let is_alone = received_ns.saturating_sub(self.position_ns) >= FILTER_NS;
        if !is_alone || state.fix_type < FIX_2D {
            return None;
        }
        let speed_mps = (state.speed_cms != UNKNOWN).then(|| f64::from(state.speed_cms) / 100.0);
        let course_deg = (state.course_centi < 36_000).then(|| f64::from(state.course_centi) / 100.0);
        let position = self.position(state.position, received_ns)?;
        let altitude_m = position.altitude_m.filter(|_| state.fix_type >= FIX_3D);
        let boot_us = self.recent_boot_us(state.time_us, received_ns);
        Some(Fix {
            position: Position { altitude_m, altitude_above: altitude_m.and(position.altitude_above), ..position },
            utc: utc(state.time_us, self.years).or_else(|| self.utc.at(boot_us?)),
            received_ns,
            measured_ns: self.measured_ns(boot_us, received_ns),
            speed_mps,
            course_deg: course_deg.filter(|_| speed_mps.is_some_and(|speed| speed > 0.0)),
            satellites: satellites(state),
        })
    }

    /// Returns a told time as microseconds since the controller's start if it counts so and is recent.
    fn recent_boot_us(&self, time_us: u64, received_ns: u64) -> Option<i64> {
        let now_us = self.clock.boot_us(received_ns)?;
        let told_us = nearest(told_boot_us(time_us)?, now_us, WRAP_MS_US);
        (now_us - told_us <= FIX_US).then_some(told_us)
    }

    /// Returns the monotonic time in nanoseconds of a moment since the controller's start, or the arrival.
    fn measured_ns(&self, boot_us: Option<i64>, received_ns: u64) -> u64 {
        let told = boot_us.and_then(|boot_us| self.clock.monotonic(boot_us));
        told.map_or(received_ns, |(told_ns, _)| told_ns.min(received_ns))
    }

    /// Returns the receiver's state if it is recent.
    fn fresh_receiver(&self, now_ns: u64) -> Option<&GpsRaw> {
        let (state, received_ns) = self.receiver.as_ref()?;
        (now_ns.saturating_sub(*received_ns) <= RECEIVER_NS).then_some(state)
    }

    /// Converts a position. `None` for one out of range, and for 0/0, which a filter reports before it has started. Its
    /// quality is that of the receiver; if the receiver has fallen silent, the filter goes on with inertial sensors.
    pub fn position(&self, raw: RawPosition, received_ns: u64) -> Option<Position> {
        let [latitude_deg, longitude_deg] = [raw.latitude, raw.longitude].map(|angle| f64::from(angle) / 1e7);
        let in_range = latitude_deg.abs() <= 90.0 && longitude_deg.abs() <= 180.0;
        if !in_range || (raw.latitude == 0 && raw.longitude == 0) {
            return None;
        }
        let fresh = self.fresh_receiver(received_ns);
        let with_fix = fresh.filter(|state| state.fix_type >= FIX_2D);
        let quality = self.receiver.map(|_| fresh.map_or(FixQuality::Estimated, |state| quality(state.fix_type)));
        let rtk = quality == Some(FixQuality::RtkFixed);
        let altitude_m = Some(raw.altitude_m).filter(|altitude_m| ALTITUDES_M.contains(altitude_m));
        Some(Position {
            altitude_m,
            altitude_above: altitude_m.map(|_| AltitudeAbove::Sea),
            hdop: with_fix.filter(|state| state.hdop_centi < 9_900).map(|state| f64::from(state.hdop_centi) / 100.0),
            std_m: with_fix.filter(|state| state.accuracy_mm > 0).map(|state| f64::from(state.accuracy_mm) / 1e3),
            quality,
            ..Position::at(latitude_deg, longitude_deg, if rtk { PositionSource::Rtk } else { PositionSource::Mavlink })
        })
    }

    /// Returns the arrival of the filter's latest position in monotonic nanoseconds, if there was one.
    pub fn filter_ns(&self) -> Option<u64> {
        self.has_positions.then_some(self.position_ns)
    }

    /// Returns whether the receiver has a fix, if that is known at a moment.
    pub fn has_fix(&self, now_ns: u64) -> Option<bool> {
        self.fresh_receiver(now_ns).map(|state| state.fix_type >= FIX_2D)
    }
}

/// A message that contradicts what is known.
#[derive(Debug)]
struct Contradiction;

/// Microseconds beyond which a time cannot count from a controller's start: 31 years.
const BOOT_US_MAX: i64 = 1_000_000_000_000_000;

/// Returns the microseconds since the controller's start that a sender told; `None` for 0 and for a time that counts
/// from 1970.
pub fn told_boot_us(time_us: u64) -> Option<i64> {
    i64::try_from(time_us).ok().filter(|us| (1..BOOT_US_MAX).contains(us))
}

/// Returns the UTC of a time that counts from 1970.
fn utc(time_us: u64, years: Years) -> Option<Timestamp> {
    Timestamp::from_microsecond(years.plausible(time_us)?).ok()
}

fn satellites(state: &GpsRaw) -> Option<u8> {
    (state.satellites != u8::MAX).then_some(state.satellites)
}

/// Converts a value of `GPS_FIX_TYPE`. Without a fix, the filter goes on with its inertial sensors.
fn quality(fix_type: u8) -> FixQuality {
    match fix_type {
        2 | 3 => FixQuality::Autonomous,
        // 4 has corrected ranges; 8 is precise point positioning.
        4 | 8 => FixQuality::Differential,
        5 => FixQuality::RtkFloat,
        // 7 is a base station.
        6 | 7 => FixQuality::RtkFixed,
        _ => FixQuality::Estimated,
    }
}
