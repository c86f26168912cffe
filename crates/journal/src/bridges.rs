//! What forms need to know about bridges: the numbers of their photos, which stay, and the inspection before this one.
//! Facts and entries belong to others; here they are text and bytes.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use bridgeclip_domain::{Sha256, Tag};

use super::error::JournalError;
use super::reader::Reader;
use super::row::{Row, json};
use super::tables::Tables;

/// Maximum number of bridges about which facts, numbers or an earlier inspection are kept.
pub const BRIDGES_MAX: usize = 10_000;
/// Maximum number of entries about the earlier inspection of one bridge.
pub const ENTRIES_MAX: usize = 20_000;
/// Maximum size of a picture of an earlier inspection, in bytes.
pub const PICTURE_BYTES_MAX: usize = 2 << 20;
/// Maximum size of all pictures of earlier inspections, in bytes: some forty bridges with 100 pictures each.
pub const PICTURES_BYTES_MAX: i64 = 1 << 30;

const BRIDGE: &str = "bridge";
const NUMBER: &str = "photo_number";
const ENTRY: &str = "last_cycle";

/// Bridge that the device knows more about than its photos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeNote {
    /// Name in the tags; empty for photos whose tag names no bridge.
    pub name: String,
    /// Facts as JSON; `None` if there are none.
    pub facts: Option<String>,
    /// Last photo number that was given; 0 if none was.
    pub last_number: u32,
}

/// Member or photo of the inspection before this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastEntry {
    /// What it says, as JSON.
    pub entry: String,
    /// Its picture, a JPEG or PNG.
    pub picture: Option<Vec<u8>>,
}

/// Stored member or photo of the inspection before this one. Its picture is read by the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    pub id: i64,
    pub entry: String,
    pub has_picture: bool,
}

/// Gives photos of a bridge their numbers, in the order of the hashes. A photo that has a number keeps it, and a number
/// is never given twice. Returns `None` for a photo that is not known or whose tag names another bridge by now.
pub fn number(tables: &mut Tables, bridge: &str, photos: &[Sha256]) -> Result<Vec<Option<u32>>, JournalError> {
    let connection = tables.connection;
    let (id, note) = bridge_row(connection, bridge)?;
    let known = number_of_last(connection, bridge)?.max(note.last_number);
    let (mut last, mut row_id) = (known, last_id(connection, NUMBER)?);
    let mut numbers = Vec::with_capacity(photos.len());
    for sha256 in photos {
        if let Some(number) = number_of(connection, bridge, sha256)? {
            numbers.push(Some(number));
            continue;
        }
        if !is_of_bridge(connection, bridge, sha256)? {
            numbers.push(None);
            continue;
        }
        last =
            last.checked_add(1).ok_or_else(|| JournalError::Bound("a bridge has no more photo numbers".to_owned()))?;
        row_id += 1;
        Row::new(NUMBER, row_id)
            .with("bridge", bridge.to_owned())
            .with("sha256", sha256.0.to_vec())
            .with("number", last)
            .store(connection)?;
        numbers.push(Some(last));
    }
    if last != note.last_number {
        store_bridge(connection, id, &BridgeNote { last_number: last, ..note })?;
    }
    Ok(numbers)
}

/// Sets or removes the facts about a bridge.
pub fn keep_facts(connection: &Connection, bridge: &str, facts: Option<String>) -> Result<(), JournalError> {
    let (id, note) = bridge_row(connection, bridge)?;
    store_bridge(connection, id, &BridgeNote { facts, ..note })
}

