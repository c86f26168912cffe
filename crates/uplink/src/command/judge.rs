//! The decision whether a message is a command to carry out: a pure function of its bytes and a few facts.

use jiff::SignedDuration;

use bridgeclip_domain::{Time, TimeQuality, is_name};

use crate::command::envelope::{Broken, Order, VerifyingKey, open};
use crate::command::operation::{Command, Op};
use crate::connection::Incoming;

/// Maximum size of a payload in bytes.
const BYTES_MAX: usize = 64 * 1024;
/// Maximum time by which the sender's clock may be ahead of the device's.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(5);
/// Longest validity of a command.
const LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(24);

/// The facts by which a message is judged.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// Prefix of the device's topics, `bridge/v1/{site}/{device}`.
    pub device: &'a str,
    /// Public key that commands must be signed with.
    pub key: &'a VerifyingKey,
    /// Counter of the last accepted command.
    pub counter: u64,
    /// The device's time, and its quality.
    pub now: &'a Time,
}

/// The reason why a message is not carried out, in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("more than {BYTES_MAX} bytes")]
    TooLarge,
    #[error("a retained message is not a command: it would be carried out at every connection")]
    Retained,
    #[error("not of the form of a command")]
    Malformed,
    #[error("not signed with the key that this device knows")]
    BadSignature,
    #[error("for the device {0}")]
    OtherDevice(String),
    #[error("operation or id differ between topic and envelope")]
    OtherTopic,
    #[error("this version does not know the operation")]
    UnknownOperation,
    #[error("wrong arguments: {0}")]
    WrongArguments(String),
    #[error("nothing has set this device's clock, so it cannot tell whether the command is still valid")]
    ClockUnsynced,
    #[error("issued in the future; it is {0} here")]
    NotYetValid(jiff::Timestamp),
    #[error("it has expired; it is {0} here")]
    Expired(jiff::Timestamp),
    #[error("valid for more than 24 hours")]
    ValidTooLong,
    #[error("counter {counter} is not greater than {last}, the last one")]
    Replayed { counter: u64, last: u64 },
    #[error("damage to this device's memory may have taken the note that it was carried out; issue it again after {0}")]
    Forgotten(jiff::Timestamp),
    #[error("the counter could not be stored: {0}")]
    NotStored(String),
}

impl Refusal {
    /// Returns the machine-readable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TooLarge => "too_large",
            Refusal::Retained => "retained",
            Refusal::Malformed => "malformed",
            Refusal::BadSignature => "bad_signature",
            Refusal::OtherDevice(_) => "other_device",
            Refusal::OtherTopic => "other_topic",
            Refusal::UnknownOperation => "unknown_operation",
            Refusal::WrongArguments(_) => "wrong_arguments",
            Refusal::ClockUnsynced => "clock_unsynced",
            Refusal::NotYetValid(_) => "not_yet_valid",
            Refusal::Expired(_) => "expired",
            Refusal::ValidTooLong => "valid_too_long",
            Refusal::Replayed { .. } => "replayed",
            Refusal::Forgotten(_) => "forgotten",
            Refusal::NotStored(_) => "not_stored",
        }
    }
}

/// Returns operation and id from a command's topic, or `None` for a topic that is not one of this device's commands.
pub fn address<'a>(topic: &'a str, device: &str) -> Option<(&'a str, &'a str)> {
    let (op, id) = topic.strip_prefix(device)?.strip_prefix("/cmd/")?.split_once('/')?;
    (is_name(op) && is_name(id)).then_some((op, id))
}

/// Judges a message that arrived on the topic of this operation and id.
pub fn judge(incoming: &Incoming, (op, id): (&str, &str), facts: &Facts) -> Result<Command, Refusal> {
    if incoming.payload.len() > BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    if incoming.retained {
        return Err(Refusal::Retained);
    }
    let envelope = open(&incoming.payload, facts.key).map_err(|broken| match broken {
        Broken::Form => Refusal::Malformed,
        Broken::Signature => Refusal::BadSignature,
    })?;
    let order: Order = serde_json::from_slice(&envelope).map_err(|_| Refusal::Malformed)?;
    if order.device != facts.device {
        return Err(Refusal::OtherDevice(order.device));
    }
    if (order.op.as_str(), order.id.as_str()) != (op, id) {
        return Err(Refusal::OtherTopic);
    }
    let op = Op::parse(&order.op, order.args.clone().into())
        .ok_or(Refusal::UnknownOperation)?
        .map_err(Refusal::WrongArguments)?;
    check_time(&order, facts.now)?;
    if order.counter <= facts.counter || i64::try_from(order.counter).is_err() {
        return Err(Refusal::Replayed { counter: order.counter, last: facts.counter });
    }
    Ok(Command { id: order.id, counter: order.counter, issued_at: order.issued_at, op })
}

