//! Checks that a device keeps its promises after a power cut. The program is started on the drive that the cut left.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;

use serde_json::Value;

use crate::central::Central;
use crate::device::{Device, Place};
use crate::disk::Disk;
use crate::kit::{Kit, sha256};
use crate::promises::{Lasting, Ledger, Mark};
use crate::recording::Recording;
use crate::support::soon;
use crate::workload::file_name;

/// Kind of promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Start,
    Result,
    Correction,
    Upload,
    Key,
    Tag,
    Settings,
    Visitor,
    Package,
    Command,
    Bundle,
    Event,
    /// An event arrived with other bytes, a photo as two events, or a number was given twice.
    Bytes,
    /// A count of losses decreased.
    Count,
    /// The device does not continue to work.
    Work,
}

#[derive(Clone, Debug)]
pub struct Finding {
    pub kind: Kind,
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

/// Findings of a check, and the changes to the drive during it.
pub struct Checked {
    pub findings: Vec<Finding>,
    pub recording: Recording,
}

/// First number of the photos that are uploaded after a cut. No recording contains them.
const PHOTO: usize = 50_000;

/// Starts the program on a drive, and compares it with what was promised before.
///
/// # Errors
/// If the bench itself fails.
pub fn check(kit: &Kit, place: &Place, central: &Central, disk: Disk, before: Vec<Mark>) -> io::Result<Checked> {
    let ledger = Ledger::of(&before);
    let device = Device::new(kit, place, central, disk, before)?;
    device.change_card(ledger.cards.keys().map(|&photo| (file_name(photo), kit.photo(photo))))?;
    let mut check = Check { kit, device, ledger, findings: Vec::new() };
    match check.device.start() {
        Err(error) => check.find(Kind::Start, error),
        Ok(()) => {
            if let Err(error) = check.all() {
                check.find(Kind::Work, error);
            }
        }
    }
    let Check { device, findings, .. } = check;
    let recording = device.cut()?.recording();
    Ok(Checked { findings, recording })
}

struct Check<'a> {
    kit: &'a Kit,
    device: Device<'a>,
    ledger: Ledger,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn find(&mut self, kind: Kind, text: impl Into<String>) {
        self.findings.push(Finding { kind, text: text.into() });
    }

