//! Definitions that both databases share: tables, their columns, and the sample event that tests them.

use jiff::Timestamp;

use bridgeclip_domain::{EVENT_FORMAT, Sha256};

use crate::message::{Event, Message, Refused, Thumbnail};

/// Version of the tables. Version 2 identifies a refused message by its hash.
pub const VERSION: i64 = 2;

/// Tables and columns of the first version, without the time of arrival. An owner may add columns that need no value.
pub const FIRST: [(&str, &[&str]); 3] = [
    ("event", &["source", "id", "kind", "sequence", "subject", "time", "supersedes", "body"]),
    ("thumbnail", &["source", "event_id", "jpeg"]),
    ("refused", &["topic", "reason", "payload"]),
];

/// Tables and columns that the second version added.
pub const ADDED: [(&str, &[&str]); 1] = [("refused", &["sqlstate", "sha256", "bytes"])];

/// Returns which of the needed columns is missing from an existing table, as an error's text.
///
/// `found` contains (table, column) for every existing column. A missing table lacks nothing: it is created later.
pub fn lacking(needed: &[(&str, &[&str])], found: &[(String, String)]) -> Option<String> {
    let is_there = |table: &str| found.iter().any(|(name, _)| name == table);
    let has = |table: &str, column: &str| found.iter().any(|(name, other)| name == table && other == column);
    needed.iter().filter(|(table, _)| is_there(table)).find_map(|(table, columns)| {
        let column = columns.iter().find(|column| !has(table, column))?;
        Some(format!(
            "its table `{table}` has no column `{column}`; put the column back, or give `collect` a database of its own"
        ))
    })
}

/// Returns an event that no device sends.
pub fn sample() -> Event {
    Event {
        source: "bridge/v1/collect/probe".to_owned(),
        id: String::new(),
        kind: EVENT_FORMAT.to_owned(),
        sequence: 1,
        subject: Sha256::of(b"").to_string(),
        time: Timestamp::UNIX_EPOCH,
        supersedes: None,
        body: r#"{"data":{"sequence":1}}"#.to_owned(),
    }
}

/// Returns messages that touch every table: an event like `sample` under a new id and sequence number, its thumbnail,
/// and a refusal.
pub fn probes(sample: &Event) -> [Message; 3] {
    let id = uuid::Uuid::new_v4();
    // Lies beyond the sequence numbers of devices: the database's owner may have made them unique.
    let sequence = (1 << 52) + i64::from(id.as_u128() as u32);
    let event = Event { id: id.to_string(), sequence, ..sample.clone() };
    let thumbnail = Thumbnail { source: event.source.clone(), event_id: event.id.clone(), jpeg: vec![0xff, 0xd8] };
    let refused: Refused = event.refused("a probe");
    [Message::Event(event), Message::Thumbnail(thumbnail), Message::Refused(refused)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_is_missing_is_named_and_others_do_no_harm() {
        let found = |columns: &[&str]| {
            columns.iter().map(|column| ("thumbnail".to_owned(), (*column).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(lacking(&FIRST, &[]), None, "tables that are not there will be made");
        assert_eq!(lacking(&FIRST, &found(&["source", "event_id", "jpeg", "note"])), None);
        let reason = lacking(&FIRST, &found(&["source", "jpeg"])).expect("a reason");
        assert!(reason.contains("`thumbnail` has no column `event_id`"), "{reason}");
    }
}
