//! What the broker has answered for, until `device.db` knows it.
//!
//! Acknowledged rows are deleted in groups, by whoever carries out [`super::Action::Settle`]: a sync of a memory card may
//! take long, and each one wears it. They count as open until they are gone: after a crash they are sent again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bridgeclip_journal::{Journal, JournalError, Refused};

/// How long acknowledged rows wait for others to share a commit with.
const GROUP_TIME: Duration = Duration::from_millis(100);
/// Pause after `device.db` refused a change.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// Answers of the broker on their way into `device.db`.
#[derive(Debug, Default)]
pub struct Settlement {
    waiting: Vec<Answered>,
    /// When the first of `waiting` has waited long enough.
    due: Option<Instant>,
    /// After a failed change: when the next may be tried.
    paused_until: Option<Instant>,
    /// All rows that were answered and are not settled yet.
    rows: BTreeSet<i64>,
    is_running: bool,
}

/// A row, and what the broker's answer makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub row: i64,
    pub fate: Fate,
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Delivered,
    /// The broker refused this one event; it is tried again, but not for ever.
    Refused(String),
    /// It cannot be sent to this broker.
    Impossible(String),
}

/// Answers that are stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub answers: Vec<Answered>,
    /// Others that would share the commit are not waited for.
    pub at_once: bool,
}

/// What one group came to.
#[derive(Debug, Default)]
pub struct Settled {
    pub delivered: usize,
    /// Rows that are not sent any more, with the reason.
    pub set_aside: Vec<(i64, String)>,
    /// Nothing of `left` is known to be in the database.
    pub error: Option<JournalError>,
    pub left: Vec<Answered>,
}

/// Where answers are stored.
pub trait Ledger {
    /// Removes acknowledged events from the outbox. `at_once`: without waiting for other changes.
    fn delivered(&self, rows: Vec<i64>, at_once: bool) -> Result<(), JournalError>;

    /// Notes that the broker refused an event while it took others; after too often it is set aside.
    fn refused(&self, row: i64, reason: String) -> Result<Refused, JournalError>;

    /// Sets aside an event that cannot be delivered.
    fn set_aside(&self, row: i64, reason: String) -> Result<Refused, JournalError>;
}

impl Ledger for Journal {
    fn delivered(&self, rows: Vec<i64>, at_once: bool) -> Result<(), JournalError> {
        if at_once { self.delivered_now(rows) } else { Journal::delivered(self, rows) }
    }

    fn refused(&self, row: i64, reason: String) -> Result<Refused, JournalError> {
        Journal::refused(self, row, reason)
    }

    fn set_aside(&self, row: i64, reason: String) -> Result<Refused, JournalError> {
        Journal::set_aside(self, row, reason)
    }
}

impl Settlement {
    pub fn add(&mut self, row: i64, fate: Fate, now: Instant) {
        self.rows.insert(row);
        self.waiting.push(Answered { row, fate });
        self.due.get_or_insert(now + GROUP_TIME);
    }

    /// Rows that were answered and are still in the outbox.
    pub fn open(&self) -> usize {
        self.rows.len()
    }

    pub fn contains(&self, row: i64) -> bool {
        self.rows.contains(&row)
    }

    /// Whether a group is being stored.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// When [`Settlement::group`] has something to give.
    pub fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| !self.is_running)?;
        Some(self.paused_until.map_or(due, |paused| paused.max(due)))
    }

    /// What has to be stored now: if it is time, or a group of `full` rows waits.
    pub fn group(&mut self, full: usize, now: Instant) -> Option<Group> {
        let due = self.due()?;
        let full = self.waiting.len() >= full && self.paused_until.is_none_or(|paused| paused <= now);
        if due <= now || full { self.all(full) } else { None }
    }

    /// What has to be stored, now or later.
    pub fn all(&mut self, at_once: bool) -> Option<Group> {
        if self.is_running || self.waiting.is_empty() {
            return None;
        }
        (self.due, self.is_running) = (None, true);
        Some(Group { answers: std::mem::take(&mut self.waiting), at_once })
    }

    /// To be told what became of the last group.
    pub fn after(&mut self, settled: &mut Settled, now: Instant) {
        self.is_running = false;
        self.waiting.append(&mut settled.left);
        self.rows = self.waiting.iter().map(|answered| answered.row).collect();
        if !self.waiting.is_empty() {
            self.due.get_or_insert(now + GROUP_TIME);
        }
        self.paused_until = settled.error.is_some().then(|| now + FAULT_PAUSE);
    }
}

impl Group {
    /// Stores the answers.
    pub fn settle(self, ledger: &impl Ledger) -> Settled {
        let (delivered, refused): (Vec<_>, Vec<_>) =
            self.answers.into_iter().partition(|answer| answer.fate == Fate::Delivered);
        let rows: Vec<i64> = delivered.iter().map(|answered| answered.row).collect();
        if !rows.is_empty()
            && let Err(error) = ledger.delivered(rows, self.at_once)
        {
            return Settled { error: Some(error), left: [delivered, refused].concat(), ..Settled::default() };
        }
        let mut settled = Settled { delivered: delivered.len(), ..Settled::default() };
        refused.into_iter().for_each(|answered| settled.note(ledger, answered));
        settled
    }
}

impl Settled {
    /// What was to be stored may not be: its rows are read again.
    pub fn failed(error: JournalError) -> Self {
        Settled { error: Some(error), ..Settled::default() }
    }

    fn note(&mut self, ledger: &impl Ledger, answered: Answered) {
        let (outcome, reason) = match &answered.fate {
            Fate::Delivered => return,
            Fate::Refused(reason) => (ledger.refused(answered.row, reason.clone()), reason),
            Fate::Impossible(reason) => (ledger.set_aside(answered.row, reason.clone()), reason),
        };
        match outcome {
            Ok(Refused::StaysInQueue) => (),
            Ok(Refused::SetAside) => self.set_aside.push((answered.row, reason.clone())),
            Err(error) => {
                self.error = Some(error);
                self.left.push(answered);
            }
        }
    }
}
