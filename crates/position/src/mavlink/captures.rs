//! Places the reports of pictures on the device's monotonic clock.

use jiff::Timestamp;

use super::clocks::{WRAP_MS_US, Years, nearest};
use super::message::{Feedback, ImageCaptured, Message, Trigger};
use super::vehicle::{Vehicle, told_boot_us};
use crate::{ImageReport, TakenImage};

/// Microseconds by which a report may follow its picture. A camera stores the picture first, and a controller's queue
/// of messages may be full.
const LATE_US: i64 = 60_000_000;

/// Microseconds by which a told moment may seem to lie in the future, because the first messages of a line were late.
const AHEAD_US: i64 = 2_000_000;

/// Difference in microseconds up to which a message's two times belong to the same moment.
const SAME_US: i64 = 1_000_000;

/// Half-width in seconds of the 95 % interval around the arrival of a report that tells no moment: a controller sends
/// it at once, through a queue that it empties within a second.
const ARRIVAL_S: f64 = 1.0;

/// The same for a report of a camera that speaks MAVLink itself, which may store the picture first.
const CAMERA_ARRIVAL_S: f64 = 2.0;

/// Seconds from the pulse that triggers a camera to the exposure, at most. Cameras with a fixed focus take 0.02 to 0.3
/// s (CIPA DCG-002 defines shooting time lag). The moment of a flash shoe needs no such allowance.
const SHUTTER_S: f64 = 0.3;

/// Time that a controller's own counter of 32-bit microseconds takes to begin again at 0. ArduPilot stamps the pulses
/// of its feedback pin with it.
const WRAP_US: i64 = 1 << 32;

/// Value of `CAMERA_FEEDBACK_FLAGS` for a video, which is no picture.
const VIDEO: u8 = 1;
/// Value of `CAMERA_FEEDBACK_FLAGS` for a moment that the camera itself has confirmed.
const CLOSED_LOOP: u8 = 3;

/// Times that a report tells.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    /// Microseconds since the sender's start.
    boot_us: Option<i64>,
    /// Microseconds since 1970.
    unix_us: Option<i64>,
    /// Whether the moment is that of the exposure itself, not of the trigger.
    is_exposure: bool,
    /// Whether the microseconds since the start may have only 32 bits.
    is_short: bool,
}

impl Told {
    /// Reads a time that counts from 1970 or from the start; its size tells which.
    fn of(time_us: u64, years: Years) -> Self {
        Told { boot_us: told_boot_us(time_us), unix_us: years.plausible(time_us), ..Told::default() }
    }
}

/// Moment of a picture.
#[derive(Clone, Copy, Debug)]
struct Moment {
    exposed_ns: u64,
    error_s: f64,
    utc: Option<Timestamp>,
}

impl Vehicle {
    /// Returns the picture that a message reports. `is_controller` tells whether the flight controller itself sends the
    /// message, because a camera's clocks are its own.
    pub fn image(&self, message: &Message, is_controller: bool, received_ns: u64) -> Option<TakenImage> {
        let moment = |told| match is_controller {
            true => self.controllers_moment(told, received_ns),
            false => Some(self.cameras_moment(told, received_ns)),
        };
        match message {
            Message::Trigger(told) => Some(triggered(told, moment(Told::of(told.time_us, self.years))?)),
            Message::Feedback(told) => {
                let moment = moment(feedback_time(told, self.years))?;
                (told.flags != VIDEO).then(|| self.fed_back(told, moment, received_ns))
            }
            Message::Image(told) => {
                let moment = moment(capture_time(told, self.years))?;
                (told.result == 1).then(|| self.captured(told, moment, received_ns))
            }
            _ => None,
        }
    }

    fn fed_back(&self, told: &Feedback, moment: Moment, received_ns: u64) -> TakenImage {
        let image = taken(ImageReport::Feedback, Some(told.index.into()), moment);
        TakenImage { position: self.position(told.position, received_ns), ..image }
    }

    fn captured(&self, told: &ImageCaptured, moment: Moment, received_ns: u64) -> TakenImage {
        let file_name = told.url.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
        let image = taken(ImageReport::Captured, u32::try_from(told.index).ok(), moment);
        let position = self.position(told.position, received_ns);
        TakenImage { file_name: file_name.map(str::to_owned), position, ..image }
    }

