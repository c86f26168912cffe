//! GPS Exchange Format 1.0 and 1.1 (<https://www.topografix.com/GPX/1/1/>).
//!
//! The file may come from anybody, so reading it is bounded: no document type and hence no entities, no element of more
//! than a megabyte, and no more levels than a track needs. Elements count by their local names, because recorders get
//! namespaces wrong. Only numbers and times are read, so bytes outside ASCII are replaced and no encoding matters.

use std::io::{self, BufRead, Read};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use quick_xml::Reader;
use quick_xml::errors::Error;
use quick_xml::events::{BytesStart, Event};

use bridgeclip_domain::{FixQuality, PositionSource};

use crate::detect::BYTE_ORDER_MARK;
use crate::error::TrackError;
use crate::finish;
use crate::gather::Gather;
use crate::pictures::Picture;
use crate::report::{Note, Skip};
use crate::sample::{Moment, Sample, Samples};
use crate::window::Window;

/// Maximum size of a tag, a text or a comment in bytes.
const EVENT_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 64;
/// Number of attributes of a point that are looked at.
const ATTRIBUTES_MAX: usize = 32;
/// Maximum length of a number or a time in bytes.
const VALUE_MAX: usize = 64;

/// Reads a file.
pub fn read(window: &mut Window<impl Read>, gather: &mut Gather) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
    if window.peek(BYTE_ORDER_MARK.len())?.starts_with(BYTE_ORDER_MARK) {
        window.consume(BYTE_ORDER_MARK.len());
    }
    let mut reader = Reader::from_reader(Ascii { window, bytes: Vec::new(), used: 0, left: 0 });
    let mut walk = Walk::new(gather);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        reader.get_mut().left = EVENT_MAX;
        let event = reader.read_event_into(&mut buffer);
        if reader.get_ref().left == 0 {
            return Err(walk.gather.malformed("an element of more than a megabyte"));
        }
        let step = match event {
            Ok(event) => walk.take(event)?,
            Err(Error::Io(error)) => return Err(io::Error::new(error.kind(), error.to_string()).into()),
            Err(error) => Step::Broken(error.to_string()),
        };
        match step {
            Step::More => (),
            Step::End => return walk.finish(),
            Step::Broken(reason) if walk.samples.is_empty() => return Err(walk.gather.malformed(reason)),
            Step::Broken(_) => {
                walk.gather.note(Note::Damaged(reader.buffer_position()));
                return walk.finish();
            }
        }
    }
}

/// A source without bytes outside ASCII, which gives at most `left` bytes.
struct Ascii<'a, R> {
    window: &'a mut Window<R>,
    bytes: Vec<u8>,
    used: usize,
    left: usize,
}

impl<R: Read> Ascii<'_, R> {
    fn refill(&mut self) -> io::Result<()> {
        const PIECE: usize = 8 * 1024;
        let next = self.window.peek(1)?;
        let count = next.len().min(PIECE);
        self.bytes.clear();
        self.bytes.extend(next[..count].iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }));
        self.used = 0;
        self.window.consume(count);
        Ok(())
    }
}

impl<R: Read> Read for Ascii<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Ascii<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.bytes.len() {
            self.refill()?;
        }
        let end = self.bytes.len().min(self.used.saturating_add(self.left));
        Ok(&self.bytes[self.used..end])
    }

    fn consume(&mut self, count: usize) {
        self.used += count;
        self.left -= count;
    }
}

enum Step {
    More,
    End,
    Broken(String),
}

/// A point in progress.
struct Point {
    /// Level of its element.
    depth: usize,
    latitude_deg: f64,
    longitude_deg: f64,
    values: [Option<String>; VALUES.len()],
}

/// Names of the elements of a point that are read.
const VALUES: [&str; 5] = ["time", "ele", "hdop", "fix", "speed"];
const TIME: usize = 0;
const ELEVATION: usize = 1;
const HDOP: usize = 2;
const FIX: usize = 3;
const SPEED: usize = 4;

struct Walk<'a> {
    gather: &'a mut Gather,
    samples: Samples,
    depth: usize,
    point: Option<Point>,
    /// Which value of the point is being read, and its text so far.
    value: Option<(usize, String)>,
}

impl<'a> Walk<'a> {
    fn new(gather: &'a mut Gather) -> Self {
        let samples = Samples::new(gather.params.fixes_max, None);
        Walk { gather, samples, depth: 0, point: None, value: None }
    }

