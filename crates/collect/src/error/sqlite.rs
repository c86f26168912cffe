//! SQLite's errors: their meaning for the messages at hand, and what to do about them.

use rusqlite::ErrorCode;

use crate::error::blame::Blame;

/// Returns the likely cause of an error, judged from its code.
pub fn blame(error: &rusqlite::Error) -> Blame {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Blame::Database,
        None
        | Some(
            ErrorCode::ConstraintViolation
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::TooBig
            | ErrorCode::TypeMismatch
            | ErrorCode::Unknown,
        ) => Blame::Message,
        Some(_) => Blame::Unclear,
    }
}

/// Reports whether a constraint or a trigger of the file's owner refused a row's values.
///
/// An owner's column that needs a value does not count: it refuses every row.
pub fn is_about_a_row(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
        && extended != Some(rusqlite::ffi::SQLITE_CONSTRAINT_NOTNULL)
}

/// Returns what to do about an error, after a semicolon; empty if there is nothing to advise.
pub fn advice(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another program has it locked: let it end",
        Some(ErrorCode::DiskFull) => "; make room on its drive",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "; look whether its folder is there and this user may write to both"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "; the file is damaged or no database: move it away, and a new one is made"
        }
        Some(ErrorCode::Unknown) => {
            "; if its tables are not as `collect` made them, put them back or name another file"
        }
        Some(ErrorCode::SystemIoFailure) => "; look whether its drive works",
        _ => "",
    }
}
