//! Learns how far the clocks of cameras are off.
//!
//! A camera's clock is set by hand, may be in another zone, and drifts. Two kinds of photos tell its error: those that
//! the device sees arrive, because an exposure is never later than the end of writing, and those in which the camera
//! stored satellite time, because an exposure is hardly ever earlier than the fix beside it. The first kind bounds the
//! clock's lead from below and the second kind from above, in the way in which one-way delays bound the offset between
//! two clocks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

use bridgeclip_domain::Camera;

use super::claims::CameraReading;

/// Name under which a camera's clock is known: make, model and serial number, as far as the camera states them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CameraName(String);

/// Maximum length of a name in characters; makers use fewer.
const NAME_CHARS_MAX: usize = 120;

impl CameraName {
    /// Returns the name of a camera; `None` if it states neither model nor serial number.
    pub fn of(camera: &Camera) -> Option<Self> {
        camera.model.as_ref().or(camera.serial.as_ref())?;
        let parts = [&camera.make, &camera.model, &camera.serial];
        let words: Vec<&str> = parts.iter().filter_map(|part| part.as_deref()).collect();
        Some(CameraName(words.join(" ").chars().take(NAME_CHARS_MAX).collect()))
    }

    /// Returns the name as text, as in `SONY ILCE-7M4 01234567`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for CameraName {
    fn from(name: String) -> Self {
        CameraName(name)
    }
}

/// Lead of a camera's clock over UTC, in seconds: what the display shows minus UTC, or, for a camera that states its
/// offset from UTC, what remains after that offset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lead {
    pub lead_s: f64,
    /// Half-width of the 95 % interval in seconds, at `seen`.
    pub error_s: f64,
    /// First and last exposure, by the device's time, at which the lead was seen.
    pub since: Timestamp,
    pub seen: Timestamp,
    pub source: LeadSource,
}

/// Origin of a known lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadSource {
    /// Photos that the device saw arrive.
    Arrivals,
    /// Satellite time in photos.
    Satellites,
    /// A person, with `bridgeclip camera set`.
    Person,
}

/// What is known about one camera's clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CameraClock {
    /// Time zone of the display, set by a person: an IANA name such as `Asia/Tokyo`, or an offset such as `+09:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Leads, oldest first. There are several if the clock was set between photos.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leads: Vec<Lead>,
    /// Latest observations, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    observations: Vec<Observation>,
}

/// Bounds on the lead that one photo gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Moment by the device's time or by satellites at which it was made.
    pub at: Timestamp,
    /// Reading of the camera's clock as if its display showed UTC, in seconds since 1970.
    pub reading_s: f64,
    /// The lead is at least this large; `None` if the device did not see the photo arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_s: Option<f64>,
    /// The lead is at most this large; `None` without satellite time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_s: Option<f64>,
    /// Step of the camera's clock in seconds.
    pub step_s: f64,
}

/// Number of observations that are kept for a camera.
const OBSERVATIONS_MAX: usize = 32;
/// Number of leads that are kept for a camera.
const LEADS_MAX: usize = 8;
/// Number of cameras that are kept; the one seen longest ago gives way.
const CAMERAS_MAX: usize = 64;

/// Number of photos that must agree before a lead is believed.
const AGREEMENTS: usize = 4;
/// Seconds that these photos must span at least. Copies of a burst arrive together and would agree by chance.
const SPAN_S_MIN: f64 = 20.0;
/// Difference in seconds up to which photos agree: a camera takes up to three seconds to write a photo, depending on
/// its size and on how many wait. Assumed; no standard states it.
const AGREE_S: f64 = 3.0;
/// Share of the latest observations that must agree.
const AGREE_SHARE: f64 = 0.75;
/// Least time in seconds from exposure to the end of writing, and its doubt: readout, compression, and a write of 5 to
/// 20 MB at 20 to 90 MB/s. Assumed.
const WRITING_S_MIN: f64 = 0.3;
const WRITING_DOUBT_S: f64 = 0.5;
/// Age in seconds that the fix beside a photo usually has at most.
const FIX_AGE_S: f64 = 1.0;
/// Drift of a quartz clock, in seconds per second: 25 ppm, about two seconds a day.
const DRIFT: f64 = 25e-6;

