//! Facts about bridges from a register, as JSON: the national database xROAD, or any with the same facts.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::labels::{Field, field};
use crate::forms::FormError;
use crate::forms::facts::{Fact, Facts};

/// Maximum number of bridges in a file.
const BRIDGES_MAX: usize = 100_000;
/// Maximum depth of objects.
const DEPTH_MAX: usize = 16;

/// Keys of xROAD by the fact that they name.
const KEYS: [(&str, &str); 16] = [
    ("shisetsu_bangou", "bridge.number"),
    ("syogen.shisetsu.meisyou", "bridge.name"),
    ("syogen.rosen.meisyou", "bridge.route"),
    ("syogen.kanrisya.meisyou", "bridge.manager"),
    ("syogen.gyousei_kuiki.todoufuken_mei", "prefecture"),
    ("syogen.gyousei_kuiki.shikuchouson_mei", "municipality"),
    ("syogen.kouzou_keishiki.joubu", "bridge.structure"),
    ("syogen.kasetsu_nendo", "bridge.year"),
    ("syogen.kasetsu_nenji", "bridge.year"),
    ("syogen.kyouchou", "bridge.length_m"),
    ("syogen.fukuin", "bridge.width_m"),
    ("syogen.keikan_suu", "bridge.spans"),
    ("syogen.keikansuu", "bridge.spans"),
    ("tenken.kiroku.hantei_kubun", "bridge.last_soundness"),
    ("tenken.nendo", "inspection.last"),
    ("shisetsu_id", "coordinates"),
];

/// Reads the facts about one bridge. Of several bridges it is the one whose name or number is `bridge`. Returns the keys
/// that were not understood too.
///
/// # Errors
/// If the file is no JSON, or has several bridges and none of them is meant.
pub fn read_register(bytes: &[u8], bridge: &str) -> Result<(Facts, Vec<String>), FormError> {
    let refused = |reason: String| FormError::Bound(reason);
    let json: Json = serde_json::from_slice(bytes).map_err(|error| refused(format!("not JSON: {error}")))?;
    let list = match &json {
        Json::Array(list) => list.iter().collect(),
        Json::Object(fields) => {
            match ["result", "results", "data"].iter().find_map(|name| fields.get(*name)?.as_array()) {
                Some(list) => list.iter().collect(),
                None => vec![&json],
            }
        }
        _ => return Err(refused("neither an object nor a list of bridges".to_owned())),
    };
    if list.len() > BRIDGES_MAX {
        return Err(refused(format!("more than {BRIDGES_MAX} bridges")));
    }
    let is_alone = list.len() == 1;
    for entry in list {
        let mut keys = BTreeMap::new();
        flatten(entry, "", 0, &mut keys);
        let (facts, notes) = facts(&keys);
        let is_meant = ["bridge.name", "bridge.number"]
            .iter()
            .any(|name| facts.get(*name).is_some_and(|fact| fact.text() == bridge));
        if is_alone || is_meant {
            return Ok((facts, notes));
        }
    }
    Err(refused(format!("none of its bridges has the name or number {bridge}; give a file with that bridge alone")))
}

/// Collects the plain values of nested objects by their paths. A prefix such as `RSDB:` does not count.
fn flatten(json: &Json, path: &str, depth: usize, keys: &mut BTreeMap<String, String>) {
    const KEYS_MAX: usize = 2_000;
    if depth > DEPTH_MAX || keys.len() >= KEYS_MAX {
        return;
    }
    match json {
        Json::Object(fields) => {
            for (name, value) in fields {
                let name = name.rsplit(':').next().unwrap_or_default();
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                flatten(value, &path, depth + 1, keys);
            }
        }
        // The last of several inspections is the one before this one.
        Json::Array(list) => list.iter().for_each(|value| flatten(value, path, depth + 1, keys)),
        Json::String(text) => drop(keys.insert(path.to_owned(), text.clone())),
        Json::Number(number) => drop(keys.insert(path.to_owned(), number.to_string())),
        Json::Bool(_) | Json::Null => (),
    }
}

