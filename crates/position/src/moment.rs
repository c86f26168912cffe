//! Weighs what is known about the moment of an exposure.
//!
//! Each piece of evidence gives an interval. The sources, best first:
//!
//! | basis | moment | 95 % interval |
//! |---|---|---|
//! | stated UTC (`camera_gps`) | as a drone states it | ± 0.5 s |
//! | `trigger` | a flight controller's report that fits the photo | as the report says, mostly ± 0.3 s |
//! | `camera`, known clock | reading minus the learned lead | lead's error + half a step of the clock |
//! | `camera`, confirmed by the satellite time beside it | reading in the zone that this time shows | their difference + 1.5 s |
//! | `written` | end of writing that the device saw | 3 s; 120 s if the camera has a clock that cannot be used |
//! | `camera`, unknown clock | reading in the stated zone, or that of the settings | up to the arrival and 3 s at least; ± 300 s for a card |
//! | satellite time without a reading (`camera_gps`) | that time; not for a photo that was seen being written | ± 300 s |
//! | `arrival`, `file` | upload; modification time | unknown |
//!
//! An exposure is never later than the moment when the file was there. A reading after that moment, of a clock that was
//! reset, or off by a time zone is not believed, and the reason goes into the event.

use jiff::Timestamp;
use jiff::tz::Offset;

use bridgeclip_domain::{Time, TimeBasis, TimeConflict, TimeConflictReason, TimeQuality};

use super::camera::{CameraClock, Observation, moment, seconds};
use super::claims::{CameraReading, Claims, Origin};
use super::clock::{GpsTime, LATENCY_S, Reading, is_plausible, time_at};
use super::rounding::milliseconds;

/// When a photo was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Moment {
    /// Calendar time of the exposure with its basis, error and strongest contradiction.
    pub taken: Time,
    /// The exposure by the monotonic clock of this boot, if known.
    pub monotonic_ns: Option<u64>,
}

/// Clocks of the device, for this boot.
#[derive(Clone, Copy, Debug)]
pub struct DeviceTime<'a> {
    pub gps: &'a GpsTime,
    pub now: &'a Reading,
}

/// Doubt about a moment in UTC that a drone states, in seconds: it comes from its own receiver, rounded.
const STATED_S: f64 = 0.5;
/// Age in seconds up to which the satellite time beside a photo confirms the camera's reading.
const CONFIRMS_S: f64 = 5.0;
/// Doubt in seconds about a reading that satellite time confirms, beside the difference between both: the fix may be a
/// second old, and its time is often cut off to whole seconds.
const CONFIRMED_S: f64 = 1.5;
/// Time in seconds that a camera takes at most (95 %) from the exposure to the end of writing.
pub const WRITING_S_MAX: f64 = 3.0;
/// Seconds by which a reading may be later than the arrival: the clock's step, and the rounding of file systems.
const FUTURE_S: f64 = 2.0;
/// Delay in seconds up to which a reading before the arrival is taken for the exposure, as a slow writer or a prompt
/// copy explains it.
const PROMPT_S: f64 = 120.0;
/// Steps of time zones and of summer time, in seconds: all are multiples of a quarter of an hour.
const QUARTER_S: f64 = 900.0;
/// Largest difference between two zones in seconds: 26 hours.
const ZONES_S_MAX: f64 = 93_600.0;
/// Doubt in seconds about a camera's clock of which nothing is known: minutes, as clocks that are set by hand and drift
/// by two seconds a day show after months.
const UNKNOWN_CLOCK_S: f64 = 300.0;
/// Year before which a camera's clock counts as reset. Clocks begin in 1970, 1980 or 2000.
const YEAR_MIN: i16 = 2004;
/// Year before which there were no digital cameras that write EXIF blocks (version 1 is of 1995).
const ARCHIVE_YEAR_MIN: i16 = 1995;
/// Hours after the start of a year within which a clock of an earlier year counts as reset: cameras start on the first
/// of January of the year in which they were made.
const RESET_H: f64 = 48.0;

