//! The database of a collector: PostgreSQL, or an SQLite file for one small office.

use std::ops::AddAssign;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::warn;

use super::{Event, Message, Refused, Report, postgres, sqlite};

/// A database that stores messages.
pub trait Store: Send {
    /// Stores all messages in one durable transaction.
    ///
    /// Messages that are stored already are skipped. A message whose id is stored with different content is set aside.
    fn write(&mut self, messages: &[Message]) -> Result<Stored, StoreError>;

    /// Checks that the database accepts messages at all: stores an event like `sample`, a thumbnail and a refusal, and
    /// rolls them back.
    fn probe(&mut self, sample: &Event) -> Result<(), StoreError>;

    /// Returns a report of the stored and the missing events.
    fn report(&mut self) -> Result<Report, StoreError>;
}

/// Result of a transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    /// Numbers of messages by outcome.
    pub written: Written,
    /// Messages that the database would not store as received. They are in the table `refused`.
    pub set_aside: Vec<Refused>,
}

/// Returns why a message is not in its table although the database reported no error.
///
/// `is_absent` says whether nothing is stored under the message's id.
pub fn why_not_stored(is_absent: bool) -> &'static str {
    match is_absent {
        true => "the database took it and did not store it: a trigger or a rule of its owner",
        false => "another content is stored under its id",
    }
}

/// Numbers of messages by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events and thumbnails that were not stored before.
    pub new: u64,
    /// Events and thumbnails that were stored already.
    pub known: u64,
    /// Messages that were set aside.
    pub refused: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Written) {
        self.new += other.new;
        self.known += other.known;
        self.refused += other.refused;
    }
}

/// Time limits for a database, after which the connection is closed and opened again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Time limit for connecting, sign-in included.
    pub connect: Duration,
    /// Time limit for a statement.
    pub statement: Duration,
    /// Time limit for waiting on a lock that another session holds.
    pub lock: Duration,
    /// Time limit for an idle transaction: the server ends the transaction of a collector that hangs.
    pub idle: Duration,
    /// Time limit for a network that returns nothing.
    pub silence: Duration,
}

/// Limits for every wait on a database.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Time limits.
    pub limits: Limits,
    /// Flag that ends every wait when it becomes true.
    pub stop: Arc<AtomicBool>,
}

impl Bounds {
    /// Reports whether the collector was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The reason why a transaction failed. The database contains nothing of that transaction.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    // `Display` includes what the database's library says, so callers must not print the source again.
    /// PostgreSQL or the connection to it reported an error.
    #[error("{name}: {}", postgres::words(source))]
    Postgres { name: String, source: tokio_postgres::Error },
    /// SQLite reported an error.
    #[error("{}: {source}{}", path.display(), sqlite::advice(source))]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    /// Tables or rights do not fit; the error lasts until somebody changes them.
    #[error("{name}: {reason}")]
    Unsuitable { name: String, reason: String },
    /// A newer program made the tables; the number is their version.
    #[error("{0}: its tables were made by a newer program (version {1}); update this one")]
    Newer(String, i64),
    /// The database did not answer within the time limit.
    #[error("{name}: no answer within {} s; look whether the server, its drive and the network work", limit.as_secs())]
    TimedOut { name: String, limit: Duration },
    /// The server ended the idle connection.
    #[error("{0}: the connection was lost while it was not used")]
    Lost(String),
    /// The SQLite file was removed or replaced while it was open.
    #[error("{}: the file was removed or replaced", .0.display())]
    Gone(PathBuf),
    /// The operating system reported an error.
    #[error("{name}: {source}")]
    Io { name: String, source: std::io::Error },
    /// The collector was told to stop.
    #[error("{0}: given up, as the collector stops")]
    Stopped(String),
}

/// Likely cause of an error, as far as the error tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The database or the connection to it: any other message would fail in the same way.
    Database,
    /// More likely the database. A message that fails repeatedly while others succeed is the cause, though.
    Unclear,
    /// A message, provided that the database accepts others.
    Message,
}