    fn take(&mut self, event: Event) -> Result<Step, TrackError> {
        match event {
            Event::Start(element) => self.open(&element)?,
            Event::Empty(element) => {
                self.open(&element)?;
                self.close()?;
            }
            Event::End(_) => self.close()?,
            Event::Text(text) => self.add_text(&text),
            Event::CData(text) => self.add_text(&text),
            // No value that is read contains a reference.
            Event::GeneralRef(_) => self.add_text("&"),
            Event::DocType(_) => return Err(self.gather.malformed("document types are not read")),
            Event::Eof => return Ok(self.end()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (),
        }
        Ok(Step::More)
    }

    fn end(&mut self) -> Step {
        if self.depth > 0 {
            self.gather.note(Note::EndsEarly);
        }
        Step::End
    }

    fn open(&mut self, element: &BytesStart) -> Result<(), TrackError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.gather.malformed("too many levels of elements"));
        }
        let name = element.local_name();
        match name.into_inner() {
            "trkpt" => self.point = Some(point(element, self.depth)),
            "trkseg" | "trk" => self.samples.interrupt(),
            "wpt" => self.gather.note(Note::WaypointsIgnored),
            "rtept" => self.gather.note(Note::RoutesIgnored),
            "gpx" => (),
            _ if self.depth == 1 => return Err(self.gather.malformed("the first element is not gpx")),
            name => self.begin_value(name),
        }
        Ok(())
    }

    /// Begins a value. Times and coordinates stand directly in the point, a speed may be in its extensions.
    fn begin_value(&mut self, name: &str) {
        let Some(point) = &self.point else { return };
        let is_direct = self.depth == point.depth + 1;
        let index = VALUES.iter().position(|value| *value == name);
        let free = index.filter(|index| (is_direct || *index == SPEED) && point.values[*index].is_none());
        self.value = free.map(|index| (index, String::new()));
    }

    fn add_text(&mut self, text: &str) {
        if let Some((_, value)) = &mut self.value
            && value.len() <= VALUE_MAX
        {
            value.push_str(text.get(..VALUE_MAX + 1).unwrap_or(text));
        }
    }

    fn close(&mut self) -> Result<(), TrackError> {
        if let (Some((index, text)), Some(point)) = (self.value.take(), &mut self.point) {
            let text = text.trim();
            point.values[index] = (!text.is_empty() && text.len() <= VALUE_MAX).then(|| text.to_owned());
        }
        let is_point = self.point.as_ref().is_some_and(|point| point.depth == self.depth);
        self.depth = self.depth.saturating_sub(1);
        match self.point.take_if(|_| is_point) {
            Some(point) => self.push(&point),
            None => Ok(()),
        }
    }

    fn push(&mut self, point: &Point) -> Result<(), TrackError> {
        let quality = match point.values[FIX].as_deref() {
            Some("none") => return self.skip(Skip::NoFix),
            Some("dgps") => Some(FixQuality::Differential),
            // Satellites alone; "pps" is the encrypted military service.
            Some("2d" | "3d" | "pps") => Some(FixQuality::Autonomous),
            _ => None,
        };
        let Some((us, has_zone)) = point.values[TIME].as_deref().and_then(moment) else {
            return self.skip(Skip::NoTime);
        };
        if !has_zone {
            self.gather.note(Note::TimesWithoutZone);
        }
        let place = (point.latitude_deg, point.longitude_deg);
        let Some(sample) = Sample::new(Moment::Utc(us), place.0, place.1, PositionSource::SerialGps) else {
            return self.skip(Skip::NoPlace);
        };
        self.samples.push(Sample {
            altitude_m: point.number(ELEVATION, -1e3, 1e5),
            hdop: point.number(HDOP, 0.01, 99.0),
            speed_mps: point.number(SPEED, 0.0, 1e4),
            quality,
            ..sample
        })
    }

    fn skip(&mut self, reason: Skip) -> Result<(), TrackError> {
        self.gather.skip(reason);
        Ok(())
    }

    fn finish(self) -> Result<(Vec<Sample>, Vec<Picture>), TrackError> {
        Ok((finish::merged(vec![self.samples], self.gather)?, Vec::new()))
    }
}

impl Point {
    /// Returns a number in a range, or NaN.
    fn number(&self, index: usize, least: f64, most: f64) -> f64 {
        let number = self.values[index].as_deref().and_then(|text| text.parse().ok());
        number.filter(|number| (least..=most).contains(number)).unwrap_or(f64::NAN)
    }
}