impl CameraReading {
    /// Seconds since 1970 of the reading, as if the display showed UTC, after the stated offset if there is one.
    pub fn seconds(&self) -> Option<f64> {
        let offset = self.offset.unwrap_or(Offset::UTC);
        Some(seconds(offset.to_timestamp(self.civil).ok()?))
    }
}

/// Returns the seconds since 1970 of a moment. Doubles hold them to a microsecond.
pub fn seconds(at: Timestamp) -> f64 {
    at.as_nanosecond() as f64 / 1e9
}

/// Returns the moment of seconds since 1970, to a millisecond.
pub fn moment(seconds: f64) -> Option<Timestamp> {
    let milliseconds = (seconds * 1e3).round();
    (milliseconds.abs() < 1e15).then(|| Timestamp::from_millisecond(milliseconds as i64).ok())?
}

impl CameraClock {
    /// Returns a clock that a person has set: `zone` as for [`CameraClock::zone`], and the seconds by which the display
    /// is ahead of that zone's time, with the half-width of their 95 % interval.
    pub fn set(zone: Option<String>, ahead_s: f64, error_s: f64, now: Timestamp) -> Self {
        let lead = Lead { lead_s: ahead_s, error_s, since: now, seen: now, source: LeadSource::Person };
        CameraClock { zone, leads: vec![lead], observations: Vec::new() }
    }

    /// Reports whether a person has set the clock.
    pub fn is_set(&self) -> bool {
        self.leads.iter().any(|lead| lead.source == LeadSource::Person)
    }

    /// Returns the moment of a reading in seconds since 1970, and the half-width of its 95 % interval. `None` while the
    /// clock is unknown.
    pub fn moment(&self, reading: &CameraReading) -> Option<(f64, f64)> {
        let shown = self.shown(reading)?;
        // The lead whose time is nearest to the reading.
        let distance = |lead: &Lead| {
            let at = shown - lead.lead_s;
            (seconds(lead.since) - at).max(at - seconds(lead.seen)).max(0.0)
        };
        let lead = self.leads.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let drift_s = if lead.source == LeadSource::Person { 0.0 } else { DRIFT * distance(lead) };
        let error_s = lead.error_s + reading.step_s / 2.0 + drift_s;
        Some((shown + reading.step_s / 2.0 - lead.lead_s, error_s))
    }

    /// Returns the seconds since 1970 that the display shows in the zone that a person has set, or in the offset that
    /// the file states.
    fn shown(&self, reading: &CameraReading) -> Option<f64> {
        match (&self.zone, reading.offset) {
            (Some(zone), None) => Some(seconds(local(reading.civil, zone)?)),
            _ => reading.seconds(),
        }
    }

    /// Adds the bounds that a photo gives, and returns whether the clock is known better now.
    pub fn observe(&mut self, observation: Observation) -> bool {
        if self.is_set() {
            return false;
        }
        self.observations.push(observation);
        if self.observations.len() > OBSERVATIONS_MAX {
            self.observations.remove(0);
        }
        let before = self.leads.last().copied();
        let Some(lead) = self.estimate() else { return self.retract() };
        match self.leads.last_mut() {
            Some(last) if (last.lead_s - lead.lead_s).abs() <= last.error_s + lead.error_s + AGREE_S => {
                *last = Lead { since: last.since.min(lead.since), ..lead };
            }
            _ => self.leads.push(lead),
        }
        if self.leads.len() > LEADS_MAX {
            self.leads.remove(0);
        }
        before.is_none_or(|before| lead.is_news(&before))
    }

    /// Takes the latest lead back if the photos since then contradict it, as copies do that agreed by chance.
    fn retract(&mut self) -> bool {
        let Some(last) = self.leads.last().filter(|last| last.source == LeadSource::Arrivals) else { return false };
        let (highest_s, lowest_s) = (last.lead_s + AGREE_S, last.lead_s - AGREE_S - WRITING_S_MIN);
        let latest = self.observations.iter().rev().filter_map(|one| one.least_s).take(2 * AGREEMENTS);
        let contradicts = latest.filter(|least_s| !(lowest_s..=highest_s).contains(least_s)).count();
        let is_refuted = contradicts > AGREEMENTS;
        if is_refuted {
            self.leads.pop();
        }
        is_refuted
    }

