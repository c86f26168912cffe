//! Fixes while a file is read: small, bounded in number, and thinned when there are too many.

use bridgeclip_domain::{AltitudeAbove, FixQuality, Position, PositionSource};
use bridgeclip_position::Fix;

use crate::error::TrackError;

/// First spacing in microseconds to which fixes are thinned.
const SPACING_FIRST_US: i64 = 100_000;
/// Longest spacing in microseconds to which fixes are thinned. A file that is still too long has no increasing times.
const SPACING_MAX_US: i64 = 60_000_000;

/// Moment by one of two clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// Microseconds since 1970.
    Utc(i64),
    /// Microseconds of a clock whose relation to UTC is not known yet.
    Clock(i64),
}

impl Moment {
    pub fn us(self) -> i64 {
        match self {
            Moment::Utc(us) | Moment::Clock(us) => us,
        }
    }

    /// Returns the moment in UTC if the clock is `offset_us` behind it.
    pub fn tied(self, offset_us: i64) -> Self {
        match self {
            Moment::Clock(us) => Moment::Utc(us.saturating_add(offset_us)),
            at @ Moment::Utc(_) => at,
        }
    }
}

/// A fix. Numbers that the file does not tell are NaN, which takes half the memory of an `Option`.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub at: Moment,
    pub latitude_deg: f64,
    pub longitude_deg: f64,
    pub altitude_m: f64,
    pub altitude_above: Option<AltitudeAbove>,
    pub source: PositionSource,
    pub hdop: f64,
    pub std_m: f64,
    pub quality: Option<FixQuality>,
    pub speed_mps: f64,
    pub gap_before: bool,
}

impl Sample {
    /// Creates a sample of a moment and a place. `None` for a place that is not finite, out of range, or 0, 0, which
    /// receivers and filters report before they know better.
    pub fn new(at: Moment, latitude_deg: f64, longitude_deg: f64, source: PositionSource) -> Option<Self> {
        let in_range = latitude_deg.abs() <= 90.0 && longitude_deg.abs() <= 180.0;
        (in_range && (latitude_deg != 0.0 || longitude_deg != 0.0)).then_some(Sample {
            at,
            latitude_deg,
            longitude_deg,
            altitude_m: f64::NAN,
            altitude_above: None,
            source,
            hdop: f64::NAN,
            std_m: f64::NAN,
            quality: None,
            speed_mps: f64::NAN,
            gap_before: false,
        })
    }

    /// Creates a sample of a decoder's fix. `None` for a place that cannot be.
    pub fn of_fix(fix: &Fix, at: Moment) -> Option<Self> {
        Self::of_position(&fix.position, fix.speed_mps, at)
    }

    /// Makes a sample of a position at a moment. `None` if its place is off the globe.
    pub fn of_position(position: &Position, speed_mps: Option<f64>, at: Moment) -> Option<Self> {
        let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Some(Sample {
            altitude_m: or_nan(position.altitude_m),
            altitude_above: position.altitude_above,
            hdop: or_nan(position.hdop),
            std_m: or_nan(position.std_m),
            quality: position.quality,
            speed_mps: or_nan(speed_mps),
            ..Sample::new(at, position.latitude_deg, position.longitude_deg, position.source)?
        })
    }
}

/// Fixes of one source in the order of the file.
#[derive(Debug)]
pub struct Samples {
    kept: Vec<Sample>,
    max: usize,
    /// Least time in microseconds between two fixes; 0 while all are kept.
    spacing_us: i64,
    /// Time in microseconds without a fix after which a new segment begins.
    silence_us: Option<i64>,
    /// Moment of the last fix that was offered, kept or not.
    last: Option<Moment>,
    /// Whether the next fix begins a new segment.
    gap: bool,
}

impl Samples {
    /// Creates an empty list of at most `max` fixes. `silence_us` is the time without a fix after which a new segment
    /// begins.
    pub fn new(max: usize, silence_us: Option<i64>) -> Self {
        Samples { kept: Vec::new(), max: max.max(2), spacing_us: 0, silence_us, last: None, gap: false }
    }

