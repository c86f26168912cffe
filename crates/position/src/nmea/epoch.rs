//! Joins the sentences of one moment, an epoch, into one fix.
//!
//! Receivers describe the same moment in several sentences and in different orders. So every sentence that adds
//! something yields the fix of its epoch again, more complete each time. Nothing of an epoch passes to the next one.

use jiff::Timestamp;
use jiff::civil::Date;

use bridgeclip_domain::{AltitudeAbove, FixQuality, Position, PositionSource};

use super::dates::{DateState, Dates};
use super::datum::Datum;
use super::fields::{Coordinates, DayTime};
use super::sentence::{FixData, Found, Movement, Rmc, Sentence, Ublox};
use super::talker::Talker;
use crate::Fix;

/// Epoch in progress, and the calendar for epochs without a date.
#[derive(Debug, Default)]
pub struct Epochs {
    epoch: Option<Epoch>,
    dates: Dates,
    datum: Datum,
    /// Monotonic arrival of the last position by a satellite receiver.
    receiver_ns: Option<u64>,
}

#[derive(Debug)]
struct Epoch {
    time: DayTime,
    /// Monotonic arrival of the epoch's first sentence.
    received_ns: u64,
    fix_data: Option<(Talker, FixData)>,
    rmc: Option<(Talker, Rmc)>,
    ublox: Option<Ublox>,
    gll: Option<(Talker, Found)>,
    movement: Movement,
    hdop: Option<f64>,
    std_m: Option<f64>,
    date: Option<Date>,
}

/// Time in nanoseconds for which a receiver's position silences other talkers. A receiver sends at least every second.
const RECEIVER_NS: u64 = 5_000_000_000;

/// Time in nanoseconds within which a sentence without a time belongs to the epoch before it. All sentences of an epoch
/// take two seconds at 4800 baud.
const EPOCH_NS: u64 = 3_000_000_000;

/// Time in nanoseconds after which the same time of day is that of another day.
const OTHER_DAY_NS: u64 = 12 * 3_600 * 1_000_000_000;

impl Epochs {
    /// Creates the epochs of a recording, which may be of any year.
    pub fn of_recording() -> Self {
        Epochs { dates: Dates::of_recording(), ..Epochs::default() }
    }

    /// Adds a sentence that arrived at `received_ns`, monotonic. Returns the epoch's fix, or `None` while it has no
    /// valid position.
    pub fn add(&mut self, talker: Talker, sentence: &Sentence, received_ns: u64) -> Option<Fix> {
        if self.is_silenced(talker, received_ns) {
            return None;
        }
        if talker.is_receiver() && sentence.has_place() {
            self.receiver_ns = Some(received_ns);
        }
        match sentence {
            Sentence::NoFix => self.end(talker),
            Sentence::Date { time, date } => self.dates.note(*date, *time, received_ns),
            Sentence::Datum(datum) => self.datum = *datum,
            _ => (),
        }
        self.begin(talker, sentence, received_ns);
        let epoch = self.epoch.as_mut().filter(|epoch| epoch.owns(sentence, received_ns))?;
        epoch.take(talker, sentence);
        let (coordinates, quality) = epoch.found()?;
        let utc = self.dates.utc(epoch.date, epoch.time, epoch.received_ns);
        Some(epoch.fix(self.datum.to_wgs84(coordinates)?, quality, utc))
    }

    /// Returns the datum of the positions.
    pub fn datum(&self) -> Datum {
        self.datum
    }

    /// Returns what is known about the date.
    pub fn date_state(&self) -> DateState {
        self.dates.state()
    }

    /// Reports whether a satellite receiver on the line knows better than this talker.
    fn is_silenced(&self, talker: Talker, received_ns: u64) -> bool {
        let is_near = |place_ns: u64| received_ns.saturating_sub(place_ns) <= RECEIVER_NS;
        !talker.is_receiver() && self.receiver_ns.is_some_and(is_near)
    }

    /// Ends the epoch, because a talker that is trusted as much as its position has none.
    fn end(&mut self, talker: Talker) {
        self.epoch.take_if(|epoch| epoch.talker().is_none_or(|place| talker <= place));
    }

    fn begin(&mut self, talker: Talker, sentence: &Sentence, received_ns: u64) {
        let Some(time) = sentence.time() else { return };
        if self.epoch.as_ref().is_none_or(|epoch| epoch.is_over(talker, sentence, time, received_ns)) {
            self.epoch = Some(Epoch::new(time, received_ns));
        }
    }
}

impl Epoch {
    fn new(time: DayTime, received_ns: u64) -> Self {
        Epoch {
            time,
            received_ns,
            fix_data: None,
            rmc: None,
            ublox: None,
            gll: None,
            movement: Movement::default(),
            hdop: None,
            std_m: None,
            date: None,
        }
    }

    /// Reports whether a sentence with a time belongs to another epoch. A receiver that repeats its last time repeats
    /// its last position, so only the next day begins a new epoch with the same time. A date alone does not end an
    /// epoch: a receiver's clock may tell whole seconds while its positions fall between them.
    fn is_over(&self, talker: Talker, sentence: &Sentence, time: DayTime, received_ns: u64) -> bool {
        let is_clock = matches!(sentence, Sentence::Date { .. });
        let other_moment = if is_clock { !self.time.is_near(time) } else { self.time != time };
        let other_day = received_ns.saturating_sub(self.received_ns) >= OTHER_DAY_NS;
        let overruled = sentence.has_place() && talker.is_receiver() && self.talker() == Some(Talker::Other);
        other_moment || other_day || overruled
    }

