//! What a file claims about the moment of exposure, and what follows for the camera's time zone.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::civil::Stated;

/// Claims of a file about the moment of exposure. They may contradict each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Moment of exposure by the camera's clock.
    pub camera: Option<CameraMoment>,
    /// Moment of the position by the satellites' clock. The receiver may have found the position long before the
    /// exposure.
    pub gps: Option<Timestamp>,
    /// Moment of exposure in UTC, as some drones state it beside the camera's clock.
    pub utc: Option<Timestamp>,
}

/// Moment by the camera's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CameraMoment {
    /// Date and time of day that the clock showed, with the fraction of a second if `has_fraction`.
    pub civil: DateTime,
    /// UTC offset of the clock, if the file states one.
    pub offset: Option<Offset>,
    /// Whether the file states a fraction of a second other than zero. Without one, the moment lies up to a second
    /// after `civil`.
    pub has_fraction: bool,
    /// Meaning of the moment.
    pub kind: MomentKind,
}

/// Meaning of a camera's moment, the most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MomentKind {
    /// Moment of the exposure in the EXIF block.
    Original,
    /// Moment of the digitisation in the EXIF block, which for a camera is that of the exposure.
    Digitized,
    /// Moment of the exposure or of the file's creation in the XMP packet.
    Xmp,
    /// Moment of the file's last change, which an editor may have made.
    Changed,
}

impl CameraMoment {
    pub(super) fn new(stated: Stated, kind: MomentKind) -> Self {
        CameraMoment { civil: stated.civil, offset: stated.offset, has_fraction: stated.has_fraction, kind }
    }

    /// Returns the moment if the clock's UTC offset is `offset`.
    pub fn at(&self, offset: Offset) -> Option<Timestamp> {
        offset.to_timestamp(self.civil).ok()
    }
}

/// Difference between a camera's clock and a time zone up to which the zone explains the time that the clock shows.
const ZONE_FITS: SignedDuration = SignedDuration::from_mins(2);
/// UTC offsets in use that are no whole hours, in minutes, with summer time (IANA time zone database 2025b).
const ODD_ZONES: [i64; 13] = [-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825];
/// Period after which a receiver of satellites that counts weeks with ten bits shows an earlier time (IS-GPS-200,
/// 20.3.3.3.1.1).
const ROLLOVER: SignedDuration = SignedDuration::from_hours(1024 * 7 * 24);
/// Age from which a difference between position and exposure shows a wrong clock, and not an old position.
const AGE_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

impl Moments {
    /// Combines the claims, without a time of satellites that cannot be right.
    pub(super) fn new(camera: Option<CameraMoment>, gps: Option<Timestamp>, utc: Option<Timestamp>) -> Self {
        let gps = gps.filter(|gps| camera.is_none_or(|camera| is_believable(*gps, &camera)));
        let offset = camera.and_then(|camera| camera.offset);
        let gps = gps.map(|gps| offset.zip(camera).map_or(gps, |(offset, camera)| with_utc_date(gps, &camera, offset)));
        Moments { camera, gps, utc }
    }

    /// Returns the UTC offset of the camera's clock: the stated one, else the one in which the clock agrees with the
    /// satellites within two minutes.
    ///
    /// A position that is old by chance may show a wrong zone: an hour-old one shows the neighbouring zone.
    pub fn zone(&self) -> Option<Offset> {
        let camera = self.camera.as_ref()?;
        camera.offset.or_else(|| self.utc.or(self.gps).and_then(|moment| zone_between(camera.civil, moment)))
    }

    /// Returns the most trusted moment of exposure: the stated UTC, else the camera's clock, else the time of the
    /// position. `local` is the UTC offset of a camera that neither states nor shows one.
    pub fn taken(&self, local: Offset) -> Option<Timestamp> {
        let zone = self.zone().unwrap_or(local);
        self.utc.or_else(|| self.camera?.at(zone)).or(self.gps)
    }

