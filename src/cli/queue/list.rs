//! `bridgeclip queue list`.

use std::io::Write;

use anyhow::Result;
use serde_json::json;

use crate::cli::Outcome;
use crate::cli::device::{DeviceArgs, reader};
use crate::journal::{EventClass, OutboxRow, Reader, SetAsideRow};

/// List the events that wait, in the order of delivery.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// The events that the broker has refused for good, with the reason, instead.
    #[arg(long)]
    set_aside: bool,
    /// How many are listed at most.
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
            writeln!(out, "{}", if args.json { json_of_refused(&row) } else { line_of_refused(&row) })?;
        }
        return Ok(Outcome::Good);
    }
    for row in waiting(&reader).take(args.limit) {
        let row = row?;
        writeln!(out, "{}", if args.json { json_of_waiting(&row) } else { line_of_waiting(&row) })?;
    }
    Ok(Outcome::Good)
}

/// All waiting events in the order of delivery.
pub fn waiting(reader: &Reader) -> impl Iterator<Item = Result<OutboxRow>> {
    EventClass::ALL.into_iter().flat_map(move |class| of_class(reader, class))
}

/// Read some at a time: there may be a million.
fn of_class(reader: &Reader, class: EventClass) -> impl Iterator<Item = Result<OutboxRow>> {
    let (mut after, mut rows, mut over) = (0, Vec::new().into_iter(), false);
    std::iter::from_fn(move || {
        if rows.len() == 0 && !over {
            match reader.outbox(class, after, 256) {
                Ok(read) => rows = read.into_iter(),
                Err(error) => {
                    over = true;
                    return Some(Err(error.into()));
                }
            }
        }
        let row = rows.next();
        match &row {
            Some(row) => after = row.id,
            None => over = true,
        }
        row.map(Ok)
    })
}

fn line_of_waiting(row: &OutboxRow) -> String {
    let OutboxRow { id, class, event_id, topic, payload, tries } = row;
    format!("{id:>16}  {:<10}  {event_id}  {:>6} bytes  {tries} refusals  {topic}", class.name(), payload.len())
}

fn json_of_waiting(row: &OutboxRow) -> String {
    json!({
        "id": row.id,
        "class": row.class.name(),
        "event_id": row.event_id,
        "topic": row.topic,
        "bytes": row.payload.len(),
        "tries": row.tries,
    })
    .to_string()
}

fn line_of_refused(row: &SetAsideRow) -> String {
    format!("{:>16}  {}  {}  {} refusals: {}", row.id, row.event_id, row.topic, row.tries, row.reason)
}

fn json_of_refused(row: &SetAsideRow) -> String {
    json!({
        "id": row.id,
        "event_id": row.event_id,
        "topic": row.topic,
        "tries": row.tries,
        "reason": row.reason,
    })
    .to_string()
}
