//! Joins the sentences of one moment, an epoch, into one fix.
//!
//! Receivers describe the same moment in several sentences and in different orders. So every sentence that adds
//! something yields the fix of its epoch again, more complete each time.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use bridgeclip_domain::{FixQuality, Position, PositionSource};

use super::sentence::{Coordinates, DayTime, FixData, Movement, Rmc, Sentence};
use crate::Fix;

/// Epoch in progress, and the calendar for epochs without a date.
#[derive(Debug, Default)]
pub struct Epochs {
    epoch: Option<Epoch>,
    calendar: Option<DatedMoment>,
}

#[derive(Debug)]
struct Epoch {
    time: DayTime,
    /// Monotonic arrival of the epoch's first sentence.
    received_ns: u64,
    fix_data: Option<FixData>,
    rmc: Option<Rmc>,
    movement: Movement,
    hdop: Option<f64>,
    std_m: Option<f64>,
    date: Option<Date>,
}

/// Last moment with a known date.
#[derive(Clone, Copy, Debug)]
struct DatedMoment {
    utc: Timestamp,
    received_ns: u64,
}

/// Maximum difference between a time of day without a date and the time expected from the last known moment.
const SAME_DAY: SignedDuration = SignedDuration::from_hours(6);

impl Epochs {
    /// Adds a sentence that arrived at `received_ns`, monotonic. Returns the epoch's fix, or `None` while it has no
    /// valid position.
    pub fn add(&mut self, sentence: &Sentence, received_ns: u64) -> Option<Fix> {
        if let Some(time) = sentence.time()
            && self.epoch.as_ref().is_none_or(|epoch| epoch.time != time)
        {
            self.epoch = Some(Epoch::new(time, received_ns));
        }
        let epoch = self.epoch.as_mut()?;
        epoch.take(sentence);
        let (coordinates, quality) = epoch.found()?;
        let utc = self.utc();
        self.epoch.as_ref().map(|epoch| epoch.fix(coordinates, quality, utc))
    }

    fn utc(&mut self) -> Option<Timestamp> {
        let epoch = self.epoch.as_ref()?;
        let Some(date) = epoch.date else {
            return self.calendar.and_then(|known| known.same_or_next_day(epoch));
        };
        let utc = timestamp(date, epoch.time)?;
        self.calendar = Some(DatedMoment { utc, received_ns: epoch.received_ns });
        Some(utc)
    }
}

impl Epoch {
    fn new(time: DayTime, received_ns: u64) -> Self {
        let movement = Movement::default();
        Epoch { time, received_ns, fix_data: None, rmc: None, movement, hdop: None, std_m: None, date: None }
    }

    fn take(&mut self, sentence: &Sentence) {
        match sentence {
            Sentence::FixData(fix_data) if fix_data.fix.is_some() => self.fix_data = Some(fix_data.clone()),
            Sentence::FixData(_) => (),
            Sentence::Rmc(rmc) => self.take_rmc(rmc),
            Sentence::Gsa { hdop } => self.hdop = hdop.or(self.hdop),
            Sentence::Zda { date, .. } => self.date = Some(*date),
            Sentence::Gst { std_m, .. } => self.std_m = *std_m,
            Sentence::Vtg(movement) => self.take_movement(movement),
        }
    }

    fn take_rmc(&mut self, rmc: &Rmc) {
        if let Some((.., date)) = rmc.fix {
            self.date = Some(date);
            self.take_movement(&rmc.movement);
            self.rmc = Some(rmc.clone());
        }
    }

    fn take_movement(&mut self, movement: &Movement) {
        let Movement { speed_mps, course_deg } = self.movement;
        self.movement =
            Movement { speed_mps: movement.speed_mps.or(speed_mps), course_deg: movement.course_deg.or(course_deg) };
    }

    /// Returns the position. GGA and GNS describe its quality in more detail than RMC, so they take precedence.
    fn found(&self) -> Option<(Coordinates, FixQuality)> {
        let fix_data = self.fix_data.as_ref().and_then(|fix_data| fix_data.fix);
        let rmc = || self.rmc.as_ref()?.fix.map(|(coordinates, quality, _)| (coordinates, quality));
        fix_data.or_else(rmc)
    }

    fn fix(&self, coordinates: Coordinates, quality: FixQuality, utc: Option<Timestamp>) -> Fix {
        let fix_data = self.fix_data.as_ref();
        let rtk = quality == FixQuality::RtkFixed;
        Fix {
            position: Position {
                latitude_deg: coordinates.latitude_deg,
                longitude_deg: coordinates.longitude_deg,
                altitude_m: fix_data.and_then(|fix_data| fix_data.altitude_m),
                source: if rtk { PositionSource::Rtk } else { PositionSource::SerialGps },
                hdop: fix_data.and_then(|fix_data| fix_data.hdop).or(self.hdop),
                std_m: self.std_m,
                quality: Some(quality),
                age_s: None,
            },
            utc,
            received_ns: self.received_ns,
            speed_mps: self.movement.speed_mps,
            course_deg: self.movement.course_deg,
            satellites: fix_data.and_then(|fix_data| fix_data.satellites),
        }
    }
}

impl DatedMoment {
    /// Returns the moment of an epoch without a date, on the day that fits the last known moment. `None` if no day
    /// fits.
    fn same_or_next_day(&self, epoch: &Epoch) -> Option<Timestamp> {
        let elapsed_ns = epoch.received_ns.checked_sub(self.received_ns)?;
        let expected = self.utc.checked_add(SignedDuration::from_nanos(i64::try_from(elapsed_ns).ok()?)).ok()?;
        let today = Offset::UTC.to_datetime(expected).date();
        let days = [today.yesterday().ok(), Some(today), today.tomorrow().ok()];
        let candidates = days.into_iter().flatten().filter_map(|date| timestamp(date, epoch.time));
        candidates.into_iter().find(|utc| utc.duration_since(expected).abs() < SAME_DAY)
    }
}

/// Returns the timestamp of a date and time of day. A leap second has none.
fn timestamp(date: Date, time: DayTime) -> Option<Timestamp> {
    let of_day = SignedDuration::from_nanos(time.0 as i64);
    if of_day >= SignedDuration::from_hours(24) {
        return None;
    }
    Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.checked_add(of_day).ok()
}
