//! Commands to the device, signed envelopes on `…/cmd/{op}/{id}`, and their outcomes.
//!
//! A command is judged by its bytes alone (`judge`); then its counter is stored durably; only then is it carried out
//! (`desk`). A command is therefore carried out at most once, however often it is sent.

mod desk;
mod envelope;
mod handler;
mod judge;
mod operation;

pub use desk::{Desk, DeskParams, Reply};
pub use envelope::{KeyError, Order, SigningKey, VerifyingKey, new_private_key, private_key, public_key, sign};
pub use handler::{Acting, CommandHandler, LongWork};
pub use operation::{Captures, Command, InForce, LogLevel, Op, Retag, SetTo, SettingsChange};
