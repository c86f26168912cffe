//! The image geolocation file of OpenDroneMap, `geo.txt` (<https://docs.opendronemap.org/geo/>): a line with the
//! coordinate system, then a line for each photo with its name, longitude, latitude, and altitude, angles and accuracy.

use std::io::Write;

use super::place::name;
use super::{ExportError, Record};
use crate::domain::{AltitudeAbove, Attitude, Position, PositionSource};

/// Longitude and latitude on WGS 84.
const COORDINATE_SYSTEM: &str = "EPSG:4326";

/// Radius in standard deviations that holds 95 % of a circular normal distribution: the root of -2 ln 0.05.
const CIRCLE_95: f64 = 2.4477;
/// Half-width in standard deviations that holds 95 % of a normal distribution.
const INTERVAL_95: f64 = 1.96;
/// Vertical error of satellite positions divided by the horizontal one, both 95 %: 13 m and 8 m (GPS SPS Performance
/// Standard, 5th edition 2020, table 3.8-3).
const VERTICAL_SHARE: f64 = 13.0 / 8.0;

/// Writes one line per photo with a position of the camera. Photos whose names the format cannot hold, and those whose
/// position is that of the damage, get a comment. Returns the number of photos without a line.
pub fn write(
    mut out: impl Write,
    records: impl Iterator<Item = Result<Record, ExportError>>,
) -> Result<u64, ExportError> {
    let mut unplaced = 0;
    writeln!(out, "{COORDINATE_SYSTEM}")?;
    for record in records {
        let record = record?;
        match line(&record) {
            Line::Photo(line) => writeln!(out, "{line}")?,
            Line::Comment(reason) => {
                unplaced += 1;
                // A control character would end the comment.
                let name: String = name(&record).chars().filter(|letter| !letter.is_control()).collect();
                writeln!(out, "# {name}: {reason}")?;
            }
            Line::None => unplaced += 1,
        }
    }
    out.flush()?;
    Ok(unplaced)
}

enum Line {
    Photo(String),
    Comment(&'static str),
    None,
}

fn line(record: &Record) -> Line {
    let (Some(position), Some(file)) = (&record.facts().position, record.file()) else { return Line::None };
    if position.source == PositionSource::LaserTarget {
        return Line::Comment("left out, because the position is that of the damage, not of the camera");
    }
    if file.starts_with('#') || file.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Line::Comment("left out, because a name with a space or # cannot be written; rename the photo");
    }
    let gimbal = record.facts().drone.as_ref().map(|drone| &drone.gimbal);
    Line::Photo(format!("{file} {}", columns(position, gimbal)))
}

/// Returns the columns after the name. Each needs those before it, so a photo without an altitude has no accuracy.
fn columns(position: &Position, gimbal: Option<&Attitude>) -> String {
    let mut columns = format!("{} {}", position.longitude_deg, position.latitude_deg);
    let Some(altitude_m) = position.altitude_m else { return columns };
    columns += &format!(" {altitude_m}");
    let angles = gimbal.and_then(angles);
    let Some(error_m) = position.error_m else {
        columns += &angles.map_or_else(String::new, |[yaw, pitch, roll]| format!(" {yaw} {pitch} {roll}"));
        return columns;
    };
    let [yaw, pitch, roll] = angles.unwrap_or_default();
    let horizontal_m = error_m / CIRCLE_95;
    let vertical_m = error_m * VERTICAL_SHARE / INTERVAL_95;
    let surface = match position.altitude_above {
        Some(AltitudeAbove::Sea) => " sea",
        Some(AltitudeAbove::Ellipsoid) => " ellipsoid",
        None => "",
    };
    columns + &format!(" {yaw} {pitch} {roll} {horizontal_m:.3} {vertical_m:.3}{surface}")
}

/// Returns yaw, pitch and roll as OpenDroneMap counts them: yaw from 0 to 360, pitch from straight down.
fn angles(gimbal: &Attitude) -> Option<[f64; 3]> {
    Some([gimbal.yaw_deg?.rem_euclid(360.0), gimbal.pitch_deg? + 90.0, gimbal.roll_deg?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Drone;
    use crate::export::record::{bare_example, example};

    fn written(records: Vec<Record>) -> (Vec<String>, u64) {
        let mut out = Vec::new();
        let unplaced = write(&mut out, records.into_iter().map(Ok)).expect("written");
        (String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect(), unplaced)
    }

    fn with(change: impl FnOnce(&mut Record)) -> Vec<Record> {
        let mut record = example(1);
        change(&mut record);
        vec![record]
    }

    fn position(record: &mut Record) -> &mut Position {
        record.capture.facts.position.as_mut().expect("a position")
    }

    #[test]
    fn a_line_for_each_photo_with_a_place() {
        let (lines, unplaced) = written(vec![example(1), bare_example(2)]);
        assert_eq!(lines, ["EPSG:4326", "DJI_0001.JPG 139.25 35.5 12.5 0 0 0 1.512 3.068 sea"]);
        assert_eq!(unplaced, 1);
    }

    #[test]
    fn columns_end_where_nothing_more_is_known() {
        let (lines, _) = written(with(|record| position(record).altitude_m = None));
        assert_eq!(lines[1], "DJI_0001.JPG 139.25 35.5");
        let (lines, _) = written(with(|record| position(record).error_m = None));
        assert_eq!(lines[1], "DJI_0001.JPG 139.25 35.5 12.5");
        let gimbal = Attitude { yaw_deg: Some(-170.5), pitch_deg: Some(-90.0), roll_deg: Some(0.25) };
        let drone = Some(Drone { gimbal, ..Drone::default() });
        let (lines, _) = written(with(|record| record.capture.facts.drone = drone.clone()));
        assert_eq!(lines[1], "DJI_0001.JPG 139.25 35.5 12.5 189.5 0 0.25 1.512 3.068 sea");
        let (lines, _) = written(with(|record| {
            record.capture.facts.drone = drone;
            position(record).error_m = None;
        }));
        assert_eq!(lines[1], "DJI_0001.JPG 139.25 35.5 12.5 189.5 0 0.25");
    }

    #[test]
    fn photos_that_would_mislead_are_comments() {
        let laser = with(|record| position(record).source = PositionSource::LaserTarget);
        let named = |name: &str| with(|record| record.capture.facts.image.path = format!("/media/{name}").into());
        for records in [laser, named("DJI 0001.JPG"), named("#1.JPG"), named("a\n1 2 3.JPG"), named("橋\u{3000}1.JPG")]
        {
            let (lines, unplaced) = written(records);
            assert!(lines.len() == 2 && lines[1].starts_with("# ") && unplaced == 1, "{lines:?}");
        }
        assert!(written(named("橋-1.JPG")).0[1].starts_with("橋-1.JPG 139.25 "));
    }
}
