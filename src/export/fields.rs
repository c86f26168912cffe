//! Columns of the flat formats: names, meanings and values in one table.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::Record;
use super::record::utc;
use crate::domain::{Category, Class, Draft, MemberAnswer, Position};

/// Separator between the classes of a category that allows several.
const SEPARATOR: &str = "; ";

/// Column of the flat formats.
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    pub meaning: &'static str,
    pub value: fn(&Record) -> Value,
}

/// Kind of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Integer,
    Real,
    Text,
    Time,
}

/// Value of a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The value is not known.
    None,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Time(Timestamp),
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::Real => "real",
            Kind::Text => "text",
            Kind::Time => "time",
        }
    }
}

/// All columns, in their order.
pub const FIELDS: &[Field] = &[
    field("id", Kind::Integer, "Number of the photo on this device", |r| r.capture.id.into()),
    field("event_id", Kind::Text, "Id of the event that last told of it at the central side", |r| {
        r.capture.event_id.clone().into()
    }),
    field("sequence", Kind::Integer, "Number of that event", |r| r.capture.sequence.into()),
    field("file", Kind::Text, "File name of the photo", |r| r.file().into()),
    field("sha256", Kind::Text, "Hash of the photo file", |r| r.facts().image.sha256.to_string().into()),
    field("taken_at", Kind::Time, "Time of capture in UTC", |r| Value::Time(r.facts().taken.at)),
    field("taken_local", Kind::Text, "The same in the zone of the settings (camera_utc_offset)", |r| {
        r.taken_local().into()
    }),
    field("time_source", Kind::Text, "What the time rests on: gps, ntp, exif (the camera's clock), unsynced", |r| {
        word(&r.facts().taken.quality)
    }),
    field(
        "time_basis",
        Kind::Text,
        "Evidence for the time: trigger, camera, camera_gps, written, arrival, file",
        |r| r.facts().taken.basis.as_ref().map_or(Value::None, word),
    ),
    field("time_error_s", Kind::Real, "Seconds within which the time is right with 95 % probability", |r| {
        r.facts().taken.error_s.map_or(Value::None, Value::Real)
    }),
    field("latitude_deg", Kind::Real, "WGS 84, degrees, north positive", |r| at(r, |p| Some(p.latitude_deg))),
    field("longitude_deg", Kind::Real, "WGS 84, degrees, east positive", |r| at(r, |p| Some(p.longitude_deg))),
    field("altitude_m", Kind::Real, "Metres above the surface that altitude_above names", |r| at(r, |p| p.altitude_m)),
    field("altitude_above", Kind::Text, "sea (mean sea level) or ellipsoid; empty if the source does not say", |r| {
        r.facts().position.as_ref().and_then(|p| p.altitude_above.as_ref()).map_or(Value::None, word)
    }),
    field(
        "position_source",
        Kind::Text,
        "laser_target is the defect itself; rtk, exif, xmp, serial_gps, mavlink: the camera, aircraft or receiver",
        |r| r.facts().position.as_ref().map_or(Value::None, |p| word(&p.source)),
    ),
    field(
        "position_quality",
        Kind::Text,
        "estimated, autonomous, differential, rtk_float or rtk_fixed; empty if not told",
        |r| r.facts().position.as_ref().and_then(|p| p.quality.as_ref()).map_or(Value::None, word),
    ),
    field("hdop", Kind::Real, "Horizontal dilution of precision", |r| at(r, |p| p.hdop)),
    field("position_std_m", Kind::Real, "Standard deviation in metres, as the source states it", |r| {
        at(r, |p| p.std_m)
    }),
    field("position_age_s", Kind::Real, "Seconds between fix and exposure", |r| at(r, |p| p.age_s)),
    field("position_error_m", Kind::Real, "Metres within which the position is right with 95 % probability", |r| {
        at(r, |p| p.error_m)
    }),
    field("position_conflict_m", Kind::Real, "Metres to the position that contradicts this one most", |r| {
        at(r, |p| p.conflict.as_ref().map(|conflict| conflict.distance_m))
    }),
    field("facility_id", Kind::Text, "The bridge of the tag", |r| r.facility_id().into()),
    field("span", Kind::Text, "The span of the tag", |r| r.span().into()),
    field("member", Kind::Text, "The member of the tag", |r| r.member().into()),
    field("soundness", Kind::Text, "Soundness rating, I to IV", |r| labels(r, Category::Soundness, en)),
    field("soundness_ja", Kind::Text, "The same in Japanese", |r| labels(r, Category::Soundness, ja)),
    field("soundness_confidence", Kind::Real, "How likely, 0 to 1", |r| confidence(r, Category::Soundness)),
    field(
        "soundness_not_excluded",
        Kind::Text,
        "Ratings that cannot be excluded, joined by `; `; empty if unknown",
        |r| not_excluded(r, Category::Soundness),
    ),
    field("measure", Kind::Text, "Measure classification, A to S2", |r| labels(r, Category::Measure, en)),
    field("measure_ja", Kind::Text, "The same in Japanese", |r| labels(r, Category::Measure, ja)),
    field("measure_confidence", Kind::Real, "How likely, 0 to 1", |r| confidence(r, Category::Measure)),
    field(
        "measure_not_excluded",
        Kind::Text,
        "Measures that cannot be excluded, joined by `; `; empty if unknown",
        |r| not_excluded(r, Category::Measure),
    ),
    field("damage_type", Kind::Text, "Kinds of damage, joined by `; `", |r| labels(r, Category::DamageType, en)),
    field("damage_type_ja", Kind::Text, "The same in Japanese", |r| labels(r, Category::DamageType, ja)),
    field("damage_type_confidence", Kind::Text, "How likely each is, joined by `; `", |r| {
        confidences(r, Category::DamageType)
    }),
    field("damage_location", Kind::Text, "Members with damage, joined by `; `", |r| {
        labels(r, Category::DamageLocation, en)
    }),
    field("damage_location_ja", Kind::Text, "The same in Japanese", |r| labels(r, Category::DamageLocation, ja)),
    field("damage_location_confidence", Kind::Text, "How likely each is, joined by `; `", |r| {
        confidences(r, Category::DamageLocation)
    }),
    field(
        "draft_finding",
        Kind::Text,
        "Draft of a finding, to be confirmed by an inspector; empty if there is none",
        |r| draft(r, Draft::en),
    ),
    field("draft_finding_ja", Kind::Text, "The same in Japanese", |r| draft(r, Draft::ja)),
    field(
        "member_soundness",
        Kind::Text,
        "Rating of the member by all of its photos together; empty if unknown",
        |r| member_rating(r, MemberAnswer::rating),
    ),
    field(
        "member_worst_soundness",
        Kind::Text,
        "The worst rating of the member that is answered or cannot be excluded",
        |r| member_rating(r, MemberAnswer::worst_credible),
    ),
    field("method", Kind::Text, "How it was answered: knn, linear, zero-shot", |r| word(&r.capture.verdict.method)),
    field(
        "confidence_calibrated",
        Kind::Boolean,
        "Whether confidences are shares of right answers on labelled photos, not the method's own",
        |r| r.capture.verdict.confidence_calibrated.into(),
    ),
    field("review_urgent", Kind::Boolean, "Whether an engineer should see it first", |r| {
        r.capture.verdict.urgency.review.into()
    }),
    field("urgency_score", Kind::Real, "Share of similar photos with an urgent label, 0 to 1", |r| {
        real(r.capture.verdict.urgency.score)
    }),
    field("urgent_signs", Kind::Text, "Those labels: soundness_iv, measure_e1, measure_e2; joined by `; `", |r| {
        words(&r.capture.verdict.urgency.signs)
    }),
    field("second_look", Kind::Text, "Reasons to doubt the answer, joined by `; `", |r| {
        words(&r.capture.verdict.second_look)
    }),
    field("inspection", Kind::Text, "accepted or corrected, once an inspector has judged the verdict", |r| {
        r.inspection().map(|(_, word)| word).into()
    }),
    field("inspected_by", Kind::Text, "Who, as they named themselves; the labels are theirs", |r| {
        r.inspection().map(|(inspection, _)| inspection.by.as_str()).into()
    }),
    field("inspected_at", Kind::Time, "When, by the device's clock", |r| {
        r.inspection().map_or(Value::None, |(inspection, _)| Value::Time(inspection.at))
    }),
    field("device_soundness", Kind::Text, "The device's own rating, where an inspector has judged", |r| {
        device_answer(r, Category::Soundness)
    }),
    field("device_measure", Kind::Text, "The device's own measure, where an inspector has judged", |r| {
        device_answer(r, Category::Measure)
    }),
    field("burst_of", Kind::Text, "Hash of the photo whose near-identical frame this is", |r| {
        r.facts().burst.map(|burst| burst.representative.to_string()).into()
    }),
    field("burst_frame", Kind::Integer, "Which frame of the burst; 2 is the first after that photo", |r| {
        r.facts().burst.map(|burst| i64::from(burst.frame)).into()
    }),
    field("sharpness", Kind::Real, "Small where the photo is blurred or shows a plain surface", |r| {
        r.facts().image.quality.map_or(Value::None, |quality| real(quality.sharpness))
    }),
    field("brightness", Kind::Real, "Mean, from 0 (black) to 1 (white)", |r| {
        r.facts().image.quality.map_or(Value::None, |quality| real(quality.brightness))
    }),
    field("black_share", Kind::Real, "Share of the photo that is black", |r| {
        r.facts().image.quality.map_or(Value::None, |quality| real(quality.black_share))
    }),
    field("white_share", Kind::Real, "Share of the photo that is white", |r| {
        r.facts().image.quality.map_or(Value::None, |quality| real(quality.white_share))
    }),
    field("millimetres_per_pixel", Kind::Real, "At the point that a laser measured", |r| {
        r.facts().image.quality.and_then(|quality| quality.millimetres_per_pixel).map_or(Value::None, real)
    }),
    field("width", Kind::Integer, "Pixels as stored", |r| i64::from(r.facts().image.pixels[0]).into()),
    field("height", Kind::Integer, "Pixels as stored", |r| i64::from(r.facts().image.pixels[1]).into()),
    field("bytes", Kind::Integer, "Size of the photo file", |r| (r.facts().image.bytes as i64).into()),
    field("camera_make", Kind::Text, "As the camera writes it", |r| r.facts().image.camera.make.clone().into()),
    field("camera_model", Kind::Text, "As the camera writes it", |r| r.facts().image.camera.model.clone().into()),
    field("camera_serial", Kind::Text, "Serial number of the body", |r| r.facts().image.camera.serial.clone().into()),
    field("camera_lens", Kind::Text, "As the camera writes it", |r| r.facts().image.camera.lens.clone().into()),
    field("package", Kind::Text, "The model package that judged it", |r| {
        r.capture.package.as_ref().map(|package| package.name.clone()).into()
    }),
    field("stored_at", Kind::Time, "When the device stored it, by its own clock", |r| {
        r.capture.stored_at.map_or(Value::None, Value::Time)
    }),
];