    /// Returns the lead that the latest observations agree on.
    fn estimate(&self) -> Option<Lead> {
        let last = self.observations.last()?;
        // After the clock was set, the latest observations contradict the older ones.
        let recent = self.observations.iter().rev().take_while(|observation| observation.may_agree(last));
        let recent: Vec<&Observation> = recent.collect();
        arrivals(&recent).or_else(|| satellites(&recent))
    }
}

impl Lead {
    /// Reports whether the lead differs so much from an older one that stored captures should learn it.
    fn is_news(&self, before: &Lead) -> bool {
        let moved_s = (self.lead_s - before.lead_s).abs();
        moved_s > 0.1_f64.max(before.error_s / 2.0) || self.error_s < before.error_s / 2.0
    }
}

impl Observation {
    /// Reports whether one lead can explain this observation and a later one.
    fn may_agree(&self, later: &Observation) -> bool {
        let drift_s = DRIFT * (seconds(later.at) - seconds(self.at)).abs();
        let crosses = |least: Option<f64>, most: Option<f64>| {
            least.zip(most).is_some_and(|(least, most)| least > most + FIX_AGE_S + AGREE_S + drift_s)
        };
        // A photo may have been written late, but not by minutes.
        let differs = self.least_s.zip(later.least_s).is_some_and(|(a, b)| (a - b).abs() > MINUTES_S + drift_s);
        !crosses(self.least_s, later.most_s) && !crosses(later.least_s, self.most_s) && !differs
    }
}

/// Difference in seconds between two photos' bounds beyond which the camera's clock was set between them.
const MINUTES_S: f64 = 90.0;

/// Estimates the lead from photos that the device saw arrive.
fn arrivals(observations: &[&Observation]) -> Option<Lead> {
    let least = |observation: &&Observation| observation.least_s;
    let arrived: Vec<&&Observation> = observations.iter().filter(|one| one.least_s.is_some()).take(16).collect();
    let highest = arrived.iter().filter_map(|one| least(one)).fold(f64::NEG_INFINITY, f64::max);
    let agreeing: Vec<&&&Observation> =
        arrived.iter().filter(|one| least(one).is_some_and(|least| least >= highest - AGREE_S)).collect();
    let spans_s = |value: fn(&Observation) -> f64| {
        let values = || agreeing.iter().map(|one| value(one));
        values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
    };
    let span_s = spans_s(|one| seconds(one.at)).min(spans_s(|one| one.reading_s));
    let share = agreeing.len() as f64 / arrived.len().max(1) as f64;
    if agreeing.len() < AGREEMENTS || span_s < SPAN_S_MIN || share < AGREE_SHARE {
        return None;
    }
    // The reading is cut off to the step; among n photos the least part that was cut off is about a step / (n + 1).
    let step_s = agreeing.iter().map(|one| one.step_s).fold(0.0, f64::max) / (agreeing.len() + 1) as f64;
    let lead_s = highest + WRITING_S_MIN + step_s;
    let most = observations.iter().filter_map(|one| one.most_s).fold(f64::INFINITY, f64::min) + FIX_AGE_S;
    let lead_s = if most > highest { lead_s.min(most) } else { lead_s };
    lead(observations, lead_s, WRITING_DOUBT_S + step_s, LeadSource::Arrivals)
}

/// Estimates the lead from satellite time in photos.
fn satellites(observations: &[&Observation]) -> Option<Lead> {
    let bounded: Vec<f64> = observations.iter().filter_map(|one| one.most_s).collect();
    let lowest = bounded.iter().copied().fold(f64::INFINITY, f64::min);
    // Old fixes have ages of all sizes, or one that grows; fresh ones agree.
    let agreeing = bounded.iter().filter(|most| **most <= lowest + AGREE_S).count();
    if agreeing < AGREEMENTS - 1 || (agreeing as f64) < AGREE_SHARE * bounded.len() as f64 {
        return None;
    }
    lead(observations, lowest - FIX_AGE_S / 2.0, FIX_AGE_S, LeadSource::Satellites)
}

fn lead(observations: &[&Observation], lead_s: f64, error_s: f64, source: LeadSource) -> Option<Lead> {
    let moments = || observations.iter().map(|one| one.at);
    Some(Lead { lead_s, error_s, since: moments().min()?, seen: moments().max()?, source })
}