/// A moment with its worth, on its way to becoming a [`Time`].
struct Chosen {
    at: Timestamp,
    error_s: Option<f64>,
    basis: TimeBasis,
    quality: TimeQuality,
    conflict: Option<TimeConflict>,
}

/// A report by a flight controller that fits a photo.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shot {
    /// Moment of exposure by the monotonic clock.
    pub exposed_ns: u64,
    /// Half-width of its 95 % interval in seconds.
    pub error_s: f64,
}

impl<'a> DeviceTime<'a> {
    /// Returns the calendar time at a moment of this boot, from the best source known now.
    pub fn at(&self, monotonic_ns: u64) -> Time {
        time_at(monotonic_ns, self.gps, self.now)
    }

    /// Returns the moment of this boot at which a calendar time was, by the best source known now; `None` if nothing
    /// keeps the device's time.
    pub fn monotonic(&self, at: Timestamp) -> Option<u64> {
        let now = self.at(self.now.monotonic_ns);
        if now.quality == TimeQuality::Unsynced {
            return None;
        }
        Reading { wall: now.at, ..*self.now }.monotonic_at(at)
    }
}

/// Weighs the claims of a photo that this boot has seen. `shot` is a report that fits it, `camera` what is known about
/// the camera's clock, `zone` the offset of cameras that state none.
pub fn weigh(
    claims: &Claims,
    shot: Option<Shot>,
    camera: Option<&CameraClock>,
    zone: Offset,
    device: &DeviceTime,
) -> Moment {
    let latest = device.at(claims.latest_ns());
    let known = (latest.quality != TimeQuality::Unsynced).then_some(&latest);
    if let Some(shot) = shot {
        let Time { at, quality, .. } = device.at(shot.exposed_ns);
        let conflict = reading(claims, camera, zone).and_then(|reading| contradiction(&reading, at, shot.error_s));
        let error_s = Some(shot.error_s + LATENCY_S);
        let chosen = Chosen { at, error_s, basis: TimeBasis::Trigger, quality, conflict };
        return chosen.on(Some(shot.exposed_ns));
    }
    match weigh_camera(claims, camera, zone, known) {
        Some(Choice::Camera(chosen)) => {
            let monotonic_ns = known.and_then(|_| device.monotonic(chosen.at)).map(|ns| ns.min(claims.latest_ns()));
            // What a live photo's moment rests on is this boot's clock; another photo may be of any boot.
            chosen.on(monotonic_ns.filter(|_| claims.is_live()))
        }
        Some(Choice::Device(conflict)) => by_device(claims, &latest, conflict),
        None => by_device(claims, &latest, None),
    }
}

/// Weighs the claims of a photo of another boot, whose clock is gone.
pub fn weigh_later(claims: &Claims, camera: Option<&CameraClock>, zone: Offset) -> Option<Time> {
    let seen = claims.seen.map(|at| Time::new(at, TimeQuality::Ntp));
    match weigh_camera(claims, camera, zone, seen.as_ref())? {
        Choice::Camera(chosen) => Some(chosen.on(None).taken),
        Choice::Device(_) => None,
    }
}

/// Result of looking at what the camera says.
enum Choice {
    /// The camera gives the moment.
    Camera(Chosen),
    /// The device's own observation is better, for this reason if there is one.
    Device(Option<TimeConflict>),
}

/// A camera's reading in UTC.
struct Read {
    /// Seconds since 1970.
    at_s: f64,
    error_s: f64,
    /// Whether the clock's lead is known, or satellite time confirms it.
    is_known: bool,
}