/// Replaces what is known about the inspection before this one.
///
/// # Errors
/// [`JournalError::Bound`] if it exceeds a bound.
pub fn keep_cycle(connection: &Connection, bridge: &str, entries: &[LastEntry]) -> Result<(), JournalError> {
    if entries.len() > ENTRIES_MAX {
        let reason = format!("{} members and photos of one bridge; {ENTRIES_MAX} are kept", entries.len());
        return Err(JournalError::Bound(reason));
    }
    connection.prepare_cached("DELETE FROM last_cycle WHERE bridge = ?1")?.execute([bridge])?;
    let sizes = "SELECT coalesce(sum(length(picture)), 0) FROM last_cycle";
    let mut bytes: i64 = connection.prepare_cached(sizes)?.query_row([], |row| row.get(0))?;
    let mut id = last_id(connection, ENTRY)?;
    for LastEntry { entry, picture } in entries {
        let size = picture.as_ref().map_or(0, Vec::len);
        bytes += size as i64;
        if size > PICTURE_BYTES_MAX || bytes > PICTURES_BYTES_MAX {
            let reason = format!(
                "pictures of earlier inspections take at most {} MB each and {} MB together; forget a bridge that is \
                 finished with `bridgeclip form forget`",
                PICTURE_BYTES_MAX >> 20,
                PICTURES_BYTES_MAX >> 20
            );
            return Err(JournalError::Bound(reason));
        }
        id += 1;
        Row::new(ENTRY, id)
            .with("bridge", bridge.to_owned())
            .with("entry", entry.clone())
            .with("picture", picture.clone())
            .store(connection)?;
    }
    Ok(())
}

/// Drops the number of a photo whose capture is deleted for room. The number is not given again.
pub fn forget(tables: &mut Tables, sha256: &[u8]) -> rusqlite::Result<()> {
    tables.connection.prepare_cached("DELETE FROM photo_number WHERE sha256 = ?1")?.execute([sha256]).map(drop)
}

/// Returns the row of a bridge, or a new one that is not stored yet.
fn bridge_row(connection: &Connection, name: &str) -> Result<(i64, BridgeNote), JournalError> {
    let mut find = connection.prepare_cached("SELECT id FROM bridge WHERE name = ?1")?;
    if let Some(id) = find.query_row([name], |row| row.get(0)).optional()? {
        let row = Row::load(connection, BRIDGE, id)?.ok_or_else(|| super::row::damaged(BRIDGE, id))?;
        return Ok((id, note(&row)?));
    }
    let count: i64 = connection.prepare_cached("SELECT count(*) FROM bridge")?.query_row([], |row| row.get(0))?;
    if count as usize >= BRIDGES_MAX {
        return Err(JournalError::Bound(format!("a device keeps what forms need about {BRIDGES_MAX} bridges")));
    }
    Ok((last_id(connection, BRIDGE)? + 1, BridgeNote { name: name.to_owned(), facts: None, last_number: 0 }))
}

fn store_bridge(connection: &Connection, id: i64, note: &BridgeNote) -> Result<(), JournalError> {
    let row = Row::new(BRIDGE, id)
        .with("name", note.name.clone())
        .with("facts", note.facts.clone())
        .with("last_number", note.last_number);
    Ok(row.store(connection)?)
}

fn note(row: &Row) -> Result<BridgeNote, JournalError> {
    Ok(BridgeNote { name: row.get("name")?, facts: row.get("facts")?, last_number: row.get("last_number")? })
}

fn number_of(connection: &Connection, bridge: &str, sha256: &Sha256) -> Result<Option<u32>, JournalError> {
    let mut find = connection.prepare_cached("SELECT id FROM photo_number WHERE bridge = ?1 AND sha256 = ?2")?;
    let id = find.query_row((bridge, sha256.0), |row| row.get::<_, i64>(0)).optional()?;
    let row = id.map(|id| Row::load(connection, NUMBER, id)).transpose()?.flatten();
    row.map(|row| row.get("number")).transpose()
}

/// Returns the greatest number that a photo of the bridge has; 0 if none has one.
fn number_of_last(connection: &Connection, bridge: &str) -> rusqlite::Result<u32> {
    let greatest = "SELECT coalesce(max(number), 0) FROM photo_number WHERE bridge = ?1";
    connection.prepare_cached(greatest)?.query_row([bridge], |row| row.get(0))
}

