//! The open transaction: its tables, and the counters that its commit stores.

use rusqlite::Connection;

use super::counters::Counters;

/// The tables inside an open transaction, with the counters that it will store.
pub struct Tables<'a> {
    pub connection: &'a Connection,
    pub counters: Counters,
}
