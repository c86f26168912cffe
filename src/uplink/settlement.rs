//! What the broker has answered for, until `device.db` knows it.
//!
//! Acknowledged rows are deleted in groups, on another thread: a sync of a memory card may take long, and each one
//! wears it. They count as open until they are gone: after a crash they are sent again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::journal::{Journal, JournalError, Refused};

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
    rows: HashSet<i64>,
    running: Option<JoinHandle<Settled>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    row: i64,
    fate: Fate,
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

/// What one group came to.
#[derive(Debug, Default)]
pub struct Settled {
    pub delivered: usize,
    /// Rows that will be tried again.
    pub again: usize,
    /// Rows that are not sent any more, with the reason.
    pub set_aside: Vec<(i64, String)>,
    /// Nothing of `left` is known to be in the database.
    pub error: Option<JournalError>,
    left: Vec<Answered>,
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

    /// When `start` should be called next.
    pub fn due(&self) -> Option<Instant> {
        let due = self.due.filter(|_| self.running.is_none())?;
        Some(self.paused_until.map_or(due, |paused| paused.max(due)))
    }

    /// Begins to settle, if it is time or a group of `full` rows waits.
    pub fn start(&mut self, journal: &Journal, full: usize, now: Instant) {
        let Some(due) = self.due() else { return };
        let full = self.waiting.len() >= full && self.paused_until.is_none_or(|paused| paused <= now);
        if due <= now || full {
            self.begin(journal, full);
        }
    }

    /// Waits for the running group; for ever if there is none.
    pub async fn finished(&mut self) -> Settled {
        match &mut self.running {
            Some(task) => task.await.unwrap_or_else(|_| Settled::failed(JournalError::Stopped, Vec::new())),
            None => std::future::pending().await,
        }
    }

    /// To be called with what `finished` gave.
    pub fn after(&mut self, settled: &mut Settled, now: Instant) {
        self.running = None;
        self.waiting.append(&mut settled.left);
        self.rows = self.waiting.iter().map(|answered| answered.row).collect();
        if !self.waiting.is_empty() {
            self.due.get_or_insert(now + GROUP_TIME);
        }
        self.paused_until = settled.error.is_some().then(|| now + FAULT_PAUSE);
    }

    /// At the end of a session, before the queue is read by another one: settles everything, one try each. A row that
    /// stays is sent again, and its receiver ignores the known id.
    pub async fn finish(&mut self, journal: &Journal, mut tell: impl FnMut(&Settled)) {
        for _ in 0..2 {
            if self.running.is_none() && !self.waiting.is_empty() {
                self.begin(journal, true);
            }
            if self.running.is_some() {
                let mut settled = self.finished().await;
                tell(&settled);
                self.after(&mut settled, Instant::now());
            }
        }
    }

    /// `at_once`: others that would share the commit are not waited for.
    fn begin(&mut self, journal: &Journal, at_once: bool) {
        let (journal, group) = (journal.clone(), std::mem::take(&mut self.waiting));
        self.due = None;
        self.running = Some(tokio::task::spawn_blocking(move || settle(&journal, group, at_once)));
    }
}

impl Settled {
    fn failed(error: JournalError, left: Vec<Answered>) -> Self {
        Settled { error: Some(error), left, ..Settled::default() }
    }
}

fn settle(journal: &Journal, group: Vec<Answered>, at_once: bool) -> Settled {
    let (delivered, refused): (Vec<_>, Vec<_>) = group.into_iter().partition(|answer| answer.fate == Fate::Delivered);
    let rows: Vec<i64> = delivered.iter().map(|answered| answered.row).collect();
    let remove = if at_once { Journal::delivered_now } else { Journal::delivered };
    if !rows.is_empty()
        && let Err(error) = remove(journal, rows)
    {
        return Settled::failed(error, [delivered, refused].concat());
    }
    let mut settled = Settled { delivered: delivered.len(), ..Settled::default() };
    for answered in refused {
        settled.note(journal, answered);
    }
    settled
}

impl Settled {
    fn note(&mut self, journal: &Journal, answered: Answered) {
        let (outcome, reason) = match &answered.fate {
            Fate::Delivered => return,
            Fate::Refused(reason) => (journal.refused(answered.row, reason.clone()), reason),
            Fate::Impossible(reason) => (journal.set_aside(answered.row, reason.clone()), reason),
        };
        match outcome {
            Ok(Refused::StaysInQueue) => self.again += 1,
            Ok(Refused::SetAside) => self.set_aside.push((answered.row, reason.clone())),
            Err(error) => {
                self.error = Some(error);
                self.left.push(answered);
            }
        }
    }
}
