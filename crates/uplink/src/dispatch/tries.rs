//! The choice of what is tried next, of what is held back or doubted.

use bridgeclip_journal::{EventClass, JournalError, OutboxRow, Topics, Which};

use super::Dispatch;
use crate::action::Turn;
use crate::scope::{Kind, Scope};

/// Rows that are read at once in search of one to try.
const PAGE_ROWS: usize = 16;

/// What was found for a try.
enum Found {
    Row(OutboxRow),
    Nothing,
    /// Something else that holds it back has to be tried first, or later.
    NotNow,
}

impl Dispatch {
    /// Looks for something to try, unless something is chosen already. The most urgent class goes first.
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

    /// What holds nothing is not held. What was passed over on its account is looked at again.
    fn lift(&mut self, scope: &Scope) {
        self.holds.remove(scope);
        self.lanes.rewind(|class| scope.may_cover(class));
    }

    /// The link as a whole has no topics of its own: the next event that comes up is the try.
    fn lift_if_empty(&mut self, scope: &Scope, turn: &Turn) -> Result<(), JournalError> {
        for class in turn.classes().filter(|class| scope.may_cover(*class)) {
            if !turn.queue.page(class, 0, 1, Which::All)?.rows.is_empty() {
                // Each of them has been tried: again from the oldest.
                if !self.lanes.may_have_rows(|of| of == class) {
                    self.lanes.rewind(|of| of == class);
                }
                return Ok(());
            }
        }
        self.lift(scope);
        Ok(())
    }

    /// An event that was not refused singly before, if there is one: so no single event can keep all others back.
    fn find(&mut self, scope: &Scope, topics: &Topics, turn: &Turn) -> Result<Found, JournalError> {
        let mut found = Found::Nothing;
        for class in turn.classes().filter(|class| scope.may_cover(*class)) {
            if !self.holds.is_open(&Kind { class, topics: topics.clone() }, turn.now) {
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

    fn may_go(&self, row: i64, kind: &Kind, turn: &Turn) -> bool {
        let is_under_way = self.settlement.contains(row) || self.on_way.contains_key(&row);
        !is_under_way && kind.class <= turn.settings.last_class() && self.holds.is_open(kind, turn.now)
    }

    /// The first event of a class on these topics that is neither under way nor doubted.
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

    fn is_known(&self, row: i64) -> bool {
        self.settlement.contains(row) || self.on_way.contains_key(&row) || self.doubts.contains(row)
    }

    /// An event whose pause is over, of a class that is as urgent as this one at least.
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

    fn next_doubted(&self, class: EventClass, turn: &Turn) -> Option<i64> {
        let may_go = |row, kind: &Kind| self.holds.is_free(kind) && self.may_go(row, kind, turn);
        self.doubts.due(class, turn.now, may_go)
    }

    /// The row with this id; `None` if it is gone.
    fn row(&self, id: i64, turn: &Turn) -> Result<Option<OutboxRow>, JournalError> {
        let Some(class) = EventClass::of(id) else { return Ok(None) };
        let page = turn.queue.page(class, id - 1, 1, Which::All)?;
        Ok(page.rows.into_iter().find(|row| row.id == id))
    }
}