    fn all(&mut self) -> Result<(), String> {
        let photo = self.hand_in_a_photo()?;
        self.registers()?;
        self.visitors();
        self.key()?;
        self.bundles()?;
        self.results(&photo)?;
        self.events()?;
        self.commands();
        self.counts()?;
        self.package();
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Value, String> {
        let answer = self.device.ask("GET", path, &Value::Null)?;
        if answer.is_good() { Ok(answer.body) } else { Err(format!("{path}: {} {}", answer.status, answer.body)) }
    }

    /// Uploads a photo that is new, even in the recording of a second cut. The device must accept it.
    fn hand_in_a_photo(&mut self) -> Result<String, String> {
        let number = (PHOTO..).find(|&number| !self.ledger.uploads.contains(&sha256(&self.kit.photo(number))));
        let photo = self.kit.photo(number.unwrap_or(PHOTO));
        let hash = sha256(&photo);
        let answer = self.device.upload("after.jpg", &photo)?;
        if !answer.is_good() {
            return Err(format!("a new photo is refused: {} {}", answer.status, answer.body));
        }
        self.device.mark(Mark::Kept(Lasting::Upload(hash.clone())));
        Ok(hash)
    }

    fn registers(&mut self) -> Result<(), String> {
        let tag = self.get("/api/v1/tag")?.to_string();
        if !self.ledger.tag.allows(&tag) {
            self.find(Kind::Tag, format!("it is {tag}, not {}", self.ledger.tag));
        }
        let settings = self.get("/api/v1/settings")?["bytes_per_s_max"].to_string();
        if !self.ledger.settings.allows(&settings) {
            self.find(Kind::Settings, format!("bytes_per_s_max is {settings}, not {}", self.ledger.settings));
        }
        let status = self.get("/api/v1/status")?;
        let package = status["package"].as_str().unwrap_or_default().rsplit(' ').next().unwrap_or_default().to_owned();
        if !self.ledger.package.allows(&package) {
            self.find(Kind::Package, format!("{package} is in use, not {}", self.ledger.package));
        }
        Ok(())
    }

    fn visitors(&mut self) {
        let disk = self.device.recorder.disk();
        let sessions = String::from_utf8_lossy(disk.read("data/sessions.json").unwrap_or_default()).into_owned();
        for token in self.ledger.visitors.clone() {
            if !sessions.contains(&token) {
                self.find(Kind::Visitor, "one that was let in must pair again");
            }
        }
    }

    fn key(&mut self) -> Result<(), String> {
        let Some(promised) = self.ledger.key.clone() else { return Ok(()) };
        let key = self.device.run(&["queue", "key"])?;
        if key.trim() != promised {
            self.find(Kind::Key, format!("it is {}, not {promised}", key.trim()));
        }
        Ok(())
    }

    /// Imports the other device's bundle again if it was imported before. None of its events may be new.
    fn bundles(&mut self) -> Result<(), String> {
        if self.ledger.bundles.is_empty() {
            return Ok(());
        }
        let said = self.kit.import_bundle(&self.device)?;
        if !said.starts_with("0 new events") {
            self.find(Kind::Bundle, format!("its events are queued twice: {}", said.trim()));
        }
        Ok(())
    }

    /// Returns the hash of each capture, and everything that the device shows of it.
    fn captures(&self) -> Result<Vec<(String, Value)>, String> {
        let list = self.get("/api/v1/captures?limit=200")?;
        let captures = list["captures"].as_array().cloned().unwrap_or_default();
        let hash = |capture: Value| (capture["image"]["sha256"].as_str().unwrap_or_default().to_owned(), capture);
        Ok(captures.into_iter().map(hash).collect())
    }

    fn results(&mut self, new: &str) -> Result<(), String> {
        // Uploads stay on the drive until they have results. Photos whose results were damaged are read from the card
        // again.
        let mut wanted = self.ledger.uploads.clone();
        wanted.extend(self.ledger.cards.values().cloned().chain([new.to_owned()]));
        let missing = |captures: &[(String, Value)]| {
            let found: BTreeSet<&String> = captures.iter().map(|(hash, _)| hash).collect();
            wanted.iter().filter(|hash| !found.contains(hash)).cloned().collect::<Vec<_>>()
        };
        let is_gone = |hash: &String| self.ledger.uploads.contains(hash) && !self.is_anywhere(hash);
        soon(|| self.captures().is_ok_and(|captures| missing(&captures).iter().all(is_gone)));
        let captures = self.captures()?;
        for hash in missing(&captures) {
            match self.ledger.uploads.contains(&hash) {
                true => self.find(Kind::Upload, format!("{hash} is neither a photo nor a result")),
                false => self.find(Kind::Work, format!("the photo {hash} gives no result:\n{}", self.device.log())),
            }
        }
        for (hash, promised) in self.ledger.captures.clone() {
            match captures.iter().find(|(found, _)| *found == hash).map(|(_, capture)| first_event(capture)) {
                None => self.find(Kind::Result, format!("that of the photo {hash} is lost")),
                Some(event) if promised.is_some() && event != promised => {
                    self.find(Kind::Result, format!("that of the photo {hash} is {event:?} now, not {promised:?}"));
                }
                Some(_) => (),
            }
        }
        if let Some((_, capture)) = captures.iter().find(|(found, _)| found == new) {
            let kept = Lasting::Capture { sha256: new.to_owned(), event: first_event(capture) };
            self.device.mark(Mark::Kept(kept));
        }
        self.corrections(&captures)?;
        self.places(&captures);
        Ok(())
    }

    /// Reports whether a photo still exists, as a file on the drive or as a capture.
    fn is_anywhere(&self, hash: &str) -> bool {
        let disk = self.device.recorder.disk();
        let found = disk.names().into_iter().any(|(_, name, ino)| {
            name.starts_with(&hash[..12]) && disk.bytes(ino).is_some_and(|bytes| sha256(bytes) == hash)
        });
        found || self.captures().is_ok_and(|captures| captures.iter().any(|(found, _)| found == hash))
    }

    /// Checks that each photo's history begins with what was promised, and has at most one more entry: the one under
    /// way.
    fn corrections(&mut self, captures: &[(String, Value)]) -> Result<(), String> {
        for (hash, promised) in self.ledger.judgements.clone() {
            let Some((_, capture)) = captures.iter().find(|(found, _)| *found == hash) else {
                self.find(Kind::Correction, format!("those of {promised:?} are lost with their photo {hash}"));
                continue;
            };
            let told = self.get(&format!("/api/v1/captures/{}", capture["capture"]))?;
            let found: Vec<_> = told["history"].as_array().into_iter().flatten().map(judgement).collect();
            if !found.starts_with(&promised) || found.len() > promised.len() + 1 {
                self.find(Kind::Correction, format!("of {promised:?} there is {found:?}"));
            }
        }
        Ok(())
    }

    /// Checks which bridge each photo shows.
    fn places(&mut self, captures: &[(String, Value)]) {
        for (hash, bridge) in self.ledger.places.clone() {
            let found = captures.iter().find(|(found, _)| *found == hash).map(|(_, capture)| &capture["tag"]["bridge"]);
            if found.is_none_or(|found| *found != bridge) {
                self.find(Kind::Correction, format!("the photo {hash} is of {found:?}, not of {bridge}"));
            }
        }
    }

    fn events(&mut self) -> Result<(), String> {
        // Events that a broker refused before must be delivered too.
        let retried = self.device.ask("POST", "/api/v1/queue/retry", &serde_json::json!({}))?;
        if !retried.is_good() {
            return Err(format!("events that were set aside: {} {}", retried.status, retried.body));
        }
        let depth = || self.get("/api/v1/queue").map(|queue| queue["queue"]["depth"].clone());
        if !soon(|| depth().is_ok_and(|depth| depth == 0)) {
            return Err(format!("the queue does not become empty: {:?}\n{}", depth(), self.device.log()));
        }
        let recording = self.device.recorder.recording();
        let now = Ledger::of(recording.marks(recording.entries.len()));
        let told = now.told();
        let bundled = self.ledger.bundles.iter().flatten();
        let lost = self.ledger.announced.iter().chain(bundled).filter(|id| !now.events.contains_key(*id));
        let mut found: Vec<_> = lost.map(|id| format!("{id} never arrived")).collect();
        let silent = self.ledger.captures.keys().filter(|hash| !told.contains(*hash));
        found.extend(silent.map(|hash| format!("no event tells of the photo {hash}")));
        found.into_iter().for_each(|text| self.find(Kind::Event, text));
        now.contradictions().into_iter().for_each(|text| self.find(Kind::Bytes, text));
        Ok(())
    }

    /// Checks that the first and the last command are not carried out again.
    fn commands(&mut self) {
        let commands = self.ledger.commands.clone();
        let ends = commands.first().into_iter().chain(commands.last().filter(|_| commands.len() > 1));
        for (topic, payload) in ends {
            let state = self.device.central.command(topic, payload);
            let state = state.unwrap_or_default()["state"].as_str().unwrap_or("not answered").to_owned();
            if state != "refused" {
                self.find(Kind::Command, format!("{topic} came again and was {state}"));
            }
        }
    }

    fn counts(&mut self) -> Result<(), String> {
        let status = self.get("/api/v1/status")?;
        for (name, promised) in self.ledger.losses.clone() {
            let count = status["losses"][&name].as_u64().unwrap_or(0);
            if count < promised {
                self.find(Kind::Count, format!("{name} went back from {promised} to {count}"));
            }
        }
        Ok(())
    }

    /// Checks that the package in use is byte for byte the one that was installed.
    fn package(&mut self) {
        let disk = self.device.recorder.disk();
        let Some(current) = disk.find("packages/current") else { return };
        let manifest = disk.lookup(current, "package.toml").and_then(|ino| disk.bytes(ino)).unwrap_or_default();
        let manifest = String::from_utf8_lossy(manifest).into_owned();
        let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
        let version = version.unwrap_or_default();
        let entries = fs::read_dir(self.kit.package_dir(version));
        for entry in entries.into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let found = disk.lookup(current, &name).and_then(|ino| disk.bytes(ino));
            if found.is_none() || found != fs::read(entry.path()).ok().as_deref() {
                self.find(Kind::Package, format!("{name} of version {version} is not as it was installed"));
            }
        }
    }
}

/// Returns the id of the first event about a photo.
pub fn first_event(capture: &Value) -> Option<String> {
    capture["supersedes"].as_str().or(capture["event_id"].as_str()).map(str::to_owned)
}

/// Returns the inspector and their act.
fn judgement(entry: &Value) -> (String, String) {
    let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    (text("by"), text("act"))
}
