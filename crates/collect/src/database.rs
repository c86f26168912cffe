//! The address of a collector's database: PostgreSQL, or an SQLite file for one small office.

use std::path::PathBuf;
use std::str::FromStr;

use log::warn;

use crate::error::StoreError;
use crate::message::Event;
use crate::store::{Bounds, Store};
use crate::{postgres, sqlite};

/// Address of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// Address of a PostgreSQL database: `postgresql://USER@HOST/NAME`, or `host=/run/postgresql dbname=NAME`.
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
