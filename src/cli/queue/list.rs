//! `bridgeclip queue list`: the events that wait.

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

use crate::cli::device::{DeviceArgs, reader};
use crate::cli::outcome::Outcome;
use crate::journal::{EventOutline, SetAsideRow};

/// List the events that wait, in the order of delivery.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// The events that the broker has refused for good, with the reason, instead.
    #[arg(long)]
    set_aside: bool,
    /// Only those of other devices, which were imported.
    #[arg(long, conflicts_with = "set_aside")]
    imported: bool,
    /// Maximum number of events listed.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let reader = reader(&config)?;
    let mut out = std::io::stdout().lock();
    if args.set_aside {
        for row in reader.set_aside(args.limit)? {
            writeln!(out, "{}", if args.json { json(&row) } else { line_of_refused(&row) })?;
        }
        return Ok(Outcome::Good);
    }
    let is_meant = |topic: &str| !args.imported || topic.starts_with('/');
    let waiting = reader.waiting().filter(|row| row.as_ref().map_or(true, |row| is_meant(&row.topic)));
    for row in waiting.take(args.limit) {
        let row = row?.outline();
        writeln!(out, "{}", if args.json { json(&row) } else { line_of_waiting(&row) })?;
    }
    Ok(Outcome::Good)
}

fn json(row: &impl Serialize) -> String {
    serde_json::to_string(row).expect("plain values")
}

fn line_of_waiting(row: &EventOutline) -> String {
    let EventOutline { id, class, event_id, topic, bytes, tries } = row;
    format!("{id:>16}  {class:<10}  {event_id}  {bytes:>6} bytes  {tries} refusals  {topic}")
}

fn line_of_refused(row: &SetAsideRow) -> String {
    format!("{:>16}  {}  {}  {} refusals: {}", row.id, row.event_id, row.topic, row.tries, row.reason)
}
