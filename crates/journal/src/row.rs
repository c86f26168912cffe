//! Rows that carry a checksum of themselves, so that a flipped bit is noticed before a wrong byte leaves the device.

use std::borrow::Cow;

use rusqlite::types::{FromSql, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::de::DeserializeOwned;

use super::error::JournalError;

/// Name of the column that holds the checksum.
pub const CHECK_SUM: &str = "check_sum";

/// Row of a table with an integer `id` and a `check_sum`.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    table: &'static str,
    columns: Vec<(Cow<'static, str>, Value)>,
}

impl Row {
    /// Makes a row with an id and no other columns.
    pub fn new(table: &'static str, id: i64) -> Self {
        Row { table, columns: vec![("id".into(), id.into())] }
    }

    /// Makes a row of columns that were found in a file; `None` if they do not match the checksum among them.
    pub fn whole(table: &'static str, columns: Vec<(String, Value)>) -> Option<Self> {
        let columns = columns.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Some(Row { table, columns }).filter(Row::is_intact)
    }

    /// Returns the name of the row's table.
    pub fn table(&self) -> &'static str {
        self.table
    }

    /// Returns the row with a column set.
    pub fn with(mut self, column: &'static str, value: impl Into<Value>) -> Self {
        self.set(column, value);
        self
    }

    /// Sets a column.
    pub fn set(&mut self, column: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.columns.iter_mut().find(|(name, _)| name == column) {
            Some((_, present)) => *present = value,
            None => self.columns.push((column.into(), value)),
        }
    }

    /// Returns the row with its content in another table and under another id.
    pub fn moved_to(mut self, table: &'static str, id: i64) -> Self {
        self.table = table;
        self.with("id", id)
    }

    /// Returns the row without a column.
    pub fn without(mut self, column: &str) -> Self {
        self.columns.retain(|(name, _)| name != column);
        self
    }

    /// Returns a column's value. A column that the row does not have is NULL.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if the value has another type.
    pub fn get<T: FromSql>(&self, column: &str) -> Result<T, JournalError> {
        let value = self.columns.iter().find(|(name, _)| name == column).map_or(&Value::Null, |(_, value)| value);
        T::column_result(value.into())
            .map_err(|error| JournalError::Damaged(format!("{} of a row of {}: {error}", column, self.table)))
    }

    /// Writes the row, and replaces one with the same id.
    pub fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.insert(connection, "REPLACE").map(drop)
    }

    /// Writes the row unless one with the same id exists. Reports whether it did.
    pub fn store_if_new(&self, connection: &Connection) -> rusqlite::Result<bool> {
        self.insert(connection, "IGNORE")
    }

    fn insert(&self, connection: &Connection, conflict: &str) -> rusqlite::Result<bool> {
        let columns = || self.columns.iter().filter(|(name, _)| name != CHECK_SUM);
        let sum = check_sum(self.table, columns().map(|(name, value)| (name.as_ref(), value.into())));
        let names: String = columns().map(|(name, _)| format!("{name}, ")).collect();
        let marks = "?, ".repeat(columns().count());
        let sql = format!("INSERT OR {conflict} INTO {} ({names}{CHECK_SUM}) VALUES ({marks}?)", self.table);
        let sum = Value::from(sum);
        let values = columns().map(|(_, value)| value).chain([&sum]);
        Ok(connection.prepare_cached(&sql)?.execute(params_from_iter(values))? > 0)
    }

    /// Reads a row; `None` if it does not exist.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if the row does not match its checksum.
    pub fn load(connection: &Connection, table: &'static str, id: i64) -> Result<Option<Row>, JournalError> {
        match Self::load_unchecked(connection, table, id)? {
            Some(row) if !row.is_intact() => Err(damaged(table, id)),
            row => Ok(row),
        }
    }

    /// Reads a row that may not have a checksum yet, without checking it.
    pub fn load_unchecked(connection: &Connection, table: &'static str, id: i64) -> rusqlite::Result<Option<Row>> {
        let mut statement = connection.prepare_cached(&format!("SELECT * FROM {table} WHERE id = ?1"))?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let columns = |row: &rusqlite::Row| {
            let value = |(index, name): (usize, &String)| Ok((Cow::from(name.clone()), row.get(index)?));
            names.iter().enumerate().map(value).collect::<rusqlite::Result<_>>()
        };
        let columns = statement.query_row([id], columns).optional()?;
        Ok(columns.map(|columns| Row { table, columns }))
    }

    fn is_intact(&self) -> bool {
        is_intact(self.table, self.columns.iter().map(|(name, value)| (name.as_ref(), value.into())))
    }
}

