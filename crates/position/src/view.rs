//! Combines everything that is known at one moment into the time and place of a photo.

use std::ops::RangeInclusive;

use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use bridgeclip_domain::{Position, PositionSource, Time, TimeQuality};

use super::Fix;
use super::camera::{CameraName, Cameras, seconds};
use super::claims::{Claims, Origin};
use super::clock::{GpsTime, Reading};
use super::moment::{DeviceTime, Moment, WRITING_S_MAX, weigh, weigh_later};
use super::place;
use super::shots::{Found, PhotoKey, Shots};
use super::track::{Track, When};

/// A photo with the evidence for its moment and place.
#[derive(Clone, Debug, PartialEq)]
pub struct Photo {
    /// Name of the file without folders.
    pub file_name: Option<String>,
    /// Name of its camera's clock.
    pub camera: Option<CameraName>,
    pub claims: Claims,
}

/// Time and position of a capture.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Exposure by the monotonic clock of this boot, if known.
    pub monotonic_ns: Option<u64>,
    /// Most trusted position, if there is one.
    pub position: Option<Position>,
}

/// Source of fixes from before this start of the program.
pub trait History {
    /// Returns the stored fixes between two moments, in their order.
    fn fixes(&self, from: Timestamp, to: Timestamp) -> Vec<Fix>;
}

/// A history without fixes.
#[derive(Clone, Copy, Debug)]
pub struct NoHistory;

impl History for NoHistory {
    fn fixes(&self, _: Timestamp, _: Timestamp) -> Vec<Fix> {
        Vec::new()
    }
}

/// Stored fixes that were fetched beforehand.
#[derive(Clone, Debug, Default)]
pub struct Fetched(pub Vec<Fix>);

impl History for Fetched {
    fn fixes(&self, _: Timestamp, _: Timestamp) -> Vec<Fix> {
        self.0.clone()
    }
}

/// Everything that is known about time and positions at one moment.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub gps: &'a GpsTime,
    pub now: &'a Reading,
    pub track: &'a Track,
    pub shots: &'a Shots,
    pub cameras: &'a Cameras,
    pub history: &'a dyn History,
    /// Offset from UTC of cameras that state none.
    pub zone: Offset,
    /// Maximum age, in seconds at the exposure, of a position that is used.
    pub age_s_max: f64,
}

/// Longest doubt about a moment, in seconds, with which the track is searched.
const DOUBT_S_MAX: f64 = 3_600.0;

