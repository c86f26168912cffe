//! Points on a map (RFC 7946), with one feature per photo and the columns of [`FIELDS`] as properties.
//!
//! A point has no third coordinate. GeoJSON defines it as the height above the ellipsoid, while cameras and receivers
//! report the height above sea level, which is in the property `altitude_m`.

use std::io::Write;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{ExportError, FIELDS, Record};

/// Writes one feature collection, with one feature per line. Photos without a position have no geometry.
pub fn write(
    mut out: impl Write,
    records: impl Iterator<Item = Result<Record, ExportError>>,
) -> Result<(), ExportError> {
    write!(out, "{{\"type\":\"FeatureCollection\",\"features\":[")?;
    for (index, record) in records.enumerate() {
        let record = record?;
        writeln!(out, "{}", if index == 0 { "" } else { "," })?;
        serde_json::to_writer(&mut out, &Feature::of(&record))?;
    }
    writeln!(out, "\n]}}")?;
    Ok(out.flush()?)
}

#[derive(Serialize)]
struct Feature<'a> {
    r#type: &'static str,
    id: i64,
    geometry: Option<Point>,
    properties: Properties<'a>,
}

#[derive(Serialize)]
struct Point {
    r#type: &'static str,
    /// Longitude and latitude, in degrees.
    coordinates: [f64; 2],
}

struct Properties<'a>(&'a Record);

impl<'a> Feature<'a> {
    fn of(record: &'a Record) -> Self {
        let position = record.capture.facts.position.as_ref();
        let point = position
            .map(|position| Point { r#type: "Point", coordinates: [position.longitude_deg, position.latitude_deg] });
        Feature { r#type: "Feature", id: record.capture.id, geometry: point, properties: Properties(record) }
    }
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(FIELDS.len()))?;
        FIELDS.iter().try_for_each(|field| map.serialize_entry(field.name, &(field.value)(self.0)))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::export::record::{bare_example, example};

    fn written(records: Vec<Record>) -> Value {
        let mut out = Vec::new();
        write(&mut out, records.into_iter().map(Ok)).expect("written");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn a_feature_for_each_photo() {
        let collection = written(vec![example(1), bare_example(2)]);
        let features = collection["features"].as_array().expect("an array");
        assert_eq!(features.len(), 2);
        assert_eq!(features[0]["geometry"], json!({ "type": "Point", "coordinates": [139.25, 35.5] }));
        assert_eq!((&features[0]["id"], &features[0]["properties"]["altitude_m"]), (&json!(1), &json!(12.5)));
        assert_eq!(features[0]["properties"]["position_source"], "serial_gps");
        assert_eq!((&features[1]["type"], &features[1]["geometry"]), (&json!("Feature"), &Value::Null));
        assert_eq!(features[1]["properties"].as_object().map(serde_json::Map::len), Some(FIELDS.len()));
    }

    #[test]
    fn nothing_is_a_collection_too() {
        assert_eq!(written(Vec::new()), json!({ "type": "FeatureCollection", "features": [] }));
    }
}
