//! Captures as people and other programs want them: all that is known of them but the embedding and the neighbours.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use bridgeclip_domain::{
    Burst, Camera, Drone, Exposure, Inspection, PhotoQuality, Position, Sha256, Tag, Time, Verdict,
};

use super::capture::StoredPackage;
use super::error::JournalError;
use super::packing::unpack;
use super::reader::Reader;
use super::results::{Look, path, shown_verdict, taken};
use super::row::{Row, damaged, json};

/// One stored capture. `None` and empty values are what was not known, or what an older program did not store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCapture {
    pub id: i64,
    /// Of the event that last told of the capture.
    pub sequence: Option<i64>,
    pub event_id: Option<String>,
    /// Of the event that told of it first, if a correction came after it.
    pub result_id: Option<String>,
    pub boot_id: String,
    /// By the device's clock.
    pub stored_at: Option<Timestamp>,
    pub sha256: Sha256,
    pub path: PathBuf,
    pub bytes: u64,
    /// Width and height, before any EXIF rotation.
    pub pixels: [u32; 2],
    pub taken: Time,
    /// See [`bridgeclip_domain::Capture`].
    pub monotonic_ns: Option<u64>,
    pub position: Option<Position>,
    pub camera: Camera,
    pub exposure: Exposure,
    pub drone: Option<Drone>,
    pub quality: Option<PhotoQuality>,
    pub tag: Option<Tag>,
    pub burst: Option<Burst>,
    /// The model package that judged it.
    pub package: Option<StoredPackage>,
    /// Without neighbours: the judgement of an inspector that stands, or else the device's answer.
    pub verdict: Verdict,
    pub inspection: Option<Inspection>,
}

/// Some captures in the order in which they were stored.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturePage {
    pub captures: Vec<StoredCapture>,
    /// Captures between them that are not as they were written.
    pub damaged: u64,
    /// Where the next page starts; `None` if this is the last one.
    pub next: Option<i64>,
}

impl Reader {
    /// Up to `limit` captures with an id above `after`.
    pub fn capture_page(&self, after: i64, limit: usize) -> Result<CapturePage, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id > ?1 ORDER BY id", &after, limit, stored_capture)?.page(limit))
    }

    /// Likewise without the packages, which stand in the events alone: reading these takes half of the time.
    pub fn brief_page(&self, after: i64, limit: usize) -> Result<CapturePage, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id > ?1 ORDER BY id", &after, limit, brief_capture)?.page(limit))
    }

    /// Up to `limit` captures with an id below `before`, the newest first, without the packages.
    pub fn captures_before(&self, before: i64, limit: usize) -> Result<CapturePage, JournalError> {
        let newest_first = "SELECT id FROM capture WHERE id < ?1 ORDER BY id DESC";
        Ok(self.look(newest_first, &before, limit, brief_capture)?.page(limit))
    }

    /// The event that last told of a capture, with the neighbours; `None` if it has none.
    pub fn event(&self, id: i64) -> Result<Option<Vec<u8>>, JournalError> {
        let event = |_, row: &Row| Ok(row.get::<Option<Vec<u8>>>("event")?.as_deref().and_then(unpack));
        Ok(self.look("SELECT id FROM capture WHERE id = ?1", &id, 1, event)?.found.pop().flatten())
    }

    /// One capture; `None` if it is gone or damaged.
    pub fn capture(&self, id: i64) -> Result<Option<StoredCapture>, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id = ?1", &id, 1, stored_capture)?.found.pop())
    }

    /// The thumbnail of a capture, a JPEG; `None` if there never was one or it gave way.
    pub fn thumbnail(&self, capture: i64) -> Result<Option<Vec<u8>>, JournalError> {
        self.read(|connection| {
            let Some(row) = Row::load(connection, "thumbnail", capture)? else { return Ok(None) };
            let jpeg = unpack(&row.get::<Vec<u8>>("event")?);
            jpeg.map(Some).ok_or_else(|| damaged("thumbnail", capture))
        })
    }
}

impl Look<StoredCapture> {
    fn page(self, limit: usize) -> CapturePage {
        let next = self.last.filter(|_| self.found.len() == limit);
        CapturePage { captures: self.found, damaged: self.damaged, next }
    }
}

fn stored_capture(id: i64, row: &Row) -> Result<StoredCapture, JournalError> {
    let package = row.get::<Option<Vec<u8>>>("event")?.as_deref().and_then(package);
    Ok(StoredCapture { package, ..brief_capture(id, row)? })
}

/// Without the package.
fn brief_capture(id: i64, row: &Row) -> Result<StoredCapture, JournalError> {
    let Metadata { exposure, drone } = json(row, "metadata")?.unwrap_or_default();
    Ok(StoredCapture {
        id,
        sequence: row.get("sequence")?,
        event_id: row.get("event_id")?,
        result_id: row.get("result_id")?,
        boot_id: row.get("boot_id")?,
        stored_at: row.get::<String>("stored_at")?.parse().ok(),
        sha256: Sha256(row.get("sha256")?),
        path: path(row)?,
        bytes: row.get::<i64>("bytes")? as u64,
        pixels: [row.get("width")?, row.get("height")?],
        taken: taken(id, row)?,
        monotonic_ns: row.get::<Option<i64>>("monotonic_ns")?.map(|ns| ns as u64),
        position: json(row, "position")?,
        camera: json(row, "camera")?.unwrap_or_default(),
        exposure,
        drone,
        quality: json(row, "quality")?,
        tag: json(row, "tag")?,
        burst: json(row, "burst")?,
        package: None,
        verdict: shown_verdict(id, row)?,
        inspection: json(row, "inspection")?,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    exposure: Exposure,
    drone: Option<Drone>,
}

/// It is in the event alone.
fn package(stored_event: &[u8]) -> Option<StoredPackage> {
    #[derive(Deserialize)]
    struct Event {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        package: StoredPackage,
    }
    let event: Event = serde_json::from_slice(&unpack(stored_event)?).ok()?;
    Some(event.data.package)
}