    /// Returns the seconds between the position and the exposure if the UTC offset of the camera's clock is `zone`.
    /// `None` without one of these moments, and if they differ by more than a month: then a clock is wrong.
    pub fn fix_age_s(&self, zone: Offset) -> Option<f64> {
        let exposure = self.utc.or_else(|| self.camera?.at(zone))?;
        let stated = self.gps?;
        let gps = self.camera.map_or(stated, |camera| with_utc_date(stated, &camera, zone));
        let age = exposure.duration_since(gps).abs();
        (age <= AGE_MAX).then(|| age.as_secs_f64())
    }

    /// Returns the seconds between the position and the exposure, by what the file states alone. A zone that was
    /// derived from the position's time would hide its age.
    pub(super) fn stated_fix_age_s(&self) -> Option<f64> {
        let stated = self.camera.and_then(|camera| camera.offset);
        self.fix_age_s(stated.or(self.utc.map(|_| Offset::UTC))?)
    }
}

/// Returns the UTC offset in use that makes the camera's clock agree with a moment.
fn zone_between(civil: DateTime, moment: Timestamp) -> Option<Offset> {
    let difference = Offset::UTC.to_timestamp(civil).ok()?.duration_since(moment);
    let minutes = (difference.as_secs_f64() / 900.0).round() as i64 * 15;
    let is_used = (minutes % 60 == 0 && (-12 * 60..=14 * 60).contains(&minutes)) || ODD_ZONES.contains(&minutes);
    let fits = (difference - SignedDuration::from_mins(minutes)).abs() <= ZONE_FITS;
    (is_used && fits).then(|| Offset::from_seconds(i32::try_from(minutes * 60).ok()?).ok())?
}

/// Reports whether a time of satellites may be right. It is not if it lies one or more turns of the week counter before
/// the camera's, and not if it is exactly midnight, as without a time, while the camera's clock shows no such moment.
fn is_believable(gps: Timestamp, camera: &CameraMoment) -> bool {
    let Ok(shown) = Offset::UTC.to_timestamp(camera.civil) else { return true };
    let turns = (shown.duration_since(gps).as_secs_f64() / ROLLOVER.as_secs_f64()).round();
    let rest = shown.duration_since(gps).as_secs_f64() - turns * ROLLOVER.as_secs_f64();
    let is_turned = turns >= 1.0 && rest.abs() <= 2.0 * 86_400.0;
    let is_midnight = gps.as_nanosecond() % 86_400_000_000_000 == 0;
    !is_turned && (!is_midnight || fits(gps, camera))
}

fn fits(gps: Timestamp, camera: &CameraMoment) -> bool {
    match camera.offset {
        Some(offset) => camera.at(offset).is_some_and(|at| at.duration_since(gps).abs() <= ZONE_FITS),
        None => zone_between(camera.civil, gps).is_some(),
    }
}

/// Returns the moment of a position with its date in UTC. Some phones join the time of day in UTC with the local date.
/// This one does if the camera's clock shows that date, and the date in UTC makes position and exposure one moment.
fn with_utc_date(gps: Timestamp, camera: &CameraMoment, zone: Offset) -> Timestamp {
    let is_local = Offset::UTC.to_datetime(gps).date() == camera.civil.date();
    let other = camera.at(zone).filter(|_| is_local).and_then(|at| {
        let days = [-24, 24].map(SignedDuration::from_hours);
        let mut moments = days.iter().filter_map(|day| gps.checked_add(*day).ok());
        moments.find(|moment| at.duration_since(*moment).abs() <= ZONE_FITS)
    });
    other.unwrap_or(gps)
}