fn weigh_camera(claims: &Claims, camera: Option<&CameraClock>, zone: Offset, latest: Option<&Time>) -> Option<Choice> {
    let latest_s = latest.map(|time| seconds(time.at));
    if let Some(at) = claims.utc.filter(|at| is_possible(*at, latest_s)) {
        return Some(Choice::Camera(Chosen {
            at,
            error_s: Some(STATED_S),
            basis: TimeBasis::CameraGps,
            quality: TimeQuality::Gps,
            conflict: None,
        }));
    }
    let Some(read) = reading(claims, camera, zone) else {
        // Only the satellite time: the exposure is not before it.
        let at = claims.gps.filter(|at| is_possible(*at, latest_s) && claims.written_ns.is_none())?;
        let (basis, quality) = (TimeBasis::CameraGps, TimeQuality::Gps);
        return Some(Choice::Camera(Chosen { at, error_s: Some(UNKNOWN_CLOCK_S), basis, quality, conflict: None }));
    };
    Some(judge(claims, &read, latest))
}

fn is_possible(at: Timestamp, latest_s: Option<f64>) -> bool {
    is_plausible(at) && latest_s.is_none_or(|latest_s| seconds(at) <= latest_s + FUTURE_S)
}

/// Reads the camera's clock, with what is known about it.
fn reading(claims: &Claims, camera: Option<&CameraClock>, zone: Offset) -> Option<Read> {
    let reading = claims.camera.as_ref()?;
    if let Some((at_s, error_s)) = camera.and_then(|clock| clock.moment(reading)) {
        return Some(Read { at_s, error_s, is_known: true });
    }
    let gps = claims.gps.filter(|at| is_plausible(*at));
    if let Some((at_s, error_s)) = gps.and_then(|gps| confirmed(reading, seconds(gps))) {
        return Some(Read { at_s, error_s, is_known: true });
    }
    let shown = CameraReading { offset: reading.offset.or(Some(zone)), ..*reading }.seconds()?;
    // What the camera wrote stays as it is; the exposure was up to a step later.
    Some(Read { at_s: shown, error_s: reading.step_s, is_known: false })
}

/// Returns the reading in the zone in which satellite time of the same moment confirms it, in seconds since 1970, and the
/// half-width of its 95 % interval.
fn confirmed(reading: &CameraReading, gps_s: f64) -> Option<(f64, f64)> {
    let shown = reading.seconds()?;
    let zone_s = ((shown - gps_s) / QUARTER_S).round() * QUARTER_S;
    let age_s = shown - zone_s - gps_s;
    let is_zone = if reading.offset.is_some() { zone_s == 0.0 } else { is_in_use(zone_s) };
    (is_zone && (-CONFIRMED_S..=CONFIRMS_S).contains(&age_s)).then_some((shown - zone_s, age_s.abs() + CONFIRMED_S))
}

/// UTC offsets that are no whole hours, in minutes, with summer time, of zones with more than a million people: Iran,
/// Afghanistan, India, Nepal, Myanmar and the middle of Australia (IANA time zone database 2025b).
const ODD_ZONES: [i64; 7] = [210, 270, 330, 345, 390, 570, 630];

/// Reports whether many people use this offset from UTC, in seconds. A fix that is a quarter of an hour old would
/// otherwise pass for a fresh one of another zone. Fewer offsets count here than where metadata tell a zone: one that
/// hardly anybody uses is rather an old fix.
fn is_in_use(zone_s: f64) -> bool {
    let minutes = (zone_s / 60.0).round() as i64;
    (minutes % 60 == 0 && (-720..=840).contains(&minutes)) || ODD_ZONES.contains(&minutes)
}

