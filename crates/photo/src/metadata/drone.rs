//! Unifies what drone makers write into XMP.
//!
//! Names, units and signs are from DJI's manuals (Zenmuse P1, Mavic 3 Enterprise, Matrice 4: "XMP data list"), Skydio's
//! "Camera and metadata overview" for the X2 and X10, Parrot's "Embedded Photo Metadata", and ExifTool's tables. Autel
//! has written DJI's fields under the prefix `drone` since 2022, and those of Pix4D (`Camera`) before.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

use bridgeclip_domain::{AltitudeAbove, Attitude, Drone, FixQuality, Position, PositionSource};

use super::standard;
use super::values::{Metadata, plausible_altitude, plausible_place, plausible_speed};
use super::xmp::Properties;

/// Distance in metres beyond which a value is an error: no laser on a drone reaches that far.
const DISTANCE_M_MAX: f64 = 10_000.0;

/// Adds the facts of an XMP packet to the metadata. Returns the moment of exposure in UTC if the packet states it.
pub fn add(properties: &Properties, metadata: &mut Metadata) -> Option<Timestamp> {
    let mut drone = Drone::default();
    let mut utc = None;
    for prefix in ["drone-dji:", "drone:"] {
        let fields = Fields { properties, prefix };
        add_dji(&fields, metadata, &mut drone);
        utc = utc.or_else(|| exposure_utc(fields.text("UTCAtExposure")?));
    }
    add_skydio(&Fields { properties, prefix: "drone-skydio:" }, metadata, &mut drone);
    add_parrot(&Fields { properties, prefix: "drone-parrot:" }, &mut drone);
    add_pix4d(&Fields { properties, prefix: "Camera:" }, metadata, &mut drone);
    metadata.drone = (drone != Drone::default()).then_some(drone);
    utc
}

/// First day on which a drone can have stated the moment of exposure. A clock that is not set shows an earlier one.
const FIRST_DAY: Date = Date::constant(2016, 1, 1);

/// Parses a moment in UTC, such as `2022-07-23T07:12:22.872778`, or in microseconds since 1970.
fn exposure_utc(text: &str) -> Option<Timestamp> {
    let is_number = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_digit());
    let moment = if is_number { Timestamp::from_microsecond(text.parse().ok()?).ok()? } else { standard::utc(text)? };
    (Offset::UTC.to_datetime(moment).date() >= FIRST_DAY).then_some(moment)
}

/// Fields of one maker, by their common prefix.
struct Fields<'a> {
    properties: &'a Properties,
    prefix: &'static str,
}

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.properties.text(&format!("{}{name}", self.prefix))
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.properties.number(&format!("{}{name}", self.prefix))
    }

    /// Returns a number if it is within `limit` on both sides of zero.
    fn within(&self, name: &str, limit: f64) -> Option<f64> {
        self.number(name).filter(|value| value.abs() <= limit)
    }

    fn altitude(&self, name: &str) -> Option<f64> {
        self.number(name).and_then(plausible_altitude)
    }

    /// Returns a length in metres if it is positive. Devices without a value write 0.
    fn length(&self, name: &str) -> Option<f64> {
        self.within(name, DISTANCE_M_MAX).filter(|value| *value > 0.0)
    }

    /// Reads an attitude from the fields with these `names` for roll, pitch and yaw, in degrees.
    fn attitude(&self, names: [&str; 3]) -> Attitude {
        let [roll_deg, pitch_deg, yaw_deg] = names.map(|name| self.within(name, 360.0));
        Attitude { roll_deg, pitch_deg, yaw_deg }
    }

    /// Reads a latitude and longitude in degrees.
    fn place(&self, latitude: &str, longitude: &str) -> Option<(f64, f64)> {
        plausible_place(self.within(latitude, 90.0)?, self.within(longitude, 180.0)?)
    }
}

