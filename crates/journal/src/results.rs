//! Captures with their embeddings: what a photo showed, and what is needed to judge or to find it again.

use std::path::PathBuf;

use rusqlite::{Connection, ToSql};

use bridgeclip_domain::{Camera, Embedding, Inspection, PhotoQuality, Position, Sha256, Tag, Time, Verdict};

use super::error::JournalError;
use super::facts;
use super::packing::unpack;
use super::reader::Reader;
use super::row::{Row, json, unreadable};

/// Number of captures that are read at a time. With 512 values each, they take less than 2 MB.
const PAGE: usize = 256;

/// Stored capture with its embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredResult {
    /// Id of the capture.
    pub capture: i64,
    pub sha256: Sha256,
    pub path: PathBuf,
    pub taken: Time,
    pub position: Option<Position>,
    pub tag: Option<Tag>,
    pub embedding: Embedding,
    /// Embedding space of the encoder that made the embedding; `None` if an older program stored it.
    pub embedding_space: Option<Sha256>,
    pub quality: Option<PhotoQuality>,
    /// Verdict to show, without neighbours: the inspector's judgement that applies, or else the device's answer.
    pub verdict: Verdict,
    /// Inspector's judgement that applies.
    pub inspection: Option<Inspection>,
}

/// Time and place of a capture, if known.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPlace {
    pub capture: i64,
    /// Nanoseconds from the machine's start to the exposure; see [`bridgeclip_domain::Capture`].
    pub monotonic_ns: Option<u64>,
    pub taken: Time,
    pub position: Option<Position>,
    pub tag: Option<Tag>,
    /// Path where the photo was found.
    pub path: PathBuf,
    pub camera: Camera,
    /// Evidence for the moment and the place, as JSON; `None` if an older program stored the capture.
    pub claims: Option<String>,
}

impl Reader {
    /// Reads the last `limit` captures, the newest first. Leaves out captures that do not match their checksum; these
    /// are mended.
    pub fn last_results(&self, limit: usize) -> Result<Vec<StoredResult>, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id < ?1 ORDER BY id DESC", &i64::MAX, limit, stored_result)?.found)
    }

    /// Reads those of the last `limit` captures that were stored during the machine's start `boot_id`, the newest
    /// first.
    pub fn last_places(&self, boot_id: &str, limit: usize) -> Result<Vec<StoredPlace>, JournalError> {
        let last = format!("SELECT id, boot_id FROM capture ORDER BY id DESC LIMIT {limit}");
        Ok(self.look(&format!("SELECT id FROM ({last}) WHERE boot_id = ?1"), &boot_id, limit, stored_place)?.found)
    }

    /// Iterates over the times and places of all captures in pages, the oldest first, leaving out damaged ones. No page
    /// is empty.
    pub fn place_pages(&self) -> impl Iterator<Item = Result<Vec<StoredPlace>, JournalError>> {
        self.pages("SELECT id FROM capture WHERE id > ?1 ORDER BY id", stored_place)
    }

    /// Iterates over all captures in pages, the oldest first, leaving out damaged ones. No page is empty.
    pub fn result_pages(&self) -> impl Iterator<Item = Result<Vec<StoredResult>, JournalError>> {
        self.pages("SELECT id FROM capture WHERE id > ?1 ORDER BY id", stored_result)
    }

    /// Iterates over the captures that an inspector has judged, in pages, the oldest first, leaving out damaged ones.
    /// No page is empty.
    pub fn inspected_pages(&self) -> impl Iterator<Item = Result<Vec<StoredResult>, JournalError>> {
        self.pages("SELECT id FROM capture WHERE id > ?1 AND inspection IS NOT NULL ORDER BY id", stored_result)
    }

    /// Iterates over captures in pages. `ids` is a query for captures with an id above its parameter, by ascending id.
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

    /// Reads one capture; `None` if it is gone or does not match its checksum.
    pub fn result(&self, capture: i64) -> Result<Option<StoredResult>, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id = ?1", &capture, 1, stored_result)?.found.pop())
    }

    /// Reads these captures in pages. Leaves out those that are gone or do not match their checksum.
    pub fn results_of<'a>(
        &'a self,
        captures: &'a [i64],
    ) -> impl Iterator<Item = Result<Vec<StoredResult>, JournalError>> + 'a {
        captures.chunks(PAGE).map(|page| page.iter().filter_map(|&capture| self.result(capture).transpose()).collect())
    }

    /// Reads up to `limit` captures. `ids` is a query with one parameter, `by`, that selects and orders them. Damage
    /// that is found is mended.
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

/// Makes a value from a capture's id and row.
pub type Read<T> = fn(i64, &Row) -> Result<T, JournalError>;

/// Captures that were found, and damage that was met on the way.
pub struct Look<T> {
    pub found: Vec<T>,
    /// Id of the last row that was read, intact or not.
    pub last: Option<i64>,
    /// Number of rows that do not match their checksum.
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
        sha256: facts::sha256(row)?,
        path: facts::path(row)?,
        taken: facts::taken(capture, row)?,
        position: facts::position(row)?,
        tag: facts::tag(row)?,
        embedding: Embedding::normalise(values.collect()).map_err(|_| unreadable("the embedding", capture))?,
        embedding_space: row.get::<Option<[u8; 32]>>("embedding_space")?.map(Sha256),
        quality: facts::quality(row)?,
        verdict: shown_verdict(capture, row)?,
        inspection: json(row, "inspection")?,
    })
}

/// Returns the verdict to show: the inspector's judgement that applies, or else the device's answer.
pub fn shown_verdict(capture: i64, row: &Row) -> Result<Verdict, JournalError> {
    let device: Verdict = json(row, "verdict")?.ok_or_else(|| unreadable("the verdict", capture))?;
    let inspection: Option<Inspection> = json(row, "inspection")?;
    Ok(match inspection {
        Some(inspection) => device.inspected(&inspection.labels),
        None => device,
    })
}

/// Reads the evidence for moment and place.
fn claims(capture: i64, row: &Row) -> Result<Option<String>, JournalError> {
    let Some(packed) = row.get::<Option<Vec<u8>>>("claims")? else { return Ok(None) };
    let text = unpack(&packed).and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(|| unreadable("the evidence", capture))
}

fn stored_place(capture: i64, row: &Row) -> Result<StoredPlace, JournalError> {
    Ok(StoredPlace {
        capture,
        monotonic_ns: facts::monotonic_ns(row)?,
        taken: facts::taken(capture, row)?,
        position: facts::position(row)?,
        tag: facts::tag(row)?,
        path: facts::path(row)?,
        camera: facts::camera(row)?,
        claims: claims(capture, row)?,
    })
}
