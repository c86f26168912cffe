//! What the formats for places have in common: XML, and a photo in words.

use crate::domain::{AltitudeAbove, Category, Position, TimeQuality};
use crate::markup;

use super::Record;
use super::record::utc;

/// Escapes a text for XML 1.0, which has no control characters and no U+FFFE or U+FFFF.
pub fn xml(text: &str) -> String {
    markup::escape(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// Returns the name of a photo's file, or its number on the device.
pub fn name(record: &Record) -> String {
    record.file().unwrap_or_else(|| format!("photo {}", record.capture.id))
}

/// Returns the moment of a photo in UTC; `None` if nothing vouches for it.
pub fn moment(record: &Record) -> Option<String> {
    let taken = &record.facts().taken;
    (taken.quality != TimeQuality::Unsynced).then(|| utc(taken.at))
}

/// Returns the altitude in metres above mean sea level; `None` if it counts from elsewhere or nobody knows from where.
pub fn above_sea_m(position: &Position) -> Option<f64> {
    position.altitude_m.filter(|_| position.altitude_above == Some(AltitudeAbove::Sea))
}

/// Returns lines that say what a photo shows, where it belongs, and how good its place is.
pub fn summary(record: &Record) -> Vec<String> {
    let mut lines = Vec::new();
    let tag = [record.facility_id(), record.span(), record.member()];
    let tag: Vec<&str> = tag.into_iter().flatten().collect();
    if !tag.is_empty() {
        lines.push(tag.join(" / "));
    }
    let answers = Category::ALL.into_iter().filter_map(|category| answer(record, category));
    lines.extend(answers);
    if record.capture.verdict.urgency.review {
        lines.push("An engineer should see it first".to_owned());
    }
    lines.extend(record.facts().position.as_ref().map(place));
    lines
}

fn answer(record: &Record, category: Category) -> Option<String> {
    let classes = record.classes(category).iter().map(|scored| category.class(scored.index).en);
    let classes: Vec<&str> = classes.collect();
    (!classes.is_empty()).then(|| format!("{}: {}", heading(category), classes.join(", ")))
}

fn heading(category: Category) -> &'static str {
    match category {
        Category::Soundness => "Soundness",
        Category::Measure => "Measure",
        Category::DamageType => "Damage",
        Category::DamageLocation => "Location",
    }
}

fn place(position: &Position) -> String {
    let error = position.error_m.map_or_else(|| "error unknown".to_owned(), |error_m| format!("within {error_m:.1} m"));
    let altitude = match (position.altitude_m, position.altitude_above) {
        (Some(altitude_m), Some(AltitudeAbove::Sea)) => format!(", {altitude_m:.1} m above sea level"),
        (Some(altitude_m), Some(AltitudeAbove::Ellipsoid)) => format!(", {altitude_m:.1} m above the ellipsoid"),
        (Some(altitude_m), None) => format!(", altitude {altitude_m:.1} m"),
        (None, _) => String::new(),
    };
    format!("Place: {error}{altitude}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::record::{bare_example, example};

    #[test]
    fn a_photo_is_told_in_words() {
        let lines = summary(&example(1));
        let expected = [
            "B-12 / 3 / G2",
            "Soundness: III",
            "Measure: C1",
            "Damage: cracking, corrosion",
            "Location: pier",
            "An engineer should see it first",
            "Place: within 3.7 m, 12.5 m above sea level",
        ];
        assert_eq!(lines, expected);
        assert!(summary(&bare_example(1)).is_empty());
    }

    #[test]
    fn no_text_leaves_its_element() {
        assert_eq!(
            xml("<a href=\"x\">&'\u{1}\n\u{ffff}橋"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}\u{fffd}\u{fffd}橋"
        );
    }
}