/// Returns a value as JSON, the form in which columns hold it.
pub fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("domain values have string keys and finite numbers")
}

/// Makes the error of a value that cannot be parsed although its row is intact.
pub fn unreadable(what: &str, capture: i64) -> JournalError {
    JournalError::Damaged(format!("{what} of capture {capture} cannot be read"))
}

/// Parses a column that holds JSON; `None` if it is NULL.
///
/// # Errors
/// [`JournalError::Damaged`] if the text is not JSON of this type.
pub fn json<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, JournalError> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| serde_json::from_str(&text);
    text.map(parse).transpose().map_err(|error| JournalError::Damaged(format!("{column} of a capture: {error}")))
}

/// Makes the error of a row that does not match its checksum.
pub fn damaged(table: &str, id: i64) -> JournalError {
    JournalError::Damaged(format!("row {id} of {table} does not match its checksum"))
}

/// Reports whether the columns of a row match the `check_sum` among them.
pub fn is_intact<'a>(table: &str, columns: impl Iterator<Item = (&'a str, ValueRef<'a>)> + Clone) -> bool {
    let stored = columns.clone().find(|(name, _)| *name == CHECK_SUM).map(|(_, value)| value);
    let sum = check_sum(table, columns.filter(|(name, _)| *name != CHECK_SUM));
    stored == Some(ValueRef::Integer(sum))
}

/// Returns the sum of a CRC-32 for each column. Neither the order of the columns nor a NULL matters, so a column that
/// is added to the table later changes nothing.
fn check_sum<'a>(table: &str, columns: impl Iterator<Item = (&'a str, ValueRef<'a>)>) -> i64 {
    let of_column = |(name, value): (&str, ValueRef)| {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(table.as_bytes());
        hasher.update(&[0]);
        hasher.update(name.as_bytes());
        match value {
            ValueRef::Null => return 0,
            ValueRef::Integer(value) => update(&mut hasher, 1, &value.to_le_bytes()),
            ValueRef::Real(value) => update(&mut hasher, 2, &value.to_bits().to_le_bytes()),
            ValueRef::Text(value) => update(&mut hasher, 3, value),
            ValueRef::Blob(value) => update(&mut hasher, 4, value),
        }
        hasher.finalize()
    };
    columns.map(of_column).fold(0_u32, u32::wrapping_add).into()
}

fn update(hasher: &mut crc32fast::Hasher, kind: u8, bytes: &[u8]) {
    hasher.update(&[0, kind]);
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().expect("a database");
        let columns = "id INTEGER PRIMARY KEY, name TEXT, bytes BLOB, check_sum INTEGER NOT NULL";
        connection.execute_batch(&format!("CREATE TABLE thing ({columns}) STRICT")).expect("a table");
        connection
    }

    #[test]
    fn a_row_comes_back_as_it_was_written() {
        let connection = table();
        let row = Row::new("thing", 7).with("name", "girder".to_owned()).with("bytes", vec![1_u8, 2]);
        row.store(&connection).expect("stored");
        let read = Row::load(&connection, "thing", 7).expect("intact").expect("there");
        assert_eq!(read.get::<String>("name").ok().as_deref(), Some("girder"));
        assert_eq!(Row::load(&connection, "thing", 8).expect("no row"), None);
        connection.execute_batch("ALTER TABLE thing ADD COLUMN later TEXT").expect("a column");
        assert!(Row::load(&connection, "thing", 7).is_ok(), "a later column changes nothing");
    }

    #[test]
    fn any_change_is_noticed() {
        let changes = [
            "name = 'girdes'",
            "name = NULL",
            "bytes = x'0103'",
            "bytes = x'0102', name = x'676972646572'",
            "id = 8",
            "check_sum = check_sum + 1",
        ];
        for change in changes {
            let connection = table();
            let row = Row::new("thing", 7).with("name", "girder".to_owned()).with("bytes", vec![1_u8, 2]);
            row.store(&connection).expect("stored");
            // A change that does not update the checksum, as damage does not.
            let unchecked = format!("UPDATE thing SET {}", change.replace("x'676972646572'", "'gardir'"));
            connection.execute_batch(&unchecked).expect("changed");
            let id = if change == "id = 8" { 8 } else { 7 };
            assert!(matches!(Row::load(&connection, "thing", id), Err(JournalError::Damaged(_))), "{change}");
        }
    }
}
