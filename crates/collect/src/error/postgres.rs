//! PostgreSQL's errors: their words for the log, and their meaning for the messages at hand.
//!
//! Classes of codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::blame::Blame;

/// Classes of codes that pass by themselves or once somebody repairs the server: connection, transaction state,
/// conflict with another transaction, resources, object in use, operator, drive.
const PASSING: [&str; 7] = ["08", "25", "40", "53", "55", "57", "58"];

/// Returns the likely cause of an error, judged from its code. An error without a code is a broken connection.
pub fn blame(error: &Error) -> Blame {
    match error.code().map(SqlState::code) {
        Some(code) if !is_of(&PASSING, code) => Blame::Message,
        _ => Blame::Unclear,
    }
}

/// Reports whether the server ends the connection after this error.
pub fn is_fatal(error: &Error) -> bool {
    let severity = error.as_db_error().and_then(DbError::parsed_severity);
    matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// Reports whether a constraint or a trigger of the database's owner refused a row's values.
///
/// An owner's column that needs a value does not count: it refuses every row.
pub fn is_about_a_row(error: &Error) -> bool {
    error.code().map(SqlState::code).is_some_and(|code| is_of(&["23", "P0"], code) && code != "23502")
}

/// Reports whether a code belongs to one of the classes.
fn is_of(classes: &[&str], code: &str) -> bool {
    code.get(..2).is_some_and(|class| classes.contains(&class))
}

/// Returns everything known about an error, and what to do about it.
pub fn words(error: &Error) -> String {
    if error.is_closed() {
        return "the server ended the connection without a word; look into its log".to_owned();
    }
    let Some(error) = error.as_db_error() else { return chain(error) };
    let mut text = format!("{} (SQLSTATE {})", error.message(), error.code().code());
    let parts = [
        ("", error.detail()),
        ("hint: ", error.hint()),
        ("table ", error.table()),
        ("column ", error.column()),
        ("constraint ", error.constraint()),
        ("in: ", error.where_().and_then(|place| place.lines().next())),
        ("", advice(error.code().code())),
    ];
    for (name, part) in parts {
        text.extend(part.map(|part| format!("; {name}{part}")));
    }
    text
}

/// Returns the error with its causes, separated by colons.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}

/// Returns what to do about an error with this code, or `None` if there is nothing to advise.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "42501" => "grant this user SELECT and INSERT on event, thumbnail and refused, or let it own them",
        "42P10" => {
            "event needs a unique key of source and id, thumbnail one of source and event_id, refused one of sha256"
        }
        "53100" => "make room on the server's drive",
        "53300" => "raise the server's max_connections, or run fewer collectors",
        "55P03" => "another session holds a lock: look into pg_stat_activity",
        "57014" => "look for locks and slow drives, or raise [collect.limits] statement_s",
        "25006" => "it is a standby, or set to read only: name the primary server",
        "3D000" => "make the database, or correct its name in [collect]",
        _ => match code.get(..2)? {
            "28" => "correct user and password in [collect], or the server's pg_hba.conf",
            "42" => "the tables are not as `collect` made them: put them back, or give it a database of its own",
            "53" => "the server is short of something: look into its log",
            "57" => "it is tried again when the server is there",
            "XX" => "look into the server's log",
            _ => return None,
        },
    })
}