/// Returns the moment of a civil time in a zone: an IANA name or an offset. In the hour that summer time repeats, the
/// first one counts.
fn local(civil: DateTime, zone: &str) -> Option<Timestamp> {
    let zone = zone_of(zone)?;
    zone.to_ambiguous_zoned(civil).compatible().ok().map(|zoned| zoned.timestamp())
}

/// Returns the time zone of an IANA name such as `Asia/Tokyo` or of an offset such as `+09:00`; `None` if there is none
/// of this name.
pub fn zone_of(name: &str) -> Option<TimeZone> {
    let fixed = jiff::fmt::strtime::parse("%:z", name).ok().and_then(|parsed| parsed.offset());
    fixed.map(TimeZone::fixed).or_else(|| TimeZone::get(name).ok())
}

/// Clocks of all cameras that the device has met.
#[derive(Clone, Debug, Default)]
pub struct Cameras {
    clocks: BTreeMap<CameraName, CameraClock>,
}

impl Cameras {
    /// Returns what is known about a camera's clock.
    pub fn get(&self, name: &CameraName) -> Option<&CameraClock> {
        self.clocks.get(name)
    }

    /// Replaces what is known about a camera's clock.
    pub fn put(&mut self, name: CameraName, clock: CameraClock) {
        self.clocks.insert(name, clock);
        self.make_room();
    }