/// Reads the attributes of a point. A coordinate that is missing or no number is NaN, which no sample accepts.
fn point(element: &BytesStart, depth: usize) -> Point {
    let mut point = Point { depth, latitude_deg: f64::NAN, longitude_deg: f64::NAN, values: Default::default() };
    // A search for repeated names would take quadratic time.
    for attribute in element.attributes().with_checks(false).take(ATTRIBUTES_MAX).flatten() {
        let value = attribute.value.trim().parse().unwrap_or(f64::NAN);
        match attribute.key.local_name().into_inner() {
            "lat" => point.latitude_deg = value,
            "lon" => point.longitude_deg = value,
            _ => (),
        }
    }
    point
}

/// Returns microseconds since 1970, and whether the text has a zone. GPX times are UTC unless they say otherwise. A date
/// alone is no moment.
fn moment(text: &str) -> Option<(i64, bool)> {
    if !text.contains(':') {
        return None;
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some((moment.as_microsecond(), true));
    }
    let civil: DateTime = text.parse().ok()?;
    Some((civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_microsecond(), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TrackFormat;
    use crate::testing::{expect_error, mutate, read_all, truncate};

    fn gpx(content: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<gpx version=\"1.1\" xmlns=\"http://www.topografix.com/GPX/1/1\">{content}</gpx>\n"
        )
    }

    fn segment(content: &str) -> String {
        gpx(&format!("<trk><name>Br\u{fc}cke</name><trkseg>{content}</trkseg></trk>"))
    }

    fn trkpt(latitude: &str, content: &str) -> String {
        format!("<trkpt lat=\"{latitude}\" lon=\"139.5\">{content}</trkpt>")
    }

    fn time(text: &str) -> String {
        format!("<time>{text}</time>")
    }

    #[test]
    fn points_have_time_place_and_quality() {
        let content = "<ele>12.5</ele><time>2026-05-09T10:11:12.25+09:00</time><fix>dgps</fix><hdop>0.9</hdop>\
             <extensions><gpxtpx:TrackPointExtension><gpxtpx:speed> 1.5 </gpxtpx:speed><x:time>never</x:time>\
             </gpxtpx:TrackPointExtension></extensions>";
        let file = read_all(segment(&trkpt("35.5", content)).as_bytes()).expect("a fix");
        let fix = &file.fixes[0];
        assert_eq!((file.format, fix.utc.to_string().as_str()), (TrackFormat::Gpx, "2026-05-09T01:11:12.25Z"));
        let position = &fix.position;
        assert_eq!((position.latitude_deg, position.longitude_deg), (35.5, 139.5));
        assert_eq!((position.altitude_m, position.altitude_above), (Some(12.5), None), "GPX does not say above what");
        assert_eq!((position.hdop, position.quality), (Some(0.9), Some(FixQuality::Differential)));
        assert_eq!((fix.speed_mps, fix.gap_before), (Some(1.5), true));
        assert!(file.skipped.is_empty() && file.notes.is_empty(), "{file:?}");
    }

    #[test]
    fn times_are_read_in_every_usual_form() {
        let cases = [
            ("2026-05-09T01:02:03Z", Some("2026-05-09T01:02:03Z")),
            (" 2026-05-09T01:02:03.123456789Z\n", Some("2026-05-09T01:02:03.123456Z")),
            ("2026-05-09T01:02:03-03:30", Some("2026-05-09T04:32:03Z")),
            ("2026-05-09T01:02:03+0900", Some("2026-05-08T16:02:03Z")),
            ("2026-05-09T01:02:03", Some("2026-05-09T01:02:03Z")),
            ("2026-05-09 01:02:03Z", Some("2026-05-09T01:02:03Z")),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:59Z")),
            ("2026-05-09", None),
            ("2026-13-09T01:02:03Z", None),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found =
                moment(text.trim()).map(|(us, _)| Timestamp::from_microsecond(us).expect("in range").to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_counted() {
        let good = time("2026-05-09T01:02:03Z");
        let points = [
            trkpt("35.1", &good),
            trkpt("35.2", ""),
            trkpt("95", &time("2026-05-09T01:02:04Z")),
            trkpt("35.3", &time("1999-08-22T00:00:00Z")),
            trkpt("35.3", &time("2999-08-22T00:00:00Z")),
            trkpt("35.4", &(time("2026-05-09T01:02:05Z") + "<fix>none</fix>")),
            trkpt("35.5", &good),
            "<trkpt lat=\"35\"><time>2026-05-09T01:02:09Z</time></trkpt>".to_owned(),
        ];
        let file = read_all(segment(&points.concat()).as_bytes()).expect("a fix");
        assert_eq!(file.fixes.len(), 1);
        assert_eq!(file.fixes[0].position.latitude_deg, 35.1);
        let skipped: Vec<_> = file.skipped.into_iter().collect();
        let reasons = [Skip::NoTime, Skip::TimeOutOfRange, Skip::NoFix, Skip::NoPlace, Skip::Repeated];
        let expected: Vec<_> = reasons.into_iter().zip([1, 2, 1, 2, 1]).collect();
        assert_eq!(skipped, expected);
    }

    #[test]
    fn segments_are_interruptions_and_other_points_are_no_track() {
        let point = |second: u32| trkpt("35.1", &time(&format!("2026-05-09T01:02:{second:02}Z")));
        let waypoint = point(30).replace("trkpt", "wpt");
        let route = format!("<rte>{}</rte>", point(40).replace("trkpt", "rtept"));
        let content = format!(
            "{waypoint}<trk><trkseg>{}{}</trkseg><trkseg>{}</trkseg></trk>{route}<trk><trkseg/><trkseg>{}</trkseg></trk>",
            point(1),
            point(2),
            point(3),
            point(20)
        );
        let file = read_all(gpx(&content).as_bytes()).expect("fixes");
        let gaps: Vec<bool> = file.fixes.iter().map(|fix| fix.gap_before).collect();
        assert_eq!(gaps, [true, false, true, true]);
        assert_eq!(file.notes.into_iter().collect::<Vec<_>>(), [Note::WaypointsIgnored, Note::RoutesIgnored]);
        assert!(
            expect_error(gpx(&waypoint).as_bytes()).contains("no fix with a time and a place; waypoints are not read")
        );
    }

    #[test]
    fn other_namespaces_encodings_and_marks_are_tolerated() {
        let text = segment(&trkpt("35.1", &time("2026-05-09T01:02:03")));
        let prefixed = text.replace("<trk", "<g:trk").replace("</trk", "</g:trk");
        let latin: Vec<u8> = text.chars().map(|letter| letter as u8).collect();
        let marked = [BYTE_ORDER_MARK, text.as_bytes()].concat();
        let utf16 = text.replace("version=\"1.0\"?", "version=\"1.0\" encoding=\"Shift_JIS\"?");
        for bytes in [prefixed.as_bytes(), &latin, &marked, utf16.as_bytes()] {
            let file = read_all(bytes).expect("a fix");
            assert_eq!((file.fixes.len(), file.notes.len()), (1, 1), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn hostile_files_are_refused() {
        let point = trkpt("35.1", &time("2026-05-09T01:02:03Z"));
        let entity = segment("<trkpt lat=\"35.1\" lon=\"139\"><time>&t;</time></trkpt>")
            .replace("?>\n", "?>\n<!DOCTYPE gpx [<!ENTITY t \"2026-05-09T01:02:03Z\">]>");
        assert!(expect_error(entity.as_bytes()).contains("document types"));
        assert!(expect_error(gpx(&"<a>".repeat(100_000)).as_bytes()).contains("levels"));
        assert!(
            expect_error(segment(&format!("<name>{}</name>{point}", "x".repeat(2 << 20))).as_bytes())
                .contains("megabyte")
        );
        assert!(expect_error(segment(&format!("<!--{}", "x".repeat(2 << 20))).as_bytes()).contains("megabyte"));
        assert!(expect_error(format!("<html><gpx>{point}</gpx></html>").as_bytes()).contains("not gpx"));
        let endless = segment(&trkpt("35.1", &time(&"2".repeat(1_000))));
        assert!(expect_error(endless.as_bytes()).contains("1 fixes without a time"));
    }

    #[test]
    fn a_torn_file_gives_what_is_before_the_tear() {
        let point = |second: u32| trkpt("35.1", &time(&format!("2026-05-09T01:02:{second:02}Z")));
        let text = segment(&(point(1) + &point(2)));
        let torn = read_all(&text.as_bytes()[..text.len() - 20]).expect("a fix");
        assert!(torn.fixes.len() == 2 && !torn.notes.is_empty(), "{torn:?}");
        let damaged = read_all(segment(&(point(1) + "</nonsense>" + &point(2))).as_bytes()).expect("a fix");
        assert!(matches!(damaged.notes.first(), Some(Note::Damaged(_))), "{damaged:?}");
        assert_eq!(damaged.fixes.len(), 1);
        assert!(expect_error(b"<gpx><trk></gpx>").starts_with("GPX: "));
    }

    #[test]
    fn any_bytes_are_fine() {
        let point = |second: u32| trkpt("35.1", &(time(&format!("2026-05-09T01:02:{second:02}Z")) + "<ele>1</ele>"));
        let text = segment(&(point(1) + &point(2) + &point(3)));
        mutate(text.as_bytes(), 3_000, 10);
        truncate(text.as_bytes());
    }
}
