//! The device's track and the clocks of cameras between the locator and the journal, and stored captures weighed again
//! by them.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::Timestamp;
use log::debug;
use serde::Serialize;

use crate::domain::Change;

use crate::journal::{CameraNote, DeviceIdentity, Expect, Journal, JournalError, Reader, StoredPlace, TrackPiece};
use crate::position::{CameraClock, CameraName, Correction, Fix, History, Locator, Photo, Stored, stored};

/// Name of the device's own line among the sources of the track.
pub const RECEIVER: &str = "receiver";

/// Track of earlier starts, and of imported files, as the journal holds it.
pub struct TrackHistory<'a> {
    pub reader: &'a Reader,
}

impl History for TrackHistory<'_> {
    fn fixes(&self, from: Timestamp, to: Timestamp) -> Vec<Fix> {
        let pieces = self.reader.track(from.as_millisecond(), to.as_millisecond()).unwrap_or_else(|error| {
            debug!("{error}; no place of the stored track");
            Vec::new()
        });
        let within = |fix: &Fix| fix.utc.is_some_and(|utc| (from..=to).contains(&utc));
        let mut fixes: Vec<Fix> = pieces.iter().flat_map(|piece| stored::unpack(&piece.fixes)).filter(within).collect();
        fixes.sort_by_key(|fix| fix.utc);
        fixes.dedup_by_key(|fix| fix.utc);
        fixes
    }
}

/// Reads the stored clocks of cameras. One that another version of the program stored in another form is left out, and
/// learned anew.
pub fn clocks(reader: &Reader) -> Result<Vec<(CameraName, CameraClock)>, JournalError> {
    let read = |CameraNote { name, clock }| Some((CameraName::from(name), serde_json::from_str(&clock).ok()?));
    Ok(reader.cameras()?.into_iter().filter_map(read).collect())
}

/// Gives the locator what is stored about cameras' clocks.
pub fn load_cameras(locator: &Locator, reader: &Reader) -> Result<(), JournalError> {
    clocks(reader)?.into_iter().for_each(|(name, clock)| locator.set_camera(name, clock));
    Ok(())
}

/// Gives the locator the clocks that a person has set meanwhile, in another process.
pub fn load_set_cameras(locator: &Locator, reader: &Reader) -> Result<(), JournalError> {
    let known = locator.cameras();
    let is_new = |camera: &(CameraName, CameraClock)| camera.1.is_set() && !known.contains(camera);
    clocks(reader)?.into_iter().filter(is_new).for_each(|(name, clock)| locator.set_camera(name, clock));
    Ok(())
}

/// Stores the fixes and the cameras' clocks that are new. Returns the cameras whose clocks have changed.
pub fn keep(locator: &Locator, journal: &Journal) -> Result<Vec<CameraName>, JournalError> {
    if let Some((first_ms, last_ms, fixes)) = stored::pack(&locator.new_fixes()) {
        journal.keep_track(vec![TrackPiece { first_ms, last_ms, source: RECEIVER.to_owned(), fixes }])?;
    }
    keep_cameras(locator, journal)
}

/// Stores the cameras' clocks that are new. Returns the names of those cameras.
pub fn keep_cameras(locator: &Locator, journal: &Journal) -> Result<Vec<CameraName>, JournalError> {
    let changed = locator.changed_cameras();
    if !changed.is_empty() {
        journal.keep_cameras(changed.iter().map(|(name, clock)| note(name, clock)).collect())?;
    }
    Ok(changed.into_iter().map(|(name, _)| name).collect())
}

/// Returns what is known about a camera's clock as the journal stores it.
pub fn note(name: &CameraName, clock: &CameraClock) -> CameraNote {
    CameraNote { name: name.as_str().to_owned(), clock: serde_json::to_string(clock).unwrap_or_default() }
}

/// Makes a capture of the journal one that the locator can weigh again. `None` if an older program stored it, without
/// its evidence.
pub fn weighable(place: StoredPlace) -> Option<Stored> {
    let StoredPlace { capture, taken, position, path, camera, claims, .. } = place;
    let claims = serde_json::from_str(&claims?).ok()?;
    let file_name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let photo = Photo { file_name, camera: CameraName::of(&camera), claims };
    Some(Stored { capture, photo, taken, position })
}

/// What became of the captures that were weighed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Number of captures looked at.
    pub captures: u64,
    /// Number of those whose time or place changed.
    pub changed: u64,
    /// Number of those that an older program stored without their evidence, which therefore stay as they are.
    pub without_evidence: u64,
}

/// Weighs all stored captures again, page by page, or those of one camera. `hand_over` receives the number of captures
/// of a page, those that were weighed and what changes, and returns whether to go on.
pub fn weigh_again<E: From<JournalError>>(
    reader: &Reader,
    locator: &Locator,
    camera: Option<&CameraName>,
    mut hand_over: impl FnMut(u64, &[Stored], &[Correction]) -> Result<ControlFlow<()>, E>,
) -> Result<Tally, E> {
    let mut tally = Tally::default();
    let history = TrackHistory { reader };
    for page in reader.place_pages() {
        let page = page?;
        let looked_at = page.len() as u64;
        tally.without_evidence += page.iter().filter(|place| place.claims.is_none()).count() as u64;
        let wanted =
            |place: &StoredPlace| camera.is_none_or(|camera| CameraName::of(&place.camera).as_ref() == Some(camera));
        let known: Vec<Stored> = page.into_iter().filter(wanted).filter_map(weighable).collect();
        let corrections = locator.corrections_later(&known, &history);
        tally.captures += looked_at;
        tally.changed += corrections.len() as u64;
        if hand_over(looked_at, &known, &corrections)?.is_break() {
            break;
        }
    }
    Ok(tally)
}

/// Weighs all stored captures of a camera again, whose clock is known better now, those of earlier starts too, and
/// stores what changes.
pub fn place_again(
    reader: &Reader,
    journal: &Journal,
    locator: &Locator,
    identity: &Arc<DeviceIdentity>,
    camera: &CameraName,
    queued: bool,
) -> Result<Tally, JournalError> {
    weigh_again(reader, locator, Some(camera), |_, _, corrections| {
        store(journal, identity, corrections, queued, Timestamp::now())?;
        Ok(ControlFlow::Continue(()))
    })
}

/// Stores what became known about captures, in one commit, each with an event that supersedes the earlier one. `now` is
/// the time of storing by the device's clock.
pub fn store(
    journal: &Journal,
    identity: &Arc<DeviceIdentity>,
    corrections: &[Correction],
    queued: bool,
    now: Timestamp,
) -> Result<(), JournalError> {
    if corrections.is_empty() {
        return Ok(());
    }
    let changes = corrections.iter().map(change).collect();
    journal.supersede_all(identity, changes, Expect::Any, queued, now).map(drop)
}

/// Returns the change of a capture that a correction makes.
fn change(Correction { capture, taken, position }: &Correction) -> (i64, Change) {
    (*capture, Change::Located { taken: taken.clone(), position: position.clone() })
}