const fn field(name: &'static str, kind: Kind, meaning: &'static str, value: fn(&Record) -> Value) -> Field {
    Field { name, kind, meaning, value }
}

fn at(record: &Record, value: fn(&Position) -> Option<f64>) -> Value {
    record.facts().position.as_ref().and_then(value).map_or(Value::None, Value::Real)
}

fn en(class: &Class) -> &'static str {
    class.en
}

fn ja(class: &Class) -> &'static str {
    class.ja
}

fn labels(record: &Record, category: Category, language: fn(&Class) -> &'static str) -> Value {
    let classes = record.classes(category).iter().map(|scored| language(category.class(scored.index)));
    joined(classes.map(str::to_owned))
}

fn not_excluded(record: &Record, category: Category) -> Value {
    let set = record.capture.verdict.not_excluded.as_ref().and_then(|sets| sets.get(category));
    set.map_or(Value::None, |set| joined(set.names(category).map(str::to_owned)))
}

fn member_rating(record: &Record, rating: fn(&MemberAnswer) -> Option<u8>) -> Value {
    let index = record.member_answer.as_ref().and_then(|answer| rating(answer));
    index.map(|index| Category::Soundness.class(index).en).into()
}

fn draft(record: &Record, text: fn(&Draft) -> String) -> Value {
    let draft = &record.capture.verdict.draft;
    if draft.is_empty() { Value::None } else { Value::Text(text(draft)) }
}

