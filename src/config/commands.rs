//! The section `[commands]`: whose commands the device carries out.

use std::path::PathBuf;

use serde::Deserialize;

use super::Section;

/// Settings of commands.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    pub public_key: Option<String>,
    pub public_key_file: Option<PathBuf>,
    /// Whether the clock counts as right even if nothing is known to have set it.
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
