//! Fills a template: every part that holds no mark is copied as it is, byte for byte.

mod around;
mod cell;
mod directory;
mod pictures;
mod plan;
mod relations;
mod report;
mod rows;

use std::io::{self, Write};

use crate::book::Workbook;
use crate::error::WorkbookError;
use crate::layout::{self, MarkReport, MarkState};
use crate::package::Relation;
use crate::shift::{self, Insertions};
use crate::values::{Facts, Vocabulary};
use crate::zip::write::ArchiveWriter;

pub(crate) use cell::literal;
use pictures::Pictures;
use plan::Plan;
use report::Changes;
pub use report::FillReport;

/// Fills a template and writes the workbook. `picture` returns the bytes of a picture by its key, upright, as JPEG or
/// PNG; each is asked for once and held only while it is written. The same template, facts and pictures give the same
/// bytes.
///
/// # Errors
/// If a mark is misplaced, a page exceeds the rows of a sheet, a picture is missing or no picture, the template is
/// damaged, or writing fails.
pub fn fill<W: Write>(
    template: &Workbook,
    vocabulary: &Vocabulary,
    facts: &Facts,
    picture: &mut dyn FnMut(&str) -> io::Result<Vec<u8>>,
    out: W,
) -> Result<(W, FillReport), WorkbookError> {
    let (layouts, marks) = layout::read(template, vocabulary)?;
    refuse_misplaced(&marks)?;
    let unknown = marks.into_iter().filter(|mark| mark.state == MarkState::Unknown).collect();
    let mut report = FillReport { unknown, ..FillReport::default() };
    let plans = layouts
        .into_iter()
        .map(|layout| Plan::new(template, vocabulary, facts, layout))
        .collect::<Result<Vec<_>, _>>()?;
    let insertions: Insertions = plans.iter().filter_map(Plan::insertion_of_sheet).collect();
    for plan in plans.iter().filter(|plan| plan.layout.block.is_some()) {
        report.pages.insert(plan.name().to_owned(), plan.pages);
    }
    let mut work = Work { template, insertions, changes: Changes::new(), pictures: Pictures::new(template) };
    work.sheets(&plans, &mut report)?;
    work.others(&plans)?;
    let mut archive = ArchiveWriter::new(out);
    let Work { changes, pictures, .. } = work;
    for entry in template.package.entries() {
        match changes.get(&entry.name.to_lowercase()) {
            None if !pictures.owns(&entry.name) => archive.copy(entry, template.package.raw(entry))?,
            None | Some(None) => (),
            Some(Some(text)) => archive.deflate(&entry.name, text.as_bytes())?,
        }
    }
    for (name, text) in changes.iter().filter(|(name, _)| !template.package.has(name)) {
        archive.deflate(name, text.as_deref().unwrap_or_default().as_bytes())?;
    }
    pictures.write(&mut archive, picture, &mut report)?;
    Ok((archive.finish()?, report))
}

fn refuse_misplaced(marks: &[MarkReport]) -> Result<(), WorkbookError> {
    for mark in marks {
        if let MarkState::Misplaced(reason) = &mark.state {
            let (sheet, cell) = (mark.sheet.clone(), mark.cell.to_string());
            return Err(WorkbookError::Template { sheet, cell, reason: format!("{}: {reason}", mark.mark) });
        }
    }
    Ok(())
}

struct Work<'a> {
    template: &'a Workbook,
    insertions: Insertions,
    changes: Changes,
    pictures: Pictures<'a>,
}

impl<'a> Work<'a> {
    /// Writes the sheets that have marks, formulas, or formulas that refer to rows that move.
    fn sheets(&mut self, plans: &[Plan<'a>], report: &mut FillReport) -> Result<(), WorkbookError> {
        let mut has_formulas = false;
        for index in self.template.with_cells() {
            let parsed;
            let plan = plans.iter().find(|plan| plan.layout.sheet == index);
            let sheet = match plan {
                Some(plan) => &plan.sheet,
                None => {
                    parsed = self.template.sheet(index)?;
                    &parsed
                }
            };
            let has_own = sheet.all_cells().iter().any(|cell| sheet.has_formula(cell));
            has_formulas |= has_own;
            if plan.is_none() && !has_own && self.insertions.is_empty() {
                continue;
            }
            let name = &self.template.sheets[index].name;
            let mut rows = rows::Rows::new(self.template, sheet, name, plan, &self.insertions)?;
            let data = rows.write()?;
            report.texts_cut += rows.texts_cut;
            let drawing = self.pictures.request(index, rows.pictures, plan)?;
            let text = around::sheet(sheet, name, plan, &self.insertions, &data, drawing.as_ref())?;
            if let Some(drawing) = drawing.filter(|drawing| drawing.is_new) {
                let (part, text) = relations::with_relation(self.template, &sheet.part, &drawing.relation)?;
                self.changes.insert(part.to_lowercase(), Some(text));
            }
            if text != sheet.text {
                self.changes.insert(sheet.part.to_lowercase(), Some(text));
            }
        }
        directory::workbook(self.template, plans, &self.insertions, has_formulas, &mut self.changes)?;
        directory::content_types(self.template, &self.pictures, has_formulas, &mut self.changes)
    }

    /// Moves what other parts say about cells.
    fn others(&mut self, plans: &[Plan<'a>]) -> Result<(), WorkbookError> {
        if self.insertions.is_empty() {
            return Ok(());
        }
        for plan in plans.iter().filter(|plan| plan.insertion.is_some()) {
            for Relation { kind, part, .. } in self.template.package.relations(&plan.sheet.part)? {
                let Some(part) = part.filter(|part| self.template.package.has(part)) else { continue };
                match kind.as_str() {
                    "drawing" | "comments" | "table" | "pivotTable" | "threadedComment" => {
                        self.shifted(&part, Some(plan.name()))?;
                    }
                    // Boxes of comments: other programs write what is no XML, and then the boxes stay where they are.
                    "vmlDrawing" => drop(self.shifted(&part, Some(plan.name()))),
                    _ => (),
                }
            }
        }
        let package = &self.template.package;
        let is_other = |name: &str| {
            let kind = package.content_type(name);
            ["drawingml.chart+xml", "chartex+xml", "pivotCacheDefinition+xml"].iter().any(|end| kind.ends_with(end))
        };
        let names: Vec<String> =
            package.entries().iter().map(|entry| entry.name.clone()).filter(|name| is_other(name)).collect();
        names.iter().try_for_each(|name| self.shifted(name, None))
    }

    /// Moves what a part says about cells. A drawing that gets pictures is written with them.
    fn shifted(&mut self, part: &str, own: Option<&str>) -> Result<(), WorkbookError> {
        let text = self.template.package.text(part)?;
        let shifted = shift::part(part, &text, own, &self.insertions)?;
        if !self.pictures.replace(part, &shifted) && shifted != text {
            self.changes.insert(part.to_lowercase(), Some(shifted));
        }
        Ok(())
    }
}
