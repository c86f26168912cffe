//! The one thread that writes `device.db`. Requests share commits; a fault of the drive is answered and mended.

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

/// Requests that share one commit at most; also the length of the queue before a caller waits.
pub const GROUP_MAX: usize = 256;
/// How often the thread looks around while nothing is asked of it.
const TICK: Duration = Duration::from_secs(1);
/// Notes on files are written once there are so many, or after this time. Those that a power cut takes cost a second
/// look at the photo, which is then found to be known.
const NOTES_MAX: usize = 16;
const NOTES_WAIT: Duration = Duration::from_secs(5);
/// A drive that damages one file after the other would be worn out by salvage. In between, damaged rows are skipped.
const SALVAGE_PAUSE: Duration = Duration::from_secs(600);

/// What the journal tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The outbox may have new rows.
    OutboxChanged,
    /// A commit has corrected these captures: their verdict, inspection, tag, time or place is another one now. Commits of
    /// other processes are reported too, within a second or with the next commit of this one.
    Changed(Vec<i64>),
    /// A damaged database was set aside: photos whose results were in it must be looked at again.
    Salvaged,
}

/// Something to do in a transaction. It may be done a second time, in another transaction, if the first one fails.
pub trait Request: Send {
    /// An error here is a fault that ends the transaction; what is wrong with the request alone is kept for its answer.
    fn run(&mut self, transaction: &mut Transaction) -> Result<(), JournalError>;

    /// Tells whoever asked, once the commit is decided.
    fn answer(self: Box<Self>, committed: Result<(), JournalError>);

    /// Whether it can wait for others that will share its commit.
    fn is_patient(&self) -> bool;
}

/// What the writer thread owns.
pub struct Writer {
    dir: PathBuf,
    params: Params,
    /// `None` after a fault, until the file could be opened again.
    connection: Option<Connection>,
    space: Space,
    numbers: NumbersFile,
    notes: Vec<FileNote>,
    /// Since when there are notes, or the last ones were written.
    notes_since: Instant,
    /// The requests of the last group failed.
    failing: bool,
    /// Tells when the check of the file found damage.
    check: Option<mpsc::Receiver<JournalError>>,
    /// `PRAGMA data_version`: changes when another process has written.
    data_version: i64,
    /// Number of the last correction that was reported.
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

    /// Serves requests until all who could make one are gone.
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
            // They are a shortcut: what cannot be written now is looked at once more at the next start.
            let _ = self.attempt(&mut [], true);
        }
    }

    /// All requests that are there; if all of them can wait, also those that come within the window.
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

    /// Says once that writing fails, and once that it works again.
    fn tell(&mut self, committed: &Result<(), JournalError>) {
        match committed {
            Ok(()) if self.failing => info!("device.db can be written again"),
            Err(error) if !self.failing => error!("{error}; trying again with the next request"),
            _ => (),
        }
        self.failing = committed.is_err();
    }

    /// Runs the requests in one transaction, and writes the notes if they are due or `all_notes`.
    fn attempt(&mut self, group: &mut [Box<dyn Request>], all_notes: bool) -> Result<(), JournalError> {
        let outcome = self.transact(group, all_notes);
        if outcome.as_ref().is_err_and(|error| error.fault().is_some()) {
            // What SQLite holds of the file may be wrong after a fault.
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
            // The error that counts is the one before.
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

    /// Does what helps against the fault. Tells whether a second attempt is worth while.
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

    /// While nothing is asked: writes what waits, and finds out whether another process wrote or the file is damaged.
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
        // What cannot be read now is found by the next commit.
        let Ok(counters) = Counters::load(connection) else { return };
        let Ok(captures) = corrected_by_others(connection, self.last_correction, &counters) else { return };
        self.last_correction = last_correction_of(&counters);
        self.report_changed(captures);
    }
}

/// What a transaction leaves to do after its commit.
struct Done {
    numbers: Numbers,
    has_new_events: bool,
    /// Captures that were corrected, by other processes before this transaction or in it.
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

/// Number of the last correction that was queued.
fn last_correction_of(counters: &Counters) -> i64 {
    counters.numbers[EventClass::Correction as usize]
}

/// Captures that other processes have corrected since the correction with the number `last`. This transaction has removed
/// nothing yet, and no other process removes events, so that all of these corrections are still in the outbox.
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
