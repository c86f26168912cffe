//! Counters of the journal. They are a row of the outbox: see `schema.rs`.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use bridgeclip_domain::{Losses, QueueHealth};

use super::error::JournalError;
use super::event_class::EventClass;
use super::numbers::Numbers;
use super::row::Row;

/// Id of the outbox row that holds the counters. The numbers of events start at 1.
pub const COUNTERS_ID: i64 = 0;

/// Counters of a device. Every commit that changes one of them stores them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Schema version, equal to `PRAGMA user_version`. If the two differ, the file is damaged, not written by a newer
    /// program.
    pub schema: i64,
    /// Sequence number of the last event that this device made. It never goes back.
    pub sequence: i64,
    /// Id of the last capture, deleted ones included.
    pub capture: i64,
    /// Number of captures in the database.
    pub captures: u64,
    /// Last number given to an event of each class.
    pub numbers: [i64; EventClass::ALL.len()],
    /// Number of outbox rows of each class.
    pub waiting: [u64; EventClass::ALL.len()],
    /// Number of events that were refused for good.
    pub set_aside: u64,
    /// Counter of the last command that was accepted.
    pub command: u64,
    /// Doubt about the last command's counter, which damage may have taken. No command that was issued before the time
    /// in doubt is carried out.
    #[serde(skip_serializing_if = "CommandDoubt::is_none")]
    pub command_doubt: CommandDoubt,
    /// Id of the last tag that a person set.
    pub tag: i64,
    /// Id of the last judgement by an inspector.
    pub judgement: i64,
    /// Number of judgements in the database.
    pub judgements: u64,
    /// Reason why photos are refused; `None` while they are taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
    /// Counts of everything dropped, refused or set aside since the device's first start.
    pub losses: Losses,
}

/// Certainty about which commands were carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandDoubt {
    /// Every accepted command is noted.
    #[default]
    None,
    /// Damage was found, and no command has arrived since then while the clock was set.
    Open,
    /// Commands that were issued before this time may have been carried out.
    Before(Timestamp),
}

impl CommandDoubt {
    fn is_none(&self) -> bool {
        *self == CommandDoubt::None
    }
}

/// Number and age of the events in the outbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxDepth {
    /// Number of waiting events by class, in the order of [`EventClass::ALL`].
    pub waiting: [u64; EventClass::ALL.len()],
    /// Time at which the oldest waiting event was stored, by the device's clock at that time.
    pub oldest_stored_at: Option<Timestamp>,
    /// Number of events that were refused for good.
    pub set_aside: u64,
}

impl OutboxDepth {
    /// Returns the number of all waiting events.
    pub fn total(&self) -> u64 {
        self.waiting.iter().sum()
    }

    /// Converts the depth to the form of the health report. The age is 0 if the clock has gone back since the oldest
    /// event was stored.
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

/// Decision of the journal on a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandNote {
    /// The command is noted, and may be carried out.
    New,
    /// This command or a later one was accepted before. `last` is the counter of the last accepted command.
    Replayed { last: u64 },
    /// Damage may have taken the note of this command. Only commands issued after `until` are carried out.
    Forgotten { until: Timestamp },
}

/// Largest lead of a sender's clock over this device's; see `uplink::command`. Commands from before damage are refused
/// even if such a sender issued them in this device's future.
const CLOCKS_DIFFER_MAX: SignedDuration = SignedDuration::from_mins(5);

impl Counters {
    /// Notes a command, unless it may have been carried out before. `now` is the time by a clock that something has
    /// set.
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

    /// Returns a key by which counters of a later commit are greater, if their numbers differ at all.
    pub fn age(&self) -> impl Ord + use<> {
        (self.sequence, self.command, self.tag, self.judgement, self.numbers)
    }

    /// Advances the numbers to the last ones known from elsewhere, so that none is given twice, and counts what is
    /// missing. Returns the last number of each kind. The tag's id is not advanced: the caller that restores the tag
    /// does that.
    pub fn catch_up(&mut self, last: Numbers) -> Numbers {
        let skipped = last.sequence.saturating_sub(self.sequence).max(0);
        let judgements = last.judgement.saturating_sub(self.judgement).max(0);
        if skipped > 0 {
            // The lost data may include notes of commands.
            self.command_doubt = CommandDoubt::Open;
        }
        self.sequence += skipped;
        self.losses.sequences_skipped += skipped as u64;
        self.judgement += judgements;
        self.losses.rows_damaged += judgements as u64;
        self.command = self.command.max(last.command);
        Numbers { tag: self.tag.max(last.tag), ..self.last_numbers() }
    }

    /// Returns the numbers that never go back.
    pub fn last_numbers(&self) -> Numbers {
        let Counters { sequence, command, tag, judgement, .. } = *self;
        Numbers { sequence, command, tag, judgement }
    }

    /// Reads the counters.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if they are missing or unreadable.
    pub fn load(connection: &Connection) -> Result<Self, JournalError> {
        let missing = || JournalError::Damaged("the counters are missing".to_owned());
        Self::from_row(&Row::load(connection, "outbox", COUNTERS_ID)?.ok_or_else(missing)?)
    }

    /// Parses the counters in a row of the outbox.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] if they cannot be parsed.
    pub fn from_row(row: &Row) -> Result<Self, JournalError> {
        serde_json::from_slice(&row.get::<Vec<u8>>("payload")?)
            .map_err(|error| JournalError::Damaged(format!("the counters cannot be read: {error}")))
    }

    /// Writes the counters.
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