    /// Returns all cameras in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&CameraName, &CameraClock)> {
        self.clocks.iter()
    }

    /// Notes that a camera has taken a photo. Returns whether it is new.
    pub fn meet(&mut self, name: &CameraName) -> bool {
        let is_new = !self.clocks.contains_key(name);
        self.clocks.entry(name.clone()).or_default();
        self.make_room();
        is_new
    }

    /// Adds the bounds that a photo gives to a camera's clock. Returns whether the clock is known better now.
    pub fn observe(&mut self, name: &CameraName, observation: Observation) -> bool {
        let known_better = self.clocks.entry(name.clone()).or_default().observe(observation);
        self.make_room();
        known_better
    }

    fn make_room(&mut self) {
        while self.clocks.len() > CAMERAS_MAX {
            let last = |clock: &CameraClock| clock.observations.last().map(|one| one.at);
            let oldest = self.clocks.iter().filter(|(_, clock)| !clock.is_set());
            let Some(name) = oldest.min_by_key(|(_, clock)| last(clock)).map(|(name, _)| name.clone()) else { return };
            self.clocks.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: f64) -> Timestamp {
        moment(1_795_000_000.0 + second).expect("a moment")
    }

    /// A photo exposed at a second, written after a delay, by a camera whose clock is ahead.
    fn arrival(second: f64, delay_s: f64, ahead_s: f64, step_s: f64) -> Observation {
        let shown = ((1_795_000_000.0 + second + ahead_s) / step_s).floor() * step_s;
        let written = second + delay_s;
        let least_s = Some(shown - 1_795_000_000.0 - written);
        Observation { at: at(written), reading_s: shown, least_s, most_s: None, step_s }
    }

    fn learned(observations: impl IntoIterator<Item = Observation>) -> CameraClock {
        let mut clock = CameraClock::default();
        observations.into_iter().for_each(|observation| {
            clock.observe(observation);
        });
        clock
    }

    fn reading(second: f64, ahead_s: f64, step_s: f64) -> CameraReading {
        let shown = moment(((1_795_000_000.0 + second + ahead_s) / step_s).floor() * step_s).expect("a moment");
        CameraReading { civil: Offset::UTC.to_datetime(shown), offset: None, step_s }
    }

    #[test]
    fn live_photos_tell_the_lead() {
        for (ahead_s, step_s) in [(-3_600.0, 0.01), (32_400.0, 1.0), (-840_000_000.0, 1.0), (0.0, 0.01), (130.0, 1.0)] {
            let delays = [0.9, 0.4, 1.7, 0.5, 2.2, 0.3];
            let photos =
                delays.iter().enumerate().map(|(index, delay)| arrival(7.3 * index as f64, *delay, ahead_s, step_s));
            let clock = learned(photos);
            let (found, error_s) = clock.moment(&reading(100.0, ahead_s, step_s)).expect("learned");
            let off = found - 1_795_000_100.0;
            assert!(off.abs() <= error_s && error_s < 2.0, "{ahead_s} {step_s}: {off} {error_s}");
        }
    }

    #[test]
    fn copies_teach_nothing() {
        // Photos taken over ten minutes and copied within seconds.
        let copies = (0..20).map(|index| {
            let second = 30.0 * f64::from(index);
            arrival(second, 1_000.0 - second + 0.2 * f64::from(index), 0.0, 1.0)
        });
        assert_eq!(learned(copies).leads, []);
        // Copies with delays of their own, over a slow link.
        let slow = [98.0, 12.0, 55.0, 3.0, 80.0, 41.0, 70.0, 20.0];
        let copies = slow.iter().enumerate().map(|(index, delay)| arrival(10.0 * index as f64, *delay, 0.0, 0.01));
        assert_eq!(learned(copies).leads, []);
        let burst = (0..9).map(|index| arrival(0.2 * f64::from(index), 300.0, 0.0, 0.01));
        assert_eq!(learned(burst).leads, [], "one burst, copied together");
    }

    #[test]
    fn a_clock_that_is_set_has_another_lead_from_then_on() {
        let before = (0..5).map(|index| arrival(10.0 * f64::from(index), 0.5, 3_600.0, 0.01));
        let after = (0..5).map(|index| arrival(1_000.0 + 10.0 * f64::from(index), 0.5, 0.0, 0.01));
        let clock = learned(before.chain(after));
        assert_eq!(clock.leads.len(), 2, "{clock:?}");
        for (second, ahead_s) in [(30.0, 3_600.0), (1_100.0, 0.0)] {
            let (found, error_s) = clock.moment(&reading(second, ahead_s, 0.01)).expect("known");
            assert!((found - 1_795_000_000.0 - second).abs() <= error_s, "{second}");
        }
    }

    #[test]
    fn satellite_time_in_photos_tells_the_lead() {
        let stamped = |second: f64, age_s: f64| {
            let reading_s = 1_795_000_000.0 + second + 32_400.0;
            let most_s = Some(reading_s + 0.01 - (1_795_000_000.0 + second - age_s));
            Observation { at: at(second), reading_s, least_s: None, most_s, step_s: 0.01 }
        };
        let clock = learned(
            [0.4, 40.0, 0.9, 0.2].into_iter().zip(1..).map(|(age_s, ten)| stamped(10.0 * f64::from(ten), age_s)),
        );
        let (found, error_s) = clock.moment(&reading(500.0, 32_400.0, 0.01)).expect("known");
        assert!((found - 1_795_000_500.0).abs() <= error_s && error_s < 1.5);
        assert_eq!(learned([stamped(0.0, 0.4)]).leads, [], "one photo may have an old fix");
    }

    #[test]
    fn a_person_sets_a_clock_with_summer_time() {
        let clock = CameraClock::set(Some("Europe/Berlin".into()), 12.0, 1.0, at(0.0));
        let read = |civil: &str| {
            let reading = CameraReading { civil: civil.parse().expect("a time"), offset: None, step_s: 1.0 };
            clock.moment(&reading).and_then(|(found, _)| moment(found)).expect("known").to_string()
        };
        assert_eq!(read("2026-07-01T12:00:12"), "2026-07-01T10:00:00.5Z");
        assert_eq!(read("2026-12-01T12:00:12"), "2026-12-01T11:00:00.5Z");
        let mut clock = CameraClock::set(Some("+09:00".into()), 0.0, 1.0, at(0.0));
        assert!(!clock.observe(arrival(0.0, 1.0, 0.0, 1.0)), "a person's word stays");
        assert_eq!(zone_of("Nowhere/Town"), None);
    }

    #[test]
    fn cameras_are_bounded_and_named() {
        let mut cameras = Cameras::default();
        for index in 0..CAMERAS_MAX + 5 {
            let camera = Camera { model: Some(format!("X{index}")), ..Camera::default() };
            cameras.observe(&CameraName::of(&camera).expect("a name"), arrival(index as f64, 1.0, 0.0, 1.0));
        }
        assert_eq!(cameras.iter().count(), CAMERAS_MAX);
        assert_eq!(cameras.get(&CameraName::from("X0".to_owned())), None, "seen longest ago");
        assert_eq!(CameraName::of(&Camera { make: Some("DJI".into()), ..Camera::default() }), None);
    }
}
