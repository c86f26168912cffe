//! Captures as people and other programs need them: all their facts except the embedding and the neighbours.

use jiff::Timestamp;
use serde::Deserialize;

use bridgeclip_domain::{Capture, Inspection, Verdict};

use super::capture::StoredPackage;
use super::error::JournalError;
use super::facts;
use super::packing::unpack;
use super::reader::Reader;
use super::results::{Look, shown_verdict};
use super::row::{Row, damaged, json};

/// Stored capture. `None` and empty values mark facts that were not known, or that an older program did not store.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCapture {
    pub id: i64,
    /// Sequence number of the last event that reported the capture.
    pub sequence: Option<i64>,
    /// Id of the last event that reported the capture.
    pub event_id: Option<String>,
    /// Id of the first event that reported the capture, if a correction followed it.
    pub result_id: Option<String>,
    /// Id of the machine's start during which the capture was stored.
    pub boot_id: String,
    /// Time of storing, by the device's clock.
    pub stored_at: Option<Timestamp>,
    /// Facts about the photo, as its event has them.
    pub facts: Capture,
    /// Model package that judged the photo. It is in the event alone: brief pages leave it out.
    pub package: Option<StoredPackage>,
    /// Verdict to show, without neighbours: the inspector's judgement that applies, or else the device's answer.
    pub verdict: Verdict,
    /// Inspector's judgement that applies.
    pub inspection: Option<Inspection>,
}

/// Page of captures, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturePage {
    pub captures: Vec<StoredCapture>,
    /// Number of rows passed over because they do not match their checksum.
    pub damaged: u64,
    /// Id of the last row read, from which the next page continues; `None` on the last page.
    pub next: Option<i64>,
}

impl Reader {
    /// Reads up to `limit` captures with an id above `after`, in the order of their ids.
    pub fn capture_page(&self, after: i64, limit: usize) -> Result<CapturePage, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id > ?1 ORDER BY id", &after, limit, stored_capture)?.page(limit))
    }

    /// Reads up to `limit` captures with an id above `after`, without their packages. These are in the events alone,
    /// and unpacking the events takes half of the time of [`Reader::capture_page`].
    pub fn brief_page(&self, after: i64, limit: usize) -> Result<CapturePage, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id > ?1 ORDER BY id", &after, limit, brief_capture)?.page(limit))
    }

    /// Reads up to `limit` captures with an id below `before`, the newest first, without their packages.
    pub fn captures_before(&self, before: i64, limit: usize) -> Result<CapturePage, JournalError> {
        let newest_first = "SELECT id FROM capture WHERE id < ?1 ORDER BY id DESC";
        Ok(self.look(newest_first, &before, limit, brief_capture)?.page(limit))
    }

    /// Reads the last event that reported a capture, neighbours included; `None` if the capture has none.
    pub fn event(&self, id: i64) -> Result<Option<Vec<u8>>, JournalError> {
        let event = |_, row: &Row| Ok(row.get::<Option<Vec<u8>>>("event")?.as_deref().and_then(unpack));
        Ok(self.look("SELECT id FROM capture WHERE id = ?1", &id, 1, event)?.found.pop().flatten())
    }

    /// Reads one capture; `None` if it is gone or damaged.
    pub fn capture(&self, id: i64) -> Result<Option<StoredCapture>, JournalError> {
        Ok(self.look("SELECT id FROM capture WHERE id = ?1", &id, 1, stored_capture)?.found.pop())
    }

    /// Reads the thumbnail of a capture, a JPEG; `None` if there never was one or if it was dropped.
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

/// Reads a capture from its row, without the package.
fn brief_capture(id: i64, row: &Row) -> Result<StoredCapture, JournalError> {
    Ok(StoredCapture {
        id,
        sequence: row.get("sequence")?,
        event_id: row.get("event_id")?,
        result_id: row.get("result_id")?,
        boot_id: row.get("boot_id")?,
        stored_at: row.get::<String>("stored_at")?.parse().ok(),
        facts: facts::from_row(id, row)?,
        package: None,
        verdict: shown_verdict(id, row)?,
        inspection: json(row, "inspection")?,
    })
}

/// Reads the package from a stored event, the only place that names it.
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