/// Decides between the camera's reading and the device's own observation.
fn judge(claims: &Claims, read: &Read, latest: Option<&Time>) -> Choice {
    let Some(at) = moment(read.at_s) else { return Choice::Device(None) };
    let chosen_at = |at, error_s, conflict| {
        let (basis, quality) = (TimeBasis::Camera, TimeQuality::Exif);
        Choice::Camera(Chosen { at, error_s: Some(error_s), basis, quality, conflict })
    };
    let Some(latest) = latest else {
        return match is_reset(at, None) {
            true => Choice::Device(None),
            false if read.is_known => chosen_at(at, read.error_s, None),
            false => chosen_at(at, UNKNOWN_CLOCK_S, None),
        };
    };
    let delay_s = seconds(latest.at) - read.at_s;
    let conflict =
        |reason| Some(TimeConflict { basis: TimeBasis::Camera, difference_s: milliseconds(-delay_s), reason });
    if read.is_known {
        return match delay_s < -FUTURE_S - read.error_s {
            true => Choice::Device(conflict(TimeConflictReason::Future)),
            false => {
                let at = if delay_s < 0.0 { latest.at } else { at };
                let (error_s, quality) = (Some(read.error_s), latest.quality);
                Choice::Camera(Chosen { at, error_s, basis: TimeBasis::Camera, quality, conflict: None })
            }
        };
    }
    if !claims.is_live() {
        return judge_old(at, latest.at, delay_s, conflict);
    }
    if is_reset(at, Some(latest.at)) {
        return Choice::Device(conflict(TimeConflictReason::Reset));
    }
    if (-FUTURE_S..0.0).contains(&delay_s) {
        return chosen_at(latest.at, WRITING_S_MAX, None);
    }
    if (0.0..=PROMPT_S).contains(&delay_s) {
        return chosen_at(at, delay_s.max(WRITING_S_MAX), None);
    }
    // A clock of another zone shows the same minutes and seconds.
    let zones_s = ((delay_s - PROMPT_S / 2.0) / QUARTER_S).round() * QUARTER_S;
    let rest_s = delay_s - zones_s;
    if zones_s.abs() <= ZONES_S_MAX && (-FUTURE_S..=PROMPT_S).contains(&rest_s) {
        let shifted = moment(read.at_s + zones_s).unwrap_or(at).min(latest.at);
        return chosen_at(shifted, rest_s.max(WRITING_S_MAX), conflict(TimeConflictReason::Zone));
    }
    match delay_s < 0.0 {
        true => Choice::Device(conflict(TimeConflictReason::Future)),
        false => chosen_at(at, delay_s, conflict_with_arrival(delay_s)),
    }
}

/// Decides for a photo that was there before, such as one of a card. Its clock may be off in either direction, but the
/// photo was there at the arrival. Old photos are kept in archives, also those of a New Year's Day, so a reading that
/// looks like a reset stays, without an error that a place could rest on.
fn judge_old(
    at: Timestamp,
    latest: Timestamp,
    delay_s: f64,
    conflict: impl Fn(TimeConflictReason) -> Option<TimeConflict>,
) -> Choice {
    let is_reset = is_reset(at, Some(latest));
    if delay_s < -FUTURE_S {
        return Choice::Device(conflict(TimeConflictReason::Future));
    }
    if Offset::UTC.to_datetime(at).year() < ARCHIVE_YEAR_MIN {
        return Choice::Device(conflict(TimeConflictReason::Reset));
    }
    Choice::Camera(Chosen {
        at,
        error_s: (!is_reset).then_some(UNKNOWN_CLOCK_S),
        basis: TimeBasis::Camera,
        quality: TimeQuality::Exif,
        conflict: if is_reset { conflict(TimeConflictReason::Reset) } else { None },
    })
}

/// The photo was written long after the moment that its camera's clock shows.
fn conflict_with_arrival(delay_s: f64) -> Option<TimeConflict> {
    let (basis, reason) = (TimeBasis::Written, TimeConflictReason::CopyOrClock);
    Some(TimeConflict { basis, difference_s: milliseconds(delay_s), reason })
}

