//! Where events are kept: PostgreSQL, or a SQLite file for one small office.

use std::ops::AddAssign;
use std::path::PathBuf;
use std::str::FromStr;

use super::{Message, Report, postgres, sqlite};

/// A database that takes messages in.
pub trait Store: Send {
    /// Stores all of them in one durable transaction; those that are there already are passed over.
    fn write(&mut self, messages: &[Message]) -> Result<Written, StoreError>;

    /// What is here and what is missing.
    fn report(&mut self) -> Result<Report, StoreError>;
}

/// What a transaction brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Events and thumbnails that were not there before.
    pub new: u64,
    /// Messages that were there.
    pub known: u64,
    /// Messages that no device of ours would send.
    pub refused: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Written) {
        self.new += other.new;
        self.known += other.known;
        self.refused += other.refused;
    }
}

/// What is wrong with the database. Nothing of the transaction is in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{0}: {1}")]
    Postgres(String, #[source] ::postgres::Error),
    #[error("{path}: {source}", path = .0.display(), source = .1)]
    Sqlite(PathBuf, #[source] rusqlite::Error),
    #[error("{0}: its tables were made by a newer program (version {1}); update this one")]
    Newer(String, i64),
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
    /// Opens the database and makes what tables are missing.
    pub fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        match self {
            Database::Postgres(address) => Ok(Box::new(postgres::Postgres::open(address)?)),
            Database::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path)?)),
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
