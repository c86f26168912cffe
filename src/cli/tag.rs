//! `bridgeclip tag`: says what the photos from now on show.

use std::io::Write;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::device::{DeviceArgs, data_dir};
use super::outcome::Outcome;
use crate::domain::{Tag, TagText};
use crate::journal::{self, Reader, set_tag};
use crate::position::boot_id;

/// Say which bridge, span and member the photos from here on show, as no satellite can; the daemon may be running.
///
/// A new tag replaces the last one completely. Without any, the current tag is shown. A photo of a QR code with
/// `bridgeclip:bridge=ID;span=S;member=M` does the same.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
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
    let config = args.device.config()?;
    let path = config.device.data_dir.join(journal::FILE_NAME);
    let Args { bridge, span, member, .. } = args;
    let tag = Tag { bridge: bridge.clone(), span: span.clone(), member: member.clone() };
    if args.clear || !tag.is_empty() {
        let boot_id = boot_id().context("cannot read the boot id")?;
        data_dir(&config)?;
        set_tag(&path, &tag, &boot_id, Timestamp::now())?;
    }
    let holds = if path.exists() { Reader::open(&path)?.tag()? } else { None };
    writeln!(std::io::stdout(), "{}", holds.unwrap_or_default())?;
    Ok(Outcome::Good)
}
