//! Open transaction with what belongs to a device as a whole: room for photos, and notes on files.

use bridgeclip_domain::Image;

use super::capture::{self, NewResult, Recorded};
use super::error::JournalError;
use super::files::FileNote;
use super::params::DeviceIdentity;
use super::retention;
use super::space::Space;
use super::tables::Tables;

/// Open transaction.
pub struct Transaction<'a> {
    pub tables: Tables<'a>,
    pub space: &'a mut Space,
    /// Notes on files that a later commit writes.
    pub notes: Vec<FileNote>,
}

impl Transaction<'_> {
    /// Makes room for one more photo.
    ///
    /// # Errors
    /// [`JournalError::Full`] with the reason if there is no room.
    pub fn admit(&mut self) -> Result<(), JournalError> {
        let free_on_drive = retention::free_drive(self.space.dir(), self.space.wanted_on_drive())?;
        let bytes = self.space.shortage(self.tables.connection, free_on_drive)?;
        let has_room = bytes == 0 || retention::make_room(&mut self.tables, bytes)? >= bytes;
        self.space.decide(self.tables.connection, has_room)
    }

    /// Stores a result with its events, unless the photo is known.
    ///
    /// # Errors
    /// [`JournalError::Full`] with the reason if there is no room.
    pub fn record(
        &mut self,
        identity: &DeviceIdentity,
        result: &NewResult,
        metered: bool,
    ) -> Result<Recorded, JournalError> {
        let Image { sha256, path, .. } = &result.capture.image;
        self.note(FileNote { path: path.clone(), stamp: result.stamp.clone(), sha256: *sha256 });
        if capture::is_known(self.tables.connection, sha256)? {
            return Ok(Recorded::Known);
        }
        self.admit()?;
        capture::store(&mut self.tables, identity, result, metered)
    }

    /// Remembers that a file needs no further look. The note is a shortcut, and is written with a later commit.
    pub fn note(&mut self, note: FileNote) {
        self.notes.push(note);
    }

    /// Runs `work` in a savepoint. If it fails, its changes are undone, and those of the other requests in the group
    /// stay.
    pub fn in_savepoint<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let (counters, changed, notes) = (self.tables.counters.clone(), self.tables.changed.len(), self.notes.len());
        self.tables.connection.execute_batch("SAVEPOINT request")?;
        let outcome = work(self);
        if outcome.is_err() {
            self.tables.connection.execute_batch("ROLLBACK TO request")?;
            self.tables.counters = counters;
            self.tables.changed.truncate(changed);
            self.notes.truncate(notes);
        }
        self.tables.connection.execute_batch("RELEASE request")?;
        outcome
    }
}
