//! Checks what the settings name: folders, database, serial line.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::broker;
use super::finding::{Finding, State};
use crate::assembly;
use crate::cli::{api, present};
use crate::config::{Config, Web};
use crate::daemon;
use crate::drive::Drive;
use crate::export::read_members;
use crate::journal::{Condition, FILE_NAME, Reader, examine};
use crate::position::{Line, LineParams, LineState};

/// Time limit for examining a database, enough for several 100 MB on a slow card.
const EXAMINATION_MAX: Duration = Duration::from_secs(60);

pub fn findings(config: &Config) -> Vec<Finding> {
    let dir = &config.device.data_dir;
    let mut findings = vec![disk(dir, assembly::journal(config).keep_free_bytes), database(dir)];
    findings.extend(queue(dir));
    findings.extend(config.intake.folders.iter().map(|folder| watched(folder)));
    findings.extend(config.inspection.members.as_deref().map(members));
    findings.extend(assembly::receiver(config).map(|params| receiver(params, dir)));
    findings.extend(config.web.as_ref().and_then(page));
    findings.extend(broker::findings(config));
    findings
}

/// Checks the page's address. A loopback address that requires a code from everybody is meant for a proxy, whose
/// visitors can be told apart only if the proxy is trusted. In settings of version 0.1 such an address was meant for
/// people at the device.
fn page(web: &Web) -> Option<Finding> {
    let listen = web.listen?;
    let finding = |state, text: &str| Finding::new("page", state, format!("[web] listen = \"{listen}\": {text}"));
    Some(match listen.ip().is_loopback() && web.trusted_proxies.is_empty() {
        true => finding(State::Warning, "programs of this machine need a code there, and proxies are not believed")
            .remedy(
                "for people at the device use listen_here; for a proxy add trusted_proxies = [\"127.0.0.1\"]"
                    .to_owned(),
            ),
        false => finding(State::Ok, "visitors need a code"),
    })
}

fn members(path: &Path) -> Finding {
    let finding = |state, text: String| Finding::new("members", state, format!("{}: {text}", path.display()));
    match read_members(path) {
        Ok(members) => finding(State::Ok, format!("{} members shall have photos", members.len())),
        Err(error) => finding(State::Error, error.to_string())
            .remedy("mend the file, or leave out [inspection] members: coverage and the sheet need it".to_owned()),
    }
}

/// Checks the free space. Photos are refused below `keep_free`; the warning starts well before, because a day of photos
/// is in danger by then.
fn disk(dir: &Path, keep_free: u64) -> Finding {
    let finding = |state, text| Finding::new("disk", state, format!("{}: {text}", dir.display()));
    if let Err(error) = tempfile::tempfile_in(dir) {
        return finding(State::Error, error.to_string()).remedy(
            "create the folder, and let the daemon's user write there (run this check as that user)".to_owned(),
        );
    }
    let free = match Drive::of(dir) {
        Err(error) => return finding(State::Error, error.to_string()),
        Ok(drive) => drive.free_bytes,
    };
    let (text, keep) = (format!("{} MB free", free / 1_000_000), keep_free / 1_000_000);
    match free {
        _ if free < keep_free => finding(State::Error, text)
            .remedy(format!("photos are refused below {keep} MB ([storage] keep_free_megabytes): make room now")),
        _ if free < keep_free.saturating_mul(5) => finding(State::Warning, text)
            .remedy(format!("photos will be refused below {keep} MB ([storage] keep_free_megabytes): make room")),
        _ => finding(State::Ok, text),
    }
}

fn database(dir: &Path) -> Finding {
    let path = dir.join(FILE_NAME);
    let finding = |state, text: &str| Finding::new("database", state, format!("{}: {text}", path.display()));
    match examine(dir, EXAMINATION_MAX) {
        Ok(Condition::Absent) => finding(State::Ok, "not there yet; the daemon makes it"),
        Ok(Condition::Whole) => finding(State::Ok, "whole"),
        Ok(Condition::Unknown) => finding(State::Warning, "not looked through within a minute")
            .remedy("the daemon looks it through at each start; its log says what it found".to_owned()),
        Ok(Condition::Damaged(reason)) => finding(State::Error, &reason).remedy(
            "restart the daemon: it sets the file aside and keeps what is whole; photos that were lost are read again"
                .to_owned(),
        ),
        Err(error) => finding(State::Error, &error.to_string())
            .remedy("let the daemon's user read it (run this check as that user)".to_owned()),
    }
}

