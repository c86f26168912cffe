//! Brings positions to WGS 84 from the geodetic datum that a file states.

use bridgeclip_domain::Position;

/// Geodetic datum of a position, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Datum {
    /// WGS 84, or a datum of the same centre of the Earth, which differs by less than two metres (EPSG Geodetic
    /// Parameter Dataset). JGD2011 differs from JGD2000 by up to 5.3 m where the Tohoku earthquake of 2011 moved the
    /// ground, and is the one that agrees with WGS 84 since then.
    Geocentric,
    /// Tokyo datum, the Japanese one until 2002, which phones of that time write.
    Tokyo,
    /// Another datum.
    Other,
}

/// Letters and digits with which the names of geocentric datums begin. Skydio writes "RTK Base Station" for the datum
/// of the base station, which is one of these.
const GEOCENTRIC: [&str; 17] = [
    "WGS84",
    "WGS1984",
    "WORLDGEODETICSYSTEM1984",
    "JGD",
    "ITRF",
    "IGS",
    "ETRS",
    "ETRF",
    "NAD83",
    "NAD1983",
    "GDA",
    "NZGD2000",
    "CGCS2000",
    "PZ90",
    "SIRGAS",
    "RTK",
    "GPS",
];
/// Standard deviation in metres of a position after conversion from the Tokyo datum: its network is distorted by some
/// metres against three parameters, and by up to 10 m in Okinawa (Geospatial Information Authority of Japan, TKY2JGD).
const TOKYO_STD_M: f64 = 5.0;
/// Standard deviation in metres of a position whose datum is unknown. Local datums lie up to a kilometre from WGS 84
/// (NGA TR8350.2, appendix B), which is 2.45 standard deviations for 95 % in two dimensions.
const OTHER_STD_M: f64 = 400.0;
/// Standard deviation in metres of a receiver that states none (GPS Standard Positioning Service Performance Standard:
/// 8 m for 95 % in two dimensions).
const RECEIVER_STD_M: f64 = 4.0;

/// Converts a position to WGS 84 from the datum with the name `name`. Errors of the conversion are added to the
/// position's. No name and placeholders mean WGS 84.
pub fn to_wgs84(position: Position, name: Option<&str>) -> Position {
    match name.map_or(Datum::Geocentric, datum) {
        Datum::Geocentric => position,
        Datum::Tokyo => {
            let (latitude_deg, longitude_deg) = from_tokyo(position.latitude_deg, position.longitude_deg);
            Position { latitude_deg, longitude_deg, ..with_error(position, TOKYO_STD_M) }
        }
        Datum::Other => with_error(position, OTHER_STD_M),
    }
}

fn with_error(position: Position, std_m: f64) -> Position {
    let own = position.std_m.unwrap_or(RECEIVER_STD_M);
    Position { std_m: Some(own.hypot(std_m)), ..position }
}

fn datum(name: &str) -> Datum {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let is_placeholder = name.bytes().all(|byte| byte == b'0') || name.starts_with("UNKNOWN") || name == "NONE";
    if is_placeholder || GEOCENTRIC.iter().any(|known| name.starts_with(known)) {
        Datum::Geocentric
    } else if name.starts_with("TOKYO") {
        Datum::Tokyo
    } else {
        Datum::Other
    }
}

/// Ellipsoid by its semi-major axis in metres and its flattening.
struct Ellipsoid {
    axis_m: f64,
    flattening: f64,
}

/// Ellipsoid of the Tokyo datum (EPSG 7004).
const BESSEL_1841: Ellipsoid = Ellipsoid { axis_m: 6_377_397.155, flattening: 1.0 / 299.152_812_8 };
/// Ellipsoid of JGD2000; that of WGS 84 differs by a tenth of a millimetre (EPSG 7019).
const GRS_80: Ellipsoid = Ellipsoid { axis_m: 6_378_137.0, flattening: 1.0 / 298.257_222_101 };
/// Centre of the Tokyo datum's ellipsoid in JGD2000, in metres (Geospatial Information Authority of Japan, TKY2JGD;
/// EPSG 15483).
const TOKYO_CENTRE_M: [f64; 3] = [-146.414, 507.337, 680.507];

impl Ellipsoid {
    fn eccentricity_squared(&self) -> f64 {
        self.flattening * (2.0 - self.flattening)
    }

