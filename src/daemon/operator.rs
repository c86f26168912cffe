//! Execution of commands that arrive over the uplink.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::captures::{LongWorkParts, captures_of, judge_again, resend};
use super::parts::Parts;
use super::settings::LiveSettings;
use crate::domain::{Change, LABEL_VERSION, SOFTWARE};
use crate::journal::{Expect, Reader};
use crate::uplink::{Acting, Captures, Command, CommandHandler, Op, Retag};

/// Handler of commands.
pub struct Operator {
    parts: LongWorkParts,
    reader: Reader,
    settings: LiveSettings,
    /// Answer to `ping`: versions of the program, the package and the labels.
    versions: Value,
}

impl Operator {
    /// Makes a handler with a reader of its own.
    pub fn new(parts: &Parts) -> Result<Self> {
        let Parts { config, identity, .. } = *parts;
        Ok(Operator {
            reader: parts.journal.reader()?,
            parts: LongWorkParts {
                config: config.clone(),
                package_dir: parts.package.dir().to_owned(),
                identity: Arc::clone(identity),
                journal: parts.journal.clone(),
                link: parts.link.clone(),
            },
            settings: parts.settings.clone(),
            versions: json!({
                "software": SOFTWARE,
                "package": identity.package,
                "package_hash": identity.package_hash,
                "label_version": LABEL_VERSION,
            }),
        })
    }

    fn retag(&self, retag: &Retag) -> Result<Value> {
        let LongWorkParts { identity, journal, link, .. } = &self.parts;
        let captures = captures_of(&self.reader, &retag.photos)?;
        let changes = captures.iter().map(|&capture| (capture, Change::Tag(retag.tag.clone()))).collect();
        let made = journal.supersede_all(identity, changes, Expect::Any, !link.is_online(), Timestamp::now())?;
        Ok(json!({ "photos": retag.photos.len(), "changed": made.len() }))
    }

    /// Wraps work that takes long, to be done on another thread.
    fn long(
        &self,
        work: fn(&LongWorkParts, &Captures, &dyn Fn() -> bool) -> Result<Value>,
        captures: &Captures,
    ) -> Acting {
        let (parts, captures) = (self.parts.clone(), captures.clone());
        Acting::Long(Box::new(move |goes_on| in_words(work(&parts, &captures, goes_on))))
    }
}

/// Converts an error to text, with its causes.
fn in_words<T>(outcome: Result<T>) -> Result<T, String> {
    outcome.map_err(|error| format!("{error:#}"))
}

impl CommandHandler for Operator {
    fn act(&mut self, command: &Command) -> Acting {
        match &command.op {
            Op::Ping => Acting::Done(Ok(self.versions.clone())),
            Op::Set(changes) => Acting::Done(self.settings.set(changes).map(|in_force| json!(in_force))),
            Op::Resend(captures) => self.long(resend, captures),
            Op::Retag(retag) => Acting::Done(in_words(self.retag(retag))),
            Op::Reclassify(captures) => self.long(judge_again, captures),
        }
    }
}
