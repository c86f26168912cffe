//! When a photo was taken, as far as the device saw it and the camera wrote it.

use jiff::{SignedDuration, Timestamp};

use bridgeclip_domain::{Time, TimeQuality};

use super::clock::{GpsTime, Reading, time_at};

/// What is known of a photo file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// When the file was last written, by the clock of whoever wrote it.
    pub modified: Timestamp,
    /// When it was first seen as it is, see [`super::monotonic_ns`].
    pub seen_ns: u64,
    /// The moment of exposure that the camera wrote into it.
    pub camera: Option<Timestamp>,
}

/// A photo's moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Exposure {
    pub taken: Time,
    /// The same by the device's own count, if the photo came to be while the device watched.
    pub monotonic_ns: Option<u64>,
}

/// A file that the device saw come into being is seen this soon after it was written: a change is announced at once,
/// and folders that announce nothing are looked through every ten seconds unless set otherwise.
const LIVE_NS: u64 = 15_000_000_000;

/// A camera whose clock disagrees by more than this with the moment of writing did not take the photo then: it was
/// copied.
const CAMERA_AGREES: SignedDuration = SignedDuration::from_mins(2);

/// The best time of a photo. A file that was written while the device watched was taken at that moment, unless the
/// camera says otherwise; the device's time is the better one then, if anything keeps it. Else the camera is believed,
/// and if it says nothing, the file's own time, marked as the guess it is.
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

/// When a file was written that appeared while the device watched.
fn written_ns(sighting: &Sighting, now: &Reading) -> Option<u64> {
    let written_ns = now.monotonic_at(sighting.modified)?;
    // A file system may round its times up by two seconds (FAT).
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

    /// A device that is 1,000 s old, with the wall clock at noon, or wherever it says.
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
            // Written 100 s ago while the device watched.
            ("2026-11-25T11:58:20Z", 901, None, &none, synced, ("2026-11-25T11:58:20Z", Ntp, Some(900))),
            ("2026-11-25T11:58:20Z", 901, camera, &none, synced, ("2026-11-25T11:58:20Z", Ntp, Some(900))),
            ("2026-11-25T11:58:20Z", 901, None, &gps, synced, ("2026-11-25T11:58:21Z", Gps, Some(900))),
            ("1970-01-01T00:15:00Z", 901, None, &none, lost, ("1970-01-01T00:15:00Z", Unsynced, Some(900))),
            ("1970-01-01T00:15:00Z", 901, None, &gps, lost, ("2026-11-25T11:58:21Z", Gps, Some(900))),
            // Copied now from a card on which it was taken yesterday.
            (
                "2026-11-25T11:58:20Z",
                901,
                Some("2026-11-24T08:00:00Z"),
                &gps,
                synced,
                ("2026-11-24T08:00:00Z", Exif, None),
            ),
            // The device knows no time: it cannot contradict the camera.
            ("1970-01-01T00:15:00Z", 901, camera, &none, lost, ("2026-11-25T11:58:30Z", Exif, None)),
            // A card that was written long before it was seen here.
            ("2026-11-25T11:50:00Z", 901, camera, &gps, synced, ("2026-11-25T11:58:30Z", Exif, None)),
            ("2026-11-25T11:50:00Z", 901, None, &gps, synced, ("2026-11-25T11:50:00Z", Unsynced, None)),
            // From the future.
            ("2046-11-25T12:00:00Z", 901, None, &none, synced, ("2046-11-25T12:00:00Z", Unsynced, None)),
            ("2026-11-25T11:58:22Z", 901, None, &none, synced, ("2026-11-25T11:58:21Z", Ntp, Some(901))),
        ];
        for (modified, seen, camera, gps, now, (at, quality, monotonic)) in cases {
            let expected = (at.to_owned(), quality, monotonic);
            assert_eq!(of(modified, seen, camera, gps, &now), expected, "{modified} seen at {seen}, camera {camera:?}");
        }
    }
}
