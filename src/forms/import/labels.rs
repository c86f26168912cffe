//! Reads a workbook without a template, by the labels in its cells: a label's value stands to its right, and in a table
//! below it.

use std::collections::BTreeMap;

use super::imported::{Imported, Used, shown};
use crate::forms::facts::Fact;
use crate::forms::last::{LastMember, LastPhoto};
use crate::workbook::{Area, CellRef, Grid, PlacedPicture, Workbook, WorkbookError};

/// What a label names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Number,
    Taken,
    Span,
    Member,
    Element,
    Damage,
    Degree,
    Grade,
    Measure,
    Memo,
    /// A column that is understood and says nothing about the inspection before.
    Passed,
    /// A fact about the bridge, by its name.
    Bridge(&'static str),
}

/// Labels as forms have them, without spaces.
const LABELS: [(&str, Field); 61] = [
    ("写真番号", Field::Number),
    ("写真no", Field::Number),
    ("写真no.", Field::Number),
    ("photono.", Field::Number),
    ("photonos.", Field::Number),
    ("photonumber", Field::Number),
    ("撮影日", Field::Taken),
    ("撮影年月日", Field::Taken),
    ("taken", Field::Taken),
    ("径間番号", Field::Span),
    ("径間", Field::Span),
    ("spanno.", Field::Span),
    ("span", Field::Span),
    ("部材名", Field::Member),
    ("部材名称", Field::Member),
    ("部材", Field::Member),
    ("部材種別", Field::Member),
    ("member", Field::Member),
    ("要素番号", Field::Element),
    ("部材番号", Field::Element),
    ("elementno.", Field::Element),
    ("element", Field::Element),
    ("損傷の種類", Field::Damage),
    ("損傷種類", Field::Damage),
    ("変状の種類", Field::Damage),
    ("damage", Field::Damage),
    ("損傷程度", Field::Degree),
    ("損傷の程度", Field::Degree),
    ("損傷程度の評価", Field::Degree),
    ("degree", Field::Degree),
    ("健全性の診断", Field::Grade),
    ("健全性の診断の区分", Field::Grade),
    ("健全性", Field::Grade),
    ("判定区分", Field::Grade),
    ("soundness", Field::Grade),
    ("対策区分", Field::Measure),
    ("measure", Field::Measure),
    ("メモ", Field::Memo),
    ("備考", Field::Memo),
    ("所見", Field::Memo),
    ("memo", Field::Memo),
    ("finding", Field::Memo),
    ("前回程度", Field::Passed),
    ("前回損傷程度", Field::Passed),
    ("lastdegree", Field::Passed),
    ("橋梁名", Field::Bridge("bridge.name")),
    ("橋名", Field::Bridge("bridge.name")),
    ("施設名", Field::Bridge("bridge.name")),
    ("bridge", Field::Bridge("bridge.name")),
    ("施設番号", Field::Bridge("bridge.number")),
    ("路線名", Field::Bridge("bridge.route")),
    ("所在地", Field::Bridge("bridge.location")),
    ("管理者", Field::Bridge("bridge.manager")),
    ("管理者名", Field::Bridge("bridge.manager")),
    ("橋梁形式", Field::Bridge("bridge.structure")),
    ("橋長", Field::Bridge("bridge.length_m")),
    ("幅員", Field::Bridge("bridge.width_m")),
    ("径間数", Field::Bridge("bridge.spans")),
    ("架設年", Field::Bridge("bridge.year")),
    ("架設年次", Field::Bridge("bridge.year")),
    ("点検年月日", Field::Bridge("inspection.last")),
];

/// Returns what a label names; a unit in parentheses does not count.
pub fn field(text: &str) -> Option<Field> {
    let plain: String = text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>().to_lowercase();
    let plain = plain.split(['(', '（', ':', '：']).next().unwrap_or_default();
    LABELS.iter().find(|(label, _)| *label == plain).map(|(_, field)| *field)
}

/// Number of fields that a row must name to be the heading of a table.
const HEADING_MIN: usize = 3;

