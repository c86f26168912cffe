//! The one thread that writes `device.db`. Requests that arrive while it is syncing share the next commit.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::tag::insert_tag;
use super::{JournalError, RESULT_TOPIC, schema};
use crate::domain::{Capture, Embedding, EventContext, Failure, FileStamp, Tag, Verdict, capture_result};

/// Requests that share one commit at most; also the length of the queue before a caller waits.
const GROUP_MAX: usize = 256;

/// Who makes the events, the same for a whole run of the daemon.
#[derive(Clone, Debug)]
pub struct DeviceIdentity {
    /// `bridge/v1/{site}/{device}`.
    pub source: String,
    pub boot_id: String,
    pub package: String,
    pub package_hash: String,
}

/// One classified photo.
#[derive(Clone, Debug)]
pub struct NewResult {
    pub capture: Capture,
    pub stamp: FileStamp,
    pub embedding: Embedding,
    pub verdict: Verdict,
    /// A tag that the photo itself shows; it holds for those that follow.
    pub new_tag: Option<Tag>,
    /// Whether the link was down, so that the event will have to wait.
    pub queued: bool,
    /// The device's clock.
    pub stored_at: Timestamp,
}

/// What `record` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    New {
        sequence: i64,
    },
    /// The same photo was there already, under this or another name.
    Known,
}

/// A handle to the writer thread. Every call returns once its change is durable, or with the error that kept it out.
/// The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct Journal {
    jobs: mpsc::SyncSender<Job>,
    identity: Arc<DeviceIdentity>,
}

/// Works inside the open transaction, or learns why there is none, and returns whom to tell once the commit is decided.
type Job = Box<dyn FnOnce(Result<&Connection, JournalError>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), JournalError>)>;

impl Journal {
    /// Opens or creates the database and starts the writer. `wake` is called after every commit that may have put
    /// events into the outbox.
    pub fn open(
        path: &Path,
        identity: DeviceIdentity,
        wake: impl Fn() + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), JournalError> {
        let mut connection = Connection::open(path)
            .map_err(|source| JournalError::Open { path: path.to_owned(), source: Arc::new(source) })?;
        schema::prepare(&mut connection, path)?;
        let (jobs, queue) = mpsc::sync_channel(GROUP_MAX);
        let write = move || write_all(&connection, &queue, &wake);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(write).expect("a thread can start");
        Ok((Journal { jobs, identity: Arc::new(identity) }, thread))
    }

    /// Stores a result with its event, unless the photo is known.
    pub fn record(&self, result: NewResult) -> Result<Recorded, JournalError> {
        let identity = Arc::clone(&self.identity);
        self.submit(move |connection| record(connection, &identity, &result))
    }

    /// Notes that a file needs no further look: its photo is known under another name or path.
    pub fn note_known(&self, path: &Path, stamp: &FileStamp, now: Timestamp) -> Result<(), JournalError> {
        let (path, stamp) = (path.to_owned(), stamp.clone());
        self.submit(move |connection| note_file(connection, &path, &stamp, None, now))
    }

    /// Notes that a file gave no result, and why. A changed file will be looked at again.
    pub fn record_failure(&self, failure: Failure) -> Result<(), JournalError> {
        self.submit(move |connection| {
            let Failure { path, stamp, reason, noted_at } = &failure;
            note_file(connection, path, stamp, Some(reason), *noted_at)
        })
    }

    /// Removes acknowledged events from the outbox.
    pub fn delivered(&self, sequences: Vec<i64>) -> Result<(), JournalError> {
        self.submit(move |connection| {
            let mut statement = connection.prepare_cached("DELETE FROM outbox WHERE sequence = ?1")?;
            sequences.iter().try_for_each(|sequence| statement.execute([sequence]).map(drop))
        })
    }

    fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |transaction| {
            let outcome = transaction.and_then(|connection| in_savepoint(connection, work).map_err(write_error));
            // A caller that has gone away does not want the answer.
            Box::new(move |committed| drop(reply.send(committed.and(outcome))))
        });
        self.jobs.send(job).map_err(|_| JournalError::Stopped)?;
        answer.recv().map_err(|_| JournalError::Stopped)?
    }
}

