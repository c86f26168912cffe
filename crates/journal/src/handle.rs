//! Handle through which everything is stored.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use jiff::Timestamp;

use bridgeclip_domain::{Change, Failure, FileStamp, Sha256, Statement, Tag};

use super::bridges::{self, LastEntry};
use super::capture::{self, Expect, NewResult, Recorded, Superseded};
use super::commit::{GROUP_MAX, Report, Request, Writer};
use super::counters::CommandNote;
use super::error::JournalError;
use super::files::{self, FileNote};
use super::imports::{self, ForeignEvent};
use super::members::{self, NewMemberAnswer};
use super::names::FILE_NAME;
use super::outbox::{self, Refused};
use super::params::{DeviceIdentity, Params};
use super::places::{self, CameraNote, TrackPiece};
use super::reader::Reader;
use super::start;
use super::tag::insert_tag;
use super::topics::Topics;
use super::transaction::Transaction;

/// Handle to the writer thread. Every call returns once its change is durable, or with the error that prevented it. The
/// thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Journal {
    requests: mpsc::SyncSender<Box<dyn Request>>,
    database: Arc<PathBuf>,
    tries_max: u32,
    metered: Arc<AtomicBool>,
}

/// Number of photos that are numbered in one commit. Photos that are being taken wait for it.
const NUMBERED_MAX: usize = 1_000;

/// Whether a request may wait for other requests to share its commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    Now,
    Patient,
}

impl Journal {
    /// Opens or creates the database in a data folder, mends damage, and starts the writer thread, which calls
    /// `report`.
    pub fn open(
        dir: &Path,
        params: Params,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), JournalError> {
        let opened = start::open(dir, &params)?;
        Self::start(dir, params, opened, Box::new(report))
    }

    /// Opens the database in a data folder, even while a daemon is running on it. A damaged file is left to the daemon.
    pub fn join(dir: &Path, params: Params) -> Result<(Self, JoinHandle<()>), JournalError> {
        let opened = start::join(dir, &params)?;
        Self::start(dir, params, opened, Box::new(|_| ()))
    }

    fn start(
        dir: &Path,
        params: Params,
        opened: start::Opened,
        report: Box<dyn Fn(Report) + Send>,
    ) -> Result<(Self, JoinHandle<()>), JournalError> {
        let (requests, queue) = mpsc::sync_channel(GROUP_MAX);
        let journal = Journal {
            requests,
            database: Arc::new(dir.join(FILE_NAME)),
            tries_max: params.tries_max,
            metered: Arc::new(AtomicBool::new(params.metered)),
        };
        let writer = Writer::new(dir, params, opened, report);
        let write = move || writer.run(&queue);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(write);
        thread.map(|thread| (journal, thread)).map_err(|error| JournalError::file(dir, error))
    }

