//! How a command ended: its outcome, and an error in words.

/// The outcome of a command that ran to its end or was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything went well.
    Good,
    /// Some of the input failed; the reasons have been printed.
    SomeFailed,
    /// Ctrl-C stopped the command before it was done.
    Stopped,
}

impl Outcome {
    /// Returns [`Outcome::Good`] for no failures, else [`Outcome::SomeFailed`].
    pub fn from_failures(failures: usize) -> Self {
        if failures == 0 { Outcome::Good } else { Outcome::SomeFailed }
    }
}

/// Returns the error with its causes. Many messages of this program name the cause within the sentence; such a cause is
/// not repeated.
pub fn with_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text {
        text if text.is_empty() => cause,
        text if text.contains(&cause) => text,
        text => format!("{text}: {cause}"),
    })
}
