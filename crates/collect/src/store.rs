//! Where events are kept: PostgreSQL, or a SQLite file for one small office.

use std::ops::AddAssign;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use log::warn;

use super::{Event, Message, Refused, Report, postgres, sqlite};

/// A database that takes messages in.
pub trait Store: Send {
    /// Stores all of them in one durable transaction; those that are there already are passed over. What is stored under
    /// the id of another event is set aside.
    fn write(&mut self, messages: &[Message]) -> Result<Stored, StoreError>;

    /// Whether the database takes messages at all: stores an event like `sample`, a thumbnail and a refusal, and takes
    /// them back.
    fn probe(&mut self, sample: &Event) -> Result<(), StoreError>;

    /// What is here and what is missing.
    fn report(&mut self) -> Result<Report, StoreError>;
}

/// What a transaction brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    pub written: Written,
    /// What the database would not store as it came. It is in the table `refused`.
    pub set_aside: Vec<Refused>,
}

/// Why a message that met no error is not in its table.
pub fn why_not_stored(is_absent: bool) -> &'static str {
    match is_absent {
        true => "the database took it and did not store it: a trigger or a rule of its owner",
        false => "another content is stored under its id",
    }
}

/// Numbers of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events and thumbnails that were not there before.
    pub new: u64,
    /// Messages that were there.
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

/// How long a database may take before the connection is given up and made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Until a connection stands, sign-in included.
    pub connect: Duration,
    /// For a statement.
    pub statement: Duration,
    /// For a lock that somebody else holds.
    pub lock: Duration,
    /// For a transaction in which nothing happens: the server ends that of a collector that hangs.
    pub idle: Duration,
    /// For a network on which nothing comes back.
    pub silence: Duration,
}

/// What bounds the waiting for a database.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub limits: Limits,
    /// Ends the waiting when it becomes true.
    pub stop: Arc<AtomicBool>,
}

impl Bounds {
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What is wrong with the database. Nothing of the transaction is in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    // Their own words come with the reason.
    #[error("{name}: {}", postgres::words(source))]
    Postgres { name: String, source: tokio_postgres::Error },
    #[error("{}: {source}{}", path.display(), sqlite::advice(source))]
    Sqlite { path: PathBuf, source: rusqlite::Error },
    #[error("{name}: {reason}")]
    Unsuitable { name: String, reason: String },
    #[error("{0}: its tables were made by a newer program (version {1}); update this one")]
    Newer(String, i64),
    #[error("{name}: no answer within {} s; look whether the server, its drive and the network work", limit.as_secs())]
    TimedOut { name: String, limit: Duration },
    #[error("{0}: the connection was lost while it was not used")]
    Lost(String),
    #[error("{}: the file was removed or replaced", .0.display())]
    Gone(PathBuf),
    #[error("{name}: {source}")]
    Io { name: String, source: std::io::Error },
    /// Told to stop.
    #[error("{0}: given up, as the collector stops")]
    Stopped(String),
}

/// What an error was caused by, as far as it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The database or the way to it: any other message would have met the same.
    Database,
    /// More likely the database; a message that meets it again and again while others do not is the cause.
    Unclear,
    /// A message, if the database takes others.
    Message,
}

impl StoreError {
    pub fn blame(&self) -> Blame {
        match self {
            StoreError::Postgres { source, .. } => postgres::blame(source),
            StoreError::Sqlite { source, .. } => sqlite::blame(source),
            StoreError::TimedOut { .. } => Blame::Unclear,
            _ => Blame::Database,
        }
    }

    /// Whether the connection can be used on.
    pub fn is_usable_after(&self) -> bool {
        match self {
            StoreError::Postgres { source, .. } => source.code().is_some() && !postgres::is_fatal(source),
            StoreError::Sqlite { .. } => true,
            _ => false,
        }
    }

    /// Whether it is about the values of a row: a rule of the database's owner refuses it, and others may pass.
    pub fn is_about_a_row(&self) -> bool {
        match self {
            StoreError::Postgres { source, .. } => postgres::is_about_a_row(source),
            StoreError::Sqlite { source, .. } => sqlite::is_about_a_row(source),
            _ => false,
        }
    }

    /// What is wrong with tables or rights, told as such: it stays wrong until somebody changes it.
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

    /// The error without the name of the database.
    pub fn reason(&self) -> String {
        match self {
            StoreError::Postgres { source, .. } => postgres::words(source),
            StoreError::Sqlite { source, .. } => format!("{source}{}", sqlite::advice(source)),
            error => error.to_string(),
        }
    }

    /// The database's code, if it gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            StoreError::Postgres { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }
}

/// The address of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// `postgresql://USER@HOST/NAME`, or `host=/run/postgresql dbname=NAME`.
    Postgres(String),
    Sqlite(PathBuf),
}

/// A text that is no address.
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
    /// Opens the database, makes what tables are missing, and tries whether they take what a collector stores.
    pub fn open_to_write(&self, bounds: &Bounds, sample: &Event) -> Result<Box<dyn Store>, StoreError> {
        let mut store = self.open(bounds)?;
        match store.probe(sample) {
            // A rule of the database's owner may refuse the sample and take true events.
            Err(error) if error.is_about_a_row() => warn!("{error}; this was a sample row, events may pass"),
            tried => tried.map_err(StoreError::unsuitable)?,
        }
        Ok(store)
    }

    /// Opens the database and makes what tables are missing.
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
