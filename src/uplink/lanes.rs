//! The outbox as the uplink reads it: a lane for each class, the most urgent first. A row that comes while thousands
//! wait in a lower lane leaves with the next publish.

use std::collections::VecDeque;

use crate::journal::{EventClass, OutboxRow};

/// Rows that are fetched at once. They are few, so that little is read twice after a broken link.
const PAGE_ROWS: usize = 64;

/// Where reading stands in each class.
#[derive(Debug)]
pub struct Lanes([Lane; 5]);

#[derive(Debug)]
struct Lane {
    class: EventClass,
    /// The last row that was fetched.
    after: i64,
    /// Whether the outbox may hold rows beyond `after`.
    more: bool,
    rows: VecDeque<OutboxRow>,
}

impl Lanes {
    pub fn new() -> Self {
        Lanes(EventClass::ALL.map(|class| Lane { class, after: 0, more: true, rows: VecDeque::new() }))
    }

    /// The outbox may have new rows.
    pub fn woken(&mut self) {
        self.0.iter_mut().for_each(|lane| lane.more = true);
    }

    /// Starts again with the oldest rows.
    pub fn rewind(&mut self) {
        *self = Lanes::new();
    }

    /// Whether `front` may find something.
    pub fn may_have_rows(&self, last: EventClass) -> bool {
        self.up_to(last).any(|lane| lane.more || !lane.rows.is_empty())
    }

    /// The next row of the classes up to `last`. `read` fetches rows where needed: class, the row before, row count.
    /// Rows that `is_known` tells are left out as they are fetched: later they may be forgotten, because delivered.
    pub fn front<E>(
        &mut self,
        last: EventClass,
        is_known: impl Fn(i64) -> bool,
        mut read: impl FnMut(EventClass, i64, usize) -> Result<Vec<OutboxRow>, E>,
    ) -> Result<Option<&OutboxRow>, E> {
        for lane in self.0.iter_mut().filter(|lane| lane.class <= last) {
            while lane.rows.is_empty() && lane.more {
                lane.fetch(&is_known, &mut read)?;
            }
            if !lane.rows.is_empty() {
                return Ok(lane.rows.front());
            }
        }
        Ok(None)
    }

    /// Takes the row that `front` showed.
    pub fn take(&mut self, class: EventClass) -> Option<OutboxRow> {
        self.0[class as usize].rows.pop_front()
    }

    fn up_to(&self, last: EventClass) -> impl Iterator<Item = &Lane> {
        self.0.iter().filter(move |lane| lane.class <= last)
    }
}

impl Lane {
    fn fetch<E>(
        &mut self,
        is_known: &impl Fn(i64) -> bool,
        read: &mut impl FnMut(EventClass, i64, usize) -> Result<Vec<OutboxRow>, E>,
    ) -> Result<(), E> {
        self.rows = read(self.class, self.after, PAGE_ROWS)?.into();
        self.more = !self.rows.is_empty();
        if let Some(row) = self.rows.back() {
            self.after = row.id;
        }
        self.rows.retain(|row| !is_known(row.id));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;

    use super::*;

    /// An outbox in memory, and the rows that are on their way.
    struct Rows(RefCell<Vec<(EventClass, i64)>>, std::ops::Range<i64>);

    impl Rows {
        fn read(&self, class: EventClass, after: i64, limit: usize) -> Result<Vec<OutboxRow>, Infallible> {
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
            Ok(of_class.take(limit).map(|(_, id)| row(*id)).collect())
        }

        fn next(&self, lanes: &mut Lanes, last: EventClass) -> Option<i64> {
            let is_known = |id| self.1.contains(&id);
            let Ok(front) = lanes.front(last, is_known, |class, after, limit| self.read(class, after, limit));
            let class = front?.class;
            lanes.take(class).map(|row| row.id)
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
        assert!(!lanes.may_have_rows(EventClass::Thumbnail));
    }

    #[test]
    fn lower_classes_wait_for_all_others_or_stay() {
        let all = [EventClass::Thumbnail, EventClass::Detail, EventClass::Correction, EventClass::Result];
        let rows = Rows(RefCell::new(all.iter().zip(1..).map(|(class, id)| (*class, id)).collect()), 0..0);
        let mut lanes = Lanes::new();
        let order = |lanes: &mut Lanes, last| std::iter::from_fn(|| rows.next(lanes, last)).collect::<Vec<_>>();
        assert_eq!(order(&mut lanes, EventClass::Correction), [4, 3]);
        assert!(!lanes.may_have_rows(EventClass::Correction) && lanes.may_have_rows(EventClass::Thumbnail));
        assert_eq!(order(&mut lanes, EventClass::Thumbnail), [2, 1]);
        lanes.rewind();
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
