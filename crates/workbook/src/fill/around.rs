//! The elements of a sheet around its rows: merged cells, page breaks, print set-up, drawing.

use std::collections::BTreeMap;

use crate::area::Area;
use crate::edits::Edits;
use crate::error::WorkbookError;
use crate::layout::Block;
use crate::sheet::{Element, Sheet};
use crate::shift::{self, Insertion, Insertions};
use crate::xml::{Kind, Tokens, attribute, with_attribute};

use super::pictures::Drawing;
use super::plan::Plan;

/// Order of the elements after the rows (ECMA-376 part 1, 18.3.1.99).
const ORDER: [&str; 35] = [
    "sheetCalcPr",
    "sheetProtection",
    "protectedRanges",
    "scenarios",
    "autoFilter",
    "sortState",
    "dataConsolidate",
    "customSheetViews",
    "mergeCells",
    "phoneticPr",
    "conditionalFormatting",
    "dataValidations",
    "hyperlinks",
    "printOptions",
    "pageMargins",
    "pageSetup",
    "headerFooter",
    "rowBreaks",
    "colBreaks",
    "customProperties",
    "cellWatches",
    "ignoredErrors",
    "smartTags",
    "drawing",
    "legacyDrawing",
    "legacyDrawingHF",
    "drawingHF",
    "picture",
    "oleObjects",
    "AlternateContent",
    "controls",
    "webPublishItems",
    "tableParts",
    "extLst",
    "",
];

/// Returns a sheet's XML with other rows, and what follows from them.
pub fn sheet(
    sheet: &Sheet,
    name: &str,
    plan: Option<&Plan<'_>>,
    insertions: &Insertions,
    data: &str,
    drawing: Option<&Drawing>,
) -> Result<String, WorkbookError> {
    let mut edits = Edits::default();
    if !insertions.is_empty() {
        for element in &sheet.elements {
            let raw = &sheet.text[element.at.clone()];
            let moved = match plan.and_then(|plan| Some((plan, plan.insertion?))) {
                Some((plan, insertion)) => moved(sheet, element, name, plan, insertion, insertions)?,
                None => shift::part(&sheet.part, raw, Some(name), insertions)?,
            };
            if moved != raw {
                edits.replace(element.at.clone(), moved);
            }
        }
    }
    if let Some((plan, insertion)) = plan.and_then(|plan| Some((plan, plan.insertion?)))
        && sheet.element("rowBreaks").is_none()
    {
        let breaks = row_breaks(sheet, "", plan, insertion)?;
        edits.insert(place(sheet, "rowBreaks"), breaks);
    }
    if let Some(drawing) = drawing.filter(|drawing| drawing.is_new) {
        let (p, namespace) = (&sheet.prefix, &drawing.relation.base);
        let element = format!("<{p}drawing xmlns:r=\"{namespace}\" r:id=\"{}\"/>", drawing.relation.id);
        edits.insert(place(sheet, "drawing"), element);
    }
    edits.replace(sheet.head.end..sheet.tail.start, wrapped(sheet, data));
    Ok(edits.apply(&sheet.text, 0..sheet.text.len()))
}

/// Returns the rows as they stand between head and tail, which may be an element without content.
fn wrapped(sheet: &Sheet, data: &str) -> String {
    let between = &sheet.text[sheet.head.end..sheet.tail.start];
    let name = format!("{}sheetData", sheet.prefix);
    let is_empty_element = between.starts_with(&format!("<{name}"));
    match is_empty_element {
        true if data.is_empty() => between.to_owned(),
        true => format!("<{name}>{data}</{name}>"),
        false => data.to_owned(),
    }
}

/// Returns where an element that is missing belongs.
fn place(sheet: &Sheet, name: &str) -> usize {
    let order = |name: &str| ORDER.iter().position(|other| *other == name).unwrap_or(ORDER.len());
    let after = |element: &&Element| element.at.start >= sheet.tail.start && order(&element.name) > order(name);
    let end = || sheet.text.rfind("</").unwrap_or(sheet.text.len());
    sheet.elements.iter().find(after).map_or_else(end, |element| element.at.start)
}

