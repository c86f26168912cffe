//! Telemetry logs of ground stations: each MAVLink frame after the microseconds since 1970 at which it arrived, eight
//! bytes, highest first (<https://docs.qgroundcontrol.com/master/en/qgc-dev-guide/file_formats/mavlink.html>).

use std::io::Read;

use jiff::Timestamp;

use bridgeclip_position::{Arrival, Fix, ImageReport, TakenImage, mavlink};

use crate::clock::Tie;
use crate::error::TrackError;
use crate::finish;
use crate::flight::SILENCE_US;
use crate::gather::Gather;
use crate::pictures::{Picture, Pictures, Witness};
use crate::report::{Note, Skip};
use crate::sample::{Moment, Sample, Samples};
use crate::window::Window;

/// Bytes of the time before each frame.
const TIME: usize = 8;
/// Latest time of arrival, 2100-01-01, in microseconds since 1970. Text and other binary data give later ones.
const ARRIVAL_MAX_US: u64 = 4_102_444_800_000_000;
/// Length in bytes of the longest record: time, header, payload, checksum and signature of version 2.
const RECORD_MAX: usize = TIME + 10 + 255 + 2 + 13;

/// Time in microseconds within which frames of a vehicle that is heard follow each other.
const SOON_US: u64 = 60_000_000;
/// Bytes that end whatever frame the decoder waits for: more than the longest one.
const FLUSH: [u8; 300] = [0; 300];

/// Beginning of a record.
struct Head {
    arrival_us: u64,
    /// Bytes of the time and the frame.
    length: usize,
}

impl Head {
    /// Reads a record's time and the length in its frame's header. `None` if no record begins here.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (time, frame) = bytes.split_first_chunk::<TIME>()?;
        let arrival_us = u64::from_be_bytes(*time);
        // Header, checksum, and the signature that the flag of version 2 announces.
        let length = match frame {
            [0xFE, payload, ..] => 6 + usize::from(*payload) + 2,
            [0xFD, payload, flags, ..] => 10 + usize::from(*payload) + 2 + 13 * usize::from(flags & 1),
            _ => return None,
        };
        (1..ARRIVAL_MAX_US).contains(&arrival_us).then_some(Head { arrival_us, length: TIME + length })
    }

    /// Reads a record that arrived soon after the last one. It counts also if what follows it is damaged.
    fn soon_after(last_ns: u64, bytes: &[u8]) -> Option<Self> {
        Head::read(bytes).filter(|head| head.arrival_us.abs_diff(last_ns / 1_000) <= SOON_US)
    }

    /// Reads a record that another one, or the end of the bytes, follows.
    fn followed(bytes: &[u8]) -> Option<Self> {
        let head = Head::read(bytes)?;
        let rest = bytes.get(head.length..).unwrap_or_default();
        (rest.len() < TIME + 3 || Head::read(rest).is_some()).then_some(head)
    }
}

/// Reports whether a file that begins with `head` is a telemetry log.
pub fn is_log(head: &[u8]) -> bool {
    Head::followed(head).is_some()
}

/// Reads a log.
pub fn read(window: &mut Window<impl Read>, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
    let mut log = Log::new(gather);
    let mut decoder = mavlink::Decoder::of_recording();
    let mut arrived = Vec::new();
    let (mut is_lost, mut received_ns) = (false, 0);
    loop {
        let bytes = window.peek(2 * RECORD_MAX)?;
        if bytes.is_empty() {
            break;
        }
        let head = Head::followed(bytes).or_else(|| Head::soon_after(received_ns, bytes).filter(|_| !is_lost));
        let Some(head) = head.filter(|head| head.length <= bytes.len()) else {
            if !is_lost {
                gather.skip(Skip::Unreadable);
                // The last record may have been none, and its bytes must not take those of the next ones.
                decoder.push(&FLUSH, received_ns, |_| ());
            }
            is_lost = true;
            window.consume(1);
            continue;
        };
        is_lost = false;
        received_ns = head.arrival_us.saturating_mul(1_000);
        decoder.push(&bytes[TIME..head.length], received_ns, |arrival| arrived.push(arrival));
        window.consume(head.length);
        arrived.drain(..).try_for_each(|arrival| log.take(arrival, gather))?;
    }
    if is_lost {
        gather.note(Note::EndsEarly);
    }
    log.finish(gather)
}

struct Log {
    samples: Samples,
    pictures: Pictures,
    /// Relation of the ground station's clock to the vehicle's satellite time.
    tie: Option<Tie>,
}

impl Log {
    fn new(gather: &Gather) -> Self {
        let samples = Samples::new(gather.params.fixes_max, Some(SILENCE_US));
        Log { samples, pictures: Pictures::default(), tie: None }
    }

    fn take(&mut self, arrival: Arrival, gather: &mut Gather) -> Result<(), TrackError> {
        match arrival {
            Arrival::Fix(fix) => self.take_fix(&fix, gather),
            Arrival::Image(image) => {
                self.take_image(image, gather);
                Ok(())
            }
            Arrival::Valid => Ok(()),
        }
    }