/// One failing request leaves the others of its group untouched.
fn in_savepoint<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    connection.execute_batch("SAVEPOINT request")?;
    let outcome = work(connection);
    if outcome.is_err() {
        connection.execute_batch("ROLLBACK TO request")?;
    }
    connection.execute_batch("RELEASE request")?;
    outcome
}

fn write_all(connection: &Connection, queue: &mpsc::Receiver<Job>, wake: &dyn Fn()) {
    while let Ok(first) = queue.recv() {
        let group = std::iter::once(first).chain(queue.try_iter()).take(GROUP_MAX);
        let (answers, committed) = commit(connection, group);
        for answer in answers {
            answer(committed.clone());
        }
        wake();
    }
}

/// Runs the jobs in one transaction. If it cannot begin, no job touches the database.
fn commit(connection: &Connection, jobs: impl Iterator<Item = Job>) -> (Vec<Answer>, Result<(), JournalError>) {
    let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(write_error);
    let answers = jobs.map(|job| job(begun.clone().map(|()| connection))).collect();
    let committed = begun.and_then(|()| connection.execute_batch("COMMIT").map_err(write_error));
    if committed.is_err() && !connection.is_autocommit() {
        // The error that counts is the one of the commit.
        let _ = connection.execute_batch("ROLLBACK");
    }
    (answers, committed)
}

fn write_error(error: rusqlite::Error) -> JournalError {
    JournalError::Write(Arc::new(error))
}

fn record(connection: &Connection, identity: &DeviceIdentity, result: &NewResult) -> rusqlite::Result<Recorded> {
    note_file(connection, &result.capture.path, &result.stamp, None, result.stored_at)?;
    if is_known(connection, &result.capture)? {
        return Ok(Recorded::Known);
    }
    if let Some(tag) = &result.new_tag {
        insert_tag(connection, tag, &identity.boot_id, result.stored_at)?;
    }
    insert_capture(connection, identity, result)?;
    let sequence = connection.query_row(
        "UPDATE counter SET value = value + 1 WHERE name = 'sequence' RETURNING value",
        [],
        |row| row.get(0),
    )?;
    let event_id = uuid::Uuid::new_v4().to_string();
    let context = EventContext {
        id: &event_id,
        source: &identity.source,
        sequence,
        boot_id: &identity.boot_id,
        queued: result.queued,
        package: &identity.package,
        package_hash: &identity.package_hash,
        stored_at: result.stored_at,
    };
    let payload = capture_result(&context, &result.capture, &result.verdict);
    connection.prepare_cached("INSERT INTO outbox VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        sequence,
        event_id,
        RESULT_TOPIC,
        payload
    ])?;
    Ok(Recorded::New { sequence })
}

fn is_known(connection: &Connection, capture: &Capture) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM capture WHERE sha256 = ?1")?;
    Ok(statement.query_row([capture.sha256.0], |_| Ok(())).optional()?.is_some())
}

fn insert_capture(connection: &Connection, identity: &DeviceIdentity, result: &NewResult) -> rusqlite::Result<()> {
    let capture = &result.capture;
    connection
        .prepare_cached(
            "INSERT INTO capture VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
             ?15, ?16, ?17)",
        )?
        .execute(params![
            capture.sha256.0,
            capture.path.as_os_str().as_bytes(),
            capture.bytes as i64,
            capture.pixels[0],
            capture.pixels[1],
            json(&capture.taken),
            capture.position.as_ref().map(json),
            json(&capture.camera),
            result.stored_at.to_string(),
            identity.boot_id,
            result.embedding.to_bytes(),
            json(&result.verdict),
            json(&capture.quality),
            json(&serde_json::json!({ "exposure": capture.exposure, "drone": capture.drone })),
            capture.monotonic_ns.map(|ns| ns as i64),
            capture.tag.as_ref().map(json),
            capture.burst.as_ref().map(json),
        ])?;
    Ok(())
}

fn note_file(
    connection: &Connection,
    path: &Path,
    stamp: &FileStamp,
    reason: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3, ?4, ?5)")?.execute(params![
        path.as_os_str().as_bytes(),
        stamp.bytes as i64,
        stamp.modified_ns,
        reason,
        now.to_string(),
    ])?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("domain values have string keys and finite numbers")
}
