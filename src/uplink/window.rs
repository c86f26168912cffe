//! Which rows are on their way, and which packet carries which row.
//!
//! The client library numbers packets itself and tells the numbers in the order of sending, so the n-th number
//! belongs to the n-th publish that was handed over.

use std::collections::{HashMap, VecDeque};

/// A packet that was handed to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A status message: nothing waits for its acknowledgement.
    Status,
    /// An event, by its row in the outbox.
    Row(i64),
}

/// The publishes of one connection that are not acknowledged yet.
#[derive(Debug)]
pub struct Window {
    limit: usize,
    /// Handed over, packet number not known yet.
    unnumbered: VecDeque<Sent>,
    numbered: HashMap<u16, Sent>,
    /// Every publish since the oldest unacknowledged one, with whether it is acknowledged. Packet numbers wrap after
    /// `limit` publishes, so this never grows beyond it.
    order: VecDeque<(Sent, bool)>,
}

impl Window {
    pub fn new(limit: u16) -> Self {
        let limit = usize::from(limit);
        Window { limit, unnumbered: VecDeque::new(), numbered: HashMap::new(), order: VecDeque::new() }
    }

    /// How many more publishes may be handed over.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.order.len())
    }

    /// Whether at least a quarter is free, so that it pays to fetch rows.
    pub fn is_roomy(&self) -> bool {
        self.room() >= self.limit.div_ceil(4)
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether the row is on its way.
    pub fn contains(&self, id: i64) -> bool {
        self.order.contains(&(Sent::Row(id), false))
    }

    /// A publish was handed to the client.
    pub fn handed_over(&mut self, sent: Sent) {
        self.unnumbered.push_back(sent);
        self.order.push_back((sent, false));
    }

    /// The client sent the next publish under this number.
    pub fn numbered(&mut self, packet: u16) {
        if let Some(sent) = self.unnumbered.pop_front() {
            self.numbered.insert(packet, sent);
        }
    }

    /// The broker answered for this number. `None` for a number that is not on its way.
    pub fn acknowledged(&mut self, packet: u16) -> Option<Sent> {
        let sent = self.numbered.remove(&packet)?;
        if let Some(entry) = self.order.iter_mut().find(|entry| **entry == (sent, false)) {
            entry.1 = true;
        }
        while self.order.front().is_some_and(|(_, acknowledged)| *acknowledged) {
            self.order.pop_front();
        }
        Some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_joined_in_the_order_of_sending() {
        let mut window = Window::new(4);
        window.handed_over(Sent::Status);
        window.handed_over(Sent::Row(7));
        window.handed_over(Sent::Row(8));
        for packet in [1, 2, 3] {
            window.numbered(packet);
        }
        assert_eq!(window.acknowledged(3), Some(Sent::Row(8)));
        assert_eq!(window.acknowledged(3), None, "repeated");
        assert_eq!(window.acknowledged(9), None, "foreign");
        assert!(window.contains(7) && !window.contains(8));
        assert_eq!(window.room(), 1, "the oldest is still open");
        assert_eq!(window.acknowledged(1), Some(Sent::Status));
        assert_eq!(window.acknowledged(2), Some(Sent::Row(7)));
        assert!(window.is_empty());
        assert_eq!(window.room(), 4);
    }
}
