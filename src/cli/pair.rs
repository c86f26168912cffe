//! `bridgeclip pair`: shows a code that admits a phone or a laptop, and lists the visitors who were admitted.

use std::io::{self, Write};
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::device::DeviceArgs;
use super::outcome::Outcome;
use super::{api, present};
use crate::config::Web;
use crate::web::Role;

/// Show a code that lets one phone, tablet or laptop use this device's page, or who was let in.
///
/// A code is good for one visitor and ten minutes. They open the page, enter the code and their name, and are known for
/// 30 days, or until they leave or are sent away with --revoke. A new code takes the place of the last one. The page
/// must be on the network: [web] listen in the settings.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: DeviceArgs,
    /// What the visitor may do: look at everything, or also add photos, judge, tag and take files away.
    #[arg(long, value_enum, value_name = "ROLE", default_value = "inspector")]
    role: Role,
    /// List the visitors who are known, the most recent first.
    #[arg(long, conflicts_with_all = ["role", "revoke"])]
    list: bool,
    /// Send the visitor with this id away, at once: a phone that was lost, say. --list shows the ids.
    #[arg(long, value_name = "ID", conflicts_with_all = ["role", "json"])]
    revoke: Option<String>,
    /// One JSON object; with --list one per visitor and line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<Outcome> {
    let config = args.device.config()?;
    let data_dir = &config.device.data_dir;
    match &args.revoke {
        Some(id) => revoke(data_dir, id)?,
        None if args.list => list(data_dir, args.json)?,
        None => show_code(data_dir, config.web.as_ref(), args)?,
    }
    Ok(Outcome::Good)
}

fn show_code(data_dir: &Path, web: Option<&Web>, args: &Args) -> Result<()> {
    let listen = web.and_then(|web| web.listen);
    ensure!(
        listen.is_some(),
        "the page is not on the network, and nobody at the device needs a code; to let visitors in add \
         listen = \"0.0.0.0:8420\" to the section [web] of the settings"
    );
    let answer = api::post(data_dir, "/api/v1/pairing", &json!({ "role": args.role }))?;
    if args.json {
        return Ok(writeln!(io::stdout(), "{answer}")?);
    }
    let code = answer["code"].as_str().unwrap_or_default();
    let (first, second) = code.split_at_checked(3).unwrap_or_default();
    writeln!(io::stdout(), "{first} {second}")?;
    let minutes = answer["seconds"].as_u64().unwrap_or_default() / 60;
    match listen {
        Some(listen) if listen.ip().is_loopback() => {
            eprintln!("Good for {minutes} minutes. Open the page through the proxy in front of {listen} and enter it.");
        }
        Some(listen) => {
            eprintln!("Good for {minutes} minutes. Open http://<this device>:{} and enter it.", listen.port());
        }
        None => (),
    }
    Ok(())
}

fn list(data_dir: &Path, json: bool) -> Result<()> {
    let answer = api::ask(data_dir, "GET", "/api/v1/visitors", "")?;
    let visitors = answer["visitors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut out = io::stdout().lock();
    for visitor in visitors {
        match json {
            true => writeln!(out, "{visitor}")?,
            false => writeln!(out, "{}", line(visitor))?,
        }
    }
    if visitors.is_empty() && !json {
        eprintln!("No visitor is known.");
    }
    Ok(())
}

/// Returns a line about a visitor: `1f2e3d4c  inspector  A. Sato, last seen 5 min ago from 10.0.0.7, known for 29 days
/// more`.
fn line(visitor: &Value) -> String {
    let text = |key: &str| visitor[key].as_str().unwrap_or("?");
    let seconds = |key: &str| visitor[key].as_u64().unwrap_or_default();
    let from = visitor["address"].as_str().map(|address| format!(" from {address}")).unwrap_or_default();
    format!(
        "{}  {:9}  {}, last seen {} ago{from}, known for {} more",
        text("id"),
        text("role"),
        text("name"),
        present::duration(seconds("seen_s")),
        present::duration(seconds("left_s"))
    )
}

fn revoke(data_dir: &Path, id: &str) -> Result<()> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(is_id, "`{id}` is not the id of a visitor; --list shows the ids");
    api::ask(data_dir, "DELETE", &format!("/api/v1/visitors/{id}"), "")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_shown_in_a_line() {
        let mut visitor = json!({
            "id": "1f2e3d4c", "role": "viewer", "name": "A. Sato", "seen_s": 300, "left_s": 2_505_600, "address": "10.0.0.7",
        });
        let expected = "1f2e3d4c  viewer     A. Sato, last seen 5 min ago from 10.0.0.7, known for 29 days more";
        assert_eq!(line(&visitor), expected);
        visitor["address"].take();
        visitor["left_s"] = 7_200.into();
        assert_eq!(line(&visitor), "1f2e3d4c  viewer     A. Sato, last seen 5 min ago, known for 2 h more");
    }
}
