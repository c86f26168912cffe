//! The device's track and the clocks of cameras, by which moment and place of a capture can be weighed again. Their
//! content belongs to others; here it is bytes and text.

use rusqlite::{Connection, OptionalExtension};

use super::error::JournalError;
use super::reader::Reader;
use super::row::Row;

/// Number of pieces of the track that are kept: three days of a receiver's reception at one piece a minute, 8 MB. Pieces
/// of imported tracks are larger, 70 KB each and 285 MB at most, and take the place of the oldest ones.
const PIECES_MAX: i64 = 4_096;

/// Piece of a track: consecutive fixes of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackPiece {
    /// First and last fix in milliseconds since 1970.
    pub first_ms: i64,
    pub last_ms: i64,
    /// Receiver, or the name of the file from which the piece was imported.
    pub source: String,
    /// The fixes, as whoever stores them packs them.
    pub fixes: Vec<u8>,
}

/// What is known about the clock of a camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraNote {
    /// Name of the camera.
    pub name: String,
    /// The clock, as JSON.
    pub clock: String,
}

/// Source of the track of which pieces are stored, with what they cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackSource {
    pub source: String,
    pub pieces: u64,
    /// First and last fix in milliseconds since 1970.
    pub first_ms: i64,
    pub last_ms: i64,
}

/// Adds pieces of the track, and deletes the oldest ones beyond the limit.
pub fn keep_pieces(connection: &Connection, pieces: &[TrackPiece]) -> Result<(), JournalError> {
    let mut id = last_id(connection, "track")?;
    for TrackPiece { first_ms, last_ms, source, fixes } in pieces {
        id += 1;
        Row::new("track", id)
            .with("first_ms", *first_ms)
            .with("last_ms", *last_ms)
            .with("source", source.clone())
            .with("fixes", fixes.clone())
            .store(connection)?;
    }
    connection.prepare_cached("DELETE FROM track WHERE id <= ?1")?.execute([id - PIECES_MAX])?;
    Ok(())
}

/// Deletes the pieces of a source. Returns how many there were.
pub fn remove_pieces(connection: &Connection, source: &str) -> Result<usize, JournalError> {
    Ok(connection.prepare_cached("DELETE FROM track WHERE source = ?1")?.execute([source])?)
}

/// Stores what is known about cameras' clocks; an empty clock is forgotten.
pub fn keep_cameras(connection: &Connection, cameras: &[CameraNote]) -> Result<(), JournalError> {
    for CameraNote { name, clock } in cameras {
        let mut find = connection.prepare_cached("SELECT id FROM camera WHERE name = ?1")?;
        let known: Option<i64> = find.query_row([name], |row| row.get(0)).optional()?;
        match (known, clock.is_empty()) {
            (Some(id), true) => {
                connection.prepare_cached("DELETE FROM camera WHERE id = ?1")?.execute([id])?;
            }
            (None, true) => (),
            (known, false) => {
                let id = known.map_or_else(|| last_id(connection, "camera").map(|last| last + 1), Ok)?;
                Row::new("camera", id).with("name", name.clone()).with("clock", clock.clone()).store(connection)?;
            }
        }
    }
    Ok(())
}

fn last_id(connection: &Connection, table: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(&format!("SELECT coalesce(max(id), 0) FROM {table}"))?.query_row([], |row| row.get(0))
}