/// Returns the moment of a position of which only the time of day in UTC is known, from the camera's clock: the day on
/// which both agree. Without a stated offset there must be one day alone on which a time zone makes them agree.
pub(super) fn on_the_camera_day(time_of_day: SignedDuration, camera: &CameraMoment) -> Option<Timestamp> {
    let day = |days: i64| {
        let date = camera.civil.date().checked_add(SignedDuration::from_hours(24 * days)).ok()?;
        Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.checked_add(time_of_day).ok()
    };
    let days = [-1, 0, 1].into_iter().filter_map(day);
    if let Some(at) = camera.offset.and_then(|offset| camera.at(offset)) {
        return days.min_by_key(|gps| gps.duration_since(at).abs());
    }
    let mut fitting = days.filter(|gps| zone_between(camera.civil, *gps).is_some());
    fitting.next().filter(|_| fitting.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::civil;

    fn camera(text: &str) -> CameraMoment {
        CameraMoment::new(civil::parse(text).expect("a time"), MomentKind::Original)
    }

    fn utc(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn moments(camera_text: &str, gps: &str) -> Moments {
        Moments::new(Some(camera(camera_text)), Some(utc(gps)), None)
    }

    fn hours(zone: Option<Offset>) -> Option<f64> {
        zone.map(|offset| f64::from(offset.seconds()) / 3600.0)
    }

    #[test]
    fn satellites_show_the_zone() {
        let cases = [
            ("2026:05:09 19:11:12", "2026-05-09T10:11:10Z", Some(9.0)),
            ("2026:05:09 19:13:11", "2026-05-09T10:11:12Z", Some(9.0)),
            ("2026:05:09 19:13:13", "2026-05-09T10:11:12Z", None),
            ("2026:05:09 10:11:12", "2026-05-09T10:11:12Z", Some(0.0)),
            ("2026:05:09 03:11:12", "2026-05-09T10:11:12Z", Some(-7.0)),
            ("2026:05:10 00:11:12", "2026-05-09T10:11:12Z", Some(14.0)),
            ("2026:05:09 15:56:12", "2026-05-09T10:11:12Z", Some(5.75)),
            ("2026:05:09 15:41:12", "2026-05-09T10:11:12Z", Some(5.5)),
            // Nobody's clocks have this offset.
            ("2026:05:09 17:26:12", "2026-05-09T10:11:12Z", None),
            ("2026:05:10 01:11:12", "2026-05-09T10:11:12Z", None),
            ("2026:05:18 19:11:12", "2026-05-09T10:11:12Z", None),
            ("2026:01:01 08:30:00", "2025-12-31T23:30:00Z", Some(9.0)),
        ];
        for (camera, gps, expected) in cases {
            assert_eq!(hours(moments(camera, gps).zone()), expected, "{camera} {gps}");
        }
        let stated = moments("2026:05:09 19:11:12+02:00", "2026-05-09T10:11:10Z");
        assert_eq!(hours(stated.zone()), Some(2.0), "what the file states comes first");
    }

    #[test]
    fn the_best_claim_is_the_moment() {
        let (utc, gps) = (Some(utc("2026-05-09T10:11:14.5Z")), Some(utc("2026-05-09T10:11:10Z")));
        let taken = |camera: Option<&str>, gps, utc| {
            let camera = camera.map(self::camera);
            Moments::new(camera, gps, utc).taken(Offset::constant(-3)).map(|at| at.to_string())
        };
        let expected = |text: &str| Some(text.to_owned());
        assert_eq!(taken(Some("2026:05:09 19:11:12"), gps, utc), expected("2026-05-09T10:11:14.5Z"));
        assert_eq!(taken(Some("2026:05:09 19:11:12"), gps, None), expected("2026-05-09T10:11:12Z"));
        assert_eq!(taken(Some("2026:05:09 19:11:12"), None, None), expected("2026-05-09T22:11:12Z"));
        assert_eq!(taken(Some("2026:05:09 19:11:12+01:00"), gps, None), expected("2026-05-09T18:11:12Z"));
        assert_eq!(taken(None, gps, None), expected("2026-05-09T10:11:10Z"));
        assert_eq!(taken(None, None, None), None);
    }

    #[test]
    fn impossible_times_of_satellites_are_not_believed() {
        let gps = |camera, gps| moments(camera, gps).gps.is_some();
        assert!(gps("2026:05:09 19:11:12", "2026-05-09T10:11:12Z"));
        // 1024 weeks earlier, and the day before that.
        assert!(!gps("2026:05:09 19:11:12", "2006-09-23T10:11:12Z"));
        assert!(!gps("2026:05:09 19:11:12", "2006-09-22T22:11:12Z"));
        assert!(!gps("2026:05:09 19:11:12+09:00", "2006-09-23T10:11:12Z"));
        assert!(gps("2026:05:09 19:11:12", "2006-09-01T10:11:12Z"), "old, and no turn of the counter");
        assert!(gps("2000:01:01 00:00:12", "2026-05-09T10:11:12Z"), "the camera's clock was reset");
        assert!(!gps("2026:05:09 19:11:12", "2026-05-09T00:00:00Z"), "zeros");
        assert!(!gps("2026:05:09 19:11:12+09:00", "2026-05-09T00:00:00Z"), "zeros");
        assert!(gps("2026:05:09 09:00:05", "2026-05-09T00:00:00Z"), "midnight indeed");
    }

    #[test]
    fn ages_of_positions() {
        let age = |camera, gps| moments(camera, gps).stated_fix_age_s();
        assert_eq!(age("2026:05:09 19:11:12+09:00", "2026-05-09T10:11:10Z"), Some(2.0));
        assert_eq!(age("2026:05:09 19:11:12+09:00", "2026-05-09T09:11:12Z"), Some(3600.0));
        assert_eq!(age("2026:05:09 19:11:12+09:00", "2026-04-30T10:11:12Z"), Some(9.0 * 86_400.0));
        assert_eq!(age("2026:05:09 19:11:12+09:00", "2026-05-09T10:11:13.5Z"), Some(1.5));
        assert_eq!(age("2026:05:09 19:11:12+09:00", "2026-02-09T10:11:12Z"), None, "a clock is wrong");
        assert_eq!(
            age("2026:05:09 19:11:12", "2026-05-09T10:11:10Z"),
            None,
            "the zone is a conclusion from the position"
        );
        let known = moments("2026:05:09 19:11:12", "2026-05-09T09:11:12Z");
        assert_eq!(known.fix_age_s(Offset::constant(9)), Some(3600.0));
        let stated = Moments { utc: Some(utc("2026-05-09T09:11:14.5Z")), ..known };
        assert_eq!(stated.stated_fix_age_s(), Some(2.5));
    }

    #[test]
    fn a_local_date_beside_a_time_in_utc_is_mended() {
        let morning = moments("2026:05:09 07:30:33+09:00", "2026-05-09T22:30:30Z");
        assert_eq!((morning.gps, morning.stated_fix_age_s()), (Some(utc("2026-05-08T22:30:30Z")), Some(3.0)));
        let evening = moments("2026:05:09 19:30:33-07:00", "2026-05-09T02:30:30Z");
        assert_eq!(evening.gps, Some(utc("2026-05-10T02:30:30Z")));
        let old = moments("2026:05:09 07:30:33+09:00", "2026-05-09T20:30:30Z");
        assert_eq!(old.gps, Some(utc("2026-05-09T20:30:30Z")), "nothing explains this one");
        let unstated = moments("2026:05:09 07:30:33", "2026-05-09T22:30:30Z");
        assert_eq!(unstated.gps, Some(utc("2026-05-09T22:30:30Z")));
        assert_eq!(unstated.fix_age_s(Offset::constant(9)), Some(3.0));
    }

    #[test]
    fn the_day_of_a_time_without_date() {
        let day = |camera_text, hour: i64| {
            on_the_camera_day(SignedDuration::from_mins(hour * 60 + 11), &camera(camera_text)).map(|at| at.to_string())
        };
        assert_eq!(day("2026:05:09 07:11:12", 22).as_deref(), Some("2026-05-08T22:11:00Z"), "Japan in the morning");
        assert_eq!(day("2026:05:09 19:11:12", 10).as_deref(), Some("2026-05-09T10:11:00Z"));
        assert_eq!(
            day("2026:05:09 19:11:12", 0).as_deref(),
            Some("2026-05-10T00:11:00Z"),
            "the middle of America in the evening"
        );
        assert_eq!(day("2026:05:09 00:30:00+09:00", 15).as_deref(), Some("2026-05-08T15:11:00Z"));
        assert_eq!(day("2026:05:09 13:11:12", 0), None, "thirteen hours to the east, or eleven to the west");
        assert_eq!(day("2026:05:09 12:41:12", 0), None);
    }
}
