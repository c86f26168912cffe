//! The likely cause of an error.

/// Likely cause of an error, judged from the error alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The database or the connection to it: any other message would fail in the same way.
    Database,
    /// Probably the database. If one message fails repeatedly while others succeed, that message is the cause.
    Unclear,
    /// The message, provided that the database accepts other messages.
    Message,
}
