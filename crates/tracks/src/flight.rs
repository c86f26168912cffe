//! What the logs of flight controllers have in common: a clock that counts from the start, a receiver that ties it to
//! UTC, an estimate of the position, and pictures.

use bridgeclip_domain::{AltitudeAbove, FixQuality, PositionSource};

use crate::clock::Tie;
use crate::error::TrackError;
use crate::finish;
use crate::gather::Gather;
use crate::layout::Row;
use crate::pictures::{Picture, Pictures};
use crate::report::Skip;
use crate::sample::{Moment, Sample, Samples};

/// Time in microseconds without a fix after which a new segment begins, as between photos in
/// `bridgeclip_position::Track`.
pub const SILENCE_US: i64 = 10_000_000;
/// Time in microseconds for which the state of the receiver counts. It is logged several times a second.
const RECEIVER_US: i64 = 5_000_000;
/// A clock that runs back by more than this many microseconds has been started again.
const RESTART_US: i64 = 1_000_000;
/// Latest reading of a controller's clock that is believed, in microseconds: 200 years. Simulated ones count from
/// 1970.
const CLOCK_MAX_US: i64 = 200 * 366 * 86_400 * 1_000_000;

/// Source of positions in a log, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The controller's own estimate, which joins receiver and inertial sensors.
    Estimate,
    /// The receiver that the controller uses.
    Receiver,
    /// A receiver whose use by the controller is not recorded.
    Sensor,
}

const LAYERS: usize = 3;

/// Returns an HDOP, or NaN. Receivers without a fix write 99.99.
pub fn hdop(row: &Row, name: &str) -> f64 {
    row.number(name).filter(|hdop| (0.01..99.0).contains(hdop)).unwrap_or(f64::NAN)
}

/// Returns a standard deviation in metres, or NaN.
pub fn deviation(row: &Row, name: &str) -> f64 {
    row.number(name).filter(|std_m| *std_m > 0.0).unwrap_or(f64::NAN)
}

/// Converts the kind of fix, which both programs number as MAVLink does; `None` without a fix.
pub fn quality(fix: i64) -> Option<FixQuality> {
    Some(match fix {
        2 | 3 => FixQuality::Autonomous,
        4 => FixQuality::Differential,
        5 => FixQuality::RtkFloat,
        6 => FixQuality::RtkFixed,
        _ => return None,
    })
}

/// State of the receiver.
#[derive(Clone, Copy, Debug)]
pub struct Receiver {
    pub clock_us: i64,
    pub quality: FixQuality,
    pub hdop: f64,
    pub std_m: f64,
    pub speed_mps: f64,
}

/// Positions and pictures of a flight while its log is read.
pub struct Flight {
    tie: Option<Tie>,
    clock_us: Option<i64>,
    layers: [Samples; LAYERS],
    pub pictures: Pictures,
    receiver: Option<Receiver>,
}

impl Flight {
    pub fn new(gather: &Gather) -> Self {
        let layer = || Samples::new(gather.params.fixes_max, Some(SILENCE_US));
        Flight {
            tie: None,
            clock_us: None,
            layers: [layer(), layer(), layer()],
            pictures: Pictures::default(),
            receiver: None,
        }
    }

    /// Notes a reading of the controller's clock. A clock that was started again has no known relation to UTC. Returns
    /// `None` for a reading that cannot be.
    pub fn hear(&mut self, clock_us: i64, gather: &mut Gather) -> Option<i64> {
        if !(0..=CLOCK_MAX_US).contains(&clock_us) {
            gather.skip(Skip::Unreadable);
            return None;
        }
        if self.clock_us.is_some_and(|last| clock_us < last - RESTART_US) {
            self.restart(gather);
        }
        self.clock_us = Some(clock_us);
        Some(clock_us)
    }

    fn restart(&mut self, gather: &mut Gather) {
        self.drop_untied(gather);
        (self.tie, self.receiver) = (None, None);
        self.layers.iter_mut().for_each(Samples::interrupt);
    }

