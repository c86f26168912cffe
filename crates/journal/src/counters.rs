//! The numbers that the journal keeps of itself. They are a row of the outbox: see `schema.rs`.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Losses, QueueHealth};

use super::error::JournalError;
use super::event_class::EventClass;
use super::numbers::Numbers;
use super::row::Row;

/// The row of the outbox that holds the counters. Numbers of events start at 1.
pub const COUNTERS_ID: i64 = 0;

/// Written with every commit that changes one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// The same as `PRAGMA user_version`: one of them wrong is damage, not a newer program.
    pub schema: i64,
    /// Of the last event that this device made. Never goes back.
    pub sequence: i64,
    /// Id of the last capture.
    pub capture: i64,
    /// Captures in the database.
    pub captures: u64,
    /// Last number given in each class.
    pub numbers: [i64; EventClass::ALL.len()],
    /// Rows of each class in the outbox.
    pub waiting: [u64; EventClass::ALL.len()],
    pub set_aside: u64,
    /// Of the last command that was carried out.
    pub command: u64,
    /// Damage may have taken the counter of the last command: none that was issued before this time is carried out.
    #[serde(skip_serializing_if = "CommandDoubt::is_none")]
    pub command_doubt: CommandDoubt,
    /// Id of the last tag that people set.
    pub tag: i64,
    /// Id of the last judgement of an inspector.
    pub judgement: i64,
    /// Judgements in the database.
    pub judgements: u64,
    /// Why photos are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    pub losses: Losses,
}

/// Whether it is certain which commands were carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandDoubt {
    #[default]
    None,
    /// Since damage, no command has come while the clock was set.
    Open,
    /// Commands that were issued before this time may have been carried out.
    Before(Timestamp),
}

impl CommandDoubt {
    fn is_none(&self) -> bool {
        *self == CommandDoubt::None
    }
}

/// What is in the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxDepth {
    /// Events that wait, in the order of [`EventClass::ALL`].
    pub waiting: [u64; EventClass::ALL.len()],
    /// When the oldest of them was stored, by the device's clock then.
    pub oldest_stored_at: Option<Timestamp>,
    /// Events that were refused for good.
    pub set_aside: u64,
}

impl OutboxDepth {
    /// All events that wait.
    pub fn total(&self) -> u64 {
        self.waiting.iter().sum()
    }

    /// As the device reports it. An age is 0 while the clock is behind what it was.
    pub fn health(&self, now: Timestamp) -> QueueHealth {
        let age = self.oldest_stored_at.map(|stored_at| now.duration_since(stored_at).as_secs());
        QueueHealth {
            depth: self.total(),
            urgent: self.waiting[EventClass::Urgent as usize],
            oldest_age_s: age.map(|age| age.try_into().unwrap_or(0)),
            set_aside: self.set_aside,
        }
    }
}

/// What the journal says of a command that shall be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandNote {
    /// It is noted, and may be carried out.
    New,
    /// It, or one after it, was accepted before. The counter is that of the last command.
    Replayed { last: u64 },
    /// Damage may have taken the note of it: only commands that are issued after this time are carried out.
    Forgotten { until: Timestamp },
}

/// A sender's clock may be ahead of ours by this much: see `uplink::command`. Commands from before damage are then refused
/// also if that sender issued them in what is our future.
const CLOCKS_DIFFER_MAX: SignedDuration = SignedDuration::from_mins(5);

impl Counters {
    /// Notes a command, unless it may have been carried out before.
    pub fn accept_command(&mut self, counter: u64, issued_at: Timestamp, now: Timestamp) -> CommandNote {
        if self.command_doubt == CommandDoubt::Open {
            self.command_doubt = CommandDoubt::Before(now.saturating_add(CLOCKS_DIFFER_MAX).unwrap_or(now));
        }
        match self.command_doubt {
            _ if counter <= self.command => CommandNote::Replayed { last: self.command },
            CommandDoubt::Before(until) if issued_at <= until => CommandNote::Forgotten { until },
            _ => {
                (self.command, self.command_doubt) = (counter, CommandDoubt::None);
                CommandNote::New
            }
        }
    }

    /// Greater for counters of a later commit, as far as the numbers that they gave tell.
    pub fn age(&self) -> impl Ord + use<> {
        (self.sequence, self.command, self.tag, self.judgement, self.numbers)
    }

    /// Moves the numbers on to those that are known from elsewhere, so that none is given again, and counts what is missing.
    /// The answer is the last number of each kind; the id of a tag is left to who looks after the tag.
    pub fn catch_up(&mut self, last: Numbers) -> Numbers {
        let skipped = last.sequence.saturating_sub(self.sequence).max(0);
        let judgements = last.judgement.saturating_sub(self.judgement).max(0);
        if skipped > 0 {
            // The notes of commands may be among what was lost.
            self.command_doubt = CommandDoubt::Open;
        }
        self.sequence += skipped;
        self.losses.sequences_skipped += skipped as u64;
        self.judgement += judgements;
        self.losses.rows_damaged += judgements as u64;
        self.command = self.command.max(last.command);
        Numbers { tag: self.tag.max(last.tag), ..self.last_numbers() }
    }

    /// The numbers that never go back.
    pub fn last_numbers(&self) -> Numbers {
        let Counters { sequence, command, tag, judgement, .. } = *self;
        Numbers { sequence, command, tag, judgement }
    }

    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        let missing = || JournalError::Damaged("the counters are missing".to_owned());
        Self::from_row(&Row::load(connection, "outbox", COUNTERS_ID)?.ok_or_else(missing)?)
    }

    pub fn from_row(row: &Row) -> Result<Self, JournalError> {
        serde_json::from_slice(&row.get::<Vec<u8>>("payload")?)
            .map_err(|error| JournalError::Damaged(format!("the counters cannot be read: {error}")))
    }

    pub fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        let json = serde_json::to_vec(self).expect("counters are plain numbers");
        Row::new("outbox", COUNTERS_ID)
            .with("event_id", "counters".to_owned())
            .with("topic", String::new())
            .with("payload", json)
            .with("stored_at", 0)
            .with("tries", 0)
            .store(connection)
    }
}