/// Reports whether a reading is that of a clock which was never set.
fn is_reset(at: Timestamp, latest: Option<Timestamp>) -> bool {
    let civil = Offset::UTC.to_datetime(at);
    let hours = f64::from(civil.date().day_of_year() - 1) * 24.0 + f64::from(civil.hour());
    let year_now = latest.map(|latest| Offset::UTC.to_datetime(latest).year());
    civil.year() < YEAR_MIN || year_now.is_some_and(|year| civil.year() < year && hours < RESET_H)
}

/// Explains a reading that contradicts a moment which is known better.
fn contradiction(read: &Read, at: Timestamp, error_s: f64) -> Option<TimeConflict> {
    let difference_s = read.at_s - seconds(at);
    let differs = read.is_known && difference_s.abs() > FUTURE_S + read.error_s + error_s;
    let (basis, reason) = (TimeBasis::Camera, TimeConflictReason::Satellites);
    differs.then(|| TimeConflict { basis, difference_s: milliseconds(difference_s), reason })
}

/// Returns the moment that the device itself observed.
fn by_device(claims: &Claims, latest: &Time, conflict: Option<TimeConflict>) -> Moment {
    let chosen = |at, quality, basis, error_s, conflict| Chosen { at, error_s, basis, quality, conflict };
    match (claims.origin, claims.written_ns) {
        (Origin::Watched, Some(ns)) => {
            // A camera whose clock cannot be used may have been copied from: nothing shows how long ago.
            let error_s = if claims.camera.is_some() { PROMPT_S } else { WRITING_S_MAX };
            chosen(latest.at, latest.quality, TimeBasis::Written, Some(error_s), conflict).on(Some(ns))
        }
        (Origin::Uploaded, _) => chosen(latest.at, latest.quality, TimeBasis::Arrival, None, conflict).on(None),
        _ => chosen(claims.modified, TimeQuality::Unsynced, TimeBasis::File, None, conflict).on(None),
    }
}

impl Chosen {
    fn on(self, monotonic_ns: Option<u64>) -> Moment {
        let Chosen { at, error_s, basis, quality, conflict } = self;
        let error_s = error_s.map(milliseconds);
        Moment { taken: Time { at, quality, basis: Some(basis), error_s, conflict }, monotonic_ns }
    }
}