fn add_dji(fields: &Fields, metadata: &mut Metadata, drone: &mut Drone) {
    let attitude = |part: &str| {
        let names = ["Roll", "Pitch", "Yaw"].map(|axis| format!("{part}{axis}Degree"));
        fields.attitude([&names[0], &names[1], &names[2]])
    };
    drone.absolute_altitude_m = drone.absolute_altitude_m.or(fields.altitude("AbsoluteAltitude"));
    drone.relative_altitude_m = drone.relative_altitude_m.or(fields.altitude("RelativeAltitude"));
    fill(&mut drone.gimbal, attitude("Gimbal"));
    fill(&mut drone.flight, attitude("Flight"));
    let quality = rtk_quality(fields);
    let surface = surface(fields);
    if let Some(position) = &mut metadata.positions.exif {
        position.quality = position.quality.max(quality);
        // The altitude in the EXIF block is a copy of this one, whatever its reference says.
        position.altitude_above = position.altitude_m.and(surface).or(position.altitude_above);
    }
    let positions = &mut metadata.positions;
    match place(fields, quality, surface) {
        Some(place) if place.source == PositionSource::Rtk => positions.rtk = positions.rtk.take().or(Some(place)),
        place => positions.xmp = positions.xmp.take().or(place),
    }
    metadata.speed_mps = metadata.speed_mps.or_else(|| ground_speed(fields));
    // A laser that measured nothing reports another status.
    if fields.text("LRFStatus").is_none_or(|status| status == "Normal")
        && let Some(distance) = fields.length("LRFTargetDistance")
    {
        drone.laser_distance_m = drone.laser_distance_m.or(Some(distance));
        metadata.positions.laser_target =
            metadata.positions.laser_target.take().or_else(|| laser_target(fields, quality, surface));
    }
}

/// Returns the quality that `RtkFlag` stands for: 0 is no position, 16 a single point, 32 to 49 a floating solution, 50
/// a fixed one.
fn rtk_quality(fields: &Fields) -> Option<FixQuality> {
    match fields.text("RtkFlag")?.parse().ok()? {
        16 => Some(FixQuality::Autonomous),
        32..=49 => Some(FixQuality::RtkFloat),
        50 => Some(FixQuality::RtkFixed),
        _ => None,
    }
}

/// Returns the surface from which `AbsoluteAltitude` counts. With RTK that is the ellipsoid of the corrections
/// ("geodetic height" in DJI's manuals). Without it, DJI adds the barometer's height to an altitude at take-off whose
/// surface it does not state.
fn surface(fields: &Fields) -> Option<AltitudeAbove> {
    let is_rtk = match fields.text("AltitudeType") {
        Some(kind) => kind == "RtkAlt",
        None => rtk_quality(fields).is_some(),
    };
    is_rtk.then_some(AltitudeAbove::Ellipsoid)
}

/// Returns the drone's position, from RTK or from satellites alone.
fn place(fields: &Fields, quality: Option<FixQuality>, surface: Option<AltitudeAbove>) -> Option<Position> {
    // Some firmware misspells the longitude's name.
    let place = |longitude| fields.place("GpsLatitude", longitude);
    let place =
        place("GpsLongitude").or_else(|| place("GpsLongtitude")).or_else(|| fields.place("Latitude", "Longitude"))?;
    let altitude_m = fields.altitude("AbsoluteAltitude");
    let is_rtk = quality >= Some(FixQuality::RtkFloat);
    let has_no_fix = fields.text("GpsStatus").is_some_and(|status| status.eq_ignore_ascii_case("Invalid"));
    let deviations = fields.length("RtkStdLat").zip(fields.length("RtkStdLon"));
    let quality = if has_no_fix && !is_rtk { Some(FixQuality::Estimated) } else { quality };
    Some(Position {
        std_m: deviations.filter(|_| quality.is_some()).map(|(north, east)| north.hypot(east)),
        quality,
        altitude_above: altitude_m.and(surface),
        age_s: (quality != Some(FixQuality::Estimated)).then_some(0.0),
        ..position(if is_rtk { PositionSource::Rtk } else { PositionSource::Xmp }, place, altitude_m)
    })
}

/// Returns the speed over the ground in metres per second from its components to the north and to the east.
fn ground_speed(fields: &Fields) -> Option<f64> {
    plausible_speed(fields.number("FlightXSpeed")?.hypot(fields.number("FlightYSpeed")?))
}