impl View<'_> {
    /// Returns the clocks of the device.
    pub fn device(&self) -> DeviceTime<'_> {
        DeviceTime { gps: self.gps, now: self.now }
    }

    /// Returns time and position of a photo that this boot has seen.
    pub fn locate(&self, photo: &Photo) -> Located {
        let found = self.reported(photo);
        let Moment { taken, monotonic_ns } = self.moment(photo, found.as_ref());
        let origin = photo.claims.origin;
        let own = own_places(&photo.claims, &taken);
        let told = found.and_then(|found| found.position);
        let measured = self.measured(&taken, monotonic_ns);
        let measured = if origin == Origin::Uploaded { measured.map(place::nearby) } else { measured };
        let position = place::most_trusted(own.chain(told).chain(measured), self.age_s_max);
        Located { taken, monotonic_ns, position }
    }

    /// Returns the time of a photo of another boot by its camera's clock, if that is better than what the device saw.
    pub fn time_later(&self, photo: &Photo) -> Option<Time> {
        let clock = photo.camera.as_ref().and_then(|name| self.cameras.get(name));
        weigh_later(&photo.claims, clock, self.zone)
    }

    /// Returns the position at the moment of a photo of another boot, from its claims and the history.
    pub fn place_later(&self, photo: &Photo, taken: &Time) -> Option<Position> {
        let measured = self.of_history(taken);
        let measured = if photo.claims.origin == Origin::Uploaded { measured.map(place::nearby) } else { measured };
        place::most_trusted(own_places(&photo.claims, taken).chain(measured), self.age_s_max)
    }

    fn moment(&self, photo: &Photo, found: Option<&Found>) -> Moment {
        let clock = photo.camera.as_ref().and_then(|name| self.cameras.get(name));
        weigh(&photo.claims, found.map(|found| found.shot), clock, self.zone, &self.device())
    }

    /// Returns the flight controller's report that fits a photo.
    pub fn reported(&self, photo: &Photo) -> Option<Found> {
        self.shots.find(&photo.key(), self.window(photo)?)
    }

    /// Returns the moments that the exposure can have, by the monotonic clock.
    pub fn window(&self, photo: &Photo) -> Option<RangeInclusive<u64>> {
        let latest_ns = photo.claims.latest_ns();
        let is_live = photo.claims.is_live();
        let Moment { taken, .. } = self.moment(photo, None);
        let doubt_s = taken.error_s.filter(|error_s| !is_live || *error_s <= WRITING_S_MAX);
        match (self.device().monotonic(taken.at), doubt_s) {
            (Some(at_ns), Some(doubt_s)) => {
                let doubt_ns = (doubt_s * 1e9) as u64;
                Some(at_ns.saturating_sub(doubt_ns)..=at_ns.saturating_add(doubt_ns).min(latest_ns))
            }
            _ if is_live => Some(latest_ns.saturating_sub((WRITING_S_MAX * 1e9) as u64)..=latest_ns),
            _ => None,
        }
    }

    /// Returns the device's position at the exposure, as far as the moment is known. The history is asked only where the
    /// track of this start does not reach.
    fn measured(&self, taken: &Time, monotonic_ns: Option<u64>) -> Option<Position> {
        let here = self.by_track(taken, monotonic_ns);
        if here.as_ref().is_some_and(|here| reaches(here, taken)) {
            return here;
        }
        let smaller =
            |a: &Position, b: &Position| a.error_m.partial_cmp(&b.error_m).unwrap_or(std::cmp::Ordering::Equal);
        here.into_iter().chain(self.of_history(taken)).min_by(smaller)
    }

    /// Returns the device's position by the track of this start.
    fn by_track(&self, taken: &Time, monotonic_ns: Option<u64>) -> Option<Position> {
        let error_s = taken.error_s.filter(|error_s| *error_s <= DOUBT_S_MAX)?;
        when(taken, monotonic_ns).and_then(|when| self.track.within(when, error_s))
    }

    /// Returns the device's position by stored fixes.
    fn of_history(&self, taken: &Time) -> Option<Position> {
        let (from, to) = self.span(taken)?;
        Track::of_history(self.history.fixes(from, to)).within(When::Utc(taken.at), taken.error_s?)
    }

    /// Returns the span of time whose stored fixes can tell a position at this moment; `None` for an uncertain moment.
    fn span(&self, taken: &Time) -> Option<(Timestamp, Timestamp)> {
        if taken.quality == TimeQuality::Unsynced {
            return None;
        }
        let error_s = taken.error_s.filter(|error_s| *error_s <= DOUBT_S_MAX)?;
        let reach = SignedDuration::from_secs_f64(error_s + self.age_s_max);
        Some((taken.at.checked_sub(reach).ok()?, taken.at.checked_add(reach).ok()?))
    }

    /// Returns the span of time whose stored fixes [`View::locate`] needs; `None` if the track of this start is enough.
    pub fn wanted(&self, photo: &Photo) -> Option<(Timestamp, Timestamp)> {
        let Moment { taken, monotonic_ns } = self.moment(photo, self.reported(photo).as_ref());
        let here = self.by_track(&taken, monotonic_ns);
        if here.is_some_and(|here| reaches(&here, &taken)) { None } else { self.span(&taken) }
    }
}

/// Age in seconds up to which a fix of this start is as good as any stored one.
const NEAR_S: f64 = 10.0;

/// Reports whether the track reaches to a moment.
fn reaches(here: &Position, taken: &Time) -> bool {
    here.age_s.is_some_and(|age_s| age_s <= taken.error_s.unwrap_or_default().max(NEAR_S))
}

/// Returns the positions that a photo contains, each with its error. The age of the position in the EXIF block is known
/// once the moment of the exposure is.
fn own_places(claims: &Claims, taken: &Time) -> impl Iterator<Item = Position> {
    let Claims { is_drone, speed_mps, gps, places, .. } = claims;
    let age_s = gps.filter(|_| taken.error_s.is_some()).map(|gps| (seconds(taken.at) - seconds(gps)).abs());
    places.iter().map(move |position| {
        let age_s = if position.source == PositionSource::Exif { age_s.or(position.age_s) } else { position.age_s };
        place::own(&Position { age_s, ..position.clone() }, *is_drone, *speed_mps)
    })
}

impl Photo {
    /// Returns the key under which reports know the photo.
    pub fn key(&self) -> PhotoKey {
        PhotoKey { file_name: self.file_name.clone(), latest_ns: self.claims.latest_ns() }
    }
}

/// Returns the moment to look up in the track. Satellite time finds the moment of a fix itself, and the monotonic clock
/// its arrival, a fraction of a second later. A guessed time finds no position.
pub fn when(taken: &Time, monotonic_ns: Option<u64>) -> Option<When> {
    match monotonic_ns {
        _ if taken.quality == TimeQuality::Gps => Some(When::Utc(taken.at)),
        Some(ns) => Some(When::Monotonic(ns)),
        None if taken.quality == TimeQuality::Unsynced => None,
        None => Some(When::Utc(taken.at)),
    }
}
