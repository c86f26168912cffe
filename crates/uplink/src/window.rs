//! The messages on their way, and the packets that carry them.
//!
//! The client library numbers packets itself and reports the numbers in the order of sending, so the n-th number
//! belongs to the n-th message handed over.

use std::collections::{BTreeMap, VecDeque};

/// Maximum number of bytes on their way before the next message waits. Pings queue behind them: at 2 KB/s, the slowest
/// usable rate, a ping must be answered within the keep-alive time.
const BYTES_MAX: usize = 64 * 1024;

/// Identity of a message that was handed to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sent {
    /// The device's status.
    Status,
    /// A health report; it has QoS 0, so it is never in a window.
    Health,
    /// The subscription to commands.
    Subscription,
    /// A reply to a command, by the number that the uplink gave it.
    Reply(u64),
    /// An event, by its id in the outbox.
    Event(i64),
}

/// The unacknowledged messages of one connection.
#[derive(Debug)]
pub struct Window {
    /// Maximum number of entries in `order`.
    limit: usize,
    /// Messages whose packet id is not known yet, in the order of sending.
    unnumbered: VecDeque<Sent>,
    /// Unacknowledged messages by packet id.
    numbered: BTreeMap<u16, Sent>,
    /// Every message since the oldest unacknowledged one. Packet ids wrap after `limit` messages, so this never grows
    /// beyond it.
    order: VecDeque<Entry>,
    /// Size of all unacknowledged messages in bytes.
    bytes: usize,
    /// Size in bytes of the largest message since the window was last empty.
    bytes_largest: usize,
}

#[derive(Debug)]
struct Entry {
    sent: Sent,
    bytes: usize,
    acknowledged: bool,
}

impl Window {
    /// Creates an empty window for at most `limit` messages.
    pub fn new(limit: usize) -> Self {
        Window {
            limit,
            unnumbered: VecDeque::new(),
            numbered: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            bytes_largest: 0,
        }
    }

    /// Reports whether a message of this size may be handed over. A single message always may.
    pub fn takes(&self, bytes: usize) -> bool {
        self.is_empty() || (self.order.len() < self.limit && self.bytes + bytes <= BYTES_MAX)
    }

    /// Reports whether all messages are acknowledged.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Returns the size in bytes of the largest message since the window was last empty.
    pub fn bytes_largest(&self) -> usize {
        self.bytes_largest
    }

    /// Returns the unacknowledged messages, oldest first.
    pub fn open(&self) -> impl Iterator<Item = Sent> {
        self.order.iter().filter(|entry| !entry.acknowledged).map(|entry| entry.sent)
    }

    /// Notes that a message was handed to the client.
    pub fn handed_over(&mut self, sent: Sent, bytes: usize) {
        self.unnumbered.push_back(sent);
        self.order.push_back(Entry { sent, bytes, acknowledged: false });
        self.bytes += bytes;
        self.bytes_largest = self.bytes_largest.max(bytes);
    }

    /// Notes that the client sent the next message under this packet id.
    pub fn numbered(&mut self, packet: u16) {
        if let Some(sent) = self.unnumbered.pop_front() {
            self.numbered.insert(packet, sent);
        }
    }

    /// Notes that the broker acknowledged this packet id. Returns `None` for an id that is not on its way.
    pub fn acknowledged(&mut self, packet: u16) -> Option<Sent> {
        let sent = self.numbered.remove(&packet)?;
        if let Some(entry) = self.order.iter_mut().find(|entry| entry.sent == sent && !entry.acknowledged) {
            entry.acknowledged = true;
            self.bytes -= entry.bytes;
        }
        while self.order.front().is_some_and(|entry| entry.acknowledged) {
            self.order.pop_front();
        }
        if self.is_empty() {
            self.bytes_largest = 0;
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
        for sent in [Sent::Status, Sent::Event(7), Sent::Event(8)] {
            window.handed_over(sent, 100);
        }
        for packet in [1, 2, 3] {
            window.numbered(packet);
        }
        assert_eq!(window.acknowledged(3), Some(Sent::Event(8)));
        assert_eq!(window.acknowledged(3), None, "repeated");
        assert_eq!(window.acknowledged(9), None, "foreign");
        assert!(window.open().eq([Sent::Status, Sent::Event(7)]));
        assert_eq!(window.order.len(), 3, "the oldest is still open");
        assert_eq!(window.acknowledged(1), Some(Sent::Status));
        assert_eq!(window.acknowledged(2), Some(Sent::Event(7)));
        assert!(window.is_empty());
    }

    #[test]
    fn messages_wait_for_numbers_and_for_bytes() {
        let mut window = Window::new(2);
        assert!(window.takes(10 * BYTES_MAX), "alone");
        window.handed_over(Sent::Event(1), BYTES_MAX - 10);
        assert!(window.takes(10) && !window.takes(11));
        window.handed_over(Sent::Event(2), 10);
        window.numbered(1);
        window.numbered(2);
        assert_eq!(window.bytes_largest(), BYTES_MAX - 10);
        window.acknowledged(2);
        assert!(!window.takes(1), "two numbers are taken while the older one is open");
        window.acknowledged(1);
        assert!(window.takes(BYTES_MAX + 1));
        assert_eq!(window.bytes_largest(), 0);
    }
}