fn facts(keys: &BTreeMap<String, String>) -> (Facts, Vec<String>) {
    let (mut facts, mut notes) = (Facts::new(), Vec::new());
    let mut place = [String::new(), String::new()];
    for (key, text) in keys {
        let last = key.rsplit('.').next().unwrap_or_default();
        let of_label = || match field(last) {
            Some(Field::Bridge(name)) => Some(name),
            Some(Field::Grade) => Some("bridge.last_soundness"),
            _ => None,
        };
        let name = KEYS.iter().find(|(known, _)| known == key).map(|(_, name)| *name).or_else(of_label);
        match name {
            None => notes.push(format!("{key}: not understood")),
            Some("prefecture") => place[0].clone_from(text),
            Some("municipality") => place[1].clone_from(text),
            Some("coordinates") => facts.extend(coordinates(text)),
            Some(name) => {
                let text = match name {
                    "bridge.last_soundness" => grade(text),
                    "bridge.year" | "inspection.last" => year(text),
                    _ => text.clone(),
                };
                facts.extend(Fact::read(&text).map(|fact| (name.to_owned(), fact)));
            }
        }
    }
    if let Some(fact) = Fact::read(&place.concat()) {
        facts.entry("bridge.location".to_owned()).or_insert(fact);
    }
    (facts, notes)
}

/// Returns latitude and longitude of `38.26, 140.87`.
fn coordinates(text: &str) -> Vec<(String, Fact)> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|degrees| degrees.abs() <= 180.0);
    let Some((latitude, longitude)) = text.split_once(',') else { return Vec::new() };
    match (number(latitude), number(longitude)) {
        (Some(latitude), Some(longitude)) => vec![
            ("bridge.latitude".to_owned(), Fact::Number(latitude)),
            ("bridge.longitude".to_owned(), Fact::Number(longitude)),
        ],
        _ => Vec::new(),
    }
}

/// Returns the rating that a register writes as a number.
fn grade(text: &str) -> String {
    match text.trim() {
        "1" => "Ⅰ",
        "2" => "Ⅱ",
        "3" => "Ⅲ",
        "4" => "Ⅳ",
        other => other,
    }
    .to_owned()
}

/// Returns the year of the calendar that a year of a Japanese era is: S55 is 1980.
fn year(text: &str) -> String {
    let text = text.trim();
    let start = match text.chars().next() {
        Some('M' | '明') => 1867,
        Some('T' | '大') => 1911,
        Some('S' | '昭') => 1925,
        Some('H' | '平') => 1988,
        Some('R' | '令') => 2018,
        _ => return text.to_owned(),
    };
    let digits: String =
        text.chars().skip_while(|letter| !letter.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    let is_first = text.contains('元');
    let number = digits.parse::<u32>().ok().or(is_first.then_some(1)).filter(|number| (1..=64).contains(number));
    number.map_or_else(|| text.to_owned(), |number| (start + number).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const XROAD: &str = r#"{"result": [{
        "shisetsu_id": "38.2682, 140.8694", "shisetsu_bangou": "BR0-1", "unknown": {"key": 1},
        "syogen": {"shisetsu": {"meisyou": "新橋"}, "rosen": {"meisyou": "国道1号"}, "kanrisya": {"meisyou": "北市"},
            "gyousei_kuiki": {"todoufuken_mei": "宮城県", "shikuchouson_mei": "仙台市"}, "kasetsu_nendo": "S55"},
        "tenken": {"kiroku": {"hantei_kubun": 3}, "nendo": 2021}
    }, {"shisetsu_bangou": "BR0-2"}]}"#;

    #[test]
    fn the_facts_of_the_national_database_are_read() {
        let (facts, notes) = read_register(XROAD.as_bytes(), "新橋").expect("a bridge");
        let text = |name: &str| facts.get(name).map(Fact::text).unwrap_or_default();
        assert_eq!(text("bridge.location"), "宮城県仙台市");
        assert_eq!((text("bridge.year"), text("bridge.last_soundness")), ("1980".to_owned(), "Ⅲ".to_owned()));
        assert_eq!((text("bridge.latitude"), text("inspection.last")), ("38.2682".to_owned(), "2021".to_owned()));
        assert_eq!(notes, ["unknown.key: not understood"]);
        assert!(read_register(XROAD.as_bytes(), "BR0-2").is_ok());
        let error = read_register(XROAD.as_bytes(), "B-9").expect_err("refused").to_string();
        assert!(error.contains("B-9"), "{error}");
    }

    #[test]
    fn labels_of_forms_count_too_and_eras_are_years() {
        let (facts, _) = read_register(r#"{"橋梁名": "古橋", "橋長(m)": 12.5}"#.as_bytes(), "x").expect("a bridge");
        assert_eq!(facts["bridge.length_m"], Fact::Number(12.5));
        for (text, expected) in
            [("H2", "1990"), ("令和元年", "2019"), ("1975", "1975"), ("S99", "S99"), ("不明", "不明")]
        {
            assert_eq!(year(text), expected, "{text}");
        }
        assert!(read_register(b"[[[", "x").is_err());
    }
}
