//! Captures as they are kept: what a photo showed, and what is needed to judge it again or to find it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rusqlite::{Connection, ToSql};

use bridgeclip_domain::{Embedding, Inspection, PhotoQuality, Position, Sha256, Tag, Time, Verdict};

use super::error::JournalError;
use super::reader::Reader;
use super::row::{Row, json, unreadable};

/// Captures that are read at a time: with 512 values each, less than 2 MB.
const PAGE: usize = 256;

/// One stored capture.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    pub capture: i64,
    pub sha256: Sha256,
    pub path: PathBuf,
    pub taken: Time,
    pub tag: Option<Tag>,
    pub embedding: Embedding,
    /// Of the encoder that made the embedding; `None` if an older program stored it.
    pub embedding_space: Option<Sha256>,
    pub quality: Option<PhotoQuality>,
    /// Without neighbours: the judgement of an inspector that stands, or else the device's answer.
    pub verdict: Verdict,
    pub inspection: Option<Inspection>,
}

/// When and where a capture was made, as far as that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPlace {
    pub capture: i64,
    /// See [`bridgeclip_domain::Capture`].
    pub monotonic_ns: Option<u64>,
    pub taken: Time,
    pub position: Option<Position>,
    pub tag: Option<Tag>,
}

impl Reader {
    /// The last captures, the newest first. Those that do not match their checksum are not among them: they are mended.
    pub fn last_results(&self, limit: usize) -> Result<Vec<StoredResult>, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id < ?1 ORDER BY id DESC", &i64::MAX, limit, stored_result)?.found)
    }

    /// Those of the last `limit` captures that were made during this start of the machine, the newest first.
    pub fn last_places(&self, boot_id: &str, limit: usize) -> Result<Vec<StoredPlace>, JournalError> {
        let last = format!("SELECT id, boot_id FROM capture ORDER BY id DESC LIMIT {limit}");
        Ok(self.look(&format!("SELECT id FROM ({last}) WHERE boot_id = ?1"), &boot_id, limit, stored_place)?.found)
    }

    /// All captures, the oldest first, some at a time; without damaged ones. No page is empty.
    pub fn place_pages(&self) -> impl Iterator<Item = Result<Vec<StoredPlace>, JournalError>> {
        self.pages("SELECT id FROM capture WHERE id > ?1 ORDER BY id", stored_place)
    }

    /// Likewise.
    pub fn result_pages(&self) -> impl Iterator<Item = Result<Vec<StoredResult>, JournalError>> {
        self.pages("SELECT id FROM capture WHERE id > ?1 ORDER BY id", stored_result)
    }

    /// Likewise those that an inspector has judged.
    pub fn inspected_pages(&self) -> impl Iterator<Item = Result<Vec<StoredResult>, JournalError>> {
        self.pages("SELECT id FROM capture WHERE id > ?1 AND inspection IS NOT NULL ORDER BY id", stored_result)
    }

    /// `ids` selects captures with an id above its parameter, in their order.
    fn pages<T>(&self, ids: &'static str, read: Read<T>) -> impl Iterator<Item = Result<Vec<T>, JournalError>> {
        let mut after = Some(0);
        std::iter::from_fn(move || {
            let look = self.look(ids, &after?, PAGE, read);
            after = look.as_ref().ok().and_then(|look| look.last);
            match look {
                Ok(look) if look.found.is_empty() => None,
                look => Some(look.map(|look| look.found)),
            }
        })
    }

    /// One capture; `None` if it is gone or does not match its checksum.
    pub fn result(&self, capture: i64) -> Result<Option<StoredResult>, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id = ?1", &capture, 1, stored_result)?.found.pop())
    }

    /// These captures in pages; those that are gone or do not match their checksum are left out.
    pub fn results_of<'a>(
        &'a self,
        captures: &'a [i64],
    ) -> impl Iterator<Item = Result<Vec<StoredResult>, JournalError>> + 'a {
        captures.chunks(PAGE).map(|page| page.iter().filter_map(|&capture| self.result(capture).transpose()).collect())
    }

    /// `ids` selects captures by one parameter, and puts them in order.
    pub(super) fn look<T>(
        &self,
        ids: &str,
        by: &dyn ToSql,
        limit: usize,
        read: Read<T>,
    ) -> Result<Look<T>, JournalError> {
        let mut look = self.read(|connection| look(connection, ids, by, limit, read))?;
        if let Some(damage) = look.damage.take() {
            self.found(damage);
        }
        Ok(look)
    }
}

/// Makes a value of a capture's id and row.
pub type Read<T> = fn(i64, &Row) -> Result<T, JournalError>;

/// What was found, and what was met on the way.
pub struct Look<T> {
    pub found: Vec<T>,
    /// Id of the last row, be it whole or not.
    pub last: Option<i64>,
    /// Rows that are not as they were written.
    pub damaged: u64,
    damage: Option<JournalError>,
}

fn look<T>(
    connection: &Connection,
    ids: &str,
    by: &dyn ToSql,
    limit: usize,
    read: Read<T>,
) -> Result<Look<T>, JournalError> {
    let mut ids = connection.prepare_cached(ids)?;
    let mut ids = ids.query([by])?;
    let mut look = Look { found: Vec::new(), last: None, damaged: 0, damage: None };
    while look.found.len() < limit
        && let Some(id) = ids.next()?
    {
        let id = id.get(0)?;
        look.last = Some(id);
        let row = Row::load(connection, "capture", id);
        match row.and_then(|row| row.map(|row| read(id, &row)).transpose()) {
            Ok(result) => look.found.extend(result),
            Err(error @ JournalError::Damaged(_)) => {
                look.damaged += 1;
                look.damage = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(look)
}

fn stored_result(capture: i64, row: &Row) -> Result<StoredResult, JournalError> {
    let values: Vec<u8> = row.get("embedding")?;
    let values = values.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().expect("four bytes")));
    Ok(StoredResult {
        capture,
        sha256: Sha256(row.get("sha256")?),
        path: path(row)?,
        taken: taken(capture, row)?,
        tag: json(row, "tag")?,
        embedding: Embedding::normalise(values.collect()).map_err(|_| unreadable("the embedding", capture))?,
        embedding_space: row.get::<Option<[u8; 32]>>("embedding_space")?.map(Sha256),
        quality: json(row, "quality")?,
        verdict: shown_verdict(capture, row)?,
        inspection: json(row, "inspection")?,
    })
}

/// The judgement of an inspector that stands, or else the device's answer.
pub fn shown_verdict(capture: i64, row: &Row) -> Result<Verdict, JournalError> {
    let device: Verdict = json(row, "verdict")?.ok_or_else(|| unreadable("the verdict", capture))?;
    let inspection: Option<Inspection> = json(row, "inspection")?;
    Ok(match inspection {
        Some(inspection) => device.inspected(&inspection.labels),
        None => device,
    })
}

pub fn path(row: &Row) -> Result<PathBuf, JournalError> {
    Ok(PathBuf::from(OsString::from_vec(row.get("path")?)))
}

fn stored_place(capture: i64, row: &Row) -> Result<StoredPlace, JournalError> {
    Ok(StoredPlace {
        capture,
        monotonic_ns: row.get::<Option<i64>>("monotonic_ns")?.map(|ns| ns as u64),
        taken: taken(capture, row)?,
        position: json(row, "position")?,
        tag: json(row, "tag")?,
    })
}

pub fn taken(capture: i64, row: &Row) -> Result<Time, JournalError> {
    json(row, "taken")?.ok_or_else(|| unreadable("the time", capture))
}