/// Returns the point that the laser hit. It is computed from the drone's position, so its quality is no better.
fn laser_target(fields: &Fields, quality: Option<FixQuality>, surface: Option<AltitudeAbove>) -> Option<Position> {
    let place = fields.place("LRFTargetLat", "LRFTargetLon")?;
    let altitude_m = fields.altitude("LRFTargetAbsAlt");
    let target = position(PositionSource::LaserTarget, place, altitude_m);
    Some(Position { quality, altitude_above: altitude_m.and(surface), ..target })
}

/// Returns a position that was measured at the moment of exposure.
fn position(source: PositionSource, place: (f64, f64), altitude_m: Option<f64>) -> Position {
    Position { altitude_m, age_s: Some(0.0), ..Position::at(place.0, place.1, source) }
}

/// Adds Skydio's fields. Its position repeats that of the EXIF block, with more digits; Skydio states the ellipsoid as
/// the altitude's surface for the X10 with RTK alone ("Skydio X10 RTK/PPK metadata overview").
fn add_skydio(fields: &Fields, metadata: &mut Metadata, drone: &mut Drone) {
    let altitude_m = fields.altitude("AbsoluteAltitude");
    let place = fields.place("Latitude", "Longitude");
    let xmp = &mut metadata.positions.xmp;
    *xmp = xmp.take().or_else(|| place.map(|place| position(PositionSource::Xmp, place, altitude_m)));
    let attitude = |structure: &str| {
        let names = ["Roll", "Pitch", "Yaw"].map(|axis| format!("{structure}/drone-skydio:{axis}"));
        fields.attitude([&names[0], &names[1], &names[2]])
    };
    drone.absolute_altitude_m = drone.absolute_altitude_m.or(fields.altitude("AbsoluteAltitude"));
    drone.relative_altitude_m = drone.relative_altitude_m.or(fields.altitude("RelativeAltitude"));
    fill(&mut drone.gimbal, attitude("CameraOrientationNED"));
    fill(&mut drone.flight, attitude("VehicleOrientationNED"));
}

fn add_parrot(fields: &Fields, drone: &mut Drone) {
    fill(&mut drone.gimbal, fields.attitude(["CameraRollDegree", "CameraPitchDegree", "CameraYawDegree"]));
    fill(&mut drone.flight, fields.attitude(["DroneRollDegree", "DronePitchDegree", "DroneYawDegree"]));
}

/// Adds Pix4D's fields. Pix4D counts the camera's pitch from straight down (0) over the horizon (90) to straight up
/// (180). The Autel XL715 writes a gimbal's pitch there instead, in which the horizon is 0 and straight down is -90.
fn add_pix4d(fields: &Fields, metadata: &mut Metadata, drone: &mut Drone) {
    let mut gimbal = fields.attitude(["Roll", "Pitch", "Yaw"]);
    gimbal.pitch_deg = gimbal.pitch_deg.map(|pitch| if pitch < 0.0 { pitch } else { pitch - 90.0 });
    fill(&mut drone.gimbal, gimbal);
    drone.relative_altitude_m = drone.relative_altitude_m.or(fields.altitude("AboveGroundAltitude"));
    let std_m = fields.length("GPSXYAccuracy");
    for position in [&mut metadata.positions.exif, &mut metadata.positions.xmp].into_iter().flatten() {
        position.std_m = position.std_m.or(std_m);
    }
}

