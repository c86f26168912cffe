//! Reads what the inspection before said: workbooks, lists of members, and a register's facts about bridges.

mod imported;
mod labels;
mod register;
mod table;

use std::collections::BTreeMap;

use super::FormError;
use super::facts::{Fact, Facts, GIVEN};
use super::last::{LastMember, LastPhoto};
use super::template::{SHIPPED, Template};
use crate::workbook::{CellValue, Record, Value, Workbook, WorkbookError, read_back};

pub use imported::Imported;
pub use register::read_register;
pub use table::read_members_csv;

use imported::{Used, shown};

/// Maximum number of cells that are listed as not understood.
const NOTES_MAX: usize = 1_000;

/// Reads a workbook: by the template that filled it, by the shipped template that it resembles, or else by the labels in
/// its cells.
///
/// # Errors
/// If the workbook is damaged or exceeds a bound.
pub fn read_workbook(workbook: &Workbook, template: Option<&Template>) -> Result<Imported, FormError> {
    let shipped = match template {
        Some(_) => None,
        None => resembled(workbook)?,
    };
    let mut used = Used::default();
    let mut read = match template.or(shipped.as_ref()) {
        Some(template) => by_template(workbook, &template.workbook, &mut used)?,
        None => labels::read(workbook, &mut used)?,
    };
    list_rest(workbook, &used, &mut read.notes)?;
    Ok(read)
}

/// Returns the shipped template whose labels the workbook has in the same cells.
fn resembled(workbook: &Workbook) -> Result<Option<Template>, FormError> {
    for shipped in SHIPPED {
        let template = Template::open(shipped.name)?;
        if has_labels_of(workbook, &template.workbook)? {
            return Ok(Some(template));
        }
    }
    Ok(None)
}

/// Reports whether eight of ten labels of a template's first sheet stand in the same cells of the workbook.
fn has_labels_of(workbook: &Workbook, template: &Workbook) -> Result<bool, WorkbookError> {
    let Some(name) = template.sheets().first().map(|sheet| &sheet.name) else { return Ok(false) };
    let Some(sheet) = workbook.sheets().iter().position(|sheet| sheet.name == *name) else { return Ok(false) };
    let (labels, found) = (template.grid(0)?, workbook.grid(sheet)?);
    let labels: Vec<_> = labels
        .cells
        .iter()
        .filter(|cell| matches!(&cell.value, CellValue::Text(text) if !text.contains("{{")))
        .collect();
    // Labels below a list have moved; those of the list's first page and above have not.
    let same = labels.iter().filter(|cell| *found.value(cell.at) == cell.value).count();
    Ok(!labels.is_empty() && same * 10 >= labels.len() * 8)
}

fn by_template(workbook: &Workbook, template: &Workbook, used: &mut Used) -> Result<Imported, WorkbookError> {
    let back = read_back(workbook, template)?;
    for (index, sheet) in template.sheets().iter().enumerate() {
        for cell in template.grid(index)?.cells {
            if let CellValue::Text(text) = &cell.value {
                used.add(&sheet.name, text);
            }
        }
    }
    let records = back.facts.lists.values().flatten().chain([&back.facts.single]);
    for value in records.flat_map(Record::values) {
        used.add("", &value.text());
    }
    let single: BTreeMap<&str, &Value> = back.facts.single.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let list = |name: &str| back.facts.lists.get(name).into_iter().flatten();
    Ok(Imported {
        facts: facts(&single),
        members: list("member").map(member).filter(|member| *member != LastMember::default()).collect(),
        photos: list("photo")
            .map(photo)
            .filter(|(photo, part)| *photo != LastPhoto::default() || part.is_some())
            .collect(),
        notes: back.notes,
    })
}

/// Returns what facts of the inspection before mean now: its day is that of the last inspection, and its inspector is no
/// fact of this one.
fn facts(single: &BTreeMap<&str, &Value>) -> Facts {
    let kept = |name: &str| name.starts_with("bridge.") && GIVEN.iter().any(|known| known.name == name);
    let renamed = |name: &str| match name {
        "inspection.date" => Some("inspection.last"),
        "bridge.soundness" => Some("bridge.last_soundness"),
        // What the inspection before said about the one before it.
        "bridge.last_soundness" | "inspection.last" => None,
        name if kept(name) => GIVEN.iter().find(|known| known.name == name).map(|known| known.name),
        _ => None,
    };
    let pairs = single.iter().filter_map(|(name, value)| Some((renamed(name)?.to_owned(), Fact::of(value)?)));
    pairs.collect()
}

fn text(record: &Record, name: &str) -> String {
    record.get(name).map(|value| value.text().trim().to_owned()).unwrap_or_default()
}

fn member(record: &Record) -> LastMember {
    LastMember {
        span: text(record, "span"),
        member: text(record, "name"),
        element: text(record, "element"),
        damage: text(record, "damage"),
        degree: text(record, "degree"),
        grade: text(record, "grade"),
        measure: text(record, "measure"),
        finding: text(record, "finding"),
        photos: text(record, "photos"),
    }
}

fn photo(record: &Record) -> (LastPhoto, Option<String>) {
    let first = |names: &[&str]| names.iter().map(|name| text(record, name)).find(|text| !text.is_empty());
    let photo = LastPhoto {
        number: text(record, "number"),
        taken: first(&["taken", "taken_at"]).unwrap_or_default(),
        span: text(record, "span"),
        member: text(record, "member"),
        element: text(record, "element"),
        damage: first(&["damage", "damage_name", "damage_number"]).unwrap_or_default(),
        degree: text(record, "degree"),
        grade: text(record, "grade"),
        memo: first(&["memo", "finding"]).unwrap_or_default(),
    };
    let part = match record.get("picture") {
        Some(Value::Picture(part)) => Some(part.clone()),
        _ => None,
    };
    (photo, part)
}

/// Lists the cells with a value that nothing has read.
fn list_rest(workbook: &Workbook, used: &Used, notes: &mut Vec<String>) -> Result<(), WorkbookError> {
    for (index, sheet) in workbook.sheets().iter().enumerate() {
        for cell in workbook.grid(index)?.cells {
            let shown = shown(&cell.value);
            if cell.formula.is_some() || shown.trim().is_empty() || used.has(&sheet.name, &shown) {
                continue;
            }
            if notes.len() >= NOTES_MAX {
                notes.push(format!("and more; only {NOTES_MAX} are listed"));
                return Ok(());
            }
            let short: String = shown.chars().take(40).collect();
            notes.push(format!("sheet \"{}\", cell {}: not understood: {short:?}", sheet.name, cell.at));
        }
    }
    Ok(())
}
