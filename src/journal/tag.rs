//! Tags that people set, from another process too.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{JournalError, schema};
use crate::domain::{Tag, TagText};

/// Sets the tag of the captures that follow; an empty one takes the last one back. A daemon may be running on the same
/// file: SQLite lets one write after the other, and waits up to five seconds.
pub fn set_tag(path: &Path, tag: &Tag, boot_id: &str, set_at: Timestamp) -> Result<(), JournalError> {
    let open = |source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) };
    let mut connection = Connection::open(path).map_err(open)?;
    schema::prepare(&mut connection, path)?;
    insert_tag(&connection, tag, boot_id, set_at).map_err(|source| JournalError::Write(Arc::new(source)))
}

pub fn insert_tag(connection: &Connection, tag: &Tag, boot_id: &str, set_at: Timestamp) -> rusqlite::Result<()> {
    let text = |text: &Option<TagText>| text.as_ref().map(|text| text.as_str().to_owned());
    connection.prepare_cached("INSERT INTO tag VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?.execute(params![
        set_at.to_string(),
        boot_id,
        text(&tag.bridge),
        text(&tag.span),
        text(&tag.member)
    ])?;
    Ok(())
}

pub fn last_tag(connection: &Connection) -> rusqlite::Result<Option<Tag>> {
    let mut last = connection.prepare_cached("SELECT bridge, span, member FROM tag ORDER BY id DESC LIMIT 1")?;
    Ok(last.query_row([], tag).optional()?.filter(|tag| !tag.is_empty()))
}

fn tag(row: &Row) -> rusqlite::Result<Tag> {
    Ok(Tag { bridge: row.get(0)?, span: row.get(1)?, member: row.get(2)? })
}

impl FromSql for TagText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FILE_NAME, Reader};
    use super::*;

    #[test]
    fn the_last_tag_holds_until_it_is_taken_back() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(FILE_NAME);
        let set = |text: &str| {
            let tag = if text.is_empty() { Tag::default() } else { text.parse().expect("a tag") };
            set_tag(&path, &tag, "boot", Timestamp::UNIX_EPOCH).expect("it can be written");
            Reader::open(&path).and_then(|reader| reader.tag()).expect("it can be read")
        };
        assert_eq!(set(""), None);
        assert_eq!(set("bridgeclip:bridge=B-12;span=3"), "bridgeclip:bridge=B-12;span=3".parse().ok());
        assert_eq!(set("bridgeclip:member=G2"), "bridgeclip:member=G2".parse().ok());
        assert_eq!(set(""), None);
    }
}