impl StoreError {
    /// Returns the likely cause of the error.
    pub fn blame(&self) -> Blame {
        match self {
            StoreError::Postgres { source, .. } => postgres::blame(source),
            StoreError::Sqlite { source, .. } => sqlite::blame(source),
            StoreError::TimedOut { .. } => Blame::Unclear,
            _ => Blame::Database,
        }
    }

    /// Reports whether the connection remains usable.
    pub fn is_usable_after(&self) -> bool {
        match self {
            StoreError::Postgres { source, .. } => source.code().is_some() && !postgres::is_fatal(source),
            StoreError::Sqlite { .. } => true,
            _ => false,
        }
    }

    /// Reports whether a rule of the database's owner refused a row's values; other rows may pass.
    pub fn is_about_a_row(&self) -> bool {
        match self {
            StoreError::Postgres { source, .. } => postgres::is_about_a_row(source),
            StoreError::Sqlite { source, .. } => sqlite::is_about_a_row(source),
            _ => false,
        }
    }

    /// Turns an error about tables or rights into [`StoreError::Unsuitable`], as it lasts until somebody changes them.
    ///
    /// Any other error is returned as it is.
    pub fn unsuitable(self) -> Self {
        let name = match &self {
            StoreError::Postgres { name, .. } => name.clone(),
            StoreError::Sqlite { path, .. } => path.display().to_string(),
            _ => return self,
        };
        match self.blame() {
            Blame::Message => StoreError::Unsuitable { name, reason: self.reason() },
            _ => self,
        }
    }

    /// Returns the error's text without the name of the database.
    pub fn reason(&self) -> String {
        match self {
            StoreError::Postgres { source, .. } => postgres::words(source),
            StoreError::Sqlite { source, .. } => format!("{source}{}", sqlite::advice(source)),
            error => error.to_string(),
        }
    }

    /// Returns PostgreSQL's SQLSTATE, if the error has one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            StoreError::Postgres { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }
}

/// Address of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// `postgresql://USER@HOST/NAME`, or `host=/run/postgresql dbname=NAME`.
    Postgres(String),
    /// Path of an SQLite file, written `sqlite:FILE`.
    Sqlite(PathBuf),
}

/// A text that is not the address of a database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no database; give postgresql://USER@HOST/NAME, or sqlite:FILE")]
pub struct DatabaseError(String);

impl FromStr for Database {
    type Err = DatabaseError;

    fn from_str(text: &str) -> Result<Self, DatabaseError> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Database::Sqlite(path.into())),
            None if text.starts_with("postgresql://") || text.starts_with("postgres://") => {
                Ok(Database::Postgres(text.to_owned()))
            }
            _ => Err(DatabaseError(text.to_owned())),
        }
    }
}

impl Database {
    /// Opens the database, creates missing tables, and checks that they accept what a collector stores.
    pub fn open_to_write(&self, bounds: &Bounds, sample: &Event) -> Result<Box<dyn Store>, StoreError> {
        let mut store = self.open(bounds)?;
        match store.probe(sample) {
            // A rule of the database's owner may refuse the sample but accept real events.
            Err(error) if error.is_about_a_row() => warn!("{error}; this was a sample row, events may pass"),
            tried => tried.map_err(StoreError::unsuitable)?,
        }
        Ok(store)
    }

    /// Opens the database and creates missing tables.
    pub fn open(&self, bounds: &Bounds) -> Result<Box<dyn Store>, StoreError> {
        match self {
            Database::Postgres(address) => Ok(Box::new(postgres::Postgres::open(address, bounds)?)),
            Database::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path, bounds)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_recognised() {
        assert_eq!("sqlite:/tmp/a.db".parse(), Ok(Database::Sqlite("/tmp/a.db".into())));
        let address = "postgresql://collect@db.example/bridges";
        assert_eq!(address.parse(), Ok(Database::Postgres(address.to_owned())));
        for wrong in ["", "sqlite:", "/tmp/a.db", "mysql://host/name"] {
            assert!(wrong.parse::<Database>().is_err(), "{wrong}");
        }
    }
}
