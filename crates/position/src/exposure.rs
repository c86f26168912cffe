//! Determines when a photo was taken, from what the device observed and what the camera wrote.

use jiff::{SignedDuration, Timestamp};

use bridgeclip_domain::{Time, TimeQuality};

use super::clock::{GpsTime, Reading, time_at};

/// Facts known about a photo file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Time of the last write to the file, by the clock of the device that wrote it.
    pub modified: Timestamp,
    /// Moment when the file was first seen in its present state, by [`monotonic_ns`](crate::monotonic_ns).
    pub seen_ns: u64,
    /// Moment of exposure that the camera wrote into the file.
    pub camera: Option<Timestamp>,
}

/// Moment when a photo was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    /// Calendar time of the exposure.
    pub taken: Time,
    /// Exposure by the monotonic clock, if the photo was written while the device watched.
    pub monotonic_ns: Option<u64>,
}

/// Time in nanoseconds within which the device sees a file that is written while it watches. Changes are announced at
/// once, and folders without announcements are scanned every ten seconds by default.
const LIVE_NS: u64 = 15_000_000_000;

/// Difference between the camera's clock and the time of writing beyond which the file is a copy rather than a photo
/// taken at that moment.
const CAMERA_AGREES: SignedDuration = SignedDuration::from_mins(2);

/// Returns the best time of a photo.
///
/// A file that was written while the device watched was taken at that moment, unless the camera contradicts it. The
/// device's time is then the better one, provided that something keeps it. Otherwise the camera is believed. If it is
/// silent, the file's own time serves, marked as a guess.
pub fn exposure(sighting: &Sighting, gps: &GpsTime, now: &Reading) -> Exposure {
    let live = written_ns(sighting, now).map(|ns| (ns, time_at(ns, gps, now)));
    match (live, sighting.camera) {
        (Some((ns, taken)), camera) if camera.is_none_or(|camera| agrees(&taken, camera)) => {
            Exposure { taken, monotonic_ns: Some(ns) }
        }
        (_, Some(at)) => Exposure { taken: Time { at, quality: TimeQuality::Exif }, monotonic_ns: None },
        (_, None) => {
            let taken = Time { at: sighting.modified, quality: TimeQuality::Unsynced };
            Exposure { taken, monotonic_ns: None }
        }
    }
}

/// Returns the moment when the file was written, if that happened while the device watched.
fn written_ns(sighting: &Sighting, now: &Reading) -> Option<u64> {
    let written_ns = now.monotonic_at(sighting.modified)?;
    // A file system may round times up by two seconds (FAT).
    let after = written_ns.saturating_sub(sighting.seen_ns) <= 2_000_000_000;
    let before = sighting.seen_ns.saturating_sub(written_ns) <= LIVE_NS;
    (before && after).then_some(written_ns.min(sighting.seen_ns))
}

fn agrees(device: &Time, camera: Timestamp) -> bool {
    device.quality != TimeQuality::Unsynced && device.at.duration_since(camera).abs() <= CAMERA_AGREES
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn utc(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    /// Clocks of a device that has run for 1,000 s, with the given wall time.
    fn now(wall: &str, ntp: bool) -> Reading {
        Reading { monotonic_ns: 1_000 * S, wall: utc(wall), ntp }
    }

    fn of(
        modified: &str,
        seen: u64,
        camera: Option<&str>,
        gps: &GpsTime,
        now: &Reading,
    ) -> (String, TimeQuality, Option<u64>) {
        let sighting = Sighting { modified: utc(modified), seen_ns: seen * S, camera: camera.map(utc) };
        let Exposure { taken, monotonic_ns } = exposure(&sighting, gps, now);
        (taken.at.to_string(), taken.quality, monotonic_ns.map(|ns| ns / S))
    }

    #[test]
    fn the_best_source_of_time_is_chosen() {
        use TimeQuality::*;
        let (none, mut gps) = (GpsTime::default(), GpsTime::default());
        gps.observe(utc("2026-11-25T12:00:01Z"), 1_000 * S);
        let synced = now("2026-11-25T12:00:00Z", true);
        let lost = now("1970-01-01T00:16:40Z", false);
        let camera = Some("2026-11-25T11:58:30Z");
        let cases = [
            // The file was written 100 s ago while the device watched.
            ("2026-11-25T11:58:20Z", 901, None, &none, synced, ("2026-11-25T11:58:20Z", Ntp, Some(900))),
            ("2026-11-25T11:58:20Z", 901, camera, &none, synced, ("2026-11-25T11:58:20Z", Ntp, Some(900))),
            ("2026-11-25T11:58:20Z", 901, None, &gps, synced, ("2026-11-25T11:58:21Z", Gps, Some(900))),
            ("1970-01-01T00:15:00Z", 901, None, &none, lost, ("1970-01-01T00:15:00Z", Unsynced, Some(900))),
            ("1970-01-01T00:15:00Z", 901, None, &gps, lost, ("2026-11-25T11:58:21Z", Gps, Some(900))),
            // The file has just been copied from a card; the photo was taken yesterday.
            (
                "2026-11-25T11:58:20Z",
                901,
                Some("2026-11-24T08:00:00Z"),
                &gps,
                synced,
                ("2026-11-24T08:00:00Z", Exif, None),
            ),
            // The device does not know the time, so it cannot contradict the camera.
            ("1970-01-01T00:15:00Z", 901, camera, &none, lost, ("2026-11-25T11:58:30Z", Exif, None)),
            // The card was written long before the device saw it.
            ("2026-11-25T11:50:00Z", 901, camera, &gps, synced, ("2026-11-25T11:58:30Z", Exif, None)),
            ("2026-11-25T11:50:00Z", 901, None, &gps, synced, ("2026-11-25T11:50:00Z", Unsynced, None)),
            // The file's time is in the future.
            ("2046-11-25T12:00:00Z", 901, None, &none, synced, ("2046-11-25T12:00:00Z", Unsynced, None)),
            ("2026-11-25T11:58:22Z", 901, None, &none, synced, ("2026-11-25T11:58:21Z", Ntp, Some(901))),
        ];
        for (modified, seen, camera, gps, now, (at, quality, monotonic)) in cases {
            let expected = (at.to_owned(), quality, monotonic);
            assert_eq!(of(modified, seen, camera, gps, &now), expected, "{modified} seen at {seen}, camera {camera:?}");
        }
    }
}
