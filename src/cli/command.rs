//! `bridgeclip command`: keys and signed commands, for the central side.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};

use super::new_file::write_secret;
use super::outcome::Outcome;
use crate::config::TopicLevel;
use crate::random::secret;
use crate::uplink::{Order, SigningKey, new_private_key, private_key, read_secret, sign};

/// Make signed commands for a device, to be published by any MQTT client.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Keygen(KeygenArgs),
    Sign(SignArgs),
}

/// Make a key: the private part into a new file, the public part, for [commands] of the devices, to the screen.
#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// The new file; only its owner will be able to read it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Print topic and payload of a command, each on a line.
///
/// Operations: ping; set (metered, bytes_per_s_max, log_level; null takes back what was set); resend, reclassify
/// (photos, or sequence [first, last]); retag (photos, tag with bridge, span, member). Publish it with QoS 1 and not
/// retained; the outcome arrives on the same topic with /state appended.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The private key, as keygen or openssl wrote it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[arg(long)]
    site: String,
    /// The device's id at that site.
    #[arg(long)]
    device: String,
    #[arg(long)]
    op: String,
    /// Arguments of the operation, as a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = arguments)]
    args: Map<String, Value>,
    /// Id by which the outcome can be found; a random one if not given.
    #[arg(long)]
    id: Option<String>,
    /// Counter, greater than that of any earlier command to this device; microseconds since 1970 if not given.
    #[arg(long, value_name = "N")]
    counter: Option<u64>,
    /// How long the command is valid.
    #[arg(long, value_name = "S", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    expires_s: u32,
}

fn arguments(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(text)
}

pub fn run(command: &Command) -> Result<Outcome> {
    match command {
        Command::Keygen(args) => keygen(&args.out)?,
        Command::Sign(args) => print(args)?,
    }
    Ok(Outcome::Good)
}

fn keygen(path: &Path) -> Result<()> {
    let seed = secret().context("/dev/urandom")?;
    let (pem, public) = new_private_key(&seed);
    write_secret(path, &pem)?;
    writeln!(std::io::stdout(), "public_key = \"{public}\"")?;
    Ok(())
}

fn print(args: &SignArgs) -> Result<()> {
    let key = read_key(&args.key)?;
    let order = order(args)?;
    let payload = sign(&order, &key);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}/cmd/{}/{}", order.device, order.op, order.id)?;
    writeln!(out, "{}", String::from_utf8_lossy(&payload))?;
    Ok(())
}

fn read_key(path: &Path) -> Result<SigningKey> {
    let secret = read_secret(path)?;
    private_key(secret.expose()).with_context(|| path.display().to_string())
}

fn order(args: &SignArgs) -> Result<Order> {
    let level = |text: &str| TopicLevel::try_from(text.to_owned()).map_err(anyhow::Error::msg);
    let (site, device) = (level(&args.site)?, level(&args.device)?);
    let id = args.id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let (op, id) = (level(&args.op)?, level(&id)?);
    let issued_at = Timestamp::now();
    let counter = args.counter.or_else(|| issued_at.as_microsecond().try_into().ok());
    Ok(Order {
        device: format!("bridge/v1/{}/{}", site.as_str(), device.as_str()),
        op: op.as_str().to_owned(),
        id: id.as_str().to_owned(),
        counter: counter.context("this computer's clock is before 1970; give --counter")?,
        issued_at,
        expires_at: issued_at + SignedDuration::from_secs(args.expires_s.into()),
        args: args.args.clone(),
    })
}
