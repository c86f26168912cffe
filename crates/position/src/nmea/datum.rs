//! Datum of a receiver's positions, from DTM.

use bridgeclip_domain::wrap_longitude;

use super::fields::{Coordinates, Fields};

/// Datum to which positions refer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Datum {
    /// WGS 84, as receivers use unless somebody sets another one, or PZ-90, which is the same within a metre.
    #[default]
    Wgs84,
    /// Another datum at this distance from WGS 84, north and east in degrees.
    Offset { north_deg: f64, east_deg: f64 },
    /// Another datum at an unknown distance, by its code, such as TOY for Tokyo. Its positions are hundreds of metres
    /// off.
    Unknown([u8; 3]),
}

/// Largest offset in minutes of arc: 20 km. No datum is so far away.
const OFFSET_MAX: f64 = 10.0;

/// Code of a datum that the user has defined.
const USER_DEFINED: &[u8; 3] = b"999";

impl Datum {
    /// Reads DTM: datum, its subdivision, offset to the north in minutes, N/S, offset to the east in minutes, E/W,
    /// offset of the altitude, reference. Positions are those in the reference plus the offset. `None` for a sentence
    /// that says nothing.
    ///
    /// A known datum at no distance from WGS 84 is one whose distance the receiver does not tell.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let code: [u8; 3] = match fields.field() {
            b"W84" | b"P90" => return Some(Datum::Wgs84),
            code => code.try_into().ok()?,
        };
        fields.skip(1);
        let north = fields.signed(OFFSET_MAX, b"N", b"S");
        let east = fields.signed(OFFSET_MAX, b"E", b"W");
        fields.skip(1);
        let is_from_wgs84 = matches!(fields.field(), b"W84" | b"P90");
        Some(match north.zip(east) {
            Some((0.0, 0.0)) if code != *USER_DEFINED => Datum::Unknown(code),
            Some((north, east)) if is_from_wgs84 => Datum::Offset { north_deg: north / 60.0, east_deg: east / 60.0 },
            _ => Datum::Unknown(code),
        })
    }

    /// Returns a position of this datum in WGS 84; `None` if the datum is not known.
    pub fn to_wgs84(self, at: Coordinates) -> Option<Coordinates> {
        match self {
            Datum::Wgs84 => Some(at),
            Datum::Offset { north_deg, east_deg } => {
                let latitude_deg = (at.latitude_deg - north_deg).clamp(-90.0, 90.0);
                let longitude_deg = wrap_longitude(at.longitude_deg - east_deg);
                Some(Coordinates { latitude_deg, longitude_deg })
            }
            Datum::Unknown(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Datum> {
        Datum::read(&mut Fields::new(text.as_bytes()))
    }

    #[test]
    fn wgs_84_is_told_from_other_datums() {
        let cases = [
            ("W84,,0.0,N,0.0,E,0.0,W84", Some(Datum::Wgs84)),
            ("W84,,,,,,,", Some(Datum::Wgs84)),
            ("P90,,0.0,N,0.0,E,0.0,W84", Some(Datum::Wgs84)),
            ("999,,0.06,N,0.12,W,-47.7,W84", Some(Datum::Offset { north_deg: 0.001, east_deg: -0.002 })),
            ("999,CH95,0.0,N,0.0,E,0.0,W84", Some(Datum::Offset { north_deg: 0.0, east_deg: 0.0 })),
            ("TOY,,0.0,N,0.0,E,0.0,W84", Some(Datum::Unknown(*b"TOY"))),
            ("TOY,,,,,,,W84", Some(Datum::Unknown(*b"TOY"))),
            ("TOY,,0.195,S,0.193,E,0.0,W72", Some(Datum::Unknown(*b"TOY"))),
            ("TOY,,11.0,S,0.193,E,0.0,W84", Some(Datum::Unknown(*b"TOY"))),
            ("TOY,,-0.195,S,0.193,E,0.0,W84", Some(Datum::Unknown(*b"TOY"))),
            ("TOY,,0.195,X,0.193,E,0.0,W84", Some(Datum::Unknown(*b"TOY"))),
            (",,,,,,,", None),
            ("TOKYO,,,,,,,", None),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn positions_come_into_wgs_84() {
        // Tokyo's datum origin: 35 39 17.5148 N, 139 44 40.5020 E there, 11.7 s further north and 11.6 s further west
        // in WGS 84.
        let tokyo = read("TOY,,0.195,S,0.193,E,0.0,W84").expect("a datum");
        let at = Coordinates { latitude_deg: 35.654_865, longitude_deg: 139.744_584 };
        let moved = tokyo.to_wgs84(at).expect("known");
        assert!((moved.latitude_deg - 35.658_115).abs() < 1e-6, "{moved:?}");
        assert!((moved.longitude_deg - 139.741_367).abs() < 1e-6, "{moved:?}");
        let date_line = Coordinates { latitude_deg: 0.0, longitude_deg: -179.999 };
        let moved = tokyo.to_wgs84(date_line).expect("known");
        assert!((moved.longitude_deg - 179.997_783).abs() < 1e-6, "{moved:?}");
        assert_eq!(Datum::Wgs84.to_wgs84(at), Some(at));
        assert_eq!(Datum::Unknown(*b"TOY").to_wgs84(at), None);
    }
}
