//! The outbox as the uplink reads it: one lane for each class, the most urgent first.
//!
//! An urgent row that arrives while thousands wait in lower lanes leaves with the next publish.

use std::collections::VecDeque;

use bridgeclip_journal::{EventClass, OutboxRow, Page};

/// Number of rows fetched at once: few, so that a broken link causes little repeated reading.
const PAGE_ROWS: usize = 64;

/// The reading positions of all classes.
#[derive(Debug)]
pub struct Lanes([Lane; 5]);

/// The reading position of one class.
#[derive(Debug)]
struct Lane {
    class: EventClass,
    /// Id up to which rows were fetched.
    after: i64,
    /// Whether the outbox may contain rows beyond `after`.
    more: bool,
    /// Rows that were fetched but not sent yet.
    rows: VecDeque<OutboxRow>,
}

impl Lanes {
    /// Starts all lanes at their oldest rows.
    pub fn new() -> Self {
        Lanes(EventClass::ALL.map(|class| Lane { class, after: 0, more: true, rows: VecDeque::new() }))
    }

    /// Notes that the outbox may have new rows.
    pub fn woken(&mut self) {
        self.0.iter_mut().for_each(|lane| lane.more = true);
    }

    /// Starts again with the oldest rows of the classes for which `of` returns true.
    pub fn rewind(&mut self, of: impl Fn(EventClass) -> bool) {
        for lane in self.0.iter_mut().filter(|lane| of(lane.class)) {
            *lane = Lane { class: lane.class, after: 0, more: true, rows: VecDeque::new() };
        }
    }

    /// Drops fetched rows for which `is_held` returns true.
    pub fn drop_rows(&mut self, is_held: impl Fn(&OutboxRow) -> bool) {
        self.0.iter_mut().for_each(|lane| lane.rows.retain(|row| !is_held(row)));
    }

    /// Reports whether there are, or may be, rows in the classes for which `of` returns true.
    pub fn may_have_rows(&self, of: impl Fn(EventClass) -> bool) -> bool {
        self.0.iter().any(|lane| of(lane.class) && (lane.more || !lane.rows.is_empty()))
    }

    /// Fetches rows of a class if none are fetched.
    ///
    /// The arguments of `read` are the class, the id after which to start, and the number of rows. Rows for which
    /// `is_known` returns true are dropped at once, as they may no longer be known, because delivered, by the time it
    /// is their turn.
    pub fn fill<E>(
        &mut self,
        class: EventClass,
        is_known: impl Fn(i64) -> bool,
        read: impl Fn(EventClass, i64, usize) -> Result<Page, E>,
    ) -> Result<(), E> {
        let lane = &mut self.0[class as usize];
        while lane.rows.is_empty() && lane.more {
            lane.fetch(&is_known, &read)?;
        }
        Ok(())
    }

    /// Returns the next fetched row of a class.
    pub fn front(&self, class: EventClass) -> Option<&OutboxRow> {
        self.0[class as usize].rows.front()
    }

    /// Takes the row that `front` returned.
    pub fn take(&mut self, class: EventClass) -> Option<OutboxRow> {
        self.0[class as usize].rows.pop_front()
    }
}

impl Lane {
    fn fetch<E>(
        &mut self,
        is_known: &impl Fn(i64) -> bool,
        read: &impl Fn(EventClass, i64, usize) -> Result<Page, E>,
    ) -> Result<(), E> {
        let Page { rows, read_to } = read(self.class, self.after, PAGE_ROWS)?;
        self.more = !rows.is_empty();
        self.after = read_to;
        self.rows = rows.into_iter().filter(|row| !is_known(row.id)).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    /// An outbox in memory, and the ids of the rows that are on their way.
    struct Rows(RefCell<Vec<(EventClass, i64)>>, std::ops::Range<i64>);

    impl Rows {
        fn read(&self, class: EventClass, after: i64, limit: usize) -> Result<Page, Infallible> {
            let row = |id| OutboxRow {
                id,
                class,
                event_id: String::new(),
                topic: String::new(),
                payload: Vec::new(),
                tries: 0,
            };
            let rows = self.0.borrow();
            let of_class = rows.iter().filter(|(of, id)| *of == class && *id > after);
            let rows: Vec<_> = of_class.take(limit).map(|(_, id)| row(*id)).collect();
            let read_to = rows.last().map_or(after, |row| row.id);
            Ok(Page { rows, read_to })
        }

        /// Returns the next row of the classes up to `last`.
        fn next(&self, lanes: &mut Lanes, last: EventClass) -> Option<i64> {
            let next = |class| {
                let is_known = |id| self.1.contains(&id);
                let Ok(()) = lanes.fill(class, is_known, |class, after, limit| self.read(class, after, limit));
                lanes.take(class).map(|row| row.id)
            };
            EventClass::ALL.into_iter().filter(|class| *class <= last).find_map(next)
        }
    }

    #[test]
    fn an_urgent_row_overtakes_a_long_queue() {
        let rows = Rows(RefCell::new((1..=1_000).map(|id| (EventClass::Result, id)).collect()), 0..0);
        let mut lanes = Lanes::new();
        for id in 1..=10 {
            assert_eq!(rows.next(&mut lanes, EventClass::Thumbnail), Some(id));
        }
        rows.0.borrow_mut().push((EventClass::Urgent, 1_001));
        lanes.woken();
        assert_eq!(rows.next(&mut lanes, EventClass::Thumbnail), Some(1_001));
        for id in 11..=1_000 {
            assert_eq!(rows.next(&mut lanes, EventClass::Thumbnail), Some(id));
        }
        assert_eq!(rows.next(&mut lanes, EventClass::Thumbnail), None);
        assert!(!lanes.may_have_rows(|_| true));
    }

    #[test]
    fn lower_classes_wait_for_all_others_or_stay() {
        let all = [EventClass::Thumbnail, EventClass::Detail, EventClass::Correction, EventClass::Result];
        let rows = Rows(RefCell::new(all.iter().zip(1..).map(|(class, id)| (*class, id)).collect()), 0..0);
        let mut lanes = Lanes::new();
        let order = |lanes: &mut Lanes, last| std::iter::from_fn(|| rows.next(lanes, last)).collect::<Vec<_>>();
        assert_eq!(order(&mut lanes, EventClass::Correction), [4, 3]);
        assert!(!lanes.may_have_rows(|class| class <= EventClass::Correction) && lanes.may_have_rows(|_| true));
        assert_eq!(order(&mut lanes, EventClass::Thumbnail), [2, 1]);
        lanes.rewind(|_| true);
        assert_eq!(order(&mut lanes, EventClass::Thumbnail), [4, 3, 2, 1]);
    }

    #[test]
    fn rows_on_their_way_are_passed_over_page_by_page() {
        let rows = Rows(RefCell::new((1..=200).map(|id| (EventClass::Result, id)).collect()), 1..191);
        let mut lanes = Lanes::new();
        let order: Vec<_> = std::iter::from_fn(|| rows.next(&mut lanes, EventClass::Thumbnail)).collect();
        assert_eq!(order, (191..=200).collect::<Vec<_>>());
    }
}
