//! Handles in one place what can go wrong with files and drives: power cuts, files that are not what their names say,
//! full drives, and SQLite databases that several processes open.

pub mod drive;
pub mod durable;
pub mod plain_file;
pub mod sqlite;
pub mod testing;