/// Whether there is a capture of the photo whose tag names the bridge.
fn is_of_bridge(connection: &Connection, bridge: &str, sha256: &Sha256) -> Result<bool, JournalError> {
    let mut find = connection.prepare_cached("SELECT id FROM capture WHERE sha256 = ?1")?;
    let Some(id) = find.query_row([sha256.0], |row| row.get(0)).optional()? else { return Ok(false) };
    let Some(row) = Row::load(connection, "capture", id)? else { return Ok(false) };
    let tag: Option<Tag> = json(&row, "tag")?;
    Ok(tag.and_then(|tag| tag.bridge).map_or(bridge.is_empty(), |name| name.as_str() == bridge))
}

fn last_id(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(&format!("SELECT coalesce(max(id), 0) FROM {table}"))?.query_row([], |row| row.get(0))
}

impl Reader {
    /// Returns the numbers of a bridge's photos by their hashes.
    pub fn photo_numbers(&self, bridge: &str) -> Result<BTreeMap<Sha256, u32>, JournalError> {
        self.read(|connection| {
            let mut rows = connection.prepare_cached("SELECT sha256, number FROM photo_number WHERE bridge = ?1")?;
            let rows = rows.query_map([bridge], |row| Ok((Sha256(row.get(0)?), row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Returns the bridges about which anything is kept, by name.
    pub fn bridges(&self) -> Result<Vec<BridgeNote>, JournalError> {
        self.read(|connection| {
            let mut ids = connection.prepare_cached("SELECT id FROM bridge ORDER BY name")?;
            let ids = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let rows = ids.into_iter().map(|id| Row::load(connection, BRIDGE, id)).filter_map(Result::transpose);
            rows.map(|row| note(&row?)).collect()
        })
    }

    /// Returns the facts about a bridge as JSON; `None` if there are none.
    pub fn bridge_facts(&self, bridge: &str) -> Result<Option<String>, JournalError> {
        self.read(|connection| Ok(bridge_row(connection, bridge)?.1.facts))
    }

    /// Returns members and photos of the inspection before this one, in the order in which they were stored.
    pub fn last_cycle(&self, bridge: &str) -> Result<Vec<StoredEntry>, JournalError> {
        self.read(|connection| {
            let mut ids = connection.prepare_cached("SELECT id FROM last_cycle WHERE bridge = ?1 ORDER BY id")?;
            let ids = ids.query_map([bridge], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let rows = ids.into_iter().map(|id| (id, Row::load(connection, ENTRY, id)));
            let stored = |(id, row): (i64, Result<Option<Row>, JournalError>)| {
                let row = row.transpose()?;
                Some(row.and_then(|row| {
                    let has_picture = row.get::<Option<Vec<u8>>>("picture")?.is_some();
                    Ok(StoredEntry { id, entry: row.get("entry")?, has_picture })
                }))
            };
            rows.filter_map(stored).collect()
        })
    }

    /// Returns the picture of an entry about the inspection before this one.
    pub fn last_picture(&self, id: i64) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(|connection| match Row::load(connection, ENTRY, id)? {
            Some(row) => row.get("picture"),
            None => Ok(None),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FILE_NAME, counters::Counters, row::to_json, schema};
    use super::*;

    fn open() -> (tempfile::TempDir, Connection, Reader) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(FILE_NAME);
        let mut connection = Connection::open(&path).expect("a database");
        schema::prepare(&mut connection, &path).expect("a schema");
        let reader = Reader::open(&path).expect("readable");
        (dir, connection, reader)
    }

    fn photo(id: u8) -> Sha256 {
        Sha256([id; 32])
    }

    /// Stores a capture with what numbering reads of it.
    fn capture(connection: &Connection, id: u8, tag: &str) {
        let tag = tag.parse::<Tag>().ok().map(|tag| to_json(&tag));
        let text = || "{}".to_owned();
        Row::new("capture", id.into())
            .with("sha256", photo(id).0.to_vec())
            .with("path", vec![b'a'])
            .with("bytes", 1)
            .with("width", 1)
            .with("height", 1)
            .with("taken", text())
            .with("camera", text())
            .with("stored_at", String::new())
            .with("boot_id", String::new())
            .with("embedding", vec![0_u8])
            .with("verdict", text())
            .with("tag", tag)
            .store(connection)
            .expect("stored");
    }

    fn numbered(connection: &Connection, bridge: &str, photos: &[u8]) -> Vec<Option<u32>> {
        let photos: Vec<Sha256> = photos.iter().copied().map(photo).collect();
        let mut tables = Tables::new(connection, Counters::default());
        number(&mut tables, bridge, &photos).expect("numbered")
    }

    #[test]
    fn numbers_stay_and_are_never_given_twice() {
        let (_dir, connection, reader) = open();
        for id in 1..=4 {
            capture(&connection, id, "bridgeclip:bridge=B");
        }
        assert_eq!(numbered(&connection, "B", &[2, 1]), [Some(1), Some(2)]);
        assert_eq!(numbered(&connection, "B", &[1, 3, 2]), [Some(2), Some(3), Some(1)]);
        // The photo with the last number is deleted for room.
        let mut tables = Tables::new(&connection, Counters::default());
        forget(&mut tables, &photo(3).0).expect("forgotten");
        connection.execute("DELETE FROM capture WHERE id = 3", []).expect("deleted");
        assert_eq!(numbered(&connection, "B", &[4, 3]), [Some(4), None], "3 is not given again");
        assert_eq!(reader.photo_numbers("B").expect("readable").get(&photo(4)), Some(&4));
        assert_eq!(reader.bridges().expect("readable")[0].last_number, 4);
        // Damage takes the bridge's row: the photos still know their numbers.
        connection.execute("DELETE FROM bridge", []).expect("lost");
        capture(&connection, 5, "bridgeclip:bridge=B");
        assert_eq!(numbered(&connection, "B", &[5]), [Some(5)]);
    }

    #[test]
    fn a_photo_counts_for_the_bridge_that_its_tag_names_now() {
        let (_dir, connection, _reader) = open();
        capture(&connection, 1, "bridgeclip:bridge=B");
        capture(&connection, 2, "");
        assert_eq!(numbered(&connection, "B", &[1, 2]), [Some(1), None]);
        assert_eq!(numbered(&connection, "", &[2, 1]), [Some(1), None]);
        // A correction of the tag moves the photo, and back.
        capture(&connection, 1, "bridgeclip:bridge=C");
        assert_eq!(numbered(&connection, "C", &[1]), [Some(1)]);
        capture(&connection, 1, "bridgeclip:bridge=B");
        assert_eq!(numbered(&connection, "B", &[1]), [Some(1)], "it keeps its number");
    }

    #[test]
    fn the_earlier_inspection_is_replaced_and_bounded() {
        let (_dir, connection, reader) = open();
        let entry = |text: &str, picture: Option<usize>| LastEntry {
            entry: text.to_owned(),
            picture: picture.map(|bytes| vec![7; bytes]),
        };
        keep_facts(&connection, "B", Some("{}".to_owned())).expect("kept");
        keep_cycle(&connection, "B", &[entry("1", None), entry("2", Some(9))]).expect("kept");
        keep_cycle(&connection, "C", &[entry("3", None)]).expect("kept");
        let found = reader.last_cycle("B").expect("readable");
        assert_eq!(found.iter().map(|found| found.has_picture).collect::<Vec<_>>(), [false, true]);
        assert_eq!(reader.last_picture(found[1].id).expect("readable"), Some(vec![7; 9]));
        keep_cycle(&connection, "B", &[entry("4", None)]).expect("replaced");
        assert_eq!(reader.last_cycle("B").expect("readable").len(), 1);
        assert_eq!(reader.last_cycle("C").expect("readable").len(), 1);
        assert_eq!(reader.bridge_facts("B").expect("readable").as_deref(), Some("{}"));
        let large = [entry("5", Some(PICTURE_BYTES_MAX + 1))];
        assert!(matches!(keep_cycle(&connection, "B", &large), Err(JournalError::Bound(_))));
        let many = vec![entry("6", None); ENTRIES_MAX + 1];
        assert!(matches!(keep_cycle(&connection, "B", &many), Err(JournalError::Bound(_))));
    }
}
