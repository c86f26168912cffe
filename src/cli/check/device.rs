//! What the settings name: folders, databases, serial line, broker.

use std::fs;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Finding, State};
use crate::config::{Broker, Config};
use crate::journal;
use crate::packages::free_bytes;

/// Below this photos of a few days may fill the disk.
const FREE_BYTES_GOOD: u64 = 1_000_000_000;
/// Below this the database itself is in danger.
const FREE_BYTES_MIN: u64 = 100_000_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite looks up every so many of its instructions; a check of a few 100 MB takes about this many times.
const CHECK_INSTRUCTIONS: std::ffi::c_int = 1_000_000;
const CHECK_LOOKS_MAX: u32 = 3_000;

pub fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = vec![data_dir(&config.device.data_dir), database(&config.device.data_dir)];
    findings.extend(config.intake.folders.iter().map(|folder| watched(folder)));
    findings.extend(config.position.device.as_deref().map(serial_line));
    findings.push(match &config.mqtt {
        Some(mqtt) => broker(&mqtt.broker),
        None => Finding::new("broker", State::Ok, "none: results stay on the device".to_owned()),
    });
    findings
}

fn data_dir(dir: &Path) -> Finding {
    let finding = |state, text| Finding::new("disk", state, format!("{}: {text}", dir.display()));
    if let Err(error) = tempfile::tempfile_in(dir) {
        return finding(State::Error, error.to_string()).remedy(
            "create the folder, and let the daemon's user write there (run this check as that user)".to_owned(),
        );
    }
    match free_bytes(dir) {
        Err(error) => finding(State::Error, error.to_string()),
        Ok(free) => {
            let text = format!("{} MB free", free / 1_000_000);
            match free {
                ..FREE_BYTES_MIN => finding(State::Error, text).remedy("make room now".to_owned()),
                FREE_BYTES_MIN..FREE_BYTES_GOOD => finding(State::Warning, text).remedy("make room soon".to_owned()),
                _ => finding(State::Ok, text),
            }
        }
    }
}

fn database(dir: &Path) -> Finding {
    let path = dir.join(journal::FILE_NAME);
    let finding = |state, text| Finding::new("database", state, format!("{}: {text}", path.display()));
    if !path.exists() {
        return finding(State::Ok, "not there yet; the daemon makes it".to_owned());
    }
    match quick_check(&path) {
        Ok(answer) if answer == "ok" => finding(State::Ok, "whole".to_owned()),
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == rusqlite::ErrorCode::OperationInterrupted => {
            finding(State::Warning, "too large to be checked in reasonable time".to_owned())
        }
        Ok(damage) => finding(State::Error, damage).remedy(DAMAGED.to_owned()),
        Err(error) => finding(State::Error, error.to_string()).remedy(DAMAGED.to_owned()),
    }
}

const DAMAGED: &str =
    "stop the daemon, copy the file away, and let a new one be made; photos in the folders are read again";

fn quick_check(path: &Path) -> rusqlite::Result<String> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut looks = 0;
    let is_over = move || {
        looks += 1;
        looks > CHECK_LOOKS_MAX
    };
    connection.progress_handler(CHECK_INSTRUCTIONS, Some(is_over))?;
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}

fn watched(folder: &Path) -> Finding {
    let finding = |state, text| Finding::new("folder", state, format!("{}: {text}", folder.display()));
    match fs::read_dir(folder) {
        Ok(_) => finding(State::Ok, "can be read".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            finding(State::Warning, "not there".to_owned()).remedy("it is watched as soon as it appears".to_owned())
        }
        Err(error) => finding(State::Error, error.to_string())
            .remedy("let the daemon's user read it (run this check as that user)".to_owned()),
    }
}

fn serial_line(device: &Path) -> Finding {
    let finding = |state, text| Finding::new("position", state, format!("{}: {text}", device.display()));
    match fs::OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => finding(State::Ok, "can be opened".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            finding(State::Warning, "not there".to_owned()).remedy("plug the receiver in; it is found then".to_owned())
        }
        Err(error) => {
            finding(State::Error, error.to_string()).remedy("put the daemon's user into the group dialout".to_owned())
        }
    }
}

/// Whether something listens there; each address of the name gets its time.
fn broker(broker: &Broker) -> Finding {
    let Broker { host, port } = broker;
    let finding = |state, text| Finding::new("broker", state, format!("{host}:{port}: {text}"));
    let addresses = match (host.as_str(), *port).to_socket_addrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            return finding(State::Warning, error.to_string())
                .remedy("look at the network and the name; events wait meanwhile".to_owned());
        }
    };
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(_) => return finding(State::Ok, format!("{address} answers")),
            Err(error) => reason = format!("{address}: {error}"),
        }
    }
    finding(State::Warning, reason).remedy("look at the network and the broker; events wait meanwhile".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_broken_is_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(database(dir.path()).state, State::Ok);
        Connection::open(dir.path().join(journal::FILE_NAME))
            .expect("opens")
            .execute("CREATE TABLE t (x)", [])
            .expect("t");
        assert_eq!(database(dir.path()).state, State::Ok);
        fs::write(dir.path().join(journal::FILE_NAME), [7; 8192]).expect("write");
        assert_eq!(database(dir.path()).state, State::Error);
        assert_eq!(data_dir(&dir.path().join("missing")).state, State::Error);
        assert_eq!(watched(dir.path()).state, State::Ok);
        assert_eq!(watched(&dir.path().join("missing")).state, State::Warning);
        assert_eq!(serial_line(Path::new("/dev/null")).state, State::Ok);
        assert_eq!(serial_line(&dir.path().join("missing")).state, State::Warning);
    }

    #[test]
    fn a_broker_is_there_or_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let there = Broker { host: "127.0.0.1".into(), port };
        assert_eq!(broker(&there).state, State::Ok);
        drop(listener);
        assert_eq!(broker(&there).state, State::Warning);
    }
}
