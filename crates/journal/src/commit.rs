//! The thread that writes `device.db`. Requests share commits. After a fault of the drive, the thread applies the
//! remedy for that fault and retries once.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use log::{error, info, warn};
use rusqlite::Connection;

use super::counters::Counters;
use super::error::{Fault, JournalError};
use super::event_class::EventClass;
use super::files::{FileNote, note_file};
use super::numbers::{Numbers, NumbersFile};
use super::params::Params;
use super::space::Space;
use super::start;
use super::tables::Tables;
use super::transaction::Transaction;

/// Maximum number of requests in one commit; also the length of the queue before a caller waits.
pub const GROUP_MAX: usize = 256;
/// Time between two checks of the file and of waiting notes while no request arrives.
const TICK: Duration = Duration::from_secs(1);
/// Number of notes on files that are written at once. A note that a power cut takes costs a second look at its photo,
/// which is then found to be known.
const NOTES_MAX: usize = 16;
/// Longest time that a note on a file waits to be written.
const NOTES_WAIT: Duration = Duration::from_secs(5);
/// Pause after a salvage before the next one. A drive that damages file after file would be worn out by salvage. During
/// the pause damaged rows are skipped.
const SALVAGE_PAUSE: Duration = Duration::from_secs(600);

/// Report of the journal about a change in its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The outbox may have new rows.
    OutboxChanged,
    /// A commit has corrected these captures: their verdict, inspection, tag, time or place has changed. Commits of
    /// other processes are reported too, within a second or with the next commit of this process.
    Changed(Vec<i64>),
    /// A damaged database was set aside: photos whose results were in it must be looked at again.
    Salvaged,
}

/// Work for a transaction. If the transaction fails, the work may run a second time in another one.
pub trait Request: Send {
    /// Does the work. An error is a fault that ends the transaction. A fault of the request alone is kept for its
    /// answer.
    fn run(&mut self, transaction: &mut Transaction) -> Result<(), JournalError>;

    /// Answers the caller, once the commit has succeeded or failed.
    fn answer(self: Box<Self>, committed: Result<(), JournalError>);

    /// Reports whether the request can wait for other requests to share its commit.
    fn is_patient(&self) -> bool;
}

/// State of the writer thread.
pub struct Writer {
    dir: PathBuf,
    params: Params,
    /// Open database; `None` after a fault, until the file could be opened again.
    connection: Option<Connection>,
    space: Space,
    numbers: NumbersFile,
    notes: Vec<FileNote>,
    /// Time at which the first of `notes` arrived or the last notes were written.
    notes_since: Instant,
    /// Whether the last group of requests failed.
    failing: bool,
    /// Receives the damage that the check of the file found.
    check: Option<mpsc::Receiver<JournalError>>,
    /// `PRAGMA data_version`. It changes when another process has written.
    data_version: i64,
    /// Number of the last correction that was reported to `report`.
    last_correction: i64,
    last_salvage: Option<Instant>,
    report: Box<dyn Fn(Report) + Send>,
}

impl Writer {
    pub fn new(dir: &Path, params: Params, opened: start::Opened, report: Box<dyn Fn(Report) + Send>) -> Self {
        let last_correction = Counters::load(&opened.connection).map_or(0, |counters| last_correction_of(&counters));
        Writer {
            dir: dir.to_owned(),
            space: opened.space,
            numbers: opened.numbers,
            connection: Some(opened.connection),
            check: opened.check,
            params,
            notes: Vec::new(),
            notes_since: Instant::now(),
            failing: false,
            data_version: 0,
            last_correction,
            last_salvage: None,
            report,
        }
    }

