//! Commands, their operations and their arguments.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use bridgeclip_domain::{Sha256, Tag};

/// An order that was found to be genuine, meant for this device, and new.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Id of the command, chosen by the sender.
    pub id: String,
    /// Counter of the command, greater than that of every earlier one.
    pub counter: u64,
    /// Time of issue, by the sender's clock.
    pub issued_at: Timestamp,
    /// Operation to carry out.
    pub op: Op,
}

/// An operation, with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Answer with the versions in use.
    Ping,
    /// Change settings of the running device.
    Set(SettingsChange),
    /// Queue the events of delivered captures again.
    Resend(Captures),
    /// Set the tag of captures: where they were taken.
    Retag(Retag),
    /// Classify captures again with the current package.
    Reclassify(Captures),
}

/// Settings that can be changed remotely. A setting that is not named keeps its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// Whether the link costs money: details and thumbnails then wait.
    #[serde(default)]
    pub metered: SetTo<bool>,
    /// Maximum rate for events in bytes per second; 0 removes the limit.
    #[serde(default)]
    pub bytes_per_s_max: SetTo<u32>,
    /// Level of the daemon's log.
    #[serde(default)]
    pub log_level: SetTo<LogLevel>,
}

/// Settings in force after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InForce {
    /// Whether the link costs money.
    pub metered: bool,
    /// Maximum rate for events in bytes per second; 0 means no limit.
    pub bytes_per_s_max: u32,
    /// Level of the daemon's log.
    pub log_level: String,
}

/// A change of one setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTo<T> {
    /// Keeps the current value.
    #[default]
    Keep,
    /// Returns to the value of the settings file; `null` in JSON.
    Reset,
    /// Sets a new value.
    To(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for SetTo<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(SetTo::Reset, SetTo::To))
    }
}

/// Level of the daemon's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

/// A selection of captures, either by the SHA-256 of their photos or by the sequence numbers of their results.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captures {
    /// SHA-256 hashes of the photos; 1 to 1,000, or none if `sequence` is given.
    #[serde(default)]
    pub photos: Vec<Sha256>,
    /// First and last sequence number, both included; the first is at least 1.
    pub sequence: Option<(i64, i64)>,
}

/// A new tag for captures.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retag {
    /// SHA-256 hashes of the photos; 1 to 1,000.
    pub photos: Vec<Sha256>,
    /// Tag that the captures receive.
    pub tag: Tag,
}

/// Maximum number of photos that one command may name.
const PHOTOS_MAX: usize = 1_000;

impl Op {
    /// Parses an operation and its arguments. `None` means that this version does not know the operation.
    pub fn parse(op: &str, args: Value) -> Option<Result<Self, String>> {
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
