//! The likely cause of an error.

/// Likely cause of an error, as far as the error tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The database or the connection to it: any other message would fail in the same way.
    Database,
    /// More likely the database. A message that fails repeatedly while others succeed is the cause, though.
    Unclear,
    /// A message, provided that the database accepts others.
    Message,
}
