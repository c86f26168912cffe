//! Handles by which other threads reach an intake.

use std::path::PathBuf;
use std::sync::mpsc;

/// Ends the waiting of an intake from another thread.
#[derive(Clone, Debug)]
pub struct IntakeStop(pub(super) mpsc::Sender<Message>);

/// What other threads tell an intake.
#[derive(Debug)]
pub(super) enum Message {
    Changed(PathBuf),
    /// Changes were lost or cannot be attributed to files.
    Rescan,
    /// A complete file is there; no program writes to it any more.
    Arrived(PathBuf),
    /// Files that were settled may need another look.
    LookAgain,
    Stop,
}

impl IntakeStop {
    /// Makes `Intake::next` return `None`.
    pub fn stop(&self) {
        // An intake that has ended needs no stop.
        let _ = self.0.send(Message::Stop);
    }
}

/// Makes an intake ask the records about all files again, from another thread.
#[derive(Clone, Debug)]
pub struct LookAgain(pub(super) mpsc::Sender<Message>);

impl LookAgain {
    /// Makes the intake forget which files are settled, and rescan.
    pub fn look_again(&self) {
        // An intake that has ended needs no rescan.
        let _ = self.0.send(Message::LookAgain);
    }
}

/// Hands complete files to an intake, from another thread.
#[derive(Clone, Debug)]
pub struct Arrivals(pub(super) mpsc::Sender<Message>);

impl Arrivals {
    /// Offers a file without waiting for it to be at rest. The file should be below a watched folder, where the intake
    /// finds it after a restart.
    pub fn arrived(&self, path: PathBuf) {
        // An intake that has ended takes nothing; the next one finds the file.
        let _ = self.0.send(Message::Arrived(path));
    }
}
