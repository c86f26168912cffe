//! `bridgeclip pair`: a code that lets a phone or a laptop in.

use std::io::Write;

use anyhow::{Result, ensure};
use serde_json::json;

use super::device::DeviceArgs;
use super::{Outcome, api};
use crate::web::Role;

/// Show a code that lets one phone, tablet or laptop use this device's page.
///
/// It is good for one visitor and ten minutes. They open the page, enter the code and their name, and are known for 30
/// days. A new code takes the place of the last one. The page must be on the network: [web] listen in the settings.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// What the visitor may do: look at everything, or also add photos, judge and tag.
    #[arg(long, value_enum, value_name = "ROLE", default_value = "inspector")]
    role: Role,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let listen = config.web.as_ref().map(|web| web.listen);
    ensure!(
        listen.is_some(),
        "there is no field page: add a section [web] with listen = \"0.0.0.0:8420\" to the settings"
    );
    let answer = api::post(&config.device.data_dir, "/api/v1/pairing", &json!({ "role": args.role }))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{answer}")?;
        return Ok(Outcome::Good);
    }
    let code = answer["code"].as_str().unwrap_or_default();
    let (first, second) = code.split_at_checked(3).unwrap_or_default();
    let minutes = answer["seconds"].as_u64().unwrap_or_default() / 60;
    writeln!(out, "{first} {second}")?;
    if let Some(listen) = listen {
        eprintln!("Good for {minutes} minutes. Open http://<this device>:{} and enter it.", listen.port());
        if listen.ip().is_loopback() {
            eprintln!("Nobody needs it now: the page is for this machine alone ([web] listen = \"{listen}\").");
        }
    }
    Ok(Outcome::Good)
}