    /// Reports whether a sentence belongs to this epoch, given that those with another time do not.
    fn owns(&self, sentence: &Sentence, received_ns: u64) -> bool {
        sentence.time().is_some() || received_ns.saturating_sub(self.received_ns) <= EPOCH_NS
    }

    /// Returns the talker that gave the position.
    fn talker(&self) -> Option<Talker> {
        let fix_data = self.fix_data.as_ref().map(|(talker, _)| *talker);
        let rmc = self.rmc.as_ref().map(|(talker, _)| *talker);
        let ublox = self.ublox.as_ref().map(|_| Talker::Gps);
        fix_data.or(rmc).or(ublox).or(self.gll.map(|(talker, _)| talker))
    }

    fn take(&mut self, talker: Talker, sentence: &Sentence) {
        match sentence {
            Sentence::FixData(told) if told.fix.is_some() => prefer(&mut self.fix_data, talker, told),
            Sentence::Rmc(told) if told.fix.is_some() => self.take_rmc(talker, told),
            Sentence::Gll { fix: Some(found), .. } => prefer(&mut self.gll, talker, found),
            Sentence::Ublox(told) if told.fix_data.fix.is_some() => self.take_ublox(told),
            Sentence::Gsa { hdop } => self.hdop = hdop.or(self.hdop),
            Sentence::Date { time, date } if *time == self.time => self.date = Some(*date),
            Sentence::Gst { std_m, .. } => self.std_m = *std_m,
            Sentence::Vtg(movement) => self.take_movement(movement),
            _ => (),
        }
    }

    fn take_rmc(&mut self, talker: Talker, rmc: &Rmc) {
        self.date = rmc.date.or(self.date);
        self.take_movement(&rmc.movement);
        prefer(&mut self.rmc, talker, rmc);
    }

    fn take_ublox(&mut self, ublox: &Ublox) {
        self.take_movement(&ublox.movement);
        self.ublox = Some(ublox.clone());
    }

    fn take_movement(&mut self, movement: &Movement) {
        let Movement { speed_mps, course_deg } = self.movement;
        self.movement =
            Movement { speed_mps: movement.speed_mps.or(speed_mps), course_deg: movement.course_deg.or(course_deg) };
    }

    /// Returns the position. GGA and GNS describe its quality in more detail than RMC, so they take precedence; GLL has
    /// the least.
    fn found(&self) -> Option<Found> {
        let fix_data = self.fix_data.as_ref().and_then(|(_, told)| told.fix);
        let rmc = || self.rmc.as_ref().and_then(|(_, told)| told.fix);
        let ublox = || self.ublox.as_ref().and_then(|told| told.fix_data.fix);
        fix_data.or_else(rmc).or_else(ublox).or(self.gll.map(|(_, found)| found))
    }

    /// Returns the altitude in metres, and the surface from which it counts.
    fn altitude(&self) -> Option<(f64, AltitudeAbove)> {
        let above_sea = self.fix_data.as_ref().and_then(|(_, told)| told.altitude_m);
        let above_ellipsoid = || self.ublox.as_ref().and_then(|told| told.fix_data.altitude_m);
        let above_sea = above_sea.map(|altitude_m| (altitude_m, AltitudeAbove::Sea));
        above_sea.or_else(|| above_ellipsoid().map(|altitude_m| (altitude_m, AltitudeAbove::Ellipsoid)))
    }

    fn fix(&self, coordinates: Coordinates, quality: FixQuality, utc: Option<Timestamp>) -> Fix {
        let fix_data = self.fix_data.as_ref().map(|(_, told)| told);
        let ublox = self.ublox.as_ref().map(|told| &told.fix_data);
        let details = || fix_data.into_iter().chain(ublox);
        let altitude = self.altitude();
        let rtk = quality == FixQuality::RtkFixed;
        Fix {
            position: Position {
                altitude_m: altitude.map(|(altitude_m, _)| altitude_m),
                altitude_above: altitude.map(|(_, above)| above),
                hdop: details().find_map(|told| told.hdop).or(self.hdop),
                std_m: self.std_m.or_else(|| self.ublox.as_ref()?.accuracy_m),
                quality: Some(quality),
                ..Position::at(
                    coordinates.latitude_deg,
                    coordinates.longitude_deg,
                    if rtk { PositionSource::Rtk } else { PositionSource::SerialGps },
                )
            },
            utc,
            received_ns: self.received_ns,
            measured_ns: self.received_ns,
            speed_mps: self.movement.speed_mps,
            course_deg: self.movement.course_deg,
            satellites: details().find_map(|told| told.satellites),
        }
    }
}

/// Keeps what the more trusted talker told, and the later of two equals.
fn prefer<T: Clone>(kept: &mut Option<(Talker, T)>, talker: Talker, told: &T) {
    if kept.as_ref().is_none_or(|(known, _)| talker <= *known) {
        *kept = Some((talker, told.clone()));
    }
}
