//! Those who have come and not left: how many there may be, and which of them goes when another one comes.
//!
//! Strangers cannot keep known visitors out: a connection over which no known visitor has asked gives way to a new one, first
//! that of the address which has the most. A new connection is that of a stranger until it has asked for something. What
//! strangers send is counted in the same way, because a proxy brings the requests of many through connections of its own.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Open connections through one door.
pub const CONNECTIONS_MAX: usize = 128;
/// Open connections from one address: a browser opens six, and keeps one for the live stream.
pub const CONNECTIONS_PER_ADDRESS: usize = 32;

/// Everybody who has come and has not left; clones share them.
#[derive(Clone, Debug)]
pub struct Crowd {
    seats: Arc<Mutex<Vec<Arc<Seat>>>>,
    max: usize,
}

/// One connection.
#[derive(Debug)]
pub struct Seat {
    address: IpAddr,
    /// Its visitors change with every request.
    is_proxy: bool,
    is_known: AtomicBool,
    gone: Notify,
}

/// A seat in the crowd; dropping it leaves.
pub struct Place {
    crowd: Crowd,
    pub seat: Arc<Seat>,
}

impl Crowd {
    /// A crowd of at most so many.
    pub fn new(max: usize) -> Self {
        Crowd { seats: Arc::default(), max }
    }

    /// Makes room if need be; `None` if nobody has to give way to this connection.
    pub fn enter(&self, address: IpAddr, per_address: usize, is_proxy: bool) -> Option<Place> {
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
        Some(Place { crowd: self.clone(), seat })
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Arc<Seat>>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the connection of a stranger from this address, the oldest one.
fn dismiss(seats: &mut Vec<Arc<Seat>>, address: IpAddr) -> Option<()> {
    let oldest = seats.iter().position(|seat| seat.address == address && !seat.is_known())?;
    seats.remove(oldest).gone.notify_one();
    Some(())
}

/// The address from which the most strangers have come.
fn loudest(seats: &[Arc<Seat>]) -> Option<IpAddr> {
    let strangers = || seats.iter().filter(|seat| !seat.is_known()).map(|seat| seat.address);
    strangers().max_by_key(|address| strangers().filter(|other| other == address).count())
}

impl Seat {
    /// Notes whether whoever asked last over this connection is known.
    pub fn note(&self, is_known: bool) {
        self.is_known.store(is_known || self.is_proxy, Ordering::Relaxed);
    }

    /// Whether a known visitor has the connection, or a proxy that stands for many.
    pub fn is_known(&self) -> bool {
        self.is_known.load(Ordering::Relaxed)
    }

    /// Waits until the connection has to give way.
    pub async fn gone(&self) {
        self.gone.notified().await;
    }
}

impl Drop for Place {
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
        let has_gone = |place: &Place| !crowd.seats().iter().any(|seat| Arc::ptr_eq(seat, &place.seat));
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
