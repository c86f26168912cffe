//! Placemarks in KML 2.2 (OGC 07-147r2), for Google Earth and other globes.

use std::io::Write;

use super::place::{above_sea_m, moment, name, summary, xml};
use super::{ExportError, Record};
use crate::domain::Position;
use crate::markup;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<kml xmlns=\"http://www.opengis.net/kml/2.2\">\n\
    <Document>\n<name>BridgeCLIP Edge</name>\n";

/// Writes one placemark per photo. Photos without a position have no point.
pub fn write(
    mut out: impl Write,
    records: impl Iterator<Item = Result<Record, ExportError>>,
) -> Result<(), ExportError> {
    out.write_all(HEAD.as_bytes())?;
    for record in records {
        write_placemark(&mut out, &record?)?;
    }
    writeln!(out, "</Document>\n</kml>")?;
    Ok(out.flush()?)
}

/// Writes a placemark. The schema requires its elements in this order.
fn write_placemark(out: &mut impl Write, record: &Record) -> Result<(), ExportError> {
    writeln!(out, "<Placemark id=\"photo-{}\">", record.capture.id)?;
    writeln!(out, "<name>{}</name>", xml(&name(record)))?;
    // A description is HTML, so a text in it is escaped twice.
    let summary: Vec<String> = summary(record).iter().map(|line| markup::escape(line)).collect();
    if !summary.is_empty() {
        writeln!(out, "<description>{}</description>", xml(&summary.join("<br>")))?;
    }
    if let Some(moment) = moment(record) {
        writeln!(out, "<TimeStamp><when>{moment}</when></TimeStamp>")?;
    }
    if let Some(position) = &record.facts().position {
        write_point(out, position)?;
    }
    Ok(writeln!(out, "</Placemark>")?)
}

/// Writes a point. KML counts altitudes from mean sea level; a point whose altitude counts from elsewhere lies on the
/// ground.
fn write_point(out: &mut impl Write, position: &Position) -> Result<(), ExportError> {
    let Position { latitude_deg, longitude_deg, .. } = position;
    let (mode, altitude) = match above_sea_m(position) {
        Some(altitude_m) => ("absolute", format!(",{altitude_m}")),
        None => ("clampToGround", String::new()),
    };
    Ok(writeln!(
        out,
        "<Point><altitudeMode>{mode}</altitudeMode><coordinates>{longitude_deg},{latitude_deg}{altitude}</coordinates>\
         </Point>"
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AltitudeAbove;
    use crate::export::record::{bare_example, example};

    fn written(records: Vec<Record>) -> String {
        let mut out = Vec::new();
        write(&mut out, records.into_iter().map(Ok)).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_placemark_for_each_photo() {
        let text = written(vec![example(1), bare_example(2)]);
        let expected = "<TimeStamp><when>2026-05-09T01:02:03.120Z</when></TimeStamp>\n<Point>\
             <altitudeMode>absolute</altitudeMode><coordinates>139.25,35.5,12.5</coordinates></Point>\n</Placemark>\n";
        assert!(text.starts_with(HEAD) && text.ends_with("</Document>\n</kml>\n") && text.contains(expected), "{text}");
        assert!(text.contains("<description>B-12 / 3 / G2&lt;br&gt;Soundness: III&lt;br&gt;"), "{text}");
        assert_eq!((text.matches("<Placemark").count(), text.matches("<Point>").count()), (2, 1));
    }

    #[test]
    fn an_altitude_above_the_ellipsoid_is_none_above_the_sea() {
        for above in [Some(AltitudeAbove::Ellipsoid), None] {
            let mut record = example(1);
            record.capture.facts.position.as_mut().expect("a position").altitude_above = above;
            let text = written(vec![record]);
            assert!(text.contains("clampToGround</altitudeMode><coordinates>139.25,35.5</coordinates>"), "{text}");
        }
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        let mut record = example(1);
        record.capture.facts.tag = "bridgeclip:bridge=<script>".parse().ok();
        record.capture.facts.image.path = "/media/</name>.JPG".into();
        let text = written(vec![record]);
        assert!(text.contains("<description>&amp;lt;script&amp;gt;&lt;br&gt;"), "{text}");
        assert_eq!(text.matches("</name>").count(), 2, "{text}");
    }
}
