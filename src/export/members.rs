//! The list of members that need photos, from a file that was made when the inspection was planned.

use std::io::Read;
use std::path::Path;

use crate::domain::{Tag, TagError};
use crate::plain_file;

/// Maximum size of the file, in bytes.
const BYTES_MAX: u64 = 16 << 20;
const COLUMNS: [&str; 3] = ["bridge", "span", "member"];

/// Reason why the list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
    #[error("more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("not a CSV file: {0}")]
    Csv(#[from] csv::Error),
    #[error("the first line names none of the columns bridge, span and member")]
    Columns,
    #[error("line {line}: {source}")]
    Name { line: u64, source: TagError },
}

/// Reads a CSV file whose first line names its columns. Ignores columns other than bridge, span and member, and lines
/// in which all three are empty.
pub fn read_members(path: &Path) -> Result<Vec<Tag>, MembersError> {
    let mut text = Vec::new();
    plain_file::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(MembersError::TooLarge);
    }
    members(text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text))
}

fn members(text: &[u8]) -> Result<Vec<Tag>, MembersError> {
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let head = rows.headers()?.clone();
    let places = COLUMNS.map(|column| head.iter().position(|name| name.eq_ignore_ascii_case(column)));
    if places.iter().all(Option::is_none) {
        return Err(MembersError::Columns);
    }
    let mut members = Vec::new();
    for row in rows.records() {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line);
        let name = |place: Option<usize>| match place.and_then(|place| row.get(place)).unwrap_or_default() {
            "" => Ok(None),
            name => name.parse().map(Some).map_err(|source| MembersError::Name { line, source }),
        };
        let tag = Tag { bridge: name(places[0])?, span: name(places[1])?, member: name(places[2])? };
        if !tag.is_empty() {
            members.push(tag);
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_tags() {
        let found = members(b"Member,note,Bridge\r\nG1,x,B-12\r\n\"G2, left\",,B-12\r\n,,\r\n").expect("members");
        let tags = ["bridgeclip:bridge=B-12;member=G1", "bridgeclip:bridge=B-12;member=G2, left"];
        assert_eq!(found, tags.map(|tag| tag.parse().expect("a tag")));
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let message = |text: &[u8]| members(text).expect_err("refused").to_string();
        assert!(message(b"name\nG1\n").contains("bridge, span and member"));
        let long = format!("bridge,member\nB,G1\nB,{}\n", "x".repeat(65));
        assert!(message(long.as_bytes()).starts_with("line 3: a name has 1 to 64"), "{}", message(long.as_bytes()));
        assert!(message(b"bridge,member\nB\n").contains("not a CSV file"));
    }

    #[test]
    fn the_file_is_read_with_the_mark_of_spreadsheets() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("members.csv");
        std::fs::write(&path, "\u{feff}bridge\nB-1\n").expect("written");
        assert_eq!(read_members(&path).expect("members").len(), 1);
        assert!(matches!(read_members(&dir.path().join("none")), Err(MembersError::Read(_))));
    }
}
