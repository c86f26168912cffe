//! `bridgeclip queue status`: the state of the queue.

use std::io::Write;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::assembly;
use crate::cli::device::{DeviceArgs, reader};
use crate::cli::outcome::Outcome;
use crate::cli::{api, present};
use crate::config::Config;
use crate::domain::Losses;
use crate::journal::{EventClass, OutboxDepth};

/// Show how many events wait, since when, what the broker does not accept for now, and what was dropped or refused so
/// far.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let reader = reader(&config)?;
    let (depth, losses, full) = (reader.outbox_depth()?, reader.losses()?, reader.full()?);
    let used = reader.used_bytes()?;
    let daemon = api::get(&config.device.data_dir, "/api/v1/status").unwrap_or_default().unwrap_or_default();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", as_json(&config, &depth, &losses, full.as_deref(), used, &daemon))?;
        return Ok(Outcome::Good);
    }
    let classes = EventClass::ALL.map(|class| format!("{} {}", class.name(), depth.waiting[class as usize]));
    writeln!(out, "waiting    {} events: {}", depth.total(), classes.join(", "))?;
    if let Some(oldest) = depth.oldest_stored_at {
        writeln!(out, "oldest     stored at {oldest}, {} ago", present::age(oldest))?;
    }
    writeln!(out, "set aside  {} events", depth.set_aside)?;
    for part in present::held(&daemon) {
        writeln!(out, "held       {part}")?;
    }
    writeln!(out, "database   {} of {} MB", used / 1_000_000, quota(&config) / 1_000_000)?;
    if let Some(reason) = full {
        writeln!(out, "full       new photos are refused: {reason}")?;
    }
    for (count, what) in counted(&losses) {
        if count > 0 {
            writeln!(out, "so far     {count} {what}")?;
        }
    }
    Ok(Outcome::Good)
}

fn quota(config: &Config) -> u64 {
    assembly::journal(config).quota_bytes
}

fn counted(losses: &Losses) -> [(u64, &'static str); 8] {
    [
        (losses.thumbnails_dropped, "thumbnails gave way to the quota"),
        (losses.captures_forgotten, "delivered captures gave way to the quota"),
        (losses.events_set_aside, "events refused for good by the broker"),
        (losses.imports_dropped, "events of other devices dropped by hand"),
        (losses.times_full, "times full, refusing photos"),
        (losses.files_quarantined, "damaged databases set aside"),
        (losses.rows_damaged, "damaged rows in them, whose photos were queued again"),
        (losses.sequences_skipped, "sequence numbers skipped after damage"),
    ]
}

fn as_json(
    config: &Config,
    depth: &OutboxDepth,
    losses: &Losses,
    full: Option<&str>,
    used: u64,
    daemon: &Value,
) -> Value {
    let waiting = EventClass::ALL.map(|class| (class.name().to_owned(), json!(depth.waiting[class as usize])));
    json!({
        "waiting": waiting.into_iter().collect::<Map<_, _>>(),
        "waiting_total": depth.total(),
        "oldest_stored_at": depth.oldest_stored_at,
        "set_aside": depth.set_aside,
        "used_bytes": used,
        "quota_bytes": quota(config),
        "full": full,
        "losses": losses,
        "link": daemon["link"],
        "held": daemon["held"],
    })
}
