//! The handle through which everything is stored.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use jiff::Timestamp;

use bridgeclip_domain::{Change, Failure, FileStamp, Sha256, Statement, Tag};

use super::capture::{self, Expect, NewResult, Recorded, Superseded};
use super::commit::{GROUP_MAX, Report, Request, Writer};
use super::counters::CommandNote;
use super::error::JournalError;
use super::files::{self, FileNote};
use super::imports::{self, ForeignEvent};
use super::names::FILE_NAME;
use super::outbox::{self, Refused};
use super::params::{DeviceIdentity, Params};
use super::reader::Reader;
use super::start;
use super::tag::insert_tag;
use super::topics::Topics;
use super::transaction::Transaction;

/// A handle to the writer thread. Every call returns once its change is durable, or with the error that kept it out.
/// The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Journal {
    requests: mpsc::SyncSender<Box<dyn Request>>,
    database: Arc<PathBuf>,
    tries_max: u32,
    metered: Arc<AtomicBool>,
}

/// Whether a request may wait a little for others that share its commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Haste {
    Now,
    Patient,
}

impl Journal {
    /// Opens or creates the database of a data folder, mends what is damaged, and starts the writer. `report` is called
    /// from its thread.
    pub fn open(
        dir: &Path,
        params: Params,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), JournalError> {
        let opened = start::open(dir, &params)?;
        Self::start(dir, params, opened, Box::new(report))
    }

    /// Opens the database of a data folder beside a daemon that may be running. A damaged one is left to the daemon.
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

    /// A view of the database that has damage mended which it finds.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        let journal = self.clone();
        Ok(Reader::open(&self.database)?.mended_by(move |damage| journal.mend(damage)))
    }

    /// Makes room for one more photo, or says why the device is full. To ask first spares the work on a photo whose
    /// result could not be stored.
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

    /// Changes what is known of a capture, and queues the event that takes the place of what was said of it.
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

    /// Changes many captures in one commit. A capture that is gone, that has no event, or for which `expect` does not hold
    /// is passed over.
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

    /// Takes in what an inspector says about the verdict of a capture, and queues the event that tells of it.
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

    /// Notes that a file needs no further look: its photo is known under another name or path. The note is a shortcut
    /// and is written with a later commit.
    pub fn note_known(&self, path: &Path, stamp: &FileStamp, sha256: Sha256) -> Result<(), JournalError> {
        let note = FileNote { path: path.to_owned(), stamp: stamp.clone(), sha256 };
        self.submit(Haste::Now, move |transaction| {
            transaction.note(note.clone());
            Ok(())
        })
    }

    /// Notes that a file gave no result, and why. A changed file will be looked at again.
    pub fn record_failure(&self, failure: Failure) -> Result<(), JournalError> {
        self.submit(Haste::Now, move |transaction| Ok(files::note_failure(transaction.tables.connection, &failure)?))
    }

    /// Forgets that these files gave no result, so that the next rescan takes them for new ones. The answer is how many.
    pub fn forget_failures(&self, files: Vec<PathBuf>) -> Result<usize, JournalError> {
        self.submit(Haste::Now, move |transaction| Ok(files::forget_failures(transaction.tables.connection, &files)?))
    }

    /// Removes acknowledged events from the outbox.
    pub fn delivered(&self, ids: Vec<i64>) -> Result<(), JournalError> {
        self.remove(ids, Haste::Patient)
    }

    /// Likewise without waiting for others: delivery cannot go on before these are gone.
    pub fn delivered_now(&self, ids: Vec<i64>) -> Result<(), JournalError> {
        self.remove(ids, Haste::Now)
    }

    fn remove(&self, ids: Vec<i64>, haste: Haste) -> Result<(), JournalError> {
        self.submit(haste, move |transaction| outbox::delivered(&mut transaction.tables, &ids))
    }

    /// Notes that the broker refused this one event; after `tries_max` times it is set aside.
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

    /// Puts events that were set aside back into the outbox: all, or those with these ids. The answer is how many.
    pub fn retry(&self, ids: Option<Vec<i64>>) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| outbox::retry(&mut transaction.tables, ids.as_deref()))
    }

    /// Sends the last events of captures once more, under their own ids and with the same bytes, unless they still wait.
    /// The answer is how many.
    pub fn resend(&self, captures: Vec<i64>, stored_at: Timestamp) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| outbox::resend(&mut transaction.tables, &captures, stored_at))
    }

    /// Takes in events that other devices made; those that came before are skipped. The answer is how many were new.
    pub fn import(&self, events: Vec<ForeignEvent>, stored_at: Timestamp) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| {
            transaction.admit()?;
            imports::import(&mut transaction.tables, &events, stored_at)
        })
    }

    /// Drops events of other devices on these topics, or those of them with these ids if any are given: up to `limit` in one
    /// commit. The answer is how many were dropped.
    pub fn drop_imported(&self, topics: Topics, ids: Vec<i64>, limit: usize) -> Result<u64, JournalError> {
        self.submit(Haste::Now, move |transaction| {
            imports::drop_imported(&mut transaction.tables, &topics, &ids, limit)
        })
    }

    /// The counter of the last command that was carried out.
    pub fn command_counter(&self) -> Result<u64, JournalError> {
        self.submit(Haste::Now, |transaction| Ok(transaction.tables.counters.command))
    }

    /// Notes that a command is about to be carried out. From then on it, and every command with a lower counter, is
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

    /// Whether a short event goes ahead of each result from now on.
    pub fn set_metered(&self, metered: bool) {
        self.metered.store(metered, Ordering::Relaxed);
    }

    /// Sets the tag of the captures that follow; an empty one takes the last one back.
    pub fn set_tag(&self, tag: Tag, boot_id: &str, set_at: Timestamp) -> Result<(), JournalError> {
        let boot_id = boot_id.to_owned();
        self.submit(Haste::Now, move |transaction| Ok(insert_tag(&mut transaction.tables, &tag, &boot_id, set_at)?))
    }

    /// Has the database replaced by what is whole in it. Returns when that is done, or with the error that prevents it.
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

/// A call that waits for its answer.
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
