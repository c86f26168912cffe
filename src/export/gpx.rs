//! Waypoints in the GPS Exchange Format 1.1 (<https://www.topografix.com/GPX/1/1/>), for receivers and maps.

use std::io::Write;

use super::place::{above_sea_m, moment, name, summary, xml};
use super::{ExportError, Record};
use crate::domain::{FixQuality, Position};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx version=\"1.1\" creator=\"BridgeCLIP Edge\" \
    xmlns=\"http://www.topografix.com/GPX/1/1\">\n";

/// Writes one waypoint per photo, in the order of the records. Returns the number of photos left out because they have
/// no position.
pub fn write(
    mut out: impl Write,
    records: impl Iterator<Item = Result<Record, ExportError>>,
) -> Result<u64, ExportError> {
    let mut unplaced = 0;
    out.write_all(HEAD.as_bytes())?;
    for record in records {
        let record = record?;
        match &record.facts().position {
            Some(position) => write_point(&mut out, &record, position)?,
            None => unplaced += 1,
        }
    }
    writeln!(out, "</gpx>")?;
    out.flush()?;
    Ok(unplaced)
}

/// Writes a waypoint. The schema requires its elements in this order.
fn write_point(out: &mut impl Write, record: &Record, position: &Position) -> Result<(), ExportError> {
    writeln!(out, "<wpt lat=\"{}\" lon=\"{}\">", position.latitude_deg, position.longitude_deg)?;
    if let Some(altitude_m) = above_sea_m(position) {
        writeln!(out, "<ele>{altitude_m}</ele>")?;
    }
    if let Some(moment) = moment(record) {
        writeln!(out, "<time>{moment}</time>")?;
    }
    writeln!(out, "<name>{}</name>", xml(&name(record)))?;
    let summary: Vec<String> = summary(record).iter().map(|line| xml(line)).collect();
    if !summary.is_empty() {
        writeln!(out, "<desc>{}</desc>", summary.join("\n"))?;
    }
    if position.quality == Some(FixQuality::Differential) {
        writeln!(out, "<fix>dgps</fix>")?;
    }
    if let Some(hdop) = position.hdop {
        writeln!(out, "<hdop>{hdop}</hdop>")?;
    }
    Ok(writeln!(out, "</wpt>")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AltitudeAbove, TimeQuality};
    use crate::export::record::{bare_example, example};

    fn written(records: Vec<Record>) -> (String, u64) {
        let mut out = Vec::new();
        let unplaced = write(&mut out, records.into_iter().map(Ok)).expect("written");
        (String::from_utf8(out).expect("UTF-8"), unplaced)
    }

    #[test]
    fn a_waypoint_for_each_photo_with_a_place() {
        let (text, unplaced) = written(vec![example(1), bare_example(2)]);
        let expected = "<wpt lat=\"35.5\" lon=\"139.25\">\n<ele>12.5</ele>\n<time>2026-05-09T01:02:03.120Z</time>\n\
             <name>DJI_0001.JPG</name>\n<desc>B-12 / 3 / G2\nSoundness: III\n";
        assert!(text.starts_with(HEAD) && text.ends_with("</wpt>\n</gpx>\n"), "{text}");
        assert!(text.contains(expected) && text.contains("<fix>dgps</fix>\n<hdop>0.8</hdop>\n"), "{text}");
        assert_eq!((text.matches("<wpt").count(), unplaced), (1, 1));
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let mut record = example(1);
        record.capture.facts.taken.quality = TimeQuality::Unsynced;
        let position = record.capture.facts.position.as_mut().expect("a position");
        (position.altitude_above, position.hdop) = (Some(AltitudeAbove::Ellipsoid), None);
        record.capture.facts.image.path = "/media/<a>&\u{1}.JPG".into();
        let (text, _) = written(vec![record]);
        assert!(!text.contains("<ele>") && !text.contains("<time>") && !text.contains("<hdop>"), "{text}");
        assert!(text.contains("<name>&lt;a&gt;&amp;\u{fffd}.JPG</name>"), "{text}");
    }

    #[test]
    fn an_error_ends_it() {
        let records = [Ok(example(1)), Err(ExportError::Stopped)];
        assert!(matches!(write(Vec::new(), records.into_iter()), Err(ExportError::Stopped)));
    }
}
