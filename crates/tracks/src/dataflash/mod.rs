//! Logs of ArduPilot flight controllers, binary and as text.
//!
//! A log describes itself: each kind of message is defined by an FMT message with a number, a length, a name, a letter
//! for each field, and the names of the fields
//! (<https://ardupilot.org/dev/docs/code-overview-adding-a-new-log-message.html>; letters as in `LogStructure.h` of
//! <https://github.com/ArduPilot/ardupilot>). `binary` and `text` read the messages, and `messages` says what they mean.

mod binary;
mod messages;
mod text;

pub use binary::{is_binary, read as read_binary};
pub use text::{is_text, read as read_text};

#[cfg(test)]
mod tests;
