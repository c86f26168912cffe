//! Limits on how often pairing codes may be tried.
//!
//! Somebody who guesses must neither succeed nor keep others out. So every attempt draws on two buckets: one of its own
//! address, and one that many addresses share. Addresses that try for the first time share one bucket, and all others
//! share another. During the ten minutes of a code at most 40 + 50 attempts pass, whoever makes them. So one code of a
//! million is guessed with a probability of at most 90 / 1,000,000, below 1 in 10,000.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::pace::Bucket;

/// Limit for one address: the number of attempts at once, and the time until one more is allowed. People mistype.
const OF_ADDRESS: (u32, Duration) = (5, Duration::from_secs(30));
/// Limit for addresses that have not tried before: 20 + 600 s / 30 s = 40 attempts in the life of a code.
const FIRST: (u32, Duration) = (20, Duration::from_secs(30));
/// Limit for all other addresses: 10 + 600 s / 15 s = 50 attempts in the life of a code.
const AGAIN: (u32, Duration) = (10, Duration::from_secs(15));
/// Maximum number of addresses that are remembered. Beyond it, an unknown address counts as one that has tried before.
const ADDRESSES_MAX: usize = 1_024;

/// Rate limits on all pairing attempts at this device.
#[derive(Debug)]
pub struct Attempts(Mutex<Buckets>);

#[derive(Debug)]
struct Buckets {
    first: Bucket,
    again: Bucket,
    of_address: HashMap<IpAddr, Bucket>,
}

fn bucket((at_once, each): (u32, Duration)) -> Bucket {
    Bucket::new(at_once, each)
}

impl Default for Attempts {
    fn default() -> Self {
        Attempts(Mutex::new(Buckets { first: bucket(FIRST), again: bucket(AGAIN), of_address: HashMap::new() }))
    }
}

impl Attempts {
    /// Lets an attempt pass, or returns how long it has to wait.
    pub fn pass(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Buckets { first, again, of_address } = &mut *buckets;
        let address = subscriber(address);
        if of_address.len() >= ADDRESSES_MAX {
            of_address.retain(|_, bucket| !bucket.is_full(now));
        }
        let is_new = !of_address.contains_key(&address) && of_address.len() < ADDRESSES_MAX;
        let own = if is_new { bucket(OF_ADDRESS) } else { of_address.get(&address).cloned().unwrap_or(again.clone()) };
        let shared = if is_new { first } else { again };
        match own.wait(now).max(shared.wait(now)) {
            Duration::ZERO => {
                shared.take(now);
                if is_new || of_address.contains_key(&address) {
                    of_address.entry(address).or_insert(own).take(now);
                }
                Ok(())
            }
            wait => Err(wait),
        }
    }
}

/// Returns the address that stands for a subscriber: the upper 64 bits of an IPv6 address, because a subscriber owns at
/// least that prefix, or the address itself. A link-local address belongs to one host and is kept in full.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_unicast_link_local() => {
            Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::access::CODE_LIFE;

    /// Counts the attempts that pass during the life of a code, when each address makes this many attempts per second.
    fn passed(addresses: u32, per_second: u32) -> u32 {
        let (attempts, start) = (Attempts::default(), Instant::now());
        let mut passed = 0;
        for step in 0..CODE_LIFE.as_secs() as u32 * per_second {
            let now = start + Duration::from_secs(1) * step / per_second;
            for number in 0..addresses {
                passed += u32::from(attempts.pass(IpAddr::from(number.to_be_bytes()), now).is_ok());
            }
        }
        passed
    }

    #[test]
    fn a_code_is_guessed_with_a_chance_below_1_in_10_000() {
        assert_eq!(passed(1, 2), 24, "one address: 5, and one in each of the 19 half minutes after the first");
        for addresses in [4, 100, 2_000] {
            let passed = passed(addresses, 1);
            assert!((50..100).contains(&passed), "{addresses} addresses: {passed} attempts of a million codes");
        }
    }

    #[test]
    fn whoever_tries_for_the_first_time_comes_through_a_flood() {
        let (attempts, start) = (Attempts::default(), Instant::now());
        for step in 0..600_u64 {
            for number in 0..8 {
                let _ = attempts.pass(IpAddr::from([10, 0, 0, number]), start + Duration::from_millis(100 * step));
            }
        }
        let now = start + Duration::from_secs(60);
        assert_eq!(attempts.pass(IpAddr::from([10, 0, 1, 1]), now), Ok(()));
        assert!(attempts.pass(IpAddr::from([10, 0, 0, 1]), now).is_err());
    }

    #[test]
    fn a_subscriber_is_one_whatever_address_they_take() {
        let same =
            |a: &str, b: &str| subscriber(a.parse().expect("an address")) == subscriber(b.parse().expect("an address"));
        assert!(same("2001:db8::1", "2001:db8::2:3"));
        assert!(same("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(!same("fe80::1", "fe80::2"));
        assert!(!same("10.0.0.1", "10.0.0.2"));
    }
}