    /// Makes the next fix begin a new segment.
    pub fn interrupt(&mut self) {
        self.gap = true;
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns the spacing in microseconds to which fixes were thinned; 0 if all are there.
    pub fn spacing_us(&self) -> i64 {
        self.spacing_us
    }

    /// Returns the time in microseconds without a fix after which a new segment begins. Fixes that were thinned are
    /// farther apart without a silence.
    pub fn silence_us(&self) -> Option<i64> {
        self.silence_us.map(|silence_us| silence_us + 2 * self.spacing_us)
    }

    pub fn into_vec(self) -> Vec<Sample> {
        self.kept
    }

    /// Adds a fix. It replaces the previous one if both are of the same moment, because receivers tell about a moment
    /// several times, more each time.
    ///
    /// # Errors
    /// If there are too many, and thinning does not help.
    pub fn push(&mut self, sample: Sample) -> Result<(), TrackError> {
        let elapsed = self.last.map(|last| sample.at.us().saturating_sub(last.us()));
        let is_same = self.last == Some(sample.at);
        self.gap |= elapsed.zip(self.silence_us).is_some_and(|(elapsed, silence)| elapsed > silence);
        self.last = Some(sample.at);
        if self.kept.len() >= self.max {
            self.thin()?;
        }
        match self.kept.last_mut() {
            Some(previous) if is_same && previous.at == sample.at && !self.gap => {
                *previous = Sample { gap_before: previous.gap_before, ..sample };
                Ok(())
            }
            Some(previous) if !self.gap && is_crowded(previous.at, sample.at, self.spacing_us) => Ok(()),
            _ => {
                self.kept.push(Sample { gap_before: std::mem::take(&mut self.gap), ..sample });
                Ok(())
            }
        }
    }

    /// Doubles the spacing until half of the room is free. An interruption moves to the next fix that stays.
    fn thin(&mut self) -> Result<(), TrackError> {
        while self.kept.len() > self.max / 2 {
            if self.spacing_us >= SPACING_MAX_US {
                return Err(TrackError::TooMany(self.max));
            }
            self.spacing_us = (2 * self.spacing_us).max(SPACING_FIRST_US);
            let (spacing_us, mut gap, mut last) = (self.spacing_us, false, None);
            self.kept.retain_mut(|sample| {
                gap |= sample.gap_before;
                if last.is_some_and(|last| is_crowded(last, sample.at, spacing_us)) {
                    return false;
                }
                last = Some(sample.at);
                sample.gap_before = std::mem::take(&mut gap);
                true
            });
            self.gap |= gap;
        }
        Ok(())
    }

    /// Turns all moments of the clock into UTC, `offset_us` later.
    pub fn tie(&mut self, offset_us: i64) {
        self.kept.iter_mut().for_each(|sample| sample.at = sample.at.tied(offset_us));
        self.last = self.last.map(|last| last.tied(offset_us));
    }

    /// Removes all fixes whose clock has no relation to UTC, and returns their number.
    pub fn drop_untied(&mut self) -> u64 {
        let before = self.kept.len();
        self.kept.retain(|sample| matches!(sample.at, Moment::Utc(_)));
        (before - self.kept.len()) as u64
    }
}

fn is_crowded(last: Moment, next: Moment, spacing_us: i64) -> bool {
    (0..spacing_us).contains(&next.us().saturating_sub(last.us()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(us: i64) -> Sample {
        Sample::new(Moment::Utc(us), 35.0, 139.0, PositionSource::SerialGps).expect("a place")
    }

    fn moments(samples: Samples) -> Vec<(i64, bool)> {
        samples.into_vec().iter().map(|sample| (sample.at.us(), sample.gap_before)).collect()
    }

    #[test]
    fn a_moment_that_is_told_again_replaces_itself_and_silence_begins_a_segment() {
        let mut samples = Samples::new(100, Some(10_000_000));
        for us in [0, 0, 1_000_000, 11_000_000, 21_000_001, 21_000_001] {
            samples.push(Sample { hdop: us as f64, ..sample(us) }).expect("room");
        }
        let kept = moments(samples);
        assert_eq!(kept, [(0, false), (1_000_000, false), (11_000_000, false), (21_000_001, true)]);
    }

    #[test]
    fn too_many_fixes_are_thinned_evenly_and_interruptions_stay() {
        let mut samples = Samples::new(1_000, None);
        for index in 0..10_000 {
            if index == 5_001 {
                samples.interrupt();
            }
            samples.push(sample(index * 200_000)).expect("thinned");
        }
        let spacing_us = samples.spacing_us();
        assert_eq!(spacing_us, 3_200_000, "100 ms doubled until 2,000 seconds fit into 1,000 fixes");
        let kept = moments(samples);
        assert!((500..=1_000).contains(&kept.len()), "{}", kept.len());
        assert!(kept.windows(2).all(|pair| pair[1].0 - pair[0].0 >= spacing_us || pair[1].1));
        assert!(kept.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 2 * spacing_us));
        assert_eq!(kept.iter().filter(|(_, gap)| *gap).count(), 1);
    }

    #[test]
    fn times_that_do_not_increase_are_refused_when_there_are_too_many() {
        let mut samples = Samples::new(100, None);
        let outcome = (0..1_000).try_for_each(|index| samples.push(sample(-index)));
        assert!(matches!(outcome, Err(TrackError::TooMany(100))));
    }

    #[test]
    fn places_that_cannot_be_are_refused() {
        let at = |latitude, longitude| Sample::new(Moment::Utc(0), latitude, longitude, PositionSource::Mavlink);
        for (latitude, longitude) in [(0.0, 0.0), (90.1, 0.0), (0.0, -180.1), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(at(latitude, longitude).is_none(), "{latitude} {longitude}");
        }
        assert!(at(-90.0, 180.0).is_some() && at(0.0, 9.5).is_some());
        assert!(size_of::<Sample>() <= 80, "{}", size_of::<Sample>());
    }
}
