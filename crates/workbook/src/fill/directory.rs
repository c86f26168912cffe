//! The parts that list other parts: content types, relationships, and the workbook itself.

use crate::book::Workbook;
use crate::edits::Edits;
use crate::error::WorkbookError;
use crate::layout::FILLED_PREFIX;
use crate::package::{CONTENT_TYPES, relations_part};
use crate::shift::{self, Insertions};
use crate::xml::{Kind, Tokens, escape, prefix, qualified_name, with_attribute};

use super::pictures::Pictures;
use super::plan::Plan;
use super::relations::appended;
use super::report::Changes;

const DRAWING_TYPE: &str = "application/vnd.openxmlformats-officedocument.drawing+xml";

/// Writes the content types: those of pictures and of new drawings.
pub fn content_types(
    template: &Workbook,
    pictures: &Pictures<'_>,
    has_formulas: bool,
    changes: &mut Changes,
) -> Result<(), WorkbookError> {
    let text = template.package.text(CONTENT_TYPES)?;
    let root = text.rfind("</").map_or("", |at| &text[at..]);
    let p = prefix(root);
    let mut edits = Edits::default();
    let chain = calculation_chain(template)?.filter(|_| has_formulas);
    for token in Tokens::new(CONTENT_TYPES, &text) {
        let token = token?;
        let part = token.attribute("PartName").unwrap_or_default();
        if chain.as_ref().is_some_and(|chain| part.trim_start_matches('/').eq_ignore_ascii_case(chain)) {
            edits.replace(token.start..token.end, "");
        } else if token.raw.contains("template.m") {
            let kind = token.raw.replace("template.main+xml", "sheet.main+xml");
            edits.replace(token.start..token.end, kind.replace("template.macroEnabled.", "sheet.macroEnabled."));
        }
    }
    let mut added = String::new();
    for extension in ["jpeg", "png"].iter().filter(|_| pictures.has_any()) {
        if !template.package.has_extension(extension) {
            added += &format!("<{p}Default Extension=\"{extension}\" ContentType=\"image/{extension}\"/>");
        }
    }
    for part in &pictures.new_drawings {
        added += &format!("<{p}Override PartName=\"/{part}\" ContentType=\"{DRAWING_TYPE}\"/>");
    }
    let changed = appended(&edits.apply(&text, 0..text.len()), "Types", &added);
    if changed != text {
        changes.insert(CONTENT_TYPES.to_lowercase(), Some(changed));
    }
    Ok(())
}

/// Returns the part with the order in which formulas were computed, which spreadsheet programs make again.
fn calculation_chain(template: &Workbook) -> Result<Option<String>, WorkbookError> {
    let relations = template.package.relations(&template.part)?;
    Ok(relations.into_iter().find(|relation| relation.kind == "calcChain").and_then(|relation| relation.part))
}

/// Writes the workbook part: names that moved, names over what was filled, and that formulas are computed on opening.
pub fn workbook(
    template: &Workbook,
    plans: &[Plan<'_>],
    insertions: &Insertions,
    has_formulas: bool,
    changes: &mut Changes,
) -> Result<(), WorkbookError> {
    let text = match insertions.is_empty() {
        true => template.text.clone(),
        false => shift::part(&template.part, &template.text, None, insertions)?,
    };
    let text = named(template, &text, &filled_names(plans, prefix_of(&text)))?;
    let text = if has_formulas { computed_on_load(template, &text)? } else { text };
    if text != template.text {
        changes.insert(template.part.to_lowercase(), Some(text));
    }
    match calculation_chain(template)?.filter(|_| has_formulas) {
        Some(chain) => without_chain(template, &chain, changes),
        None => Ok(()),
    }
}

fn prefix_of(text: &str) -> &str {
    prefix(text.rfind("</").map_or("", |at| &text[at..]))
}

/// Returns a hidden name over the rows of each list, so that they can be read back.
fn filled_names(plans: &[Plan<'_>], p: &str) -> String {
    let mut names = String::new();
    for plan in plans {
        let Some(block) = &plan.layout.block else { continue };
        let last = block.rows.1 + (plan.pages - 1) * block.height();
        let sheet = plan.name().replace('\'', "''");
        let formula = escape(&format!("'{sheet}'!${}:${last}", block.rows.0));
        names += &format!(
            "<{p}definedName name=\"{FILLED_PREFIX}{}\" localSheetId=\"{}\" hidden=\"1\">{formula}</{p}definedName>",
            escape(&block.opening.list.replace('-', "_")),
            plan.layout.sheet
        );
    }
    names
}

/// Returns the workbook with more defined names.
fn named(template: &Workbook, text: &str, names: &str) -> Result<String, WorkbookError> {
    if names.is_empty() {
        return Ok(text.to_owned());
    }
    let (mut edits, mut after, mut depth_one_end, p) = (Edits::default(), None, None, prefix_of(text));
    for token in Tokens::new(&template.part, text) {
        let token = token?;
        if token.depth != 1 || token.kind == Kind::Open {
            continue;
        }
        match token.name {
            "definedNames" => depth_one_end = Some(token),
            "sheets" | "functionGroups" | "externalReferences" => after = Some(token.end),
            _ => (),
        }
    }
    match (depth_one_end, after) {
        (Some(end), _) if end.kind == Kind::Close => edits.insert(end.start, names),
        (Some(empty), _) => {
            edits.replace(empty.start..empty.end, format!("<{p}definedNames>{names}</{p}definedNames>"));
        }
        (None, Some(at)) => edits.insert(at, format!("<{p}definedNames>{names}</{p}definedNames>")),
        (None, None) => return Err(WorkbookError::part(&template.part, "the workbook has no sheets")),
    }
    Ok(edits.apply(text, 0..text.len()))
}

/// Returns the workbook with the request to compute all formulas when it is opened.
fn computed_on_load(template: &Workbook, text: &str) -> Result<String, WorkbookError> {
    const BEFORE: [&str; 4] = ["sheets", "functionGroups", "externalReferences", "definedNames"];
    let (mut edits, mut after, p) = (Edits::default(), None, prefix_of(text));
    for token in Tokens::new(&template.part, text) {
        let token = token?;
        if token.starts("calcPr") {
            edits.replace(token.start..token.end, with_attribute(token.raw, "fullCalcOnLoad", "1"));
            return Ok(edits.apply(text, 0..text.len()));
        }
        if token.depth == 1 && token.kind != Kind::Open && BEFORE.contains(&token.name) {
            after = Some(token.end);
        }
    }
    if let Some(at) = after {
        edits.insert(at, format!("<{p}calcPr fullCalcOnLoad=\"1\"/>"));
    }
    Ok(edits.apply(text, 0..text.len()))
}

fn without_chain(template: &Workbook, chain: &str, changes: &mut Changes) -> Result<(), WorkbookError> {
    let name = relations_part(&template.part);
    let text = template.package.text(&name)?;
    let mut edits = Edits::default();
    for token in Tokens::new(&name, &text) {
        let token = token?;
        let is_chain = token.attribute("Type").is_some_and(|kind| kind.ends_with("/calcChain"));
        if token.kind == Kind::Empty && qualified_name(token.raw).ends_with("Relationship") && is_chain {
            edits.replace(token.start..token.end, "");
        }
    }
    changes.insert(name.to_lowercase(), Some(edits.apply(&text, 0..text.len())));
    changes.insert(chain.to_lowercase(), None);
    Ok(())
}
