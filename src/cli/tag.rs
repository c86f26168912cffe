//! `bridgeclip tag`: says what the photos from now on show.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::outcome::Outcome;
use crate::config::Config;
use crate::domain::{Tag, TagText};
use crate::journal::{self, Reader, set_tag};
use crate::position::boot_id;

/// Say which bridge, span and member the photos from here on show, as no satellite can; the daemon may be running.
///
/// A new tag replaces the last one completely. Without any, the current tag is shown. A photo of a QR code with
/// `bridgeclip:bridge=ID;span=S;member=M` does the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file of the daemon.
    #[arg(long, value_name = "FILE", default_value = "/etc/bridgeclip/config.toml")]
    config: PathBuf,
    #[arg(long, value_name = "ID")]
    bridge: Option<TagText>,
    #[arg(long, value_name = "S")]
    span: Option<TagText>,
    #[arg(long, value_name = "M")]
    member: Option<TagText>,
    /// Take the last tag back.
    #[arg(long, conflicts_with_all = ["bridge", "span", "member"])]
    clear: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let data_dir = Config::read(&args.config)?.device.data_dir;
    let path = data_dir.join(journal::FILE_NAME);
    let Args { bridge, span, member, .. } = args;
    let tag = Tag { bridge: bridge.clone(), span: span.clone(), member: member.clone() };
    if args.clear || !tag.is_empty() {
        let boot_id = boot_id().context("cannot read the boot id")?;
        crate::durable::create_folders(&data_dir).with_context(|| format!("{}: cannot create", data_dir.display()))?;
        set_tag(&path, &tag, &boot_id, Timestamp::now())?;
    }
    let holds = if path.exists() { Reader::open(&path)?.tag()? } else { None };
    writeln!(std::io::stdout(), "{}", holds.unwrap_or_default())?;
    Ok(Outcome::Good)
}