    fn take_fix(&mut self, fix: &Fix, gather: &mut Gather) -> Result<(), TrackError> {
        let at = self.moment(fix.utc, fix.measured_ns, gather);
        match Sample::of_fix(fix, at) {
            Some(sample) => self.samples.push(sample),
            None => {
                gather.skip(Skip::NoPlace);
                Ok(())
            }
        }
    }

    fn take_image(&mut self, image: TakenImage, gather: &mut Gather) {
        // A camera's own calendar time says nothing about the ground station's clock.
        let told = told_us(image.utc, gather);
        let at = told.map_or_else(|| self.by_clock(microseconds(image.exposed_ns)), Moment::Utc);
        let place = image.position.and_then(|position| Sample::of_position(&position, None, at));
        let picture = Picture { at, number: image.number, file_name: image.file_name, place };
        self.pictures.push(witness(image.kind), picture, gather);
    }

    /// Returns the moment of a fix by satellite time if it has one, else by the ground station's clock, in nanoseconds.
    fn moment(&mut self, utc: Option<Timestamp>, clock_ns: u64, gather: &Gather) -> Moment {
        let (clock_us, told) = (microseconds(clock_ns), told_us(utc, gather));
        match (told, &mut self.tie) {
            (Some(utc_us), Some(tie)) => tie.learn(clock_us, utc_us),
            (Some(utc_us), None) => self.begin(Tie::new(clock_us, utc_us)),
            (None, _) => (),
        }
        told.map_or_else(|| self.by_clock(clock_us), Moment::Utc)
    }

    fn by_clock(&self, clock_us: i64) -> Moment {
        self.tie.map_or(Moment::Clock(clock_us), |tie| Moment::Utc(tie.utc_us(clock_us)))
    }

    fn begin(&mut self, tie: Tie) {
        self.tie = Some(tie);
        self.set_utc(tie.offset_us());
    }

    fn set_utc(&mut self, offset_us: i64) {
        self.samples.tie(offset_us);
        self.pictures.tie(offset_us);
    }

    fn finish(mut self, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
        if self.tie.is_none() && !(self.samples.is_empty() && self.pictures.is_empty()) {
            gather.note(Note::GroundStationClock);
            self.set_utc(0);
        }
        Ok((finish::merged(vec![self.samples], gather)?, self.pictures.best(gather)))
    }
}

fn microseconds(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 1_000).unwrap_or(i64::MAX)
}

/// Returns the microseconds since 1970 of a satellite time that can be.
fn told_us(utc: Option<Timestamp>, gather: &Gather) -> Option<i64> {
    utc.map(Timestamp::as_microsecond).filter(|utc_us| gather.is_plausible(*utc_us))
}

