//! Tags that people set, possibly from another process.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use log::warn;
use rusqlite::{Connection, TransactionBehavior};

use bridgeclip_domain::{Tag, TagText};

use super::counters::Counters;
use super::error::JournalError;
use super::row::Row;
use super::schema;
use super::tables::Tables;

/// Sets the tag of the captures that follow, in the database at `path`. An empty tag withdraws the last one. A daemon
/// may be running on the same file: SQLite orders the two writers, and waits up to five seconds.
pub fn set_tag(path: &Path, tag: &Tag, boot_id: &str, set_at: Timestamp) -> Result<(), JournalError> {
    let open = |source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) };
    let mut connection = Connection::open(path).map_err(open)?;
    schema::prepare(&mut connection, path)?;
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut tables = Tables::new(&change, Counters::load(&change)?);
    insert_tag(&mut tables, tag, boot_id, set_at)?;
    tables.counters.store(&change)?;
    Ok(change.commit()?)
}

/// Adds a row for the tag of the captures that follow.
pub fn insert_tag(tables: &mut Tables, tag: &Tag, boot_id: &str, set_at: Timestamp) -> rusqlite::Result<()> {
    let text = |text: &Option<TagText>| text.as_ref().map(|text| text.as_str().to_owned());
    let id = &mut tables.counters.tag;
    *id += 1;
    Row::new("tag", *id)
        .with("set_at", set_at.to_string())
        .with("boot_id", boot_id.to_owned())
        .with("bridge", text(&tag.bridge))
        .with("span", text(&tag.span))
        .with("member", text(&tag.member))
        .store(tables.connection)
}

/// Reads the tag of the captures that follow; `None` if none is set.
pub fn standing_tag(connection: &Connection) -> Result<Option<Tag>, JournalError> {
    let last: i64 =
        connection.prepare_cached("SELECT coalesce(max(id), 0) FROM tag")?.query_row([], |row| row.get(0))?;
    let Some(row) = Row::load(connection, "tag", last)? else { return Ok(None) };
    let tag = Tag { bridge: text(&row, "bridge")?, span: text(&row, "span")?, member: text(&row, "member")? };
    Ok(Some(tag).filter(|tag| !tag.is_empty()))
}

/// Sets an empty tag where damage took the last one, whose id was `last`. Otherwise photos would be filed under the tag
/// before it.
pub fn keep_tag(tables: &mut Tables, last: i64) -> rusqlite::Result<()> {
    if tables.counters.tag >= last {
        return Ok(());
    }
    warn!("damage took the tag of the photos that follow; set it again");
    tables.counters.tag = last;
    insert_tag(tables, &Tag::default(), "", Timestamp::now())
}

fn text(row: &Row, column: &str) -> Result<Option<TagText>, JournalError> {
    let text: Option<String> = row.get(column)?;
    let damaged = |error| JournalError::Damaged(format!("{column} of a row of tag: {error}"));
    text.map(|text| text.parse()).transpose().map_err(damaged)
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
