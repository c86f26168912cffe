//! GDAL, with which most GIS programs read files (Debian package `gdal-bin`).

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Returns what `ogrinfo` prints about a file; fails at any warning.
pub fn ogrinfo(file: &Path) -> String {
    let output = Command::new("ogrinfo").args(["-ro", "-al"]).arg(file).output();
    let output = output.expect("ogrinfo is not installed; run tests/check, which installs it");
    let warnings = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && warnings.is_empty(), "{}: {warnings}", file.display());
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Returns what is wrong with a GeoJSON text by RFC 7946, for a collection of points.
pub fn geojson_flaws(text: &str) -> Vec<String> {
    if text.starts_with('\u{feff}') {
        return vec!["a byte order mark (RFC 8259, section 8.1)".to_owned()];
    }
    let collection: Value = match serde_json::from_str(text) {
        Ok(collection) => collection,
        Err(error) => return vec![error.to_string()],
    };
    let mut flaws = Vec::new();
    let mut expect = |holds: bool, flaw: String| flaws.extend((!holds).then_some(flaw));
    expect(collection["type"] == "FeatureCollection", "its type (section 3.3)".to_owned());
    expect(collection.get("crs").is_none(), "a member crs (section 4)".to_owned());
    // Members that another type defines (section 7.1).
    for foreign in ["coordinates", "geometries", "geometry", "properties"] {
        expect(collection.get(foreign).is_none(), format!("a collection with {foreign}"));
    }
    let none = Vec::new();
    let features = collection["features"].as_array();
    expect(features.is_some(), "no array of features (section 3.3)".to_owned());
    for (index, feature) in features.unwrap_or(&none).iter().enumerate() {
        let at = |flaw: &str| format!("feature {index}: {flaw}");
        expect(feature["type"] == "Feature", at("its type (section 3.2)"));
        expect(feature.get("features").is_none(), at("features inside (section 7.1)"));
        expect(feature["id"].is_number() || feature["id"].is_string(), at("its id (section 3.2)"));
        let properties = feature.get("properties");
        expect(properties.is_some_and(|p| p.is_object() || p.is_null()), at("its properties (section 3.2)"));
        expect(feature.get("geometry").is_some_and(is_point_or_null), at("its geometry (sections 3.1.2 and 3.2)"));
    }
    flaws
}

fn is_point_or_null(geometry: &Value) -> bool {
    let numbers =
        geometry["coordinates"].as_array().map(|numbers| numbers.iter().map(Value::as_f64).collect::<Vec<_>>());
    match numbers.as_deref() {
        Some([Some(longitude), Some(latitude)]) => {
            geometry["type"] == "Point" && longitude.abs() <= 180.0 && latitude.abs() <= 90.0
        }
        _ => geometry.is_null(),
    }
}