    /// Returns the radius of curvature in the prime vertical in metres.
    fn normal_m(&self, sine: f64) -> f64 {
        self.axis_m / (1.0 - self.eccentricity_squared() * sine * sine).sqrt()
    }

    /// Returns the geocentric coordinates of a point on the ellipsoid (EPSG Guidance Note 7-2, 4.1.1).
    fn geocentric_m(&self, latitude: f64, longitude: f64) -> [f64; 3] {
        let (sine, cosine) = latitude.sin_cos();
        let normal = self.normal_m(sine);
        let z = normal * (1.0 - self.eccentricity_squared()) * sine;
        [normal * cosine * longitude.cos(), normal * cosine * longitude.sin(), z]
    }

    /// Returns latitude and longitude in radians by iteration, which gains a factor of 150 a step.
    fn geographic(&self, [x, y, z]: [f64; 3]) -> (f64, f64) {
        let (distance, squared) = (x.hypot(y), self.eccentricity_squared());
        let mut latitude = z.atan2(distance * (1.0 - squared));
        for _ in 0..6 {
            let sine = latitude.sin();
            latitude = (z + squared * self.normal_m(sine) * sine).atan2(distance);
        }
        (latitude, y.atan2(x))
    }
}

/// Converts degrees of the Tokyo datum to degrees of JGD2000 by a geocentric translation.
fn from_tokyo(latitude_deg: f64, longitude_deg: f64) -> (f64, f64) {
    let [x, y, z] = BESSEL_1841.geocentric_m(latitude_deg.to_radians(), longitude_deg.to_radians());
    let [dx, dy, dz] = TOKYO_CENTRE_M;
    let (latitude, longitude) = GRS_80.geographic([x + dx, y + dy, z + dz]);
    (latitude.to_degrees(), longitude.to_degrees())
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::PositionSource;

    use super::*;

    fn degrees(degrees: f64, minutes: f64, seconds: f64) -> f64 {
        degrees + minutes / 60.0 + seconds / 3600.0
    }

    fn at(latitude_deg: f64, longitude_deg: f64) -> Position {
        Position::at(latitude_deg, longitude_deg, PositionSource::Exif)
    }

    /// The origin of Japan's coordinates, by the old and the new Survey Act (Order for Enforcement, article 2).
    #[test]
    fn the_origin_of_japan_is_where_the_law_says() {
        let old = at(degrees(35.0, 39.0, 17.5148), degrees(139.0, 44.0, 40.5020));
        let new = at(degrees(35.0, 39.0, 29.1572), degrees(139.0, 44.0, 28.8759));
        let converted = to_wgs84(old.clone(), Some("TOKYO"));
        assert!(converted.distance_m(&new) < 1.0, "{} m", converted.distance_m(&new));
        assert!((converted.distance_m(&old) - 463.0).abs() < 5.0, "{} m", converted.distance_m(&old));
        assert!(converted.std_m.expect("an error") >= TOKYO_STD_M);
        let poor = to_wgs84(Position { std_m: Some(30.0), ..old }, Some("Tokyo"));
        assert!(poor.std_m.expect("an error") > 30.0);
    }

    #[test]
    fn datums_by_their_names() {
        let geocentric = [
            "WGS-84",
            "WGS84",
            "WGS 84",
            "wgs-84",
            "WGS-84 (G1674)",
            "World Geodetic System 1984",
            "JGD2000",
            "JGD2011",
            "JGD 2011",
            "RTK Base Station",
            "ETRS89",
            "",
            "  ",
            "0",
            "unknown",
        ];
        for name in geocentric {
            assert_eq!(datum(name), Datum::Geocentric, "{name}");
        }
        for name in ["TOKYO", "Tokyo", "TOKYO97", "Tokyo-mean"] {
            assert_eq!(datum(name), Datum::Tokyo, "{name}");
        }
        for name in ["ED50", "NAD27", "OSGB36", "Beijing 1954"] {
            let place = to_wgs84(at(50.0, 10.0), Some(name));
            assert_eq!((place.latitude_deg, place.longitude_deg), (50.0, 10.0), "{name}");
            assert!(place.std_m.is_some_and(|std_m| std_m >= 400.0), "{name}");
        }
        assert_eq!(to_wgs84(at(35.5, 139.5), None), at(35.5, 139.5));
    }
}
