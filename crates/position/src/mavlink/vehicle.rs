//! Combines the messages of a flight controller.

use jiff::Timestamp;

use bridgeclip_domain::{FixQuality, Position, PositionSource};

use super::message::{GlobalPosition, GpsRaw, ImageCaptured, Message, RawPosition};
use crate::{Arrival, Fix, TakenImage};

/// Latest state of a flight controller's clock and receiver.
#[derive(Debug, Default)]
pub struct Vehicle {
    /// Start of the controller, in microseconds since 1970.
    started_us: Option<i64>,
    /// Latest state of the receiver, and its arrival in monotonic nanoseconds.
    receiver: Option<(GpsRaw, u64)>,
}

/// Time in nanoseconds for which a state of the receiver counts. It is sent about once a second.
const RECEIVER_NS: u64 = 5_000_000_000;

impl Vehicle {
    /// Adds a message and returns the fix or picture that it completes.
    pub fn hear(&mut self, message: Message, received_ns: u64) -> Option<Arrival> {
        match message {
            Message::SystemTime { unix_us, boot_ms } => {
                let since_start_us = i64::from(boot_ms) * 1_000;
                self.started_us = known(unix_us).map(|unix_us| unix_us - since_start_us);
                None
            }
            Message::GpsRaw(state) => {
                self.receiver = Some((state, received_ns));
                None
            }
            Message::Position(position) => self.fix(&position, received_ns).map(Arrival::Fix),
            Message::Image(image) => self.image(&image, received_ns).map(Arrival::Image),
        }
    }

    fn fix(&self, told: &GlobalPosition, received_ns: u64) -> Option<Fix> {
        let [north, east] = told.speed_cms.map(|speed| f64::from(speed) / 100.0);
        let speed_mps = north.hypot(east);
        Some(Fix {
            position: self.position(told.position, received_ns)?,
            utc: self.utc(told.boot_ms),
            received_ns,
            speed_mps: Some(speed_mps),
            course_deg: (speed_mps > 0.0).then(|| east.atan2(north).to_degrees().rem_euclid(360.0)),
            satellites: self
                .receiver(received_ns)
                .and_then(|state| (state.satellites != u8::MAX).then_some(state.satellites)),
        })
    }

    fn image(&self, told: &ImageCaptured, received_ns: u64) -> Option<TakenImage> {
        let file_name = told.url.rsplit(['/', '\\']).next().filter(|name| !name.is_empty())?.to_owned();
        let utc = known(told.unix_us).and_then(|us| Timestamp::from_microsecond(us).ok());
        let fix = Fix {
            position: self.position(told.position, received_ns)?,
            utc: utc.or_else(|| self.utc(told.boot_ms)),
            received_ns,
            speed_mps: None,
            course_deg: None,
            satellites: None,
        };
        (told.result == 1).then_some(TakenImage { file_name, fix })
    }

    fn utc(&self, boot_ms: u32) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.started_us?.checked_add(i64::from(boot_ms) * 1_000)?).ok()
    }

    fn receiver(&self, now_ns: u64) -> Option<GpsRaw> {
        let (state, received_ns) = self.receiver?;
        (now_ns.saturating_sub(received_ns) <= RECEIVER_NS).then_some(state)
    }

    /// Converts a position. `None` for one out of range, and for 0/0, which a filter reports before it has started.
    fn position(&self, raw: RawPosition, received_ns: u64) -> Option<Position> {
        let [latitude_deg, longitude_deg] = [raw.latitude, raw.longitude].map(|angle| f64::from(angle) / 1e7);
        let in_range = latitude_deg.abs() <= 90.0 && longitude_deg.abs() <= 180.0;
        if !in_range || (raw.latitude == 0 && raw.longitude == 0) {
            return None;
        }
        let receiver = self.receiver(received_ns);
        let quality = receiver.map(|state| quality(state.fix_type));
        let rtk = quality == Some(FixQuality::RtkFixed);
        Some(Position {
            latitude_deg,
            longitude_deg,
            altitude_m: Some(f64::from(raw.altitude_mm) / 1e3),
            source: if rtk { PositionSource::Rtk } else { PositionSource::Mavlink },
            hdop: receiver.filter(|state| state.hdop_centi < 9_900).map(|state| f64::from(state.hdop_centi) / 100.0),
            std_m: receiver.filter(|state| state.accuracy_mm > 0).map(|state| f64::from(state.accuracy_mm) / 1e3),
            quality,
            age_s: None,
        })
    }
}

/// Returns the microseconds since 1970 that a controller sent, or `None` for 0, which means unknown.
fn known(unix_us: u64) -> Option<i64> {
    i64::try_from(unix_us).ok().filter(|us| *us > 0)
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
