//! `bridgeclip queue imported` and `drop`: events that came here with other devices' bundles.

use std::io::Write;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::bundle::{DEVICE_ROOT, Device};
use crate::cli::device::{DeviceArgs, reader, with_journal};
use crate::cli::outcome::Outcome;
use crate::journal::{Journal, Topics};

/// Number of events that are dropped with one commit.
const GROUP: usize = 500;

/// List the devices whose events were imported and are still here, with how many.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// Drop imported events that should not be delivered from here. Events of this device are never dropped.
///
/// The import is forgotten too: the events can be imported again.
#[derive(Debug, clap::Args)]
pub struct DropArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// Ids of the events, as `queue list` shows them.
    #[arg(value_name = "ID", required_unless_present_any = ["from", "all"])]
    ids: Vec<i64>,
    /// All events of the device with this site and name, as in `kita/unit-1`.
    #[arg(long, value_name = "SITE/DEVICE", conflicts_with = "ids")]
    from: Option<Device>,
    /// All imported events.
    #[arg(long, conflicts_with_all = ["ids", "from"])]
    all: bool,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn list(args: &ListArgs) -> Result<Outcome> {
    let reader = reader(&args.device.config()?)?;
    let mut out = std::io::stdout().lock();
    for (prefix, events) in reader.imported()? {
        let device = prefix.strip_prefix(DEVICE_ROOT).unwrap_or(&prefix);
        let (waiting, set_aside) = (events.waiting, events.set_aside);
        match args.json {
            true => writeln!(out, "{}", json!({"device": device, "waiting": waiting, "set_aside": set_aside}))?,
            false => writeln!(out, "{device}  {waiting} events wait, {set_aside} are set aside")?,
        }
    }
    Ok(Outcome::Good)
}

pub fn drop(args: &DropArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let topics = args.from.as_ref().map_or_else(Topics::foreign, |device| Topics::of_device(&device.prefix()));
    if args.from.as_ref().is_some_and(|device| device.prefix() == config.topic_prefix()) {
        bail!("this device's own events are not dropped");
    }
    let count = with_journal(&config, |journal| drop_all(journal, &topics, &args.ids).context("cannot drop"))?;
    match args.json {
        true => println!("{}", json!({ "dropped": count })),
        false => println!("{count} events of other devices dropped"),
    }
    Ok(Outcome::from_failures(args.ids.len().saturating_sub(usize::try_from(count)?)))
}

fn drop_all(journal: &Journal, topics: &Topics, ids: &[i64]) -> Result<u64> {
    if !ids.is_empty() {
        let groups = ids.chunks(GROUP).map(|ids| Ok(journal.drop_imported(topics.clone(), ids.to_vec(), GROUP)?));
        return groups.sum();
    }
    let mut dropped = 0;
    loop {
        let group = journal.drop_imported(topics.clone(), Vec::new(), GROUP)?;
        dropped += group;
        if group == 0 {
            return Ok(dropped);
        }
    }
}