/// Returns the confidence of the first class, the only one in a single-label category. An inspector's verdict has none.
fn confidence(record: &Record, category: Category) -> Value {
    let of_device = record.classes(category).first().filter(|_| !record.capture.verdict.by_inspector);
    of_device.map_or(Value::None, |class| real(class.confidence))
}

fn confidences(record: &Record, category: Category) -> Value {
    match record.capture.verdict.by_inspector {
        true => Value::None,
        false => joined(record.classes(category).iter().map(|class| class.confidence.to_string())),
    }
}

/// Returns the device's own answer, if an inspector's judgement has replaced it.
fn device_answer(record: &Record, category: Category) -> Value {
    let inspection = record.capture.inspection.as_ref();
    inspection
        .map_or(Value::None, |inspection| joined(inspection.device.get(category).names(category).map(str::to_owned)))
}

fn words(values: &[impl Serialize]) -> Value {
    joined(values.iter().map(name))
}

fn word(value: &impl Serialize) -> Value {
    Value::Text(name(value))
}

/// Returns the name that events use.
fn name(value: &impl Serialize) -> String {
    let name = serde_json::to_value(value).expect("a unit variant");
    name.as_str().expect("a unit variant is a string").to_owned()
}

fn joined(parts: impl Iterator<Item = String>) -> Value {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { Value::None } else { parts.join(SEPARATOR).into() }
}

