//! A form filled with sample values, by which an office sees what its marks mean.

use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::civil::date;

use super::work::hint;
use crate::cli::new_file::NewFile;
use crate::forms::{Template, crossed_field, marks};
use crate::texts::Lang;
use crate::workbook::{Facts, Record, Value, fill};

/// Number of photos, members and spans of a sample: more than fit on a page of most forms.
const RECORDS: [(&str, usize); 3] = [("photo", 8), ("member", 5), ("span", 3)];

/// Writes the sample.
pub fn write(template: &Template, path: &Path, replace: bool) -> Result<()> {
    let facts = facts(template.lang);
    let mut file = NewFile::create(path, replace).with_context(|| hint(replace))?;
    let mut picture = |_: &str| Ok(crossed_field());
    let filled = fill(&template.workbook, &marks::vocabulary(), &facts, &mut picture, BufWriter::new(file.file()));
    filled.map(drop).with_context(|| template.name.clone())?;
    file.keep()
}

/// Returns sample values for every mark: the meaning of a mark that has no value of its own here.
fn facts(lang: Lang) -> Facts {
    let mut facts = Facts::default();
    for line in marks::lines() {
        let meaning = line.meaning[usize::from(lang == Lang::Ja)];
        let list = RECORDS.iter().find(|(list, _)| line.name.starts_with(&format!("{list}.")));
        match list {
            None => drop(facts.single.insert(line.name.clone(), value(&line.name, 1, meaning, lang))),
            Some((list, count)) => {
                let records = facts.lists.entry((*list).to_owned()).or_insert_with(|| vec![Record::new(); *count]);
                let name = &line.name[list.len() + 1..];
                for (number, record) in (1..).zip(records) {
                    record.insert(name.to_owned(), value(name, number, meaning, lang));
                }
            }
        }
    }
    facts
}

fn value(name: &str, number: u32, meaning: &str, lang: Lang) -> Value {
    let text = |ja: &str, en: &str| Value::Text(if lang == Lang::Ja { ja } else { en }.to_owned());
    let day = date(2026, 4, i8::try_from(number).unwrap_or(1));
    match name.rsplit('.').next().unwrap_or(name) {
        "picture" | "last_picture" => Value::Picture("sample".to_owned()),
        "number" | "photo_count" | "member_count" | "span_count" | "spans" | "span" => Value::Number(number.into()),
        "taken" | "date" | "last" | "first" | "last_photo" => Value::Date(day),
        "taken_at" => Value::DateTime(day.at(9, 30, 0, 0)),
        "length_m" | "width_m" => Value::Number(12.5),
        "latitude" => Value::Number(38.268),
        "longitude" => Value::Number(140.869),
        "element" => Value::Text(format!("Mg01{number:02}")),
        "member" => text("主桁", "main girder"),
        "damage" => text("①腐食（案）", "① corrosion (draft)"),
        "grade" | "soundness" => text("Ⅱ（案）", "II (draft)"),
        "last_degree" => Value::Text("c".to_owned()),
        "last_grade" => text("Ⅱ", "II"),
        "photos" => Value::Text(format!("{number}, {}", number + 1)),
        // The degree is the inspector's.
        "degree" => Value::Empty,
        _ => Value::Text(meaning.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::SHIPPED;

    #[test]
    fn every_shipped_form_is_shown_with_sample_values() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for shipped in SHIPPED {
            let path = dir.path().join("sample.xlsx");
            write(&Template::open(shipped.name).expect("opens"), &path, true).expect("written");
            let filled = crate::workbook::Workbook::open(std::fs::read(&path).expect("read"), &Default::default());
            let grid = filled.expect("a workbook").grid(0).expect("cells");
            let texts: Vec<String> = grid.cells.iter().map(|cell| format!("{:?}", cell.value)).collect();
            assert!(texts.iter().all(|text| !text.contains("{{")), "{}", shipped.name);
        }
    }
}
