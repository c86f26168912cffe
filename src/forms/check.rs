//! Checks a template: which marks are known, which are not, and what would be near.

use serde::{Serialize, Serializer};

use super::marks;
use super::template::Template;
use crate::workbook::{self, MarkState, WorkbookError};

/// What a template asks for.
#[derive(Debug, Serialize)]
pub struct Check {
    pub marks: Vec<CheckedMark>,
}

/// Mark of a template.
#[derive(Debug, Serialize)]
pub struct CheckedMark {
    pub sheet: String,
    pub cell: String,
    /// The mark as it is written.
    pub mark: String,
    #[serde(serialize_with = "state_name")]
    pub state: MarkState,
    /// What is wrong, or a known mark that is near an unknown one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Check {
    /// Returns the marks that cannot be filled.
    pub fn wrong(&self) -> impl Iterator<Item = &CheckedMark> {
        self.marks.iter().filter(|mark| mark.state != MarkState::Known)
    }
}

fn state_name<S: Serializer>(state: &MarkState, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match state {
        MarkState::Known => "known",
        MarkState::Unknown => "unknown",
        MarkState::Misplaced(_) => "misplaced",
    })
}

/// Checks the marks of a template.
///
/// # Errors
/// If the workbook is damaged.
pub fn check(template: &Template) -> Result<Check, WorkbookError> {
    let reports = workbook::check(&template.workbook, &marks::vocabulary())?;
    let names: Vec<String> = marks::lines().into_iter().map(|line| line.name).collect();
    let mark = |report: workbook::MarkReport| {
        let note = match &report.state {
            MarkState::Known => None,
            MarkState::Misplaced(reason) => Some(reason.clone()),
            MarkState::Unknown => Some(match nearest(&report.mark, &names) {
                Some(near) => format!("unknown; {{{{{near}}}}} is meant perhaps"),
                None => "unknown; `bridgeclip form marks` lists all".to_owned(),
            }),
        };
        CheckedMark { sheet: report.sheet, cell: report.cell.to_string(), mark: report.mark, state: report.state, note }
    };
    Ok(Check { marks: reports.into_iter().map(mark).collect() })
}

/// Returns the name with the fewest different letters, if they are few.
fn nearest<'a>(mark: &str, names: &'a [String]) -> Option<&'a str> {
    let mark = mark.trim_matches(['{', '}', '｛', '｝', ' ']).to_lowercase();
    let distances = names.iter().map(|name| (distance(&mark, name), name.as_str()));
    distances.min().filter(|(distance, _)| *distance <= 3 && *distance * 2 < mark.chars().count()).map(|(_, name)| name)
}

/// Returns how many letters must be added, removed or replaced.
fn distance(a: &str, b: &str) -> usize {
    const LENGTH_MAX: usize = 64;
    let b: Vec<char> = b.chars().take(LENGTH_MAX).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, letter) in a.chars().take(LENGTH_MAX).enumerate() {
        let mut before = row[0];
        row[0] = index + 1;
        for (at, other) in b.iter().enumerate() {
            let replaced = before + usize::from(letter != *other);
            before = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let names: Vec<String> = marks::lines().into_iter().map(|line| line.name).collect();
        assert_eq!(nearest("{{photo.nunber}}", &names), Some("photo.number"));
        assert_eq!(nearest("{{bridge.nam}}", &names), Some("bridge.name"));
        assert_eq!(nearest("{{weather}}", &names), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
