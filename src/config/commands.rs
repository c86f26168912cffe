//! The section of commands.

use std::path::PathBuf;

use serde::Deserialize;

use super::Section;

/// Whose commands are carried out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    pub public_key: Option<String>,
    pub public_key_file: Option<PathBuf>,
    /// The clock is right although nothing is known to set it.
    #[serde(default)]
    pub trust_clock: bool,
}

impl Section for Commands {
    fn check(&self) -> Result<(), &'static str> {
        match self.public_key.is_some() != self.public_key_file.is_some() {
            true => Ok(()),
            false => Err("give either public_key or public_key_file; `bridgeclip command keygen` makes a key"),
        }
    }
}
