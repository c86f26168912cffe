//! The broker's answers on their way into `device.db`.
//!
//! Acknowledged rows are deleted in groups by whoever carries out [`crate::Action::Settle`], because each sync of a
//! memory card takes time and wears it. Rows count as open until they are deleted: after a crash they are sent again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bridgeclip_journal::{Journal, JournalError, Refused};

/// Time that acknowledged rows wait for other rows to share a commit.
const GROUP_TIME: Duration = Duration::from_millis(100);
/// Pause after `device.db` refused a change.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// The answers that are not stored yet.
#[derive(Debug, Default)]
pub struct Settlement {
    waiting: Vec<Answered>,
    /// Time at which the first of `waiting` has waited long enough.
    due: Option<Instant>,
    /// Time before which no change is tried, after one failed.
    paused_until: Option<Instant>,
    /// All answered rows that are not settled yet.
    rows: BTreeSet<i64>,
    /// Whether a group is being stored.
    is_running: bool,
}

/// A row of the outbox, and the effect of the broker's answer on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Id of the row in the outbox.
    pub row: i64,
    /// Effect of the answer.
    pub fate: Fate,
}

/// The effect of an answer on a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The broker took the event, which leaves the outbox.
    Delivered,
    /// The broker refused this one event; it is tried again, but not for ever.
    Refused(String),
    /// The event cannot be sent to this broker.
    Impossible(String),
}

/// Answers that are stored together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Answers of the group.
    pub answers: Vec<Answered>,
    /// Whether to commit at once, without waiting for other changes that could share the commit.
    pub at_once: bool,
}

/// The result of storing a group.
#[derive(Debug, Default)]
pub struct Settled {
    /// Number of events that were removed from the outbox.
    pub delivered: usize,
    /// Rows that are no longer sent, with the reasons.
    pub set_aside: Vec<(i64, String)>,
    /// The failure, if there was one.
    pub error: Option<JournalError>,
    /// Answers that may not have reached the database.
    pub left: Vec<Answered>,
}

/// The database in which answers are stored.
pub trait Ledger {
    /// Removes acknowledged events from the outbox. `at_once` commits without waiting for other changes.
    fn delivered(&self, rows: Vec<i64>, at_once: bool) -> Result<(), JournalError>;

    /// Notes that the broker refused an event while it took others. An event with too many refusals is set aside.
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
    /// Adds an answer.
    pub fn add(&mut self, row: i64, fate: Fate, now: Instant) {
        self.rows.insert(row);
        self.waiting.push(Answered { row, fate });
        self.due.get_or_insert(now + GROUP_TIME);
    }

    /// Returns the number of rows that were answered but are still in the outbox.
    pub fn open(&self) -> usize {
        self.rows.len()
    }

    /// Reports whether the row was answered and is not settled yet.
    pub fn contains(&self, row: i64) -> bool {
        self.rows.contains(&row)
    }

    /// Reports whether a group is being stored.
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Returns the time at which [`Settlement::group`] has a group.
    pub fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| !self.is_running)?;
        Some(self.paused_until.map_or(due, |paused| paused.max(due)))
    }

    /// Returns the group that must be stored now, because its time has come or because `full` answers wait.
    pub fn group(&mut self, full: usize, now: Instant) -> Option<Group> {
        let due = self.due()?;
        let full = self.waiting.len() >= full && self.paused_until.is_none_or(|paused| paused <= now);
        if due <= now || full { self.all(full) } else { None }
    }

    /// Returns all waiting answers as a group, whether they are due or not; `None` if there are none, or one is being
    /// stored.
    pub fn all(&mut self, at_once: bool) -> Option<Group> {
        if self.is_running || self.waiting.is_empty() {
            return None;
        }
        (self.due, self.is_running) = (None, true);
        Some(Group { answers: std::mem::take(&mut self.waiting), at_once })
    }

    /// Notes the result of the last group.
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
    /// Returns the result of a group that is lost with its storing task: its rows are read and sent again.
    pub fn failed(error: JournalError) -> Self {
        Settled { error: Some(error), ..Settled::default() }
    }

    /// Stores an answer other than a delivery, and adds its result.
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