/// Returns the bounds that a photo gives on the lead of its camera's clock; `None` if it gives none. Uploads and copies
/// bound the lead only by the satellite time in them.
pub fn observation(claims: &Claims, device: &DeviceTime) -> Option<Observation> {
    let reading = claims.camera.as_ref()?;
    let reading_s = reading.seconds()?;
    // A flight controller's report may be that of another photo; the arrival is certain.
    let latest = device.at(claims.latest_ns());
    let is_live = claims.is_live();
    let least_s = (is_live && latest.quality != TimeQuality::Unsynced).then(|| reading_s - seconds(latest.at));
    let gps = claims.utc.or(claims.gps).filter(|at| is_plausible(*at));
    let most_s = gps.map(|gps| reading_s + reading.step_s - seconds(gps));
    let at = if is_live { latest.at } else { gps? };
    (least_s.is_some() || most_s.is_some()).then_some(Observation {
        at,
        reading_s,
        least_s,
        most_s,
        step_s: reading.step_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn utc(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    /// Clocks of a device that has run for 1,000 s.
    fn now(wall: &str, ntp: bool) -> Reading {
        Reading { monotonic_ns: 1_000 * S, wall: utc(wall), ntp }
    }

    fn live(camera: Option<&str>, offset: Option<Offset>) -> Claims {
        let reading = |civil: &str| {
            let step_s = if civil.contains('.') { 0.01 } else { 1.0 };
            CameraReading { civil: civil.parse().expect("a time"), offset, step_s }
        };
        Claims {
            written_ns: Some(900 * S),
            camera: camera.map(reading),
            ..Claims::of_file(Origin::Watched, 901 * S, utc("2026-11-25T11:58:20Z"))
        }
    }

    fn of(claims: &Claims) -> Moment {
        let (gps, now) = (GpsTime::default(), now("2026-11-25T12:00:00Z", true));
        weigh(claims, None, None, Offset::UTC, &DeviceTime { gps: &gps, now: &now })
    }

    fn said(moment: &Moment) -> (String, TimeBasis, Option<f64>, Option<TimeConflictReason>) {
        let Time { at, basis, error_s, conflict, .. } = &moment.taken;
        (at.to_string(), basis.expect("a basis"), *error_s, conflict.as_ref().map(|conflict| conflict.reason))
    }

    #[test]
    fn a_live_photo_against_its_cameras_clock() {
        use TimeBasis::{Camera, Written};
        use TimeConflictReason::{CopyOrClock, Future, Reset, Zone};
        let written = || "2026-11-25T11:58:20Z".to_owned();
        let cases = [
            (None, written(), Written, 3.0, None),
            (Some("2026-11-25T11:58:17.25"), "2026-11-25T11:58:17.25Z".into(), Camera, 3.0, None),
            (Some("2026-11-25T11:56:42.00"), "2026-11-25T11:56:42Z".into(), Camera, 98.0, None),
            // An hour slow, nine hours slow and nine hours fast: the minutes and seconds are right.
            (Some("2026-11-25T10:58:19"), "2026-11-25T11:58:19Z".into(), Camera, 3.0, Some(Zone)),
            (Some("2026-11-25T02:58:15"), "2026-11-25T11:58:15Z".into(), Camera, 5.0, Some(Zone)),
            (Some("2026-11-25T20:58:19"), "2026-11-25T11:58:19Z".into(), Camera, 3.0, Some(Zone)),
            (Some("2026-11-25T12:00:30"), written(), Written, 120.0, Some(Future)),
            (Some("2000-01-01T00:03:20"), written(), Written, 120.0, Some(Reset)),
            (Some("2024-01-01T05:03:20"), written(), Written, 120.0, Some(Reset)),
            (Some("2026-11-25T11:58:20"), written(), Camera, 3.0, None),
            (Some("2026-11-25T11:21:00.00"), "2026-11-25T11:21:00Z".into(), Camera, 2_240.0, Some(CopyOrClock)),
        ];
        for (camera, at, basis, error_s, conflict) in cases {
            let moment = of(&live(camera, None));
            assert_eq!(said(&moment), (at, basis, Some(error_s), conflict), "{camera:?}");
            let expected = if basis == Written { TimeQuality::Ntp } else { TimeQuality::Exif };
            assert_eq!(moment.taken.quality, expected, "{camera:?}");
        }
    }

    #[test]
    fn satellite_time_in_the_photo_confirms_the_reading() {
        // The camera is in Japan and states no offset; it was copied an hour later.
        let mut claims = live(Some("2026-11-25T19:50:00.00"), None);
        claims.gps = Some(utc("2026-11-25T10:49:59Z"));
        let moment = of(&claims);
        assert_eq!(said(&moment), ("2026-11-25T10:50:00Z".into(), TimeBasis::Camera, Some(2.5), None));
        assert_eq!(moment.taken.quality, TimeQuality::Ntp);
        // A receiver that lost count of its weeks confirms nothing.
        claims.gps = Some(utc("2007-04-11T10:49:59Z"));
        assert_eq!(said(&of(&claims)).3, Some(TimeConflictReason::Future));
        // A drone states the moment itself.
        claims.utc = Some(utc("2026-11-25T10:49:59.9Z"));
        assert_eq!(said(&of(&claims)), ("2026-11-25T10:49:59.9Z".into(), TimeBasis::CameraGps, Some(0.5), None));
    }

    #[test]
    fn an_upload_was_taken_by_another_device_before() {
        let upload = |camera, offset| Claims { origin: Origin::Uploaded, ..live(camera, offset) };
        let moment = of(&upload(Some("2026-11-25T20:40:00"), Some(jiff::tz::offset(9))));
        assert_eq!(said(&moment), ("2026-11-25T11:40:00Z".into(), TimeBasis::Camera, Some(300.0), None));
        let moment = of(&upload(None, None));
        assert_eq!(said(&moment), ("2026-11-25T11:58:20Z".into(), TimeBasis::Arrival, None, None));
        assert_eq!(moment.monotonic_ns, None, "no place of the device's");
    }

    #[test]
    fn a_card_is_read_by_what_is_known_about_the_camera() {
        let card = Claims { origin: Origin::Imported, written_ns: None, ..live(Some("2026-11-24T09:00:12"), None) };
        assert_eq!(said(&of(&card)), ("2026-11-24T09:00:12Z".into(), TimeBasis::Camera, Some(300.0), None));
        let clock = CameraClock::set(Some("Asia/Tokyo".into()), 12.0, 1.0, utc("2026-11-24T00:00:00Z"));
        let (gps, now) = (GpsTime::default(), now("2026-11-25T12:00:00Z", true));
        let moment = weigh(&card, None, Some(&clock), Offset::UTC, &DeviceTime { gps: &gps, now: &now });
        assert_eq!(said(&moment), ("2026-11-24T00:00:00.5Z".into(), TimeBasis::Camera, Some(1.5), None));
        let silent = Claims { camera: None, ..card };
        assert_eq!(said(&of(&silent)), ("2026-11-25T11:58:20Z".into(), TimeBasis::File, None, None));
    }

    #[test]
    fn an_archive_keeps_its_dates() {
        let card = |civil: &str| Claims { origin: Origin::Imported, written_ns: None, ..live(Some(civil), None) };
        let (camera, file) = (TimeBasis::Camera, TimeBasis::File);
        let reset = Some(TimeConflictReason::Reset);
        let cases = [
            ("2019-01-01T10:00:00", "2019-01-01T10:00:00Z", camera, None, reset),
            ("2003-06-01T10:00:00", "2003-06-01T10:00:00Z", camera, None, reset),
            ("2019-06-01T10:00:00", "2019-06-01T10:00:00Z", camera, Some(300.0), None),
            ("1980-01-01T00:00:00", "2026-11-25T11:58:20Z", file, None, reset),
        ];
        for (civil, at, basis, error_s, conflict) in cases {
            assert_eq!(said(&of(&card(civil))), (at.to_owned(), basis, error_s, conflict), "{civil}");
        }
    }

    #[test]
    fn a_device_without_time_cannot_contradict_the_camera() {
        let (gps, now) = (GpsTime::default(), now("1970-01-01T00:16:40Z", false));
        let device = DeviceTime { gps: &gps, now: &now };
        let moment = weigh(&live(Some("2026-11-25T11:58:30"), None), None, None, Offset::UTC, &device);
        assert_eq!(said(&moment), ("2026-11-25T11:58:30Z".into(), TimeBasis::Camera, Some(300.0), None));
        let moment = weigh(&live(Some("1980-01-01T00:00:30"), None), None, None, Offset::UTC, &device);
        assert_eq!((moment.taken.quality, moment.monotonic_ns), (TimeQuality::Unsynced, Some(900 * S)));
        assert_eq!(observation(&live(Some("2026-11-25T11:58:30"), None), &device), None);
    }

    #[test]
    fn a_report_of_the_flight_controller_is_the_moment() {
        let (gps, now) = (GpsTime::default(), now("2026-11-25T12:00:00Z", true));
        let device = DeviceTime { gps: &gps, now: &now };
        let shot = Shot { exposed_ns: 897 * S, error_s: 0.1 };
        let moment = weigh(&live(Some("2026-11-25T03:00:00"), None), Some(shot), None, Offset::UTC, &device);
        assert_eq!(said(&moment), ("2026-11-25T11:58:17Z".into(), TimeBasis::Trigger, Some(0.3), None));
        assert_eq!(moment.monotonic_ns, Some(897 * S));
    }
}
