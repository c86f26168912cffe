//! Limits on open connections, and the choice of the one that makes room for a new one.
//!
//! Strangers cannot keep known visitors out. A connection counts as a stranger's until a known visitor has made a
//! request over it. Only strangers' connections are closed to make room, first those of the address that has the most.
//! Requests of strangers are counted in the same way, because a proxy carries the requests of many people over its own
//! connections.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Maximum number of open connections through one door.
pub const CONNECTIONS_MAX: usize = 128;
/// Maximum number of open connections from one address. A browser opens six, one of them for the live stream.
pub const CONNECTIONS_PER_ADDRESS: usize = 32;

/// Set of everyone who is connected. Clones share it.
#[derive(Clone, Debug)]
pub struct Crowd {
    seats: Arc<Mutex<Vec<Arc<Seat>>>>,
    max: usize,
}

/// State of one connection.
#[derive(Debug)]
pub struct Seat {
    address: IpAddr,
    /// Whether a trusted proxy holds the connection, so that its visitor changes with every request.
    is_proxy: bool,
    is_known: AtomicBool,
    gone: Notify,
}

/// Membership in a crowd, which ends when it is dropped.
pub struct Membership {
    crowd: Crowd,
    pub seat: Arc<Seat>,
}

impl Crowd {
    /// Returns an empty crowd of at most `max` members.
    pub fn new(max: usize) -> Self {
        Crowd { seats: Arc::default(), max }
    }

    /// Adds a connection, and closes a stranger's if there is no room. Returns `None` if there is no room and no
    /// stranger's connection to close.
    pub fn enter(&self, address: IpAddr, per_address: usize, is_proxy: bool) -> Option<Membership> {
        let mut seats = self.seats();
        let of_address = seats.iter().filter(|seat| seat.address == address).count();
        if of_address >= per_address {
            dismiss(&mut seats, address)?;
        } else if seats.len() >= self.max {
            let loudest = loudest(&seats)?;
            dismiss(&mut seats, loudest)?;
        }
        let seat = Arc::new(Seat { address, is_proxy, is_known: AtomicBool::new(is_proxy), gone: Notify::new() });
        seats.push(Arc::clone(&seat));
        drop(seats);
        Some(Membership { crowd: self.clone(), seat })
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the oldest connection of a stranger from this address.
fn dismiss(seats: &mut Vec<Arc<Seat>>, address: IpAddr) -> Option<()> {
    let oldest = seats.iter().position(|seat| seat.address == address && !seat.is_known())?;
    seats.remove(oldest).gone.notify_one();
    Some(())
}

/// Returns the address from which the most strangers are connected.
fn loudest(seats: &[Arc<Seat>]) -> Option<IpAddr> {
    let strangers = || seats.iter().filter(|seat| !seat.is_known()).map(|seat| seat.address);
    strangers().max_by_key(|address| strangers().filter(|other| other == address).count())
}

impl Seat {
    /// Notes whether the latest request over this connection came from a known visitor.
    pub fn note(&self, is_known: bool) {
        self.is_known.store(is_known || self.is_proxy, Ordering::Relaxed);
    }

    /// Reports whether the connection belongs to a known visitor, or to a trusted proxy that serves many.
    pub fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Waits until the connection must close to make room.
    pub async fn gone(&self) {
        self.gone.notified().await;
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.crowd.seats().retain(|seat| !Arc::ptr_eq(seat, &self.seat));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    #[test]
    fn strangers_give_way_and_the_known_stay() {
        let crowd = Crowd::new(CONNECTIONS_MAX);
        let enter = |last| crowd.enter(address(last), CONNECTIONS_PER_ADDRESS, false);
        let known = enter(1).expect("a place");
        known.seat.note(true);
        let strangers: Vec<_> = (0..127).map(|count| enter(2 + count % 4).expect("a place")).collect();
        let has_gone = |place: &Membership| !crowd.seats().iter().any(|seat| Arc::ptr_eq(seat, &place.seat));
        assert!(!strangers.iter().any(has_gone));
        let another = enter(9).expect("a place");
        assert_eq!(strangers.iter().filter(|place| has_gone(place)).count(), 1);
        let more: Vec<_> = (0..200).map(|count| enter(2 + count % 4).expect("a place")).collect();
        assert!(!has_gone(&known) && !has_gone(&another), "a single stranger stays beside those who crowd");
        assert_eq!(crowd.seats().len(), CONNECTIONS_MAX);
        drop((strangers, more, known, another));
        assert_eq!(crowd.seats().len(), 0);
    }

    #[test]
    fn one_address_crowds_itself_alone() {
        let crowd = Crowd::new(CONNECTIONS_MAX);
        let enter = || crowd.enter(address(1), 3, false);
        let mine: Vec<_> = (0..3).map(|_| enter().expect("a place")).collect();
        let fourth = enter().expect("in place of the first one");
        for place in mine.iter().chain([&fourth]) {
            place.seat.note(true);
        }
        assert!(enter().is_none(), "all are known");
        assert!(crowd.enter(address(2), 3, false).is_some());
    }
}