/// Reads all sheets.
pub fn read(workbook: &Workbook, used: &mut Used) -> Result<Imported, WorkbookError> {
    let mut read = Imported::default();
    for (index, info) in workbook.sheets().iter().enumerate() {
        let sheet = Sheet { name: &info.name, grid: workbook.grid(index)?, pictures: workbook.pictures(index)? };
        let labels = sheet.labels();
        for (_, text, _) in &labels {
            used.add(&info.name, text);
        }
        sheet.facts(&labels, &mut read, used);
        match sheet.heading(&labels) {
            Some(row) => sheet.table(row, &labels, &mut read, used),
            None => sheet.frames(&labels, &mut read, used),
        }
    }
    Ok(read)
}

type Label = (CellRef, String, Field);

struct Sheet<'a> {
    name: &'a str,
    grid: Grid,
    pictures: Vec<PlacedPicture>,
}

impl Sheet<'_> {
    fn labels(&self) -> Vec<Label> {
        let texts = self.grid.cells.iter().map(|cell| (cell.at, shown(&cell.value)));
        texts.filter_map(|(at, text)| field(&text).map(|field| (at, text, field))).collect()
    }

    /// Returns the area of a cell and those merged with it.
    fn area(&self, at: CellRef) -> Area {
        let merged = self.grid.merges.iter().find(|area| area.contains(at));
        merged.copied().unwrap_or(Area { first: at, last: at })
    }

    /// Returns the value to the right of a cell.
    fn right(&self, at: CellRef) -> String {
        let next = CellRef { row: at.row, column: self.area(at).last.column + 1 };
        let text = shown(self.grid.value(self.area(next).first));
        if field(&text).is_some() { String::new() } else { text }
    }

    fn facts(&self, labels: &[Label], read: &mut Imported, used: &mut Used) {
        for (at, _, field) in labels {
            let Field::Bridge(name) = field else { continue };
            let value = self.right(*at);
            if let Some(fact) = Fact::read(&value) {
                used.add(self.name, &value);
                read.facts.entry((*name).to_owned()).or_insert(fact);
            }
        }
    }

    /// Returns the row that is the heading of a table: three different fields beside each other, without values between
    /// them.
    fn heading(&self, labels: &[Label]) -> Option<u32> {
        let mut rows: BTreeMap<u32, Vec<&Label>> = BTreeMap::new();
        for label in labels.iter().filter(|(_, _, field)| !matches!(field, Field::Bridge(_))) {
            rows.entry(label.0.row).or_default().push(label);
        }
        let is_heading = |labels: &Vec<&Label>| {
            let mut fields: Vec<Field> = labels.iter().map(|(_, _, field)| *field).collect();
            fields.sort_unstable();
            let count = fields.len();
            fields.dedup();
            fields.len() >= HEADING_MIN
                && fields.len() == count
                && labels.iter().all(|(at, ..)| self.right(*at).is_empty())
        };
        rows.iter().find(|(_, labels)| is_heading(labels)).map(|(row, _)| *row)
    }

    /// Reads the members of a table.
    fn table(&self, heading: u32, labels: &[Label], read: &mut Imported, used: &mut Used) {
        let columns: Vec<(u32, Field)> =
            labels.iter().filter(|(at, ..)| at.row == heading).map(|(at, _, field)| (at.column, *field)).collect();
        let first =
            labels.iter().filter(|(at, ..)| at.row == heading).map(|(at, ..)| self.area(*at).last.row + 1).max();
        let last = self.grid.cells.last().map_or(0, |cell| cell.at.row);
        let mut above = BTreeMap::new();
        for row in first.unwrap_or(heading + 1)..=last {
            let mut values: BTreeMap<Field, String> = BTreeMap::new();
            for (column, field) in &columns {
                let at = self.area(CellRef { row, column: *column }).first;
                values.insert(*field, shown(self.grid.value(at)));
            }
            if values.values().all(String::is_empty) {
                continue;
            }
            let has_place = [Field::Member, Field::Element]
                .iter()
                .any(|field| values.get(field).is_some_and(|text| !text.is_empty()));
            let total = |text: &String| ["計", "合計", "total"].contains(&text.to_lowercase().as_str());
            if !has_place || values.values().any(total) {
                continue;
            }
            for text in values.values() {
                used.add(self.name, text);
            }
            // A span or member that is written once holds for the rows below it.
            for field in [Field::Span, Field::Member] {
                let text = values.entry(field).or_default();
                if text.is_empty() && field == Field::Span {
                    text.clone_from(above.entry(field).or_default());
                }
                above.insert(field, text.clone());
            }
            read.members.push(member(&values));
        }
    }

    /// Reads photos in frames: each label of a photo's number begins one.
    fn frames(&self, labels: &[Label], read: &mut Imported, used: &mut Used) {
        let anchors: Vec<CellRef> =
            labels.iter().filter(|(_, _, field)| *field == Field::Number).map(|(at, ..)| *at).collect();
        let first_row = anchors.first().map(|at| at.row);
        let of_first_row =
            labels.iter().filter(|(at, _, field)| Some(at.row) == first_row && !matches!(field, Field::Bridge(_)));
        let is_left = of_first_row.map(|(at, ..)| at.column).min() == anchors.first().map(|at| at.column);
        let mut frames: Vec<(BTreeMap<Field, String>, Option<String>)> = vec![Default::default(); anchors.len()];
        for (at, _, field) in labels.iter().filter(|(_, _, field)| !matches!(field, Field::Bridge(_))) {
            let Some(frame) = nearest(&anchors, *at, is_left) else { continue };
            let value = self.right(*at);
            used.add(self.name, &value);
            frames[frame].0.entry(*field).or_insert(value);
        }
        for picture in &self.pictures {
            match nearest(&anchors, picture.first, is_left).filter(|frame| frames[*frame].1.is_none()) {
                Some(frame) => frames[frame].1 = Some(picture.part.clone()),
                None => read.notes.push(format!(
                    "sheet \"{}\", cell {}: a picture that belongs to no photo",
                    self.name, picture.first
                )),
            }
        }
        for (values, part) in frames {
            if part.is_some() || values.values().any(|text| !text.is_empty()) {
                read.photos.push((photo(&values), part));
            }
        }
    }
}