/// Returns an element of a sheet whose rows are repeated.
fn moved(
    sheet: &Sheet,
    element: &Element,
    name: &str,
    plan: &Plan<'_>,
    insertion: Insertion,
    insertions: &Insertions,
) -> Result<String, WorkbookError> {
    let raw = &sheet.text[element.at.clone()];
    match element.name.as_str() {
        "mergeCells" => Ok(merges(sheet, &plan.merges, insertion)),
        "rowBreaks" => row_breaks(sheet, raw, plan, insertion),
        "pageSetup" => Ok(page_setup(sheet, raw, plan)),
        _ => shift::part(&sheet.part, raw, Some(name), insertions),
    }
}

fn merges(sheet: &Sheet, merges: &[Area], insertion: Insertion) -> String {
    let is_inside = |area: &Area| area.first.row >= insertion.first && area.last.row <= insertion.last;
    let copies = |area: &Area| match is_inside(area) {
        true => (0..=insertion.copies).filter_map(|copy| area.offset(copy * insertion.height(), 0)).collect(),
        false => vec![insertion.area(*area)],
    };
    let areas: Vec<Area> = merges.iter().flat_map(copies).collect();
    let p = &sheet.prefix;
    let cells: String = areas.iter().map(|area| format!("<{p}mergeCell ref=\"{area}\"/>")).collect();
    format!("<{p}mergeCells count=\"{}\">{cells}</{p}mergeCells>", areas.len())
}

/// Returns the page breaks: those of the template at their new places and between pages.
fn row_breaks(sheet: &Sheet, raw: &str, plan: &Plan<'_>, insertion: Insertion) -> Result<String, WorkbookError> {
    let p = &sheet.prefix;
    let mut breaks: BTreeMap<u32, String> = BTreeMap::new();
    for token in Tokens::new(&sheet.part, raw) {
        let token = token?;
        let Some(row) = token.attribute("id").and_then(|row| row.parse::<u32>().ok()) else { continue };
        if !token.starts("brk") || token.kind != Kind::Empty {
            continue;
        }
        let is_inside = (insertion.first..=insertion.last).contains(&row);
        for copy in 0..=if is_inside { insertion.copies } else { 0 } {
            let row = if is_inside { row + copy * insertion.height() } else { insertion.row(row) };
            breaks.insert(row, with_attribute(token.raw, "id", &row.to_string()));
        }
    }
    if plan.layout.block.as_ref().is_some_and(Block::breaks) {
        for page in 0..insertion.copies {
            let row = insertion.last + page * insertion.height();
            breaks.entry(row).or_insert_with(|| format!("<{p}brk id=\"{row}\" max=\"16383\" man=\"1\"/>"));
        }
    }
    let count = breaks.len();
    let all: String = breaks.into_values().collect();
    Ok(match count {
        0 => raw.to_owned(),
        _ => format!("<{p}rowBreaks count=\"{count}\" manualBreakCount=\"{count}\">{all}</{p}rowBreaks>"),
    })
}

/// Returns the print set-up. A sheet that is fitted to a number of pages is fitted to that number for each of its
/// pages, so that its scale stays.
fn page_setup(sheet: &Sheet, raw: &str, plan: &Plan<'_>) -> String {
    let properties = sheet.element("sheetPr").unwrap_or_default();
    let is_fitted = properties.contains("fitToPage=\"1\"") || properties.contains("fitToPage=\"true\"");
    let height = attribute(raw, "fitToHeight").map_or(Some(1), |height| height.parse::<u32>().ok()).unwrap_or(0);
    let has_pages = plan.layout.block.as_ref().is_some_and(Block::breaks);
    match is_fitted && height > 0 {
        true if has_pages => {
            with_attribute(raw, "fitToHeight", &height.saturating_mul(plan.pages).min(32_767).to_string())
        }
        // A table that grows takes as many pages as it needs.
        true => with_attribute(raw, "fitToHeight", "0"),
        false => raw.to_owned(),
    }
}