/// Converts a number so that it is written with its own decimal digits, not those of the nearest double.
fn real(value: f32) -> Value {
    value.to_string().parse().map_or(Value::None, Value::Real)
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::None, Into::into)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::None => serializer.serialize_none(),
            Value::Boolean(value) => serializer.serialize_bool(*value),
            Value::Integer(value) => serializer.serialize_i64(*value),
            Value::Real(value) => serializer.serialize_f64(*value),
            Value::Text(value) => serializer.serialize_str(value),
            Value::Time(at) => serializer.serialize_str(&utc(*at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::export::record::{bare_example, example, inspected_example};

    #[test]
    fn every_value_is_of_its_columns_kind() {
        for record in [example(1), bare_example(2), inspected_example(3)] {
            for Field { name, kind, value, .. } in FIELDS {
                let found = match value(&record) {
                    Value::None => continue,
                    Value::Boolean(_) => Kind::Boolean,
                    Value::Integer(_) => Kind::Integer,
                    Value::Real(_) => Kind::Real,
                    Value::Text(_) => Kind::Text,
                    Value::Time(_) => Kind::Time,
                };
                assert_eq!(found, *kind, "{name}");
            }
        }
    }

    #[test]
    fn columns_have_distinct_names_that_every_tool_takes_and_a_meaning() {
        let names: BTreeSet<&str> = FIELDS.iter().map(|field| field.name).collect();
        assert_eq!(names.len(), FIELDS.len());
        for Field { name, meaning, .. } in FIELDS {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            assert!(!meaning.is_empty(), "{name}");
        }
    }

    #[test]
    fn values_are_those_of_the_photo() {
        let value = |record: &Record, name: &str| {
            let field = FIELDS.iter().find(|field| field.name == name).expect("a column");
            (field.value)(record)
        };
        let whole = example(7);
        let cases: [(&str, Value); 14] = [
            ("id", 7.into()),
            ("time_source", "gps".into()),
            ("position_source", "serial_gps".into()),
            ("position_quality", "differential".into()),
            ("longitude_deg", Value::Real(139.25)),
            ("facility_id", "B-12".into()),
            ("soundness", "III".into()),
            ("soundness_ja", "Ⅲ".into()),
            ("soundness_confidence", Value::Real(0.6)),
            ("damage_type", "cracking; corrosion".into()),
            ("damage_type_ja", "ひびわれ; 腐食".into()),
            ("damage_type_confidence", "0.7; 0.3".into()),
            ("second_look", "near_tie; blurred".into()),
            ("brightness", Value::Real(0.42)),
        ];
        for (name, expected) in cases {
            assert_eq!(value(&whole, name), expected, "{name}");
        }
        let inspected = inspected_example(7);
        let names = [
            "soundness",
            "soundness_confidence",
            "damage_type_confidence",
            "inspection",
            "inspected_by",
            "device_soundness",
            "second_look",
        ];
        let expected =
            ["IV".into(), Value::None, Value::None, "corrected".into(), "A. Sato".into(), "III".into(), Value::None];
        assert_eq!(names.map(|name| value(&inspected, name)), expected);
        for name in
            ["latitude_deg", "position_source", "soundness", "damage_type_confidence", "urgent_signs", "burst_of"]
        {
            assert_eq!(value(&bare_example(7), name), Value::None, "{name}");
        }
    }
}
