//! Parts with relationships, and elements added to a part.

use crate::book::Workbook;
use crate::error::WorkbookError;
use crate::package::{Relation, relations_part, target};
use crate::xml::{escape, prefix};

const PACKAGE_NAMESPACE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";

/// Returns an id that no relation has.
pub fn next_id(relations: &[Relation]) -> String {
    let free = (relations.len() + 1..).map(|number| format!("rId{number}"));
    free.into_iter().find(|id| relations.iter().all(|relation| relation.id != *id)).unwrap_or_default()
}

/// Returns a relation as an element for a part with relationships, whose text gives the prefix.
pub fn relation_element(relation: &Relation, text: &str) -> String {
    let root = text.rfind("</").map_or("", |at| &text[at..]);
    let (p, target) = (prefix(root), escape(&target(relation.part.as_deref().unwrap_or_default())));
    format!(
        "<{p}Relationship Id=\"{}\" Type=\"{}/{}\" Target=\"{target}\"/>",
        escape(&relation.id),
        relation.base,
        relation.kind
    )
}

/// Returns a part with relationships.
pub fn relations_text(relations: &[&Relation]) -> String {
    let elements: String = relations.iter().map(|relation| relation_element(relation, "")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <Relationships xmlns=\"{PACKAGE_NAMESPACE}\">{elements}</Relationships>"
    )
}

/// Returns the name and the text of the relationships of a part with one more.
pub fn with_relation(template: &Workbook, part: &str, relation: &Relation) -> Result<(String, String), WorkbookError> {
    let name = relations_part(part);
    if !template.package.has(&name) {
        return Ok((name, relations_text(&[relation])));
    }
    let text = template.package.text(&name)?;
    let element = relation_element(relation, &text);
    Ok((name, appended(&text, "Relationships", &element)))
}

/// Returns XML with elements added at the end of its root, which may have no content.
pub fn appended(text: &str, root: &str, elements: &str) -> String {
    if elements.is_empty() {
        return text.to_owned();
    }
    let end = text.trim_end();
    if let Some(at) = end.rfind("</") {
        return format!("{}{elements}{}", &text[..at], &text[at..]);
    }
    let start = end.rfind('<').unwrap_or(0);
    let tag = &end[start..];
    let p = prefix(tag);
    format!("{}{}>{elements}</{p}{root}>", &text[..start], tag.trim_end_matches('>').trim_end_matches('/'))
}
