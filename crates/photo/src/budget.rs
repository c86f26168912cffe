//! Memory for decoding photos: a fixed amount for the whole process, from which each decoding first takes a share.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Limit in bytes on all decodings of a process together. Requests are served in order of arrival, so small photos
/// cannot starve a large one.
#[derive(Debug)]
pub struct MemoryBudget {
    state: Mutex<State>,
    changed: Condvar,
    bytes: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes taken and not yet returned.
    taken: u64,
    /// Tickets of the waiting requests, in order of arrival.
    waiting: VecDeque<u64>,
    /// Ticket of the next request.
    next_ticket: u64,
}

/// Part of a [`MemoryBudget`], returned to the budget on drop.
#[must_use = "the memory is free again as soon as this is dropped"]
#[derive(Debug)]
pub struct MemoryShare<'a> {
    budget: &'a MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// Creates a budget of this many bytes, all of them free.
    pub fn new(bytes: u64) -> Self {
        MemoryBudget { state: Mutex::default(), changed: Condvar::new(), bytes }
    }

    /// Blocks until this many bytes are free, then takes them. A request for more than the budget takes all of it;
    /// refusing photos that large is the task of [`Limits`](crate::Limits).
    pub fn take(&self, bytes: u64) -> MemoryShare<'_> {
        let bytes = bytes.min(self.bytes);
        let mut state = self.state();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.push_back(ticket);
        while state.waiting.front() != Some(&ticket) || state.taken + bytes > self.bytes {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.pop_front();
        state.taken += bytes;
        drop(state);
        self.changed.notify_all();
        MemoryShare { budget: self, bytes }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for MemoryShare<'_> {
    fn drop(&mut self) {
        self.budget.state().taken -= self.bytes;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn what_is_taken_at_once_stays_within_the_budget() {
        let (budget, now, most) = (MemoryBudget::new(100), AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for worker in 0..8_u64 {
                let (budget, now, most) = (&budget, &now, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        let bytes = 1 + (worker * 37 + round * 11) % 70;
                        let share = budget.take(bytes);
                        most.fetch_max(now.fetch_add(bytes, Ordering::SeqCst) + bytes, Ordering::SeqCst);
                        thread::yield_now();
                        now.fetch_sub(bytes, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        let most = most.into_inner();
        assert!((71..=100).contains(&most), "{most}");
        assert_eq!(budget.state().taken, 0);
    }

    #[test]
    fn more_than_there_is_takes_all_of_it() {
        let budget = MemoryBudget::new(10);
        let share = budget.take(u64::MAX);
        assert_eq!(share.bytes, 10);
        drop(share);
        drop(budget.take(10));
    }

    #[test]
    fn a_large_share_is_not_passed_by_small_ones() {
        let budget = MemoryBudget::new(10);
        let order = Mutex::new(Vec::new());
        let first = budget.take(5);
        thread::scope(|scope| {
            let wait_for = |waiting| {
                while budget.state().waiting.len() < waiting {
                    thread::yield_now();
                }
            };
            let take = |bytes| {
                let share = budget.take(bytes);
                order.lock().expect("whole").push(bytes);
                drop(share);
            };
            scope.spawn(move || take(10));
            wait_for(1);
            let (budget, order) = (&budget, &order);
            scope.spawn(move || {
                let share = budget.take(1);
                order.lock().expect("whole").push(1);
                drop(share);
            });
            wait_for(2);
            drop(first);
        });
        assert_eq!(order.into_inner().expect("whole"), [10, 1]);
    }
}
