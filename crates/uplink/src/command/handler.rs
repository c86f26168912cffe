//! The interface to the part of the program that carries out commands.

use serde_json::Value;

use crate::command::operation::Command;

/// The part of the program that carries out commands; its results go to the sender.
pub trait CommandHandler: Send {
    /// Carries out a command, or starts to. Called on the desk's own thread, once the command's counter is durable.
    fn act(&mut self, command: &Command) -> Acting;
}

/// Start of carrying out a command. An error is a text for the sender.
pub enum Acting {
    /// The command is done, with this result.
    Done(Result<Value, String>),
    /// The command takes long, and is carried out beside the commands that follow.
    Long(LongWork),
}

/// Work that takes long. It regularly calls its argument, which returns false when it should give up.
pub type LongWork = Box<dyn FnOnce(&dyn Fn() -> bool) -> Result<Value, String> + Send>;
