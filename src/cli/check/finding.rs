//! What `bridgeclip check` reports: one finding for each thing that it looks at.

use serde::Serialize;

/// One line of the report.
#[derive(Serialize)]
pub struct Finding {
    /// Name of what was looked at.
    pub name: &'static str,
    pub state: State,
    /// What was found.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    Warning,
    Error,
}

impl State {
    /// Returns the word for the state, and the escape sequence of its colour on a terminal.
    pub fn word(self) -> (&'static str, &'static str) {
        match self {
            State::Ok => ("ok", "\x1b[32m"),
            State::Warning => ("warning", "\x1b[33m"),
            State::Error => ("error", "\x1b[31m"),
        }
    }
}

impl Finding {
    /// Returns a finding without a remedy.
    pub fn new(name: &'static str, state: State, text: String) -> Self {
        Finding { name, state, text, remedy: None }
    }

    /// Adds what to do about the finding.
    pub fn remedy(self, text: String) -> Self {
        Finding { remedy: Some(text), ..self }
    }
}