/// Checks that the command is valid now, by a clock that was set.
fn check_time(order: &Order, now: &Time) -> Result<(), Refusal> {
    if now.quality == TimeQuality::Unsynced {
        return Err(Refusal::ClockUnsynced);
    }
    if order.issued_at.duration_since(now.at) > AHEAD_MAX {
        return Err(Refusal::NotYetValid(now.at));
    }
    if order.expires_at <= now.at {
        return Err(Refusal::Expired(now.at));
    }
    if order.expires_at.duration_since(order.issued_at) > LIFETIME_MAX {
        return Err(Refusal::ValidTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{SigningKey, sign};

    const DEVICE: &str = "bridge/v1/site/unit";

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[1; 32])
    }

    fn now() -> Timestamp {
        "2026-05-01T12:00:00Z".parse().expect("a time")
    }

    fn order() -> Order {
        Order {
            device: DEVICE.to_owned(),
            op: "ping".to_owned(),
            id: "a".to_owned(),
            counter: 8,
            issued_at: now(),
            expires_at: now() + SignedDuration::from_hours(1),
            args: serde_json::Map::new(),
        }
    }

    fn incoming(payload: Vec<u8>) -> Incoming {
        Incoming { topic: format!("{DEVICE}/cmd/ping/a"), payload: Bytes::from(payload), retained: false }
    }

    fn judged(incoming: &Incoming, quality: TimeQuality) -> Result<Command, Refusal> {
        let (key, time) = (key().verifying_key(), Time::new(now(), quality));
        judge(incoming, ("ping", "a"), &Facts { device: DEVICE, key: &key, counter: 7, now: &time })
    }

    /// Returns the reason for which a changed order is refused.
    fn refused(change: impl FnOnce(&mut Order)) -> &'static str {
        let mut order = order();
        change(&mut order);
        judged(&incoming(sign(&order, &key())), TimeQuality::Ntp).expect_err("refused").code()
    }

    #[test]
    fn a_good_command_is_accepted() {
        let command = judged(&incoming(sign(&order(), &key())), TimeQuality::Gps);
        let issued_at = order().issued_at;
        assert_eq!(command, Ok(Command { id: "a".to_owned(), counter: 8, issued_at, op: Op::Ping }));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let hour = SignedDuration::from_hours(1);
        assert_eq!(refused(|order| order.device += "2"), "other_device");
        assert_eq!(refused(|order| order.id = "b".to_owned()), "other_topic");
        assert_eq!(refused(|order| order.op = "set".to_owned()), "other_topic");
        assert_eq!(refused(|order| drop(order.args.insert("x".into(), json!(1)))), "wrong_arguments");
        assert_eq!(refused(|order| order.issued_at += hour), "not_yet_valid");
        assert_eq!(refused(|order| order.expires_at = now()), "expired");
        assert_eq!(refused(|order| order.expires_at += hour * 24), "valid_too_long");
        assert_eq!(refused(|order| order.counter = 7), "replayed");
        assert_eq!(refused(|order| order.counter = u64::MAX), "replayed");
        let good = sign(&order(), &key());
        let code = |incoming: &Incoming, quality| judged(incoming, quality).expect_err("refused").code();
        assert_eq!(code(&Incoming { retained: true, ..incoming(good.clone()) }, TimeQuality::Ntp), "retained");
        assert_eq!(code(&incoming(vec![b' '; BYTES_MAX + 1]), TimeQuality::Ntp), "too_large");
        assert_eq!(
            code(&incoming(sign(&order(), &SigningKey::from_bytes(&[2; 32]))), TimeQuality::Ntp),
            "bad_signature"
        );
        assert_eq!(code(&incoming(good), TimeQuality::Unsynced), "clock_unsynced");
        let unknown = Order { op: "reboot".to_owned(), ..order() };
        let (key, time) = (key(), Time::new(now(), TimeQuality::Ntp));
        let public = key.verifying_key();
        let facts = Facts { device: DEVICE, key: &public, counter: 7, now: &time };
        let judged = judge(&incoming(sign(&unknown, &key)), ("reboot", "a"), &facts);
        assert_eq!(judged, Err(Refusal::UnknownOperation));
    }

    #[test]
    fn any_bytes_are_refused_quietly() {
        let good = sign(&order(), &key());
        for cut in 0..good.len() {
            assert!(judged(&incoming(good[..cut].to_vec()), TimeQuality::Ntp).is_err());
        }
        for index in 0..good.len() {
            let mut changed = good.clone();
            changed[index] ^= 1;
            assert!(judged(&incoming(changed), TimeQuality::Ntp).is_err(), "byte {index}");
        }
        let deep = [vec![b'['; 60_000], vec![b']'; 100]].concat();
        assert_eq!(judged(&incoming(deep), TimeQuality::Ntp), Err(Refusal::Malformed));
    }

    #[test]
    fn topics_are_taken_apart() {
        assert_eq!(address("bridge/v1/site/unit/cmd/set/17", DEVICE), Some(("set", "17")));
        for wrong in ["cmd/set/17", "cmd/set", "cmd/set/", "cmd//17", "cmd/set/17/state", "cmd/set/a b", "status"] {
            assert_eq!(address(&format!("{DEVICE}/{wrong}"), DEVICE).is_some(), wrong == "cmd/set/17", "{wrong}");
        }
    }
}
