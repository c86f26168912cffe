//! Members: which captures carry a tag, and the answers about members that were stored and told.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use bridgeclip_domain::{MemberAnswer, MemberResult, Tag, member_result};

use super::capture::{new_event_id, next_event};
use super::error::JournalError;
use super::event_class::EventClass;
use super::names::MEMBER_TOPIC;
use super::outbox::{Content, NewEvent, put};
use super::params::DeviceIdentity;
use super::reader::Reader;
use super::row::{Row, json, to_json};
use super::tables::Tables;

/// Captures that carry one tag, as they are now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedCaptures {
    pub tag: Tag,
    /// Number of captures.
    pub captures: u64,
    /// Sequence number of the last event about one of them; 0 if they have none.
    pub last_sequence: i64,
}

/// Answer about a member, to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMemberAnswer {
    /// Captures that the answer was made from. They must not have changed when it is stored.
    pub of: TaggedCaptures,
    /// Number of those captures that the answer leaves out, because another encoder made their embeddings.
    pub of_other_encoders: u64,
    pub answer: MemberAnswer,
    /// Whether an event tells the answer.
    pub tell: bool,
    /// Whether the link was down, so that the event has to wait.
    pub queued: bool,
    /// Time of storing, by the device's clock.
    pub stored_at: Timestamp,
}

/// Stored answer about a member.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMemberAnswer {
    /// Captures that the answer was made from, as they were then.
    pub of: TaggedCaptures,
    /// Id of the last event that told an answer about the member; `None` if none did.
    pub told: Option<String>,
    pub answer: MemberAnswer,
}

/// Stores an answer about a member, and queues the event that tells it.
///
/// # Errors
/// [`JournalError::MemberChanged`] if captures with the tag have come, gone or changed since the answer was made.
pub fn store(tables: &mut Tables, identity: &DeviceIdentity, new: &NewMemberAnswer) -> Result<(), JournalError> {
    let NewMemberAnswer { of, of_other_encoders, answer, tell, queued, stored_at } = new;
    if tagged(tables.connection, &of.tag)? != *of {
        return Err(JournalError::MemberChanged(of.tag.clone()));
    }
    let tag = to_json(&of.tag);
    let known = row_of(tables.connection, &tag)?;
    let id = known.as_ref().map_or_else(|| next_id(tables.connection), |row| row.get("id"))?;
    let mut told: Option<String> = known.as_ref().map_or(Ok(None), |row| row.get("told"))?;
    if *tell {
        let event_id = new_event_id();
        let context = next_event(tables, identity, &event_id, *queued, *stored_at);
        let result = MemberResult {
            tag: &of.tag,
            captures: of.captures,
            of_other_encoders: *of_other_encoders,
            supersedes: told.as_deref(),
            answer,
        };
        let event = NewEvent {
            class: EventClass::Correction,
            event_id: event_id.clone(),
            topic: format!("{MEMBER_TOPIC}/{}", of.tag.key()),
            content: Content::Own(member_result(&context, &result)),
            stored_at: *stored_at,
        };
        put(tables, event)?;
        told = Some(event_id);
    }
    let row = Row::new("member", id)
        .with("tag", tag)
        .with("captures", of.captures as i64)
        .with("last_sequence", of.last_sequence)
        .with("told", told)
        .with("answer", to_json(answer));
    Ok(row.store(tables.connection)?)
}

fn next_id(connection: &Connection) -> Result<i64, JournalError> {
    let sql = "SELECT coalesce(max(id), 0) + 1 FROM member";
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

fn row_of(connection: &Connection, tag: &str) -> Result<Option<Row>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT id FROM member WHERE tag = ?1")?;
    let id: Option<i64> = statement.query_row([tag], |row| row.get(0)).optional()?;
    id.map_or(Ok(None), |id| Row::load(connection, "member", id))
}

fn tagged(connection: &Connection, tag: &Tag) -> Result<TaggedCaptures, JournalError> {
    let sql = "SELECT count(*), coalesce(max(sequence), 0) FROM capture WHERE tag = ?1";
    let (captures, last_sequence) =
        connection.prepare_cached(sql)?.query_row([to_json(tag)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(TaggedCaptures { tag: tag.clone(), captures, last_sequence })
}

impl Reader {
    /// Returns the captures of each tag that names a member, in the order of the tags' texts.
    pub fn members(&self) -> Result<Vec<TaggedCaptures>, JournalError> {
        self.read(|connection| {
            let sql =
                "SELECT tag, count(*), coalesce(max(sequence), 0) FROM capture WHERE tag IS NOT NULL GROUP BY tag";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
            let mut members = Vec::new();
            for row in rows {
                let (tag, captures, last_sequence) = row?;
                // The text comes from an index without checksum. A text that is no tag belongs to a damaged row, which is
                // found when it is next read.
                let tag = serde_json::from_str(&tag).ok().filter(|tag: &Tag| tag.member.is_some());
                members.extend(tag.map(|tag| TaggedCaptures { tag, captures, last_sequence }));
            }
            Ok(members)
        })
    }

    /// Returns the captures that carry a tag.
    pub fn tagged(&self, tag: &Tag) -> Result<TaggedCaptures, JournalError> {
        self.read(|connection| tagged(connection, tag))
    }

    /// Returns the ids of the captures that carry a tag, the oldest first.
    pub fn captures_tagged(&self, tag: &Tag) -> Result<Vec<i64>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM capture WHERE tag = ?1 ORDER BY id")?;
            Ok(statement.query_map([to_json(tag)], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Reports whether one of these captures exists and carries another tag, or none.
    pub fn is_tagged_otherwise(&self, captures: &[i64], tag: &Tag) -> Result<bool, JournalError> {
        let tag = to_json(tag);
        self.read(|connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM capture WHERE id = ?1 AND tag IS NOT ?2)";
            let mut statement = connection.prepare_cached(sql)?;
            for capture in captures {
                if statement.query_row(params![capture, tag], |row| row.get(0))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Reads the stored answers about members, in the order in which members were first answered.
    pub fn member_answers(&self) -> Result<Vec<StoredMemberAnswer>, JournalError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM member ORDER BY id")?;
            let ids: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let rows = ids.into_iter().map(|id| Row::load(connection, "member", id));
            rows.filter_map(Result::transpose).map(|row| stored(&row?)).collect()
        })
    }

    /// Returns the sequence number of the last event, which grows with each change of a capture.
    pub fn last_sequence(&self) -> Result<i64, JournalError> {
        self.read(|connection| Ok(super::counters::Counters::load(connection)?.sequence))
    }
}

fn stored(row: &Row) -> Result<StoredMemberAnswer, JournalError> {
    let missing = |column| JournalError::Damaged(format!("{column} of a row of member is missing"));
    let of = TaggedCaptures {
        tag: json(row, "tag")?.ok_or_else(|| missing("tag"))?,
        captures: row.get("captures")?,
        last_sequence: row.get("last_sequence")?,
    };
    let answer = json(row, "answer")?.ok_or_else(|| missing("answer"))?;
    Ok(StoredMemberAnswer { of, told: row.get("told")?, answer })
}
