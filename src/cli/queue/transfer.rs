//! `bridgeclip queue export`, `import` and `key`: events on a USB stick.

use std::io::{BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use crate::bundle::{self, BundleError, DeviceKey, Devices, PublicKey, Trust, Trusted};
use crate::cli::device::{DeviceArgs, data_dir, reader, with_journal};
use crate::cli::new_file::NewFile;
use crate::cli::outcome::Outcome;
use crate::config::Config;
use crate::journal::{ForeignEvent, Journal, JournalError};
use crate::plain_file;

/// Number of events that are imported with one commit.
const GROUP: usize = 256;

/// Write all waiting events into a signed file, to be imported elsewhere.
///
/// They stay in the queue until the broker has acknowledged them here: an event that arrives both ways has one id, and
/// whoever receives it ignores the second one.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// The file to write; one that is there is not replaced.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Take in the events of another device, and deliver them for it: with their own ids, topics and bytes.
///
/// Nothing is taken in unless the whole file is exactly what the device signed, and its key speaks for every device in
/// it: as [[bundle.trusted]] of the settings says, or --key and --device. Events that came before are skipped.
#[derive(Debug, clap::Args)]
pub struct ImportArgs {
    #[command(flatten)]
    device: DeviceArgs,
    /// The file that `queue export` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Public key that is trusted this once; `bridgeclip queue key` prints a device's own.
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<PublicKey>,
    /// A device for which the given keys speak, as in `kita/unit-1`, or all of a site, as in `kita/*`.
    #[arg(long = "device", value_name = "SITE/DEVICE", requires = "keys")]
    devices: Vec<Devices>,
}

/// Print the public key of this device. Its secret half is made when it is first needed, and stays in the data folder.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn key(args: &KeyArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    println!("{}", DeviceKey::open(data_dir(&config)?)?.public());
    Ok(Outcome::Good)
}

pub fn export(args: &ExportArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let reader = reader(&config)?;
    let key = DeviceKey::open(data_dir(&config)?)?;
    let prefix = config.topic_prefix();
    let events = reader.waiting().map(|row| {
        let row = row?;
        let topic = row.whole_topic(&prefix);
        Ok(ForeignEvent { class: row.class, event_id: row.event_id, topic, payload: row.payload })
    });
    let count = write_file(&args.file, |out| bundle::write(out, &prefix, Timestamp::now(), &key, events))?;
    println!("{count} events in {}, signed with {}", args.file.display(), key.public());
    Ok(Outcome::Good)
}

/// Writes a bundle, which is complete or absent: it gets its name only when it is on the stick.
fn write_file<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let mut file = NewFile::create(path, false)?;
    let failed = || format!("{}: cannot write", path.display());
    let mut out = BufWriter::new(file.file());
    let outcome = write(&mut out).with_context(failed)?;
    out.flush().with_context(failed)?;
    drop(out);
    file.keep()?;
    Ok(outcome)
}

pub fn import(args: &ImportArgs) -> Result<Outcome> {
    let config = args.device.config()?;
    let name = args.file.display().to_string();
    let mut file = plain_file::open(&args.file).with_context(|| format!("{name}: cannot open"))?;
    let verified = bundle::verify(BufReader::new(&file), &trust(&config, args)?).with_context(|| name.clone())?;
    file.rewind().with_context(|| format!("{name}: cannot read"))?;
    let new = take_in(&config, bundle::read(BufReader::new(&file), &verified)).with_context(|| name.clone())?;
    let contents = &verified.contents;
    println!(
        "{new} new events of {} from {}, {} known already",
        contents.head.device,
        name,
        contents.events.saturating_sub(new)
    );
    Ok(Outcome::Good)
}

/// Returns who may bring which events: as the settings say, and for this import as the command line says.
fn trust(config: &Config, args: &ImportArgs) -> Result<Trust> {
    if !args.keys.is_empty() && args.devices.is_empty() {
        bail!("a key speaks only for the devices that are named: add --device, as in --device kita/unit-1");
    }
    let given = args.keys.iter().map(|key| Trusted { key: *key, devices: args.devices.clone() });
    let trusted = config.bundle.trusted.iter().cloned().chain(given).collect();
    Ok(Trust { trusted, own: config.topic_prefix() })
}

fn take_in(config: &Config, events: impl Iterator<Item = Result<ForeignEvent, BundleError>>) -> Result<u64> {
    with_journal(config, |journal| {
        let (mut new, mut group) = (0, Vec::new());
        for event in events {
            group.push(event?);
            if group.len() == GROUP {
                new += store(journal, std::mem::take(&mut group))?;
            }
        }
        Ok(new + store(journal, group)?)
    })
}

fn store(journal: &Journal, group: Vec<ForeignEvent>) -> Result<u64, JournalError> {
    if group.is_empty() { Ok(0) } else { journal.import(group, Timestamp::now()) }
}