/// Returns the witness of a picture. `CAMERA_FEEDBACK` is the hot shoe's signal, or the trigger if there is none.
fn witness(report: ImageReport) -> Witness {
    match report {
        ImageReport::Captured => Witness::Camera,
        ImageReport::Feedback => Witness::Signal,
        ImageReport::Trigger => Witness::Trigger,
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::{FixQuality, PositionSource};

    use super::*;
    use crate::report::{TrackFile, TrackFormat};
    use crate::testing::{expect_error, mutate, read_all, truncate};

    /// 2026-05-09T10:11:12Z in microseconds since 1970.
    const UTC_US: u64 = 1_778_321_472_000_000;
    /// The ground station's clock is an hour fast.
    const FAST_US: u64 = 3_600_000_000;

    /// Returns a frame of version 1 with its checksum, CRC-16/MCRF4XX over header, payload and the message's seed.
    fn frame(id: u8, seed: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0xFE, payload.len() as u8, 7, 1, 1, id];
        frame.extend(payload);
        let sum = frame[1..].iter().chain([&seed]).fold(0xFFFF_u16, |sum, byte| {
            let low = byte ^ sum as u8;
            let low = u16::from(low ^ (low << 4));
            (sum >> 8) ^ (low << 8) ^ (low << 3) ^ (low >> 4)
        });
        frame.extend(sum.to_le_bytes());
        frame
    }

    fn heartbeat() -> Vec<u8> {
        frame(0, 50, &[0, 0, 0, 0, 2, 3, 81, 4, 3])
    }

    /// Satellite time `boot_ms` after a start.
    fn system_time(start_us: u64, boot_ms: u32) -> Vec<u8> {
        let unix_us = start_us + u64::from(boot_ms) * 1_000;
        frame(2, 137, &[&unix_us.to_le_bytes()[..], &boot_ms.to_le_bytes()].concat())
    }

    fn gps_raw() -> Vec<u8> {
        let mut payload = vec![0; 20];
        payload.extend(75_u16.to_le_bytes());
        payload.extend([0; 6]);
        payload.extend([3, 17]);
        frame(24, 24, &payload)
    }

    fn position(boot_ms: u32, latitude: i32) -> Vec<u8> {
        let mut payload = boot_ms.to_le_bytes().to_vec();
        [latitude, 1_396_917_000, 40_500, 1_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
        [300_i16, 400, 5, 9_000].iter().for_each(|value| payload.extend(value.to_le_bytes()));
        frame(33, 104, &payload)
    }

    /// CAMERA_FEEDBACK of picture 7, `boot_ms` after 10:11:12.
    fn feedback(boot_ms: u32) -> Vec<u8> {
        let mut payload = (UTC_US + u64::from(boot_ms) * 1_000).to_le_bytes().to_vec();
        [355_000_000, 1_395_000_000].iter().for_each(|value: &i32| payload.extend(value.to_le_bytes()));
        [52.5_f32, 50.0, 0.0, 0.0, 0.0, 0.0].iter().for_each(|value| payload.extend(value.to_le_bytes()));
        payload.extend(7_u16.to_le_bytes());
        payload.extend([1, 0, 0]);
        frame(180, 52, &payload)
    }

    /// A record of a frame that arrives 50 ms after `boot_ms`.
    fn record(boot_ms: u32, frame: &[u8]) -> Vec<u8> {
        let arrival_us = UTC_US + FAST_US + u64::from(boot_ms) * 1_000 + 50_000;
        [&arrival_us.to_be_bytes(), frame].concat()
    }

    fn log(has_time: bool) -> Vec<u8> {
        log_from(has_time.then_some(UTC_US))
    }

    /// A log whose satellite time, if it has one, counts from this start.
    fn log_from(start_us: Option<u64>) -> Vec<u8> {
        let records = (0..6).flat_map(|index| {
            let boot_ms = 1_000 + 200 * index;
            let start_us = start_us.filter(|_| index >= 2);
            let time = start_us.map_or_else(heartbeat, |start_us| system_time(start_us, boot_ms));
            [heartbeat(), gps_raw(), time, position(boot_ms, 350_000_000 + index as i32)]
                .map(|frame| record(boot_ms, &frame))
        });
        records.flatten().collect()
    }

    fn moments(file: &TrackFile) -> Vec<String> {
        file.fixes.iter().map(|fix| fix.utc.to_string()).collect()
    }

    #[test]
    fn fixes_have_the_vehicle_s_satellite_time() {
        let file = read_all(&log(true)).expect("fixes");
        let expected = ["13", "13.2", "13.4", "13.6", "13.8", "14"].map(|second| format!("2026-05-09T10:11:{second}Z"));
        assert_eq!(file.format, TrackFormat::Tlog);
        assert_eq!(moments(&file), expected, "also those before the first satellite time");
        let fix = &file.fixes[3];
        assert_eq!((fix.position.latitude_deg, fix.position.altitude_m), (35.000_000_3, Some(40.5)));
        assert_eq!(
            (fix.position.quality, fix.position.source),
            (Some(FixQuality::Autonomous), PositionSource::Mavlink)
        );
        assert_eq!((fix.position.hdop, fix.speed_mps), (Some(0.75), Some(5.0)));
        assert!(file.skipped.is_empty() && file.notes.is_empty(), "{file:?}");
    }

    #[test]
    fn a_log_may_be_of_an_earlier_year() {
        // 2018-08-08T14:05:45Z.
        let file = read_all(&log_from(Some(1_533_737_145_000_000))).expect("fixes");
        assert_eq!(moments(&file)[0], "2018-08-08T14:05:46Z");
        assert!(file.notes.is_empty(), "{file:?}");
    }

    #[test]
    fn without_satellite_time_the_ground_station_s_counts() {
        let file = read_all(&log(false)).expect("fixes");
        assert_eq!(moments(&file)[0], "2026-05-09T11:11:13.05Z");
        assert_eq!(file.notes.into_iter().collect::<Vec<_>>(), [Note::GroundStationClock]);
    }

    #[test]
    fn pictures_have_the_moment_and_the_place_of_their_report() {
        let file = read_all(&[log(true), record(2_100, &feedback(2_050))].concat()).expect("fixes");
        let [image] = &file.images[..] else { panic!("{:?}", file.images) };
        assert_eq!((image.utc.to_string().as_str(), image.number), ("2026-05-09T10:11:14.05Z", Some(7)));
        assert_eq!((image.position.latitude_deg, image.position.longitude_deg), (35.5, 139.5));
        assert_eq!(image.position.altitude_m, Some(52.5));
    }

    #[test]
    fn damaged_records_are_passed_over() {
        let (log, noise) = (log(true), [0xFD; 40]);
        let middle = log.len() / 2;
        let file = read_all(&[&log[..middle], &noise, &log[middle..]].concat()).expect("fixes");
        assert!(file.fixes.len() >= 5 && file.skipped.get(&Skip::Unreadable) >= Some(&1), "{file:?}");
        let file = read_all(&log[..log.len() - 5]).expect("fixes");
        assert_eq!((file.fixes.len(), file.notes.contains(&Note::EndsEarly)), (5, true));
        assert!(expect_error(&record(0, &heartbeat())).contains("no fix"));
    }

    #[test]
    fn any_bytes_are_fine() {
        mutate(&log(true), 3_000, 20);
        truncate(&log(true));
    }
}