    fn drop_untied(&mut self, gather: &mut Gather) {
        let fixes: u64 = self.layers.iter_mut().map(Samples::drop_untied).sum();
        gather.skip_several(Skip::NoUtc, fixes);
        gather.skip_several(Skip::NoUtc, self.pictures.drop_untied());
    }

    /// Learns that the satellite time `utc_us` arrived when the clock read `clock_us`, and gives UTC to what was logged
    /// before the first one.
    pub fn learn(&mut self, clock_us: i64, utc_us: i64) {
        match &mut self.tie {
            Some(tie) => tie.learn(clock_us, utc_us),
            None => {
                let tie = Tie::new(clock_us, utc_us);
                self.tie = Some(tie);
                self.layers.iter_mut().for_each(|samples| samples.tie(tie.offset_us()));
                self.pictures.tie(tie.offset_us());
            }
        }
    }

    /// Returns the moment of a reading of the clock.
    pub fn at(&self, clock_us: i64) -> Moment {
        self.tie.map_or(Moment::Clock(clock_us), |tie| Moment::Utc(tie.utc_us(clock_us)))
    }

    pub fn set_receiver(&mut self, receiver: Option<Receiver>) {
        self.receiver = receiver;
    }

    /// Returns the state of the receiver if it is fresh.
    pub fn receiver(&self, clock_us: i64) -> Option<Receiver> {
        self.receiver.filter(|state| (clock_us - state.clock_us).abs() <= RECEIVER_US)
    }

    /// Returns a sample of the controller's estimate, as good as the receiver is at that time. Without a fix, the
    /// estimate goes on with inertial sensors. Counts places that cannot be.
    pub fn estimate(&self, clock_us: i64, place: Place, gather: &mut Gather) -> Option<Sample> {
        let receiver = self.receiver(clock_us);
        let quality = receiver.map_or(FixQuality::Estimated, |state| state.quality);
        let sample = place.sample(self.at(clock_us), quality, gather)?;
        let of_receiver = |value: fn(Receiver) -> f64| receiver.map_or(f64::NAN, value);
        Some(Sample {
            hdop: of_receiver(|state| state.hdop),
            std_m: of_receiver(|state| state.std_m),
            speed_mps: of_receiver(|state| state.speed_mps),
            ..sample
        })
    }

    pub fn push(&mut self, layer: Layer, sample: Sample) -> Result<(), TrackError> {
        self.layers[layer as usize].push(sample)
    }

    /// Returns the fixes in order of time, and the pictures.
    pub fn finish(mut self, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
        self.drop_untied(gather);
        Ok((finish::merged(self.layers.into(), gather)?, self.pictures.best(gather)))
    }
}

/// A place as a flight controller logs it: degrees, and metres above mean sea level or NaN.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub latitude_deg: f64,
    pub longitude_deg: f64,
    pub altitude_m: f64,
}

impl Place {
    /// Reads three columns. Degrees that are not told are NaN, which no sample accepts.
    pub fn of(row: &Row, [latitude, longitude, altitude]: [&str; 3]) -> Self {
        Place {
            latitude_deg: row.or_nan(latitude),
            longitude_deg: row.or_nan(longitude),
            altitude_m: row.or_nan(altitude),
        }
    }

    /// Returns a sample, and counts places that cannot be.
    pub fn sample(self, at: Moment, quality: FixQuality, gather: &mut Gather) -> Option<Sample> {
        let source = if quality == FixQuality::RtkFixed { PositionSource::Rtk } else { PositionSource::Mavlink };
        let sample = Sample::new(at, self.latitude_deg, self.longitude_deg, source);
        if sample.is_none() {
            gather.skip(Skip::NoPlace);
        }
        Some(Sample {
            altitude_m: self.altitude_m,
            altitude_above: Some(AltitudeAbove::Sea),
            quality: Some(quality),
            ..sample?
        })
    }
}
