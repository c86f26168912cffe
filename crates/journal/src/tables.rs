//! Open transaction: its tables, and the counters that its commit stores.

use rusqlite::Connection;

use super::counters::Counters;

/// Tables inside an open transaction.
pub struct Tables<'a> {
    /// Connection on which the transaction is open.
    pub connection: &'a Connection,
    /// Counters that the commit stores.
    pub counters: Counters,
    /// Ids of captures that a correction has changed, in the order of the corrections.
    pub changed: Vec<i64>,
}

impl<'a> Tables<'a> {
    /// Makes the tables of a transaction in which nothing has changed yet.
    pub fn new(connection: &'a Connection, counters: Counters) -> Self {
        Tables { connection, counters, changed: Vec::new() }
    }
}
