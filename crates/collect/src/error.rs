//! The errors of a collector's database, and their likely causes.

mod blame;
mod postgres;
mod sqlite;

use std::path::PathBuf;
use std::time::Duration;

pub use self::blame::Blame;

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