/// Checks the queue. None if there is no database.
fn queue(dir: &Path) -> Option<Finding> {
    let reader = Reader::open(&dir.join(FILE_NAME)).ok()?;
    let (depth, full) = (reader.outbox_depth().ok()?, reader.full().ok()?);
    let finding = |state, text| Finding::new("queue", state, text);
    Some(match full {
        Some(reason) => finding(State::Error, format!("photos are refused: {reason}"))
            .remedy("make room on the drive, or let the queue be delivered".to_owned()),
        None if depth.set_aside > 0 => {
            finding(State::Warning, format!("{} events wait, {} were refused", depth.total(), depth.set_aside)).remedy(
                "`bridgeclip queue list` says why the broker refused them, `queue retry` sends them again".into(),
            )
        }
        None => finding(State::Ok, format!("{} events wait", depth.total())),
    })
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

/// Time to listen to a receiver: the search through the usual rates takes longest.
const LISTEN: Duration = Duration::from_secs(20);
/// Time to go on listening once valid messages arrive, until the receiver has said everything.
const HEAR_OUT: Duration = Duration::from_secs(3);

/// Checks the receiver's line. A line that nobody uses is listened to.
fn receiver(params: LineParams, data_dir: &Path) -> Finding {
    if daemon::is_running(data_dir) {
        return told(&params, &api::get(data_dir, "/api/v1/status").ok().flatten().unwrap_or_default());
    }
    match params.source.path().map(serial_line) {
        Some(finding) if finding.state != State::Ok => finding,
        _ => heard(params),
    }
}

/// Returns what the running daemon tells about the line.
fn told(params: &LineParams, status: &Value) -> Finding {
    let Some(receiver) = status["receiver"].as_object() else {
        return Finding::new("position", State::Ok, format!("{}: the running daemon uses it", params.source));
    };
    let missing: Vec<&str> =
        receiver.get("missing").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let state = if missing.is_empty() { State::Ok } else { State::Warning };
    let finding = Finding::new("position", state, present::receiver(receiver));
    if missing.is_empty() { finding } else { finding.remedy(missing.join("; ")) }
}

/// Listens to a line and tells what is heard.
fn heard(params: LineParams) -> Finding {
    let source = params.source.to_string();
    let finding = |state, text: String| Finding::new("position", state, format!("{source}: {text}"));
    let line = match Line::start(params, |_| ()) {
        Ok(line) => line,
        Err(error) => return finding(State::Error, error.to_string()),
    };
    let begin = Instant::now();
    while line.report().state != LineState::Following && begin.elapsed() < LISTEN {
        thread::sleep(Duration::from_millis(50));
    }
    if line.report().state == LineState::Following {
        thread::sleep(HEAR_OUT);
    }
    let report = line.report();
    line.stop();
    let protocol = report.protocol.map(|protocol| protocol.to_string());
    let satellites = report.satellites.map(|count| format!("{count} satellites"));
    let heard: Vec<String> = [protocol, satellites].into_iter().flatten().collect();
    match report.missing.split_first() {
        None if report.last_fix_s.is_some() => finding(State::Ok, heard.join(", ")),
        None => {
            finding(State::Warning, "no fix".to_owned()).remedy("check the antenna and its view of the sky".to_owned())
        }
        Some((first, more)) => {
            let found = finding(State::Warning, [heard, vec![first.clone()]].concat().join(", "));
            if more.is_empty() { found } else { found.remedy(more.join("; ")) }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_broken_is_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(database(dir.path()).state, State::Ok);
        fs::write(dir.path().join(FILE_NAME), [7; 8192]).expect("write");
        assert_eq!(database(dir.path()).state, State::Error);
        assert_eq!(disk(&dir.path().join("missing"), 0).state, State::Error);
        assert_eq!(watched(dir.path()).state, State::Ok);
        assert_eq!(watched(&dir.path().join("missing")).state, State::Warning);
        assert_eq!(serial_line(Path::new("/dev/null")).state, State::Ok);
        assert_eq!(serial_line(&dir.path().join("missing")).state, State::Warning);
    }

    #[test]
    fn a_door_for_a_proxy_that_nobody_trusts_is_told_of() {
        let state = |web: &str| page(&toml::from_str(web).expect("settings")).map(|finding| finding.state);
        assert_eq!(state("listen_here = \"127.0.0.1:1\""), None);
        assert_eq!(state("listen = \"0.0.0.0:1\""), Some(State::Ok));
        assert_eq!(state("listen = \"127.0.0.1:1\""), Some(State::Warning));
        assert_eq!(state("listen = \"[::1]:1\"\ntrusted_proxies = [\"::1\"]"), Some(State::Ok));
    }

    #[test]
    fn a_disk_is_roomy_scarce_or_full() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let free = Drive::of(dir.path()).expect("a number").free_bytes;
        assert_eq!(disk(dir.path(), 0).state, State::Ok);
        assert_eq!(disk(dir.path(), free / 2).state, State::Warning);
        assert_eq!(disk(dir.path(), u64::MAX).state, State::Error);
    }
}
