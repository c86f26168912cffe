//! A list of members with their ratings, as CSV.

use std::collections::BTreeMap;

use super::labels::{Field, field};
use crate::forms::FormError;
use crate::forms::last::LastMember;

/// Maximum number of rows.
const ROWS_MAX: usize = 100_000;

/// Members of the inspection before, by the names of their bridges.
pub type MembersByBridge = BTreeMap<String, Vec<LastMember>>;

/// Reads a CSV file whose first line names its columns. Returns the members by their bridges, and what was not
/// understood. `bridge` holds for a file without a column of that name.
///
/// # Errors
/// If the file is no CSV in UTF-8, or names no members.
pub fn read_members_csv(bytes: &[u8], bridge: Option<&str>) -> Result<(MembersByBridge, Vec<String>), FormError> {
    let refused = |reason: String| FormError::Bound(reason);
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refused("not UTF-8; in Excel, save the list as \"CSV UTF-8\"".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let not_csv = |error: csv::Error| refused(format!("not a CSV file: {error}"));
    let head: Vec<String> = rows.headers().map_err(not_csv)?.iter().map(str::to_owned).collect();
    let fields: Vec<Option<Field>> = head.iter().map(|name| column(name)).collect();
    let has = |wanted: Field| fields.contains(&Some(wanted));
    if !has(Field::Member) && !has(Field::Element) {
        let reason = "the first line names neither `member` nor `element`; columns are bridge, span, member, element, \
                      damage, degree, soundness, measure, finding, photos";
        return Err(refused(reason.to_owned()));
    }
    let unknown = head.iter().zip(&fields).filter(|(_, field)| field.is_none());
    let notes = unknown.map(|(name, _)| format!("the column {name:?} is not understood and was left out")).collect();
    let mut members: MembersByBridge = BTreeMap::new();
    for (index, row) in rows.records().enumerate() {
        let row = row.map_err(not_csv)?;
        if index >= ROWS_MAX {
            return Err(refused(format!("more than {ROWS_MAX} members; split the list")));
        }
        let text = |wanted: Field| {
            let at = fields.iter().position(|field| *field == Some(wanted));
            at.and_then(|at| row.get(at)).unwrap_or_default().to_owned()
        };
        let own = text(Field::Bridge("bridge.name"));
        let name = match (own.is_empty(), bridge) {
            (false, _) => own,
            (true, Some(bridge)) => bridge.to_owned(),
            (true, None) => {
                let line = row.position().map_or(0, csv::Position::line);
                return Err(refused(format!("line {line} names no bridge; add a column `bridge`, or --bridge ID")));
            }
        };
        let member = LastMember {
            span: text(Field::Span),
            member: text(Field::Member),
            element: text(Field::Element),
            damage: text(Field::Damage),
            degree: text(Field::Degree),
            grade: text(Field::Grade),
            measure: text(Field::Measure),
            finding: text(Field::Memo),
            photos: text(Field::Number),
        };
        if member.place().key().is_some() {
            members.entry(name).or_default().push(member);
        }
    }
    Ok((members, notes))
}

/// Returns what a column names: a label of forms, or a name of the device's own lists.
fn column(name: &str) -> Option<Field> {
    match name.to_lowercase().as_str() {
        "grade" => Some(Field::Grade),
        "photos" => Some(Field::Number),
        "橋梁" => Some(Field::Bridge("bridge.name")),
        name => field(name).filter(|field| !matches!(field, Field::Bridge(fact) if *fact != "bridge.name")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_with_their_ratings_by_bridge() {
        let text =
            "\u{feff}bridge,span,部材名,要素番号,soundness,weather\nB-1,1,主桁,Mg0101,Ⅱ,rain\n,2,床版,Ds0101,,\n";
        let (members, notes) = read_members_csv(text.as_bytes(), Some("B-2")).expect("members");
        assert_eq!(members["B-1"][0].grade, "Ⅱ");
        assert_eq!((members["B-2"][0].element.as_str(), members["B-2"][0].span.as_str()), ("Ds0101", "2"));
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("weather"), "{notes:?}");
    }

    #[test]
    fn a_wrong_list_is_refused_with_the_remedy() {
        let refused = |bytes: &[u8]| read_members_csv(bytes, None).expect_err("refused").to_string();
        assert!(refused(b"\x8b\xb4,x\n").contains("CSV UTF-8"));
        assert!(refused(b"name\nG1\n").contains("`member`"));
        assert!(refused(b"member\nG1\n").contains("line 2 names no bridge"));
        assert!(refused(b"bridge,member\nB\n").contains("not a CSV file"));
    }
}
