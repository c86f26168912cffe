//! What the messages of an ArduPilot log mean.

use bridgeclip_domain::FixQuality;

use crate::error::TrackError;
use crate::flight::{Flight, Layer, Place, Receiver, deviation, hdop, quality};
use crate::gather::Gather;
use crate::gps_time;
use crate::layout::Row;
use crate::pictures::{Picture, Witness};
use crate::report::Skip;
use crate::sample::{Moment, Sample};

/// A kind of message that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Fix of a receiver; since 2020 of all of them, with an instance.
    Gps,
    /// Fix of the second receiver, before 2020.
    SecondGps,
    /// Accuracy of a receiver's fix.
    Accuracy,
    /// Position as the controller estimates it.
    Position,
    /// The camera took a picture: the signal of its hot shoe, or the trigger if it gives none.
    Camera,
    /// The controller triggered a camera that gives a signal.
    Trigger,
}

impl Topic {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "GPS" => Topic::Gps,
            "GPS2" => Topic::SecondGps,
            "GPA" => Topic::Accuracy,
            "POS" => Topic::Position,
            "CAM" => Topic::Camera,
            "TRIG" => Topic::Trigger,
            _ => return None,
        })
    }
}

/// Names of latitude, longitude and altitude above mean sea level.
const PLACE: [&str; 3] = ["Lat", "Lng", "Alt"];

/// An ArduPilot log while it is read.
pub struct Ardupilot {
    flight: Flight,
    /// Instance of the receiver that the controller uses.
    instance: i64,
    /// Standard deviation of the receiver's position in metres, or NaN.
    std_m: f64,
}

impl Ardupilot {
    pub fn new(gather: &Gather) -> Self {
        Ardupilot { flight: Flight::new(gather), instance: 0, std_m: f64::NAN }
    }

    /// Adds a message.
    pub fn hear(&mut self, topic: Topic, row: &Row, gather: &mut Gather) -> Result<(), TrackError> {
        match topic {
            Topic::Gps | Topic::SecondGps => self.hear_gps(topic, row, gather),
            Topic::Accuracy => {
                self.hear_accuracy(row);
                Ok(())
            }
            Topic::Position => self.hear_position(row, gather),
            Topic::Camera => {
                self.hear_image(Witness::Camera, row, gather);
                Ok(())
            }
            Topic::Trigger => {
                self.hear_image(Witness::Trigger, row, gather);
                Ok(())
            }
        }
    }

    fn hear_gps(&mut self, topic: Topic, row: &Row, gather: &mut Gather) -> Result<(), TrackError> {
        if !is_used(topic, row) {
            return Ok(());
        }
        let clock_us = row.whole("TimeUS").or_else(|| milliseconds(row, "T"));
        let clock_us = clock_us.and_then(|clock_us| self.flight.hear(clock_us, gather));
        let quality = row.whole("Status").and_then(quality);
        let utc_us = gps_time(row, [("GWk", "GMS"), ("Week", "TimeMS")]);
        let Some((quality, utc_us)) = quality.zip(utc_us.filter(|utc_us| gather.is_plausible(*utc_us))) else {
            self.flight.set_receiver(None);
            gather.skip(if quality.is_some() { Skip::TimeOutOfRange } else { Skip::NoFix });
            return Ok(());
        };
        self.note_instance(row);
        let receiver = Receiver {
            clock_us: clock_us.unwrap_or_default(),
            quality,
            hdop: hdop(row, "HDop"),
            std_m: self.std_m,
            speed_mps: row.or_nan("Spd"),
        };
        if let Some(clock_us) = clock_us {
            self.flight.learn(clock_us, utc_us);
            self.flight.set_receiver(Some(receiver));
        }
        let Receiver { hdop, std_m, speed_mps, .. } = receiver;
        match Place::of(row, PLACE).sample(Moment::Utc(utc_us), quality, gather) {
            Some(sample) => self.flight.push(Layer::Receiver, Sample { hdop, std_m, speed_mps, ..sample }),
            None => Ok(()),
        }
    }

    fn note_instance(&mut self, row: &Row) {
        let instance = row.whole("I").unwrap_or_default();
        if instance != self.instance {
            (self.instance, self.std_m) = (instance, f64::NAN);
        }
    }

    fn hear_accuracy(&mut self, row: &Row) {
        if row.whole("I").unwrap_or_default() == self.instance {
            self.std_m = deviation(row, "HAcc");
        }
    }

    fn hear_position(&mut self, row: &Row, gather: &mut Gather) -> Result<(), TrackError> {
        let Some(clock_us) = clock(row).and_then(|clock_us| self.flight.hear(clock_us, gather)) else { return Ok(()) };
        match self.flight.estimate(clock_us, Place::of(row, PLACE), gather) {
            Some(sample) => self.flight.push(Layer::Estimate, sample),
            None => Ok(()),
        }
    }

    fn hear_image(&mut self, witness: Witness, row: &Row, gather: &mut Gather) {
        let clock_us = clock(row).and_then(|clock_us| self.flight.hear(clock_us, gather));
        let told = gps_time(row, [("GPSWeek", "GPSTime"), ("GWk", "GMS")]);
        // The hot shoe's moment is that of the clock; the satellite time is that of the last fix.
        let Some(at) = clock_us.map(|clock_us| self.flight.at(clock_us)).or(told.map(Moment::Utc)) else {
            gather.skip(Skip::NoTime);
            return;
        };
        let place = Place::of(row, PLACE);
        let place = match clock_us {
            Some(clock_us) => self.flight.estimate(clock_us, place, gather),
            None => place.sample(at, FixQuality::Autonomous, gather),
        };
        let number = row.whole("Img").and_then(|number| u32::try_from(number).ok());
        self.flight.pictures.push(witness, Picture { at, number, file_name: None, place }, gather);
    }

    /// Returns everything in order of time.
    pub fn finish(self, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
        self.flight.finish(gather)
    }
}

/// Reports whether a fix is of the receiver that the controller uses. Old logs do not say; there it is the first one.
fn is_used(topic: Topic, row: &Row) -> bool {
    match row.whole("U") {
        Some(used) => used != 0,
        None => topic == Topic::Gps && row.whole("I").unwrap_or_default() == 0,
    }
}

/// Returns microseconds since the controller started.
fn clock(row: &Row) -> Option<i64> {
    row.whole("TimeUS").or_else(|| milliseconds(row, "TimeMS")).filter(|us| *us > 0)
}

fn milliseconds(row: &Row, name: &str) -> Option<i64> {
    row.whole(name)?.checked_mul(1_000)
}

/// Returns microseconds since 1970 by the first pair of columns, week and milliseconds of the week, that is there.
fn gps_time(row: &Row, names: [(&str, &str); 2]) -> Option<i64> {
    let (week, ms) = names.iter().find_map(|(week, ms)| row.whole(week).zip(row.whole(ms)))?;
    gps_time::utc_us(week, ms)
}