    /// Serves requests until every handle that could send one is gone.
    pub fn run(mut self, queue: &mpsc::Receiver<Box<dyn Request>>) {
        loop {
            match queue.recv_timeout(TICK) {
                Ok(first) => {
                    let group = self.gather(first, queue);
                    self.serve(group);
                }
                Err(RecvTimeoutError::Timeout) => self.look_around(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if !self.notes.is_empty() {
            // Notes are a shortcut: a photo whose note is lost is looked at again at the next start.
            let _ = self.attempt(&mut [], true);
        }
    }

    /// Collects all requests that have arrived. If all of them can wait, those that arrive within the group window join
    /// them.
    fn gather(&self, first: Box<dyn Request>, queue: &mpsc::Receiver<Box<dyn Request>>) -> Vec<Box<dyn Request>> {
        let deadline = Instant::now() + self.params.group_window;
        let mut patient = first.is_patient();
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            let wait = if patient { deadline.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let Ok(request) = queue.recv_timeout(wait) else { break };
            patient &= request.is_patient();
            group.push(request);
        }
        group
    }

    fn serve(&mut self, mut group: Vec<Box<dyn Request>>) {
        let mut committed = self.attempt(&mut group, false);
        if let Err(error) = &committed
            && self.mend(error)
        {
            committed = self.attempt(&mut group, false);
        }
        self.tell(&committed);
        for request in group {
            request.answer(committed.clone());
        }
    }

    /// Logs once that writing fails, and once that it works again.
    fn tell(&mut self, committed: &Result<(), JournalError>) {
        match committed {
            Ok(()) if self.failing => info!("device.db can be written again"),
            Err(error) if !self.failing => error!("{error}; trying again with the next request"),
            _ => (),
        }
        self.failing = committed.is_err();
    }

    /// Runs the requests in one transaction, and writes the notes if they are due or if `all_notes` is set.
    fn attempt(&mut self, group: &mut [Box<dyn Request>], all_notes: bool) -> Result<(), JournalError> {
        let outcome = self.transact(group, all_notes);
        if outcome.as_ref().is_err_and(|error| error.fault().is_some()) {
            // SQLite's cache of the file may be wrong after a fault.
            self.connection = None;
        }
        outcome
    }

    fn transact(&mut self, group: &mut [Box<dyn Request>], all_notes: bool) -> Result<(), JournalError> {
        if self.connection.is_none() {
            self.connection = Some(start::reopen(&self.dir, self.numbers.last())?);
        }
        let Some(connection) = &self.connection else { return Err(JournalError::Stopped) };
        let due = all_notes || self.notes.len() >= NOTES_MAX || self.notes_since.elapsed() >= NOTES_WAIT;
        let notes = if due { self.notes.as_slice() } else { &[] };
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let outcome = fill(connection, &mut self.space, group, notes, self.last_correction);
        let outcome = outcome.and_then(|done| Ok(connection.execute_batch("COMMIT").map(|()| done)?));
        if outcome.is_err() && !connection.is_autocommit() {
            // The error that matters is the one before.
            let _ = connection.execute_batch("ROLLBACK");
        }
        let done = outcome?;
        self.space.told();
        self.numbers.note(done.numbers);
        self.last_correction = done.last_correction;
        if done.has_new_events {
            (self.report)(Report::OutboxChanged);
        }
        self.report_changed(done.changed);
        if due || self.notes.is_empty() {
            self.notes.clear();
            self.notes_since = Instant::now();
        }
        self.notes.extend(done.notes);
        Ok(())
    }

    fn report_changed(&self, captures: Vec<i64>) {
        if !captures.is_empty() {
            (self.report)(Report::Changed(captures));
        }
    }

    /// Applies the remedy for the fault. Reports whether a second attempt is worthwhile.
    fn mend(&mut self, error: &JournalError) -> bool {
        match error.fault() {
            Some(Fault::Full) => self.space.release_reserve(error),
            // The next attempt opens the file again.
            Some(Fault::Io) => {
                warn!("{error}");
                true
            }
            Some(Fault::Damage) => self.salvage(error),
            None => false,
        }
    }

    fn salvage(&mut self, error: &JournalError) -> bool {
        if self.last_salvage.is_some_and(|last| last.elapsed() < SALVAGE_PAUSE) {
            return false;
        }
        self.last_salvage = Some(Instant::now());
        self.connection = None;
        error!("{error}");
        match start::replace(&self.dir, self.numbers.last()) {
            Ok(connection) => {
                self.connection = Some(connection);
                self.notes.clear();
                (self.report)(Report::Salvaged);
                (self.report)(Report::OutboxChanged);
                true
            }
            Err(error) => {
                error!("the salvage failed: {error}");
                false
            }
        }
    }

    /// Runs while no request arrives: writes waiting notes, and finds out whether another process wrote or the file is
    /// damaged.
    fn look_around(&mut self) {
        if !self.notes.is_empty() && self.notes_since.elapsed() >= NOTES_WAIT {
            self.serve(Vec::new());
        }
        if let Some(damage) = self.check.as_ref().and_then(|check| check.try_recv().ok()) {
            self.salvage(&damage);
        }
        let Some(connection) = &self.connection else { return };
        let version = connection.pragma_query_value(None, "data_version", |row| row.get(0)).unwrap_or(0);
        if self.data_version == version {
            return;
        }
        self.data_version = version;
        (self.report)(Report::OutboxChanged);
        // The next commit finds what cannot be read now.
        let Ok(counters) = Counters::load(connection) else { return };
        let Ok(captures) = corrected_by_others(connection, self.last_correction, &counters) else { return };
        self.last_correction = last_correction_of(&counters);
        self.report_changed(captures);
    }
}

/// Work that remains after a transaction's commit.
struct Done {
    numbers: Numbers,
    has_new_events: bool,
    /// Captures that were corrected, by other processes before this transaction or by the transaction itself.
    changed: Vec<i64>,
    /// Number of the last correction.
    last_correction: i64,
    notes: Vec<FileNote>,
}

fn fill(
    connection: &Connection,
    space: &mut Space,
    group: &mut [Box<dyn Request>],
    notes: &[FileNote],
    last_correction: i64,
) -> Result<Done, JournalError> {
    let before = Counters::load(connection)?;
    let mut changed = corrected_by_others(connection, last_correction, &before)?;
    let tables = Tables::new(connection, before.clone());
    let mut transaction = Transaction { tables, space, notes: Vec::new() };
    for request in group {
        request.run(&mut transaction)?;
    }
    for note in notes {
        note_file(connection, note)?;
    }
    changed.append(&mut transaction.tables.changed);
    let mut counters = transaction.tables.counters;
    transaction.space.tell(&mut counters);
    if counters != before {
        counters.store(connection)?;
    }
    let has_new_events = counters.numbers != before.numbers;
    let (numbers, last_correction) = (counters.last_numbers(), last_correction_of(&counters));
    Ok(Done { numbers, has_new_events, changed, last_correction, notes: transaction.notes })
}

/// Returns the number of the last correction that was queued.
fn last_correction_of(counters: &Counters) -> i64 {
    counters.numbers[EventClass::Correction as usize]
}

/// Returns the captures that other processes have corrected since the correction with the number `last`. All of those
/// corrections are still in the outbox: this transaction has removed nothing yet, and no other process removes this
/// device's corrections.
fn corrected_by_others(connection: &Connection, last: i64, counters: &Counters) -> Result<Vec<i64>, JournalError> {
    let class = EventClass::Correction;
    if last_correction_of(counters) <= last {
        return Ok(Vec::new());
    }
    let sql = "SELECT capture FROM outbox WHERE id > ?1 AND id < ?2 AND capture IS NOT NULL ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let captures = statement.query_map([class.floor() + last, class.ceiling()], |row| row.get(0))?;
    Ok(captures.collect::<rusqlite::Result<_>>()?)
}