impl Reader {
    /// Returns the pieces of the track with fixes between two moments in milliseconds since 1970, oldest first. Damaged
    /// pieces are left out.
    pub fn track(&self, first_ms: i64, last_ms: i64) -> Result<Vec<TrackPiece>, JournalError> {
        let ids = "SELECT id FROM track WHERE last_ms >= ?1 AND first_ms <= ?2 ORDER BY first_ms";
        self.read(|connection| {
            let mut ids = connection.prepare_cached(ids)?;
            let ids = ids.query_map([first_ms, last_ms], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let rows = ids.into_iter().map(|id| intact(connection, "track", id));
            rows.filter_map(Result::transpose).map(|row| piece(&row?)).collect()
        })
    }

    /// Returns the sources of the track, each with what it covers.
    pub fn track_sources(&self) -> Result<Vec<TrackSource>, JournalError> {
        let sources = "SELECT source, count(*), min(first_ms), max(last_ms) FROM track GROUP BY source ORDER BY source";
        self.read(|connection| {
            let mut sources = connection.prepare_cached(sources)?;
            let found = sources.query_map([], |row| {
                let (source, pieces) = (row.get(0)?, row.get::<_, i64>(1)? as u64);
                Ok(TrackSource { source, pieces, first_ms: row.get(2)?, last_ms: row.get(3)? })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Returns what is known about cameras' clocks, by name. Damaged rows are left out.
    pub fn cameras(&self) -> Result<Vec<CameraNote>, JournalError> {
        self.read(|connection| {
            let mut ids = connection.prepare_cached("SELECT id FROM camera ORDER BY name")?;
            let ids = ids.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
            let rows = ids.into_iter().map(|id| intact(connection, "camera", id)).filter_map(Result::transpose);
            rows.map(|row| {
                let row = row?;
                Ok(CameraNote { name: row.get("name")?, clock: row.get("clock")? })
            })
            .collect()
        })
    }
}

/// Reads a row; `None` if it is gone or damaged: what it held is a help, and salvage deletes it.
fn intact(connection: &Connection, table: &'static str, id: i64) -> Result<Option<Row>, JournalError> {
    match Row::load(connection, table, id) {
        Err(JournalError::Damaged(_)) => Ok(None),
        found => found,
    }
}

fn piece(row: &Row) -> Result<TrackPiece, JournalError> {
    Ok(TrackPiece {
        first_ms: row.get("first_ms")?,
        last_ms: row.get("last_ms")?,
        source: row.get("source")?,
        fixes: row.get("fixes")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{FILE_NAME, schema};
    use super::*;

    fn open() -> (tempfile::TempDir, Connection, Reader) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join(FILE_NAME);
        let mut connection = Connection::open(&path).expect("a database");
        schema::prepare(&mut connection, &path).expect("a schema");
        let reader = Reader::open(&path).expect("readable");
        (dir, connection, reader)
    }

    fn piece(second: i64) -> TrackPiece {
        let (first_ms, last_ms) = (second * 1_000, second * 1_000 + 900);
        TrackPiece { first_ms, last_ms, source: "receiver".into(), fixes: vec![second as u8; 30] }
    }

    #[test]
    fn the_track_is_found_by_time_and_bounded() {
        let (_dir, connection, reader) = open();
        keep_pieces(&connection, &(0..10).map(piece).collect::<Vec<_>>()).expect("room");
        let found = reader.track(3_950, 6_000).expect("readable");
        assert_eq!(found, [piece(4), piece(5), piece(6)]);
        let many: Vec<_> = (10..PIECES_MAX + 5).map(piece).collect();
        keep_pieces(&connection, &many).expect("room");
        let sources = reader.track_sources().expect("readable");
        let expected = TrackSource {
            source: "receiver".into(),
            pieces: PIECES_MAX as u64,
            first_ms: 5_000,
            last_ms: (PIECES_MAX + 4) * 1_000 + 900,
        };
        assert_eq!(sources, [expected]);
        assert_eq!(remove_pieces(&connection, "receiver").expect("removed"), PIECES_MAX as usize);
    }

    #[test]
    fn cameras_are_replaced_and_forgotten_by_name() {
        let (_dir, connection, reader) = open();
        let note = |name: &str, clock: &str| CameraNote { name: name.into(), clock: clock.into() };
        keep_cameras(&connection, &[note("B", "{}"), note("A", "{}")]).expect("room");
        keep_cameras(&connection, &[note("B", r#"{"zone":"+09:00"}"#)]).expect("room");
        assert_eq!(reader.cameras().expect("readable"), [note("A", "{}"), note("B", r#"{"zone":"+09:00"}"#)]);
        keep_cameras(&connection, &[note("A", ""), note("C", "")]).expect("room");
        assert_eq!(reader.cameras().expect("readable"), [note("B", r#"{"zone":"+09:00"}"#)]);
        connection.execute("UPDATE camera SET clock = 'x'", []).expect("a flipped bit");
        assert_eq!(reader.cameras().expect("readable"), [], "damaged");
    }
}
