//! The choice of the held or doubted event that is tried next.

use bridgeclip_journal::{EventClass, JournalError, OutboxRow, Topics, Which};

use crate::action::Turn;
use crate::dispatch::Dispatch;
use crate::scope::{EventKind, Scope};

/// Number of rows that are read at once in search of an event to try.
const PAGE_ROWS: usize = 16;

/// Result of the search for an event to try.
enum Found {
    /// An event to try.
    Row(OutboxRow),
    /// The scope holds no event.
    Nothing,
    /// Something else that holds the events back must be tried first, or a try is under way.
    NotNow,
}

impl Dispatch {
    /// Chooses an event to try, the most urgent class first, unless one is chosen already.
    pub(super) fn choose(&mut self, turn: &Turn) -> Result<(), JournalError> {
        if self.candidate.is_some() || !self.holds_back() {
            return Ok(());
        }
        let held = self.of_what_is_held(turn)?;
        let class = held.as_ref().map(|row| row.class);
        let doubted = self.of_what_is_doubted(turn, class)?;
        self.candidate = doubted.or(held);
        Ok(())
    }

    /// Returns an event of a held scope that may be tried now. A scope without events is lifted.
    fn of_what_is_held(&mut self, turn: &Turn) -> Result<Option<OutboxRow>, JournalError> {
        let mut best: Option<OutboxRow> = None;
        for scope in self.holds.due(turn.now).cloned().collect::<Vec<_>>() {
            let Some(topics) = scope.topics() else {
                self.lift_if_empty(&scope, turn)?;
                continue;
            };
            match self.find(&scope, topics, turn)? {
                Found::Row(row) if best.as_ref().is_none_or(|best| row.class < best.class) => best = Some(row),
                Found::Row(_) | Found::NotNow => (),
                Found::Nothing => self.lift(&scope),
            }
        }
        Ok(best)
    }

    /// Lifts a scope that holds no event. The events that were passed over because of it are read again.
    fn lift(&mut self, scope: &Scope) {
        self.holds.remove(scope);
        self.lanes.rewind(|class| scope.may_cover(class));
    }

    /// Lifts a scope without topics if it holds no event. Otherwise the next event of the queue serves as the try.
    fn lift_if_empty(&mut self, scope: &Scope, turn: &Turn) -> Result<(), JournalError> {
        for class in turn.classes().filter(|class| scope.may_cover(*class)) {
            if !turn.queue.page(class, 0, 1, Which::All)?.rows.is_empty() {
                // Each of its events has been tried: start again with the oldest.
                if !self.lanes.may_have_rows(|of| of == class) {
                    self.lanes.rewind(|of| of == class);
                }
                return Ok(());
            }
        }
        self.lift(scope);
        Ok(())
    }

    /// Finds an event of a scope, preferably one that was never refused singly, so that no single event keeps all
    /// others back.
    fn find(&mut self, scope: &Scope, topics: &Topics, turn: &Turn) -> Result<Found, JournalError> {
        let mut found = Found::Nothing;
        for class in turn.classes().filter(|class| scope.may_cover(*class)) {
            if !self.holds.is_open(&EventKind { class, topics: topics.clone() }, turn.now) {
                found = Found::NotNow;
            } else if let Some(row) = self.unknown_row(class, topics, turn)? {
                return Ok(Found::Row(row));
            }
        }
        while let Some(row) = self.doubts.oldest(scope, |row, kind| self.may_go(row, kind, turn)) {
            match self.row(row, turn)? {
                Some(row) => return Ok(Found::Row(row)),
                None => self.doubts.remove(row),
            }
        }
        let is_under_way = self.on_way.values().any(|way| scope.covers(&way.kind));
        Ok(if is_under_way { Found::NotNow } else { found })
    }

    /// Reports whether a doubted event may be sent now.
    fn may_go(&self, row: i64, kind: &EventKind, turn: &Turn) -> bool {
        let is_under_way = self.settlement.contains(row) || self.on_way.contains_key(&row);
        !is_under_way && kind.class <= turn.settings.last_class() && self.holds.is_open(kind, turn.now)
    }

    /// Returns the first event of a class on these topics that is neither under way nor doubted.
    fn unknown_row(&self, class: EventClass, topics: &Topics, turn: &Turn) -> Result<Option<OutboxRow>, JournalError> {
        let mut after = 0;
        loop {
            let page = turn.queue.page(class, after, PAGE_ROWS, Which::Only(topics))?;
            let Some(last) = page.rows.last() else { return Ok(None) };
            after = last.id;
            if let Some(row) = page.rows.into_iter().find(|row| !self.is_known(row.id)) {
                return Ok(Some(row));
            }
        }
    }

    /// Reports whether the event is under way or doubted.
    fn is_known(&self, row: i64) -> bool {
        self.settlement.contains(row) || self.on_way.contains_key(&row) || self.doubts.contains(row)
    }

    /// Returns a doubted event whose pause is over, of a class more urgent than `before`.
    fn of_what_is_doubted(
        &mut self,
        turn: &Turn,
        before: Option<EventClass>,
    ) -> Result<Option<OutboxRow>, JournalError> {
        for class in turn.classes().filter(|class| before.is_none_or(|before| *class < before)) {
            while let Some(id) = self.next_doubted(class, turn) {
                match self.row(id, turn)? {
                    Some(row) => return Ok(Some(row)),
                    None => self.doubts.remove(id),
                }
            }
        }
        Ok(None)
    }

    /// Returns the id of the doubted event of a class that may be tried now and has waited longest.
    fn next_doubted(&self, class: EventClass, turn: &Turn) -> Option<i64> {
        let may_go = |row, kind: &EventKind| self.holds.is_free(kind) && self.may_go(row, kind, turn);
        self.doubts.due(class, turn.now, may_go)
    }

    /// Returns the row with this id, or `None` if it is gone.
    fn row(&self, id: i64, turn: &Turn) -> Result<Option<OutboxRow>, JournalError> {
        let Some(class) = EventClass::of(id) else { return Ok(None) };
        let page = turn.queue.page(class, id - 1, 1, Which::All)?;
        Ok(page.rows.into_iter().find(|row| row.id == id))
    }
}
