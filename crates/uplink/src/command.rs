//! Commands to the device: signed envelopes on `…/cmd/{op}/{id}`, and what became of them.
//!
//! A command is judged by its bytes alone (`judge`), its counter is stored durably, and only then is it carried out
//! (`desk`). So a command is carried out once at most, whatever is sent again.

mod desk;
mod envelope;
mod judge;

pub use desk::{Desk, DeskParams, Reply};
pub use envelope::{KeyError, Order, SigningKey, VerifyingKey, new_private_key, private_key, public_key, sign};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use bridgeclip_domain::{Sha256, Tag};

/// An order that was found to be genuine, ours and new.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub id: String,
    pub counter: u64,
    pub issued_at: Timestamp,
    pub op: Op,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Answer with the versions in use.
    Ping,
    Set(SettingsChange),
    /// Queue the events of delivered captures again.
    Resend(Captures),
    /// Say where captures were taken.
    Retag(Retag),
    /// Classify captures again with the package of today.
    Reclassify(Captures),
}

/// Settings that may be changed from afar; each stays as it is unless named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    #[serde(default)]
    pub metered: SetTo<bool>,
    #[serde(default)]
    pub bytes_per_s_max: SetTo<u32>,
    #[serde(default)]
    pub log_level: SetTo<LogLevel>,
}

/// Settings as they are after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InForce {
    pub metered: bool,
    /// 0 without a limit.
    pub bytes_per_s_max: u32,
    pub log_level: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTo<T> {
    #[default]
    Keep,
    /// Back to what the settings file says; `null` in JSON.
    Reset,
    To(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for SetTo<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(SetTo::Reset, SetTo::To))
    }
}

/// How much the daemon logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// Captures, either by the hashes of their photos or by the sequence numbers of their results.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captures {
    #[serde(default)]
    pub photos: Vec<Sha256>,
    /// First and last.
    pub sequence: Option<(i64, i64)>,
}

/// What captures show.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retag {
    pub photos: Vec<Sha256>,
    pub tag: Tag,
}

/// Photos that one command may name.
const PHOTOS_MAX: usize = 1_000;

/// Carries commands out; what it answers goes to the sender.
pub trait CommandHandler: Send {
    /// Called on the desk's own thread; the command's counter is durable by then.
    fn act(&mut self, command: &Command) -> Acting;
}

/// How a command is carried out. An error is told in words.
pub enum Acting {
    Done(Result<Value, String>),
    /// It takes long, and is done beside the commands that follow.
    Long(LongWork),
}

/// Asks now and then whether to go on.
pub type LongWork = Box<dyn FnOnce(&dyn Fn() -> bool) -> Result<Value, String> + Send>;

impl Op {
    /// `None` for an operation that this version does not know.
    fn parse(op: &str, args: Value) -> Option<Result<Self, String>> {
        Some(match op {
            "ping" => args_of::<NoArgs>(args).map(|NoArgs {}| Op::Ping),
            "set" => args_of(args).map(Op::Set),
            "resend" => args_of(args).and_then(Captures::checked).map(Op::Resend),
            "retag" => args_of(args).and_then(Retag::checked).map(Op::Retag),
            "reclassify" => args_of(args).and_then(Captures::checked).map(Op::Reclassify),
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoArgs {}

fn args_of<T: for<'de> Deserialize<'de>>(args: Value) -> Result<T, String> {
    serde_json::from_value(args).map_err(|error| error.to_string())
}

impl Captures {
    fn checked(self) -> Result<Self, String> {
        match (self.photos.len(), self.sequence) {
            (1..=PHOTOS_MAX, None) => Ok(self),
            (0, Some((first, last))) if 0 < first && first <= last => Ok(self),
            _ => Err(format!("give either 1 to {PHOTOS_MAX} photos, or sequence [first, last]")),
        }
    }
}

impl Retag {
    fn checked(self) -> Result<Self, String> {
        match (1..=PHOTOS_MAX).contains(&self.photos.len()) {
            true => Ok(self),
            false => Err(format!("give 1 to {PHOTOS_MAX} photos")),
        }
    }
}

/// What the sender learns, on `…/cmd/{op}/{id}/state`.
#[derive(Clone, Debug, Serialize)]
struct State<'a> {
    op: &'a str,
    id: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    boot_id: &'a str,
    time: Timestamp,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn arguments_are_bounded() {
        let hash = "0".repeat(64);
        let parse = |op: &str, args: &Value| Op::parse(op, args.clone()).expect("a known operation");
        let good = [
            ("ping", json!({})),
            ("set", json!({ "metered": true })),
            ("set", json!({ "metered": null, "bytes_per_s_max": 10_000, "log_level": "debug" })),
            ("resend", json!({ "sequence": [1, 500] })),
            ("reclassify", json!({ "photos": [hash] })),
            ("retag", json!({ "photos": [hash], "tag": { "bridge": "B-17", "span": "2" } })),
        ];
        for (op, args) in good {
            assert!(parse(op, &args).is_ok(), "{op} {args}: {:?}", parse(op, &args));
        }
        let bad = [
            ("ping", json!({ "loud": true })),
            ("set", json!({ "broker": "elsewhere:1883" })),
            ("set", json!({ "bytes_per_s_max": -1 })),
            ("set", json!({ "log_level": "trace" })),
            ("resend", json!({})),
            ("resend", json!({ "sequence": [5, 1] })),
            ("resend", json!({ "photos": vec![&hash; PHOTOS_MAX + 1] })),
            ("retag", json!({ "photos": [hash] })),
            ("retag", json!({ "photos": [hash], "tag": { "bridge": "B\n17" } })),
            ("retag", json!({ "photos": [], "tag": {} })),
        ];
        for (op, args) in bad {
            assert!(parse(op, &args).is_err(), "{op} {args}");
        }
        assert!(Op::parse("reboot", json!({})).is_none());
    }

    #[test]
    fn null_is_not_the_same_as_nothing() {
        let changes: SettingsChange = serde_json::from_value(json!({ "metered": null })).expect("changes");
        assert_eq!(changes, SettingsChange { metered: SetTo::Reset, ..SettingsChange::default() });
    }
}
