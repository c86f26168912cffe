//! Selections of events in the outbox, by their topics.

use rusqlite::types::Value;

/// One topic or all topics below one, which is what a line of a broker's access list names. The form is that of
/// [`super::OutboxRow::topic`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topics(String);

/// Number of levels that name the device in a full topic of the outbox: a slash and `bridge/v1/{site}/{device}`.
const DEVICE_LEVELS: usize = 5;
/// Number of levels after the device's that name a kind of event: `capture/result`, `capture/thumb`.
const KIND_LEVELS: usize = 2;

impl Topics {
    /// Returns the topics of events of the same kind and from the same device as an event on `topic`.
    pub fn like(topic: &str) -> Self {
        let levels = if topic.starts_with('/') { DEVICE_LEVELS + KIND_LEVELS } else { KIND_LEVELS };
        match topic.match_indices('/').nth(levels - 1) {
            Some((slash, _)) => Topics(topic[..=slash].to_owned()),
            None => Topics(topic.to_owned()),
        }
    }

    /// Returns all topics of this device below `topic`.
    pub fn below(topic: &str) -> Self {
        Topics(format!("{topic}/"))
    }

    /// Returns all topics of other devices.
    pub fn foreign() -> Self {
        Topics("/".to_owned())
    }

    /// Returns all topics of the other device with this prefix.
    pub fn of_device(prefix: &str) -> Self {
        Topics(format!("/{prefix}/"))
    }

    /// Reports whether these are topics of other devices.
    pub fn are_foreign(&self) -> bool {
        self.0.starts_with('/')
    }

    /// Reports whether a topic is among these.
    pub fn contains(&self, topic: &str) -> bool {
        if self.are_below() { topic.starts_with(&self.0) } else { topic == self.0 }
    }

    /// Reports whether all of the `others` are among these topics.
    pub fn include(&self, others: &Topics) -> bool {
        self.contains(&others.0)
    }

    /// Returns the topics as an MQTT topic filter, for a device whose topics begin with `prefix`.
    pub fn filter(&self, prefix: &str) -> String {
        let whole = match self.0.strip_prefix('/') {
            Some(whole) => whole.to_owned(),
            None => format!("{prefix}/{}", self.0),
        };
        if self.are_below() || whole.is_empty() { whole + "#" } else { whole }
    }

    fn are_below(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Returns the SQL condition on a row of the outbox, and its parameters.
    fn condition(&self) -> (&'static str, Vec<Value>) {
        match self.0.strip_suffix('/') {
            None => ("outbox.topic = ?", vec![self.0.clone().into()]),
            // '0' follows '/' in ASCII: a comparison of bytes needs no pattern, and can use an index.
            Some(start) => {
                ("(outbox.topic >= ? AND outbox.topic < ?)", vec![self.0.clone().into(), format!("{start}0").into()])
            }
        }
    }
}

/// Selection of events in the outbox.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All events.
    All,
    /// Events on these topics.
    Only(&'a Topics),
    /// Events on none of these topics.
    Without(&'a [Topics]),
}

impl Which<'_> {
    /// Returns SQL to append to the conditions of a WHERE clause, and its parameters.
    pub(super) fn condition(self) -> (String, Vec<Value>) {
        match self {
            Which::All => (String::new(), Vec::new()),
            Which::Only(topics) => {
                let (condition, values) = topics.condition();
                (format!(" AND {condition}"), values)
            }
            Which::Without(all) => {
                let conditions = all.iter().map(Topics::condition);
                conditions.fold((String::new(), Vec::new()), |(sql, mut values), (condition, more)| {
                    values.extend(more);
                    (format!("{sql} AND NOT {condition}"), values)
                })
            }
        }
    }

    /// Reports whether an event on this topic is selected.
    pub fn contains(self, topic: &str) -> bool {
        match self {
            Which::All => true,
            Which::Only(topics) => topics.contains(topic),
            Which::Without(all) => !all.iter().any(|topics| topics.contains(topic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_as_wide_as_a_line_of_an_access_list() {
        let filter = |topic: &str| Topics::like(topic).filter("bridge/v1/kita/d1");
        assert_eq!(filter("capture/result"), "bridge/v1/kita/d1/capture/result");
        assert_eq!(filter("capture/thumb/7"), "bridge/v1/kita/d1/capture/thumb/#");
        assert_eq!(filter("/bridge/v1/kita/d2/capture/result"), "bridge/v1/kita/d2/capture/result");
        assert_eq!(filter("/bridge/v1/kita/d2/capture/thumb/7"), "bridge/v1/kita/d2/capture/thumb/#");
        assert_eq!(filter("status"), "bridge/v1/kita/d1/status");
        assert_eq!(Topics::foreign().filter("bridge/v1/kita/d1"), "#");
    }

    #[test]
    fn topics_hold_their_own_and_no_others() {
        let thumbs = Topics::like("capture/thumb/7");
        assert!(thumbs.contains("capture/thumb/8") && !thumbs.contains("capture/thumb"));
        assert!(!thumbs.contains("capture/thumbs/8") && !thumbs.contains("/bridge/v1/a/b/capture/thumb/8"));
        let device = Topics::of_device("bridge/v1/a/b");
        assert!(device.contains("/bridge/v1/a/b/capture/result") && !device.contains("/bridge/v1/a/bc/capture/result"));
        assert!(Topics::foreign().contains("/bridge/v1/a/b/capture/result"));
        assert!(!Topics::foreign().contains("capture/result"));
    }
}