    /// Returns the moment that the flight controller tells. `None` if it contradicts the controller's clocks, as that
    /// of an old report that is sent again, or of another controller with the same address.
    fn controllers_moment(&self, told: Told, received_ns: u64) -> Option<Moment> {
        let Some(now_us) = self.clock.boot_us(received_ns) else { return Some(self.arrival(told, received_ns)) };
        let is_recent = |boot_us: i64| (now_us - LATE_US..=now_us + AHEAD_US).contains(&boot_us);
        let by_utc = self.by_utc(told).filter(|boot_us| *boot_us <= now_us + AHEAD_US);
        let by_boot = told.boot_us.filter(|_| !self.clock.is_doubted());
        let by_boot = by_boot.map(|boot_us| match nearest(boot_us, now_us, WRAP_MS_US) {
            long_us if told.is_short && !is_recent(long_us) => nearest(boot_us, now_us, WRAP_US),
            long_us => long_us,
        });
        let Some(by_boot) = by_boot else {
            return Some(by_utc.map_or_else(|| self.arrival(told, received_ns), |us| self.at(us, told, received_ns)));
        };
        let is_confirmed = |us: &i64| is_recent(*us) || (us - by_boot).abs() <= SAME_US;
        let boot_us = if is_recent(by_boot) { by_boot } else { by_utc.filter(is_confirmed)? };
        Some(self.at(boot_us, told, received_ns))
    }

    /// Returns the told UTC as microseconds since the controller's start.
    fn by_utc(&self, told: Told) -> Option<i64> {
        Some(told.unix_us? - self.utc.started_us()?)
    }

    /// Returns a moment in microseconds since the controller's start on the monotonic clock.
    fn at(&self, boot_us: i64, told: Told, received_ns: u64) -> Moment {
        let Some((told_ns, clock_s)) = self.clock.monotonic(boot_us) else { return self.arrival(told, received_ns) };
        let shutter_s = if told.is_exposure { 0.0 } else { SHUTTER_S };
        Moment {
            exposed_ns: told_ns.min(received_ns),
            error_s: clock_s + shutter_s,
            utc: self.utc.at(boot_us).or_else(|| utc(told)),
        }
    }

    /// Returns the moment of a controller's report whose own word is missing or cannot be used.
    fn arrival(&self, told: Told, received_ns: u64) -> Moment {
        let utc = self.utc_at(received_ns).or_else(|| utc(told));
        Moment { exposed_ns: received_ns, error_s: ARRIVAL_S, utc }
    }

    /// Returns the moment of a report by a camera. Its clock may be wrong, so the exposure lies anywhere between the
    /// moment that it tells and the arrival.
    fn cameras_moment(&self, told: Told, received_ns: u64) -> Moment {
        let now_us = self.clock.boot_us(received_ns);
        let before_us = now_us.zip(self.by_utc(told)).map(|(now_us, told_us)| now_us - told_us);
        let half_us = before_us.filter(|us| (0..=LATE_US).contains(us)).map(|us| us.unsigned_abs() / 2);
        let exposed_ns = received_ns.saturating_sub(half_us.unwrap_or(0) * 1_000);
        Moment {
            exposed_ns,
            error_s: half_us.map_or(CAMERA_ARRIVAL_S, |us| us as f64 / 1e6 + SHUTTER_S),
            utc: self.utc_at(exposed_ns),
        }
    }

    /// Returns the UTC at a moment of the monotonic clock.
    fn utc_at(&self, monotonic_ns: u64) -> Option<Timestamp> {
        self.utc.at(self.clock.boot_us(monotonic_ns)?)
    }
}

fn taken(kind: ImageReport, number: Option<u32>, moment: Moment) -> TakenImage {
    let Moment { exposed_ns, error_s, utc } = moment;
    TakenImage { kind, number, file_name: None, exposed_ns, error_s, utc, position: None }
}

fn triggered(told: &Trigger, moment: Moment) -> TakenImage {
    taken(ImageReport::Trigger, Some(told.sequence), moment)
}

/// Returns the time of ArduPilot's report. It counts from the start if a pin has told the exposure, otherwise from 1970
/// (`AP_Camera_Backend.cpp`).
fn feedback_time(told: &Feedback, years: Years) -> Told {
    let time = Told::of(told.time_us, years);
    let is_short = time.boot_us.is_some_and(|us| us < WRAP_US);
    Told { is_exposure: time.boot_us.is_some() || told.flags == CLOSED_LOOP, is_short, ..time }
}

fn capture_time(told: &ImageCaptured, years: Years) -> Told {
    let boot_us = Some(i64::from(told.boot_ms) * 1_000).filter(|us| *us > 0);
    Told { boot_us, unix_us: years.plausible(told.unix_us), ..Told::default() }
}

fn utc(told: Told) -> Option<Timestamp> {
    Timestamp::from_microsecond(told.unix_us?).ok()
}
