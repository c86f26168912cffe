//! What the topics of a PX4 log mean, as in `msg/` of <https://github.com/PX4/PX4-Autopilot>.

use bridgeclip_domain::FixQuality;

use crate::error::TrackError;
use crate::flight::{self, Flight, Layer, Place, Receiver, deviation, hdop};
use crate::gather::Gather;
use crate::layout::{Kind, Row};
use crate::pictures::{Picture, Witness};
use crate::report::Skip;
use crate::sample::{Moment, Sample};

/// A topic that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The receiver that the controller uses, or the mean of several.
    UsedReceiver,
    /// The first receiver.
    FirstReceiver,
    /// Position as the controller estimates it.
    Estimate,
    /// The camera took a picture.
    Capture,
    /// The controller triggered the camera, or the camera's hot shoe gave its signal.
    Trigger,
}

impl Topic {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "vehicle_gps_position" => Topic::UsedReceiver,
            "sensor_gps" => Topic::FirstReceiver,
            "vehicle_global_position" => Topic::Estimate,
            "camera_capture" => Topic::Capture,
            "camera_trigger" => Topic::Trigger,
            _ => return None,
        })
    }
}

/// Reports whether a field is read.
pub fn is_of_use(name: &str) -> bool {
    const NAMES: [&str; 18] = [
        "timestamp",
        "timestamp_time_relative",
        "time_utc_usec",
        "lat",
        "lon",
        "alt",
        "latitude_deg",
        "longitude_deg",
        "altitude_msl_m",
        "fix_type",
        "eph",
        "hdop",
        "vel_m_s",
        "dead_reckoning",
        "lat_lon_valid",
        "seq",
        "result",
        "feedback",
    ];
    NAMES.contains(&name)
}

/// A PX4 log while it is read.
pub struct Px4 {
    flight: Flight,
}

impl Px4 {
    pub fn new(gather: &Gather) -> Self {
        Px4 { flight: Flight::new(gather) }
    }

    /// Adds data of a topic.
    pub fn hear(&mut self, topic: Topic, row: &Row, gather: &mut Gather) -> Result<(), TrackError> {
        let clock_us = row.whole("timestamp");
        let Some(clock_us) = clock_us.and_then(|clock_us| self.flight.hear(clock_us, gather)) else { return Ok(()) };
        match topic {
            Topic::UsedReceiver => self.hear_receiver(Layer::Receiver, clock_us, row, gather),
            Topic::FirstReceiver => self.hear_receiver(Layer::Sensor, clock_us, row, gather),
            Topic::Estimate => self.hear_estimate(clock_us, row, gather),
            Topic::Capture => {
                self.hear_capture(clock_us, row, gather);
                Ok(())
            }
            Topic::Trigger => {
                self.hear_trigger(clock_us, row, gather);
                Ok(())
            }
        }
    }

    fn hear_receiver(&mut self, layer: Layer, clock_us: i64, row: &Row, gather: &mut Gather) -> Result<(), TrackError> {
        let Some(quality) = row.whole("fix_type").and_then(quality) else {
            self.flight.set_receiver(None);
            gather.skip(Skip::NoFix);
            return Ok(());
        };
        let told = self.learn(clock_us, row, gather);
        let state = Receiver {
            clock_us,
            quality,
            hdop: hdop(row, "hdop"),
            std_m: deviation(row, "eph"),
            speed_mps: row.or_nan("vel_m_s"),
        };
        self.flight.set_receiver(Some(state));
        let at = told.map_or_else(|| self.flight.at(clock_us), Moment::Utc);
        match place(row).sample(at, quality, gather) {
            Some(sample) => {
                let Receiver { hdop, std_m, speed_mps, .. } = state;
                self.flight.push(layer, Sample { hdop, std_m, speed_mps, ..sample })
            }
            None => Ok(()),
        }
    }

    /// Learns the satellite time, which may be that of a moment a little later or earlier than the position's. Returns
    /// that of the position, in microseconds since 1970.
    fn learn(&mut self, clock_us: i64, row: &Row, gather: &Gather) -> Option<i64> {
        let utc_us = row.whole("time_utc_usec").filter(|utc_us| gather.is_plausible(*utc_us))?;
        let later_us = row.number("timestamp_time_relative").unwrap_or_default() as i64;
        self.flight.learn(clock_us.saturating_add(later_us), utc_us);
        Some(utc_us.saturating_sub(later_us))
    }

    fn hear_estimate(&mut self, clock_us: i64, row: &Row, gather: &mut Gather) -> Result<(), TrackError> {
        if row.whole("lat_lon_valid") == Some(0) {
            gather.skip(Skip::NoFix);
            return Ok(());
        }
        let Some(sample) = self.flight.estimate(clock_us, place(row), gather) else { return Ok(()) };
        let is_reckoned = row.whole("dead_reckoning").is_some_and(|reckoned| reckoned != 0);
        let quality = if is_reckoned { Some(FixQuality::Estimated) } else { sample.quality };
        self.flight.push(Layer::Estimate, Sample { std_m: deviation(row, "eph"), quality, ..sample })
    }

    fn hear_capture(&mut self, clock_us: i64, row: &Row, gather: &mut Gather) {
        if row.number("result") == Some(0.0) {
            gather.skip(Skip::FailedImage);
            return;
        }
        let place = self.flight.estimate(clock_us, place(row), gather);
        let picture = Picture { at: self.flight.at(clock_us), number: sequence(row), file_name: None, place };
        self.flight.pictures.push(Witness::Camera, picture, gather);
    }

    /// Adds a trigger. Its place is that of the track at the moment.
    fn hear_trigger(&mut self, clock_us: i64, row: &Row, gather: &mut Gather) {
        let witness = if row.whole("feedback") == Some(1) { Witness::Signal } else { Witness::Trigger };
        let picture = Picture { at: self.flight.at(clock_us), number: sequence(row), file_name: None, place: None };
        self.flight.pictures.push(witness, picture, gather);
    }

    /// Returns everything in order of time.
    pub fn finish(self, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
        self.flight.finish(gather)
    }
}

fn sequence(row: &Row) -> Option<u32> {
    row.whole("seq").and_then(|sequence| u32::try_from(sequence).ok())
}

/// Returns the place. Receivers had whole numbers of 10^-7 degrees and millimetres before version 1.14.
fn place(row: &Row) -> Place {
    let newer = Place::of(row, ["latitude_deg", "longitude_deg", "altitude_msl_m"]);
    if !newer.latitude_deg.is_nan() {
        return newer;
    }
    let older = Place::of(row, ["lat", "lon", "alt"]);
    if !is_whole(row, "lat") {
        return older;
    }
    Place {
        latitude_deg: older.latitude_deg / 1e7,
        longitude_deg: older.longitude_deg / 1e7,
        altitude_m: older.altitude_m / 1e3,
    }
}

/// Reports whether a column is of a type for whole numbers.
fn is_whole(row: &Row, name: &str) -> bool {
    let Row::Bytes { columns, .. } = row else { return false };
    columns.iter().any(|column| column.name == name && column.kind == Kind::I32)
}

/// Converts `fix_type`; `None` without a fix.
fn quality(fix_type: i64) -> Option<FixQuality> {
    /// Value of an extrapolated position, which is PX4's own.
    const EXTRAPOLATED: i64 = 8;
    if fix_type == EXTRAPOLATED { Some(FixQuality::Estimated) } else { flight::quality(fix_type) }
}