    /// Opens a read-only view of the database. Damage that it finds is mended by this handle's writer thread.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        let journal = self.clone();
        Ok(Reader::open(&self.database)?.mended_by(move |damage| journal.mend(damage)))
    }

    /// Makes room for one more photo. Asking first spares the work on a photo whose result could not be stored.
    ///
    /// # Errors
    /// [`JournalError::Full`] with the reason if there is no room.
    pub fn admit(&self) -> Result<(), JournalError> {
        self.submit(Haste::Now, |transaction| {
            transaction.admit()?;
            Ok(())
        })
    }

    /// Stores a result with its events, unless the photo is known.
    pub fn record(&self, identity: &Arc<DeviceIdentity>, result: NewResult) -> Result<Recorded, JournalError> {
        let (identity, metered) = (Arc::clone(identity), self.metered.load(Ordering::Relaxed));
        self.submit(Haste::Now, move |transaction| transaction.record(&identity, &result, metered))
    }

    /// Changes a capture, and queues the event that replaces its last one.
    ///
    /// # Errors
    /// [`JournalError::Inspected`] or [`JournalError::Changed`] if `expect` does not hold,
    /// [`JournalError::UnknownCapture`] or [`JournalError::NoEvent`] if there is nothing to change.
    pub fn supersede(
        &self,
        identity: &Arc<DeviceIdentity>,
        capture: i64,
        change: Change,
        expect: Expect,
        queued: bool,
        stored_at: Timestamp,
    ) -> Result<Superseded, JournalError> {
        let identity = Arc::clone(identity);
        self.submit(Haste::Now, move |transaction| {
            capture::supersede(&mut transaction.tables, &identity, capture, &change, expect, queued, stored_at)
        })
    }

    /// Changes many captures in one commit. Passes over a capture that is gone, that has no event, or for which
    /// `expect` does not hold.
    pub fn supersede_all(
        &self,
        identity: &Arc<DeviceIdentity>,
        changes: Vec<(i64, Change)>,
        expect: Expect,
        queued: bool,
        stored_at: Timestamp,
    ) -> Result<Vec<Superseded>, JournalError> {
        use JournalError::{Changed, Inspected, NoEvent, UnknownCapture};
        let identity = Arc::clone(identity);
        self.submit(Haste::Now, move |transaction| {
            let mut made = Vec::new();
            for (capture, change) in &changes {
                let tables = &mut transaction.tables;
                match capture::supersede(tables, &identity, *capture, change, expect, queued, stored_at) {
                    Ok(superseded) => made.push(superseded),
                    Err(UnknownCapture(_) | NoEvent(_) | Inspected(_) | Changed { .. }) => (),
                    Err(error) => return Err(error),
                }
            }
            Ok(made)
        })
    }

    /// Stores an inspector's statement about a capture's verdict, and queues the event that reports it. The errors are
    /// those of [`Journal::supersede`], and [`JournalError::Statement`] if the statement does not fit the history.
    pub fn judge(
        &self,
        identity: &Arc<DeviceIdentity>,
        capture: i64,
        statement: Statement,
        expect: Expect,
        queued: bool,
    ) -> Result<Superseded, JournalError> {
        let identity = Arc::clone(identity);
        self.submit(Haste::Now, move |transaction| {
            capture::judge(&mut transaction.tables, &identity, capture, statement.clone(), expect, queued)
        })
    }

    /// Notes that a file needs no further look, because its photo is known under another name or path. The note is a
    /// shortcut and is written with a later commit.
    pub fn note_known(&self, path: &Path, stamp: &FileStamp, sha256: Sha256) -> Result<(), JournalError> {
        let note = FileNote { path: path.to_owned(), stamp: stamp.clone(), sha256 };
        self.submit(Haste::Now, move |transaction| {
            transaction.note(note.clone());
            Ok(())
        })
    }

    /// Notes that a file gave no result, and why. The file will be looked at again if it changes.
    pub fn record_failure(&self, failure: Failure) -> Result<(), JournalError> {
        self.submit(Haste::Now, move |transaction| Ok(files::note_failure(transaction.tables.connection, &failure)?))
    }

    /// Forgets that these files gave no result, so that the next rescan treats them as new. Returns how many there
    /// were.
    pub fn forget_failures(&self, files: Vec<PathBuf>) -> Result<usize, JournalError> {
        self.submit(Haste::Now, move |transaction| Ok(files::forget_failures(transaction.tables.connection, &files)?))
    }

    /// Removes acknowledged events from the outbox. May wait up to the group window for other requests to share the
    /// commit.
    pub fn delivered(&self, ids: Vec<i64>) -> Result<(), JournalError> {
        self.remove(ids, Haste::Patient)
    }

    /// Removes acknowledged events from the outbox at once, for a delivery that cannot go on before they are gone.
    pub fn delivered_now(&self, ids: Vec<i64>) -> Result<(), JournalError> {
        self.remove(ids, Haste::Now)
    }

    fn remove(&self, ids: Vec<i64>, haste: Haste) -> Result<(), JournalError> {
        self.submit(haste, move |transaction| outbox::delivered(&mut transaction.tables, &ids))
    }

    /// Notes that the broker refused this one event. After `tries_max` refusals the event is set aside.
    pub fn refused(&self, id: i64, reason: String) -> Result<Refused, JournalError> {
        self.refuse(id, reason, 1)
    }

    /// Sets aside an event that cannot be delivered to this broker.
    pub fn set_aside(&self, id: i64, reason: String) -> Result<Refused, JournalError> {
        self.refuse(id, reason, self.tries_max)
    }

    fn refuse(&self, id: i64, reason: String, tries: u32) -> Result<Refused, JournalError> {
        let tries_max = self.tries_max;
        self.submit(Haste::Patient, move |transaction| {
            outbox::refuse(&mut transaction.tables, id, &reason, tries, tries_max)
        })
    }

    /// Puts events that were set aside back into the outbox: all of them, or those with these ids. Returns how many
    /// there were.
    pub fn retry(&self, ids: Option<Vec<i64>>) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| outbox::retry(&mut transaction.tables, ids.as_deref()))
    }

    /// Queues the last events of captures again, under their own ids and with the same bytes, unless they still wait.
    /// Returns how many were queued.
    pub fn resend(&self, captures: Vec<i64>, stored_at: Timestamp) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| outbox::resend(&mut transaction.tables, &captures, stored_at))
    }

    /// Takes in events that other devices made. Skips those that were imported before. Returns how many were new.
    pub fn import(&self, events: Vec<ForeignEvent>, stored_at: Timestamp) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| {
            transaction.admit()?;
            imports::import(&mut transaction.tables, &events, stored_at)
        })
    }

    /// Drops events of other devices on these topics: all of them, or those with these ids if any are given, up to
    /// `limit` in one commit. Returns how many were dropped.
    pub fn drop_imported(&self, topics: Topics, ids: Vec<i64>, limit: usize) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| {
            imports::drop_imported(&mut transaction.tables, &topics, &ids, limit)
        })
    }

    /// Returns the counter of the last command that was accepted.
    pub fn command_counter(&self) -> Result<u64, JournalError> {
        self.submit(Haste::Now, |transaction| Ok(transaction.tables.counters.command))
    }

    /// Notes that a command is about to be carried out. After that the command, and every one with a lower counter, is
    /// refused. `now` is the time by a clock that something has set.
    pub fn accept_command(
        &self,
        counter: u64,
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Result<CommandNote, JournalError> {
        self.submit(Haste::Now, move |transaction| {
            Ok(transaction.tables.counters.accept_command(counter, issued_at, now))
        })
    }

    /// Sets whether a short event goes ahead of each result that is stored after this call.
    pub fn set_metered(&self, metered: bool) {
        self.metered.store(metered, Ordering::Relaxed);
    }

    /// Sets the tag of the captures that follow. An empty tag withdraws the last one.
    pub fn set_tag(&self, tag: Tag, boot_id: &str, set_at: Timestamp) -> Result<(), JournalError> {
        let boot_id = boot_id.to_owned();
        self.submit(Haste::Now, move |transaction| Ok(insert_tag(&mut transaction.tables, &tag, &boot_id, set_at)?))
    }

    /// Stores an answer about a member, and queues the event that tells it.
    ///
    /// # Errors
    /// [`JournalError::MemberChanged`] if the member's captures have changed since the answer was made.
    pub fn store_member(&self, identity: &Arc<DeviceIdentity>, new: NewMemberAnswer) -> Result<(), JournalError> {
        let identity = Arc::clone(identity);
        self.submit(Haste::Patient, move |transaction| members::store(&mut transaction.tables, &identity, &new))
    }

    /// Adds pieces of the device's track. The oldest ones give way to them.
    pub fn keep_track(&self, pieces: Vec<TrackPiece>) -> Result<(), JournalError> {
        self.submit(Haste::Patient, move |transaction| places::keep_pieces(transaction.tables.connection, &pieces))
    }

    /// Deletes the pieces of the track that came from a source. Returns how many there were.
    pub fn remove_track(&self, source: &str) -> Result<usize, JournalError> {
        let source = source.to_owned();
        self.submit(Haste::Now, move |transaction| places::remove_pieces(transaction.tables.connection, &source))
    }

    /// Stores what is known about cameras' clocks. A clock that is empty is forgotten.
    pub fn keep_cameras(&self, cameras: Vec<CameraNote>) -> Result<(), JournalError> {
        self.submit(Haste::Patient, move |transaction| places::keep_cameras(transaction.tables.connection, &cameras))
    }

    /// Gives photos of a bridge the numbers that they have in forms, in the order of the hashes. A photo keeps the
    /// number that it has, and no number is given twice. The name is empty for photos without one. Returns `None` for a
    /// photo that is not known or whose tag names another bridge by now.
    pub fn number_photos(&self, bridge: &str, photos: &[Sha256]) -> Result<Vec<Option<u32>>, JournalError> {
        let mut numbers = Vec::with_capacity(photos.len());
        for photos in photos.chunks(NUMBERED_MAX) {
            let (bridge, photos) = (bridge.to_owned(), photos.to_vec());
            numbers.extend(
                self.submit(Haste::Now, move |transaction| bridges::number(&mut transaction.tables, &bridge, &photos))?,
            );
        }
        Ok(numbers)
    }

    /// Sets or removes the facts about a bridge, as JSON.
    pub fn keep_bridge(&self, bridge: &str, facts: Option<String>) -> Result<(), JournalError> {
        let bridge = bridge.to_owned();
        self.submit(Haste::Now, move |transaction| {
            bridges::keep_facts(transaction.tables.connection, &bridge, facts.clone())
        })
    }

    /// Replaces what is known about the inspection of a bridge before this one, together with its facts.
    ///
    /// # Errors
    /// [`JournalError::Bound`] if it exceeds a bound, [`JournalError::Full`] if there is no room.
    pub fn keep_last_cycle(
        &self,
        bridge: &str,
        facts: Option<String>,
        entries: Vec<LastEntry>,
    ) -> Result<(), JournalError> {
        let bridge = bridge.to_owned();
        self.submit(Haste::Now, move |transaction| {
            transaction.admit()?;
            let connection = transaction.tables.connection;
            bridges::keep_facts(connection, &bridge, facts.clone())?;
            bridges::keep_cycle(connection, &bridge, &entries)
        })
    }

    /// Has the writer replace the database with a new one that holds its intact rows. Returns when that is done, or
    /// with the error that prevents it.
    fn mend(&self, damage: JournalError) -> Result<(), JournalError> {
        let mut damage = Some(damage);
        self.submit(Haste::Now, move |_| damage.take().map_or(Ok(()), Err))
    }

    fn submit<T: Send + 'static>(
        &self,
        haste: Haste,
        work: impl FnMut(&mut Transaction) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.requests.send(Box::new(Call { work, haste, outcome: None, reply })).map_err(|_| JournalError::Stopped)?;
        answer.recv().map_err(|_| JournalError::Stopped)?
    }
}

/// Request of a caller that waits for the answer.
struct Call<T, W> {
    work: W,
    haste: Haste,
    outcome: Option<Result<T, JournalError>>,
    reply: mpsc::SyncSender<Result<T, JournalError>>,
}

impl<T: Send, W: FnMut(&mut Transaction) -> Result<T, JournalError> + Send> Request for Call<T, W> {
    fn run(&mut self, transaction: &mut Transaction) -> Result<(), JournalError> {
        match transaction.in_savepoint(&mut self.work) {
            Err(error) if error.fault().is_some() => Err(error),
            outcome => {
                self.outcome = Some(outcome);
                Ok(())
            }
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), JournalError>) {
        let outcome = committed.and(self.outcome.unwrap_or(Err(JournalError::Stopped)));
        // A caller that has gone away does not want the answer.
        let _ = self.reply.send(outcome);
    }

    fn is_patient(&self) -> bool {
        self.haste == Haste::Patient
    }
}