/// Returns the frame to which a cell belongs: the last one that begins above, and the nearest beside.
fn nearest(anchors: &[CellRef], at: CellRef, is_left: bool) -> Option<usize> {
    let row = anchors.iter().map(|anchor| anchor.row).filter(|row| *row <= at.row).max()?;
    let in_row = anchors.iter().enumerate().filter(|(_, anchor)| anchor.row == row);
    let order = |(_, anchor): &(usize, &CellRef)| {
        let is_before = anchor.column <= at.column;
        (anchor.column.abs_diff(at.column), is_before != is_left)
    };
    in_row.min_by_key(order).map(|(index, _)| index)
}

fn member(values: &BTreeMap<Field, String>) -> LastMember {
    let text = |field| values.get(&field).cloned().unwrap_or_default();
    LastMember {
        span: text(Field::Span),
        member: text(Field::Member),
        element: text(Field::Element),
        damage: text(Field::Damage),
        degree: text(Field::Degree),
        grade: text(Field::Grade),
        measure: text(Field::Measure),
        finding: text(Field::Memo),
        photos: text(Field::Number),
    }
}

fn photo(values: &BTreeMap<Field, String>) -> LastPhoto {
    let text = |field| values.get(&field).cloned().unwrap_or_default();
    LastPhoto {
        number: text(Field::Number),
        taken: text(Field::Taken),
        span: text(Field::Span),
        member: text(Field::Member),
        element: text(Field::Element),
        damage: text(Field::Damage),
        degree: text(Field::Degree),
        grade: text(Field::Grade),
        memo: text(Field::Memo),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_with_spaces_and_units() {
        assert_eq!(field("写 真 番 号"), Some(Field::Number));
        assert_eq!(field("橋長 (m)"), Some(Field::Bridge("bridge.length_m")));
        assert_eq!(field("Photo no."), Some(Field::Number));
        assert_eq!(field("主桁"), None);
        assert_eq!(field(""), None);
    }

    #[test]
    fn a_cell_belongs_to_the_frame_above_and_beside_it() {
        let at = |row, column| CellRef { row, column };
        let anchors = [at(3, 1), at(3, 5), at(17, 1), at(17, 5)];
        assert_eq!(nearest(&anchors, at(3, 3), true), Some(0), "the number stands at the left of its frame");
        assert_eq!(nearest(&anchors, at(16, 7), true), Some(1));
        assert_eq!(nearest(&anchors, at(30, 5), true), Some(3));
        assert_eq!(nearest(&anchors, at(3, 3), false), Some(1), "or at its right");
        assert_eq!(nearest(&anchors, at(2, 1), true), None);
    }
}