/// Sets an attitude unless an earlier maker's fields did. Angles of several makers are not mixed.
fn fill(attitude: &mut Attitude, candidate: Attitude) {
    if attitude.is_unknown() {
        *attitude = candidate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Positions, xmp};

    fn read(description: &str) -> Metadata {
        let packet = format!("<x:xmpmeta><rdf:RDF>{description}</rdf:RDF></x:xmpmeta>");
        let exif = position(PositionSource::Exif, (49.7, 13.3), None);
        let positions = Positions { exif: Some(exif), ..Positions::default() };
        let mut metadata = Metadata { positions, ..Metadata::default() };
        metadata.moments.utc = add(&xmp::parse(packet.as_bytes()).expect("parses"), &mut metadata);
        metadata
    }

    fn attitude(roll: f64, pitch: f64, yaw: f64) -> Attitude {
        Attitude { roll_deg: Some(roll), pitch_deg: Some(pitch), yaw_deg: Some(yaw) }
    }

    const DJI: &str = r#"<rdf:Description rdf:about="DJI Meta Data" drone-dji:GpsLatitude="+49.726349021"
        drone-dji:GpsLongitude="+13.350951205" drone-dji:AbsoluteAltitude="+431.531" drone-dji:RelativeAltitude="+36.280"
        drone-dji:GimbalRollDegree="+0.00" drone-dji:GimbalYawDegree="+84.10" drone-dji:GimbalPitchDegree="-24.50"
        drone-dji:FlightRollDegree="+3.90" drone-dji:FlightYawDegree="+84.50" drone-dji:FlightPitchDegree="+4.70"
        drone-dji:RtkFlag="50" drone-dji:RtkStdLon="0.03" drone-dji:RtkStdLat="0.04" drone-dji:RtkStdHgt="0.02"
        drone-dji:LRFStatus="Normal" drone-dji:LRFTargetDistance="54.103" drone-dji:LRFTargetLon="13.3516290"
        drone-dji:LRFTargetLat="49.7263932" drone-dji:LRFTargetAlt="14.0" drone-dji:LRFTargetAbsAlt="409.100"/>"#;

    #[test]
    fn dji() {
        let metadata = read(DJI);
        let expected = Drone {
            absolute_altitude_m: Some(431.531),
            relative_altitude_m: Some(36.28),
            gimbal: attitude(0.0, -24.5, 84.1),
            flight: attitude(3.9, 4.7, 84.5),
            laser_distance_m: Some(54.103),
        };
        assert_eq!(metadata.drone, Some(expected));
        let laser = Position {
            quality: Some(FixQuality::RtkFixed),
            altitude_above: Some(AltitudeAbove::Ellipsoid),
            ..position(PositionSource::LaserTarget, (49.7263932, 13.351629), Some(409.1))
        };
        assert_eq!(metadata.positions.laser_target, Some(laser));
        assert_eq!(metadata.positions.xmp, None, "it is the one by RTK");
        let rtk = metadata.positions.rtk.expect("a position");
        assert_eq!((rtk.latitude_deg, rtk.longitude_deg), (49.726349021, 13.350951205));
        assert_eq!((rtk.quality, rtk.altitude_m), (Some(FixQuality::RtkFixed), Some(431.531)));
        assert_eq!((rtk.altitude_above, rtk.age_s), (Some(AltitudeAbove::Ellipsoid), Some(0.0)));
        assert!((rtk.std_m.expect("a deviation") - 0.05).abs() < 1e-12);
    }

    #[test]
    fn rtk_flags_grade_both_positions() {
        let cases = [
            ("50", Some(FixQuality::RtkFixed), true),
            ("34", Some(FixQuality::RtkFloat), true),
            ("16", Some(FixQuality::Autonomous), false),
            ("0", None, false),
            ("x", None, false),
        ];
        for (flag, quality, has_rtk) in cases {
            let positions = read(&DJI.replace("RtkFlag=\"50\"", &format!("RtkFlag=\"{flag}\""))).positions;
            assert_eq!(positions.exif.expect("a position").quality, quality, "{flag}");
            assert_eq!(positions.rtk.is_some(), has_rtk, "{flag}");
            let xmp = positions.xmp.map(|xmp| (xmp.latitude_deg, xmp.source, xmp.quality));
            assert_eq!(xmp, (!has_rtk).then_some((49.726349021, PositionSource::Xmp, quality)), "{flag}");
        }
    }

    #[test]
    fn positions_without_rtk() {
        let description = |fields: &str| {
            format!(
                "<rdf:Description drone-dji:GpsLatitude=\"+35.505\" drone-dji:AbsoluteAltitude=\"+123.40\" {fields}/>"
            )
        };
        let xmp = |fields: &str| read(&description(fields)).positions.xmp;
        let expected =
            Position { altitude_m: Some(123.4), age_s: Some(0.0), ..Position::at(35.505, 139.76, PositionSource::Xmp) };
        let fusion = "drone-dji:AltitudeType=\"GpsFusionAlt\" drone-dji:GpsStatus=\"Normal\"";
        for longitude in ["GpsLongitude", "GpsLongtitude"] {
            let fields = format!("drone-dji:{longitude}=\"+139.76\" {fusion}");
            assert_eq!(xmp(&fields), Some(expected.clone()), "{longitude}");
        }
        let invalid = xmp("drone-dji:GpsLongitude=\"139.76\" drone-dji:GpsStatus=\"Invalid\"").expect("a place");
        assert_eq!((invalid.quality, invalid.age_s), (Some(FixQuality::Estimated), None));
        assert_eq!(xmp("drone-dji:GpsLongitude=\"181\""), None);
        assert_eq!(xmp(""), None);
    }

    #[test]
    fn the_altitude_says_from_where_it_counts() {
        let above = |fields: &str| {
            let place = "drone-dji:GpsLatitude=\"35.5\" drone-dji:GpsLongitude=\"139.5\"";
            let altitude = "drone-dji:AbsoluteAltitude=\"50\"";
            let positions = read(&format!("<rdf:Description {place} {altitude} {fields}/>")).positions;
            positions.rtk.or(positions.xmp).expect("a place").altitude_above
        };
        let rtk = "drone-dji:AltitudeType=\"RtkAlt\"";
        let fusion = "drone-dji:AltitudeType=\"GpsFusionAlt\"";
        let ellipsoid = Some(AltitudeAbove::Ellipsoid);
        assert_eq!([above(rtk), above(&format!("{rtk} drone-dji:RtkFlag=\"16\""))], [ellipsoid; 2]);
        assert_eq!([above("drone-dji:RtkFlag=\"16\""), above("drone-dji:RtkFlag=\"50\"")], [ellipsoid; 2]);
        assert_eq!([above(fusion), above(&format!("{fusion} drone-dji:RtkFlag=\"50\""))], [None; 2]);
        assert_eq!([above(""), above("drone-dji:RtkFlag=\"0\"")], [None; 2]);
    }

    #[test]
    fn the_moment_in_utc_and_the_speed() {
        let utc = |text: &str| read(&format!("<rdf:Description drone-dji:UTCAtExposure=\"{text}\"/>")).moments.utc;
        let expected: Option<Timestamp> = "2022-07-23T07:12:22.872778Z".parse().ok();
        for text in [
            "2022-07-23T07:12:22.872778",
            "2022-07-23T07:12:22.872778Z",
            "2022:07:23 07:12:22.872778",
            "1658560342872778",
        ] {
            assert_eq!(utc(text), expected, "{text}");
        }
        for text in ["1980-01-06T00:00:12.5", "0", "12", "2022-07-23", ""] {
            assert_eq!(utc(text), None, "{text}");
        }
        let speed = |x: &str| {
            let fields = format!("drone-dji:FlightXSpeed=\"{x}\" drone-dji:FlightYSpeed=\"-4.0\"");
            read(&format!("<rdf:Description {fields}/>")).speed_mps
        };
        assert_eq!([speed("+3.0"), speed("1000"), speed("x")], [Some(5.0), None, None]);
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let edits = [
            ("LRFStatus=\"Normal\"", "LRFStatus=\"TooFar\""),
            ("LRFTargetDistance=\"54.103\"", "LRFTargetDistance=\"0\""),
            ("LRFTargetDistance=\"54.103\"", "LRFTargetDistance=\"-1\""),
            ("LRFTargetDistance=\"54.103\"", "LRFTargetDistance=\"NaN\""),
        ];
        for (from, to) in edits {
            let metadata = read(&DJI.replace(from, to));
            assert_eq!(metadata.positions.laser_target, None, "{to}");
            assert_eq!(metadata.drone.expect("a drone").laser_distance_m, None, "{to}");
        }
        let beyond = DJI.replace("LRFTargetLat=\"49.7263932\"", "LRFTargetLat=\"91\"");
        assert_eq!(read(&beyond).positions.laser_target, None);
        let nowhere = DJI.replace("+49.726349021", "0.0").replace("+13.350951205", "0.0");
        assert_eq!(read(&nowhere).positions.rtk, None);
        assert_eq!(read("<rdf:Description/>").drone, None);
    }

    #[test]
    fn autel_new_and_old() {
        let new = read(
            r#"<rdf:Description xmlns:drone="http://www.dji.com/drone-dji/1.0/" drone:AbsoluteAltitude="+513.00"
                drone:GpsLatitude="47.64368732" drone:GpsLongtitude="16.47592717" drone:FlightYawDegree="-148.96"
                drone:GimbalPitchDegree="-90" drone:RtkFlag="50" drone:RtkStdLon="0.01370" drone:RtkStdLat="0.01439"/>"#,
        );
        assert_eq!(new.positions.rtk.expect("a position").longitude_deg, 16.47592717);
        assert_eq!(new.drone.expect("a drone").flight.yaw_deg, Some(-148.96));
        let old = read(
            r#"<rdf:Description rdf:about="Autel Robotics Meta Data" Camera:Pitch="65.5" Camera:Yaw="12" Camera:Roll="0"/>"#,
        );
        assert_eq!(old.drone.expect("a drone").gimbal, attitude(0.0, -24.5, 12.0));
        let xl715 = read(
            r#"<rdf:Description rdf:about="Autel Robotics Meta Data" Camera:Pitch="-45" Camera:Yaw="12" Camera:Roll="0"/>"#,
        );
        assert_eq!(xl715.drone.expect("a drone").gimbal, attitude(0.0, -45.0, 12.0));
    }

    #[test]
    fn skydio() {
        let structure = |name: &str, roll: &str, pitch: &str, yaw: &str| {
            format!(
                "<drone-skydio:{name} rdf:parseType=\"Resource\"><drone-skydio:Roll>{roll}</drone-skydio:Roll>\
                 <drone-skydio:Pitch>{pitch}</drone-skydio:Pitch><drone-skydio:Yaw>{yaw}</drone-skydio:Yaw>\
                 </drone-skydio:{name}>"
            )
        };
        let metadata = read(&format!(
            "<rdf:Description drone-skydio:AbsoluteAltitude=\"61.5\" drone-skydio:Latitude=\"37.5\" \
             drone-skydio:Longitude=\"-122.25\">{}{}</rdf:Description>",
            structure("CameraOrientationNED", "-4.3", "-61.2", "65.3"),
            structure("VehicleOrientationNED", "5.5", "-2.0", "61.1"),
        ));
        assert_eq!(metadata.positions.xmp, Some(position(PositionSource::Xmp, (37.5, -122.25), Some(61.5))));
        let drone = metadata.drone.expect("a drone");
        assert_eq!((drone.gimbal, drone.flight), (attitude(-4.3, -61.2, 65.3), attitude(5.5, -2.0, 61.1)));
        assert_eq!(drone.absolute_altitude_m, Some(61.5));
    }

    #[test]
    fn parrot() {
        let metadata = read(
            "<rdf:Description><drone-parrot:CameraRollDegree>0.5</drone-parrot:CameraRollDegree>\
             <drone-parrot:CameraPitchDegree>-30</drone-parrot:CameraPitchDegree>\
             <drone-parrot:CameraYawDegree>181</drone-parrot:CameraYawDegree>\
             <drone-parrot:DroneYawDegree>180</drone-parrot:DroneYawDegree>\
             <Camera:AboveGroundAltitude>25/2</Camera:AboveGroundAltitude>\
             <Camera:GPSXYAccuracy>1.25</Camera:GPSXYAccuracy></rdf:Description>",
        );
        let drone = metadata.drone.expect("a drone");
        assert_eq!(drone.gimbal, attitude(0.5, -30.0, 181.0));
        assert_eq!((drone.flight.yaw_deg, drone.relative_altitude_m), (Some(180.0), Some(12.5)));
        assert_eq!(metadata.positions.exif.expect("a position").std_m, Some(1.25));
    }
}
