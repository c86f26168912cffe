//! Everything that a device does from its first start on, while its drive is recorded.

use std::io;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::check::first_event;
use crate::device::{Answer, Device};
use crate::kit::{Kit, sha256};
use crate::promises::{Damage, Lasting, Mark, Standing};
use crate::recording::Sync;
use crate::support::soon;

type Done<T = ()> = Result<T, String>;

/// Runs all chapters on an empty drive.
///
/// # Errors
/// If the device misbehaves even without a power cut.
pub fn perform(device: Device) -> Done<Device> {
    let mut script = Script { kit: device.kit, device, photos: 0 };
    script.first_start()?;
    script.without_a_link()?;
    script.uploads()?;
    script.tags_and_settings()?;
    script.delivery()?;
    script.commands()?;
    script.refused_events()?;
    script.bundles()?;
    script.packages()?;
    script.import()?;
    script.killed()?;
    script.salvage("salvage of a closed database", Script::stop_for_good)?;
    script.salvage("salvage of a database with its log", Script::pull_the_plug)?;
    script.lost_counters()?;
    script.salvage_at_work()?;
    script.end()?;
    Ok(script.device)
}

struct Script<'a> {
    kit: &'a Kit,
    device: Device<'a>,
    /// Number of photos taken so far.
    photos: usize,
}

/// Maximum number of other photos taken before the refused events are set aside.
const REFUSED_BESIDE_MAX: usize = 12;

impl Script<'_> {
    fn chapter(&self, name: &str) {
        self.device.mark(Mark::Chapter(name.to_owned()));
    }

    fn keep(&self, lasting: Lasting) {
        self.device.mark(Mark::Kept(lasting));
    }

    /// Does work that makes a state apply.
    fn make_hold<T>(&self, standing: Standing, work: impl FnOnce() -> Done<T>) -> Done<T> {
        self.device.mark(Mark::Begun(standing.clone()));
        let done = work()?;
        self.device.mark(Mark::Holds(standing));
        Ok(done)
    }

    fn good(&self, method: &str, path: &str, body: &Value) -> Done<Value> {
        good(&format!("{method} {path}"), self.device.ask(method, path, body)?)
    }

    fn next_photo(&mut self) -> (String, Vec<u8>, String) {
        self.photos += 1;
        let photo = self.kit.photo(self.photos);
        let sha256 = sha256(&photo);
        (file_name(self.photos), photo, sha256)
    }

    /// Puts photos into the watched folder and returns their hashes.
    fn take(&mut self, count: usize) -> Done<Vec<String>> {
        let mut taken = Vec::new();
        for _ in 0..count {
            let (name, photo, sha256) = self.next_photo();
            self.device.take(&name, &photo).map_err(|error| error.to_string())?;
            taken.push(sha256);
        }
        Ok(taken)
    }

    /// Waits until the device shows the results of these photos, and records each at once.
    fn see_captures(&self, wanted: &[String]) -> Done {
        let mut open: Vec<&String> = wanted.iter().collect();
        let all = soon(|| {
            let captures = self.captures().unwrap_or_default();
            open.retain(|sha256| {
                let found = captures.iter().find(|capture| capture["image"]["sha256"] == **sha256);
                if let Some(capture) = found {
                    self.keep(Lasting::Capture { sha256: (*sha256).clone(), event: first_event(capture) });
                }
                found.is_none()
            });
            open.is_empty()
        });
        if all { Ok(()) } else { Err(format!("{} photos gave no result:\n{}", open.len(), self.device.log())) }
    }

    fn captures(&self) -> Done<Vec<Value>> {
        let list = self.good("GET", "/api/v1/captures?limit=200", &Value::Null)?;
        Ok(list["captures"].as_array().cloned().unwrap_or_default())
    }

    fn work(&mut self, photos: usize) -> Done<Vec<String>> {
        let taken = self.take(photos)?;
        self.see_captures(&taken)?;
        Ok(taken)
    }

    /// Accepts the verdict of a photo, in the name of this inspector.
    fn accept(&self, sha256: &str, by: &str) -> Done {
        self.judge(sha256, by, "accepted", &json!({}))
    }

    /// Judges the verdict of a photo, in the name of this inspector.
    fn judge(&self, sha256: &str, by: &str, act: &str, word: &Value) -> Done {
        let capture = self.capture_of(sha256)?;
        let mut word = word.clone();
        (word["sequence"], word["name"]) = (capture["sequence"].clone(), by.into());
        let made = self.good("POST", &format!("/api/v1/captures/{}/inspection", capture["capture"]), &word)?;
        self.keep(Lasting::Judgement { sha256: sha256.to_owned(), by: by.to_owned(), act: act.to_owned() });
        self.announce(&made)
    }

    fn capture_of(&self, sha256: &str) -> Done<Value> {
        let found = self.captures()?.into_iter().find(|capture| capture["image"]["sha256"] == sha256);
        found.ok_or_else(|| format!("the photo {sha256} has no result"))
    }

    /// Tags a photo that has a result with a bridge.
    fn place(&self, sha256: &str, bridge: &str) -> Done {
        let path = format!("/api/v1/captures/{}/tag", self.capture_of(sha256)?["capture"]);
        let made = self.good("PUT", &path, &json!({ "tag": { "bridge": bridge } }))?;
        self.keep(Lasting::Place { sha256: sha256.to_owned(), bridge: bridge.to_owned() });
        self.announce(&made)
    }

    fn announce(&self, made: &Value) -> Done {
        let id = made["event_id"].as_str().ok_or_else(|| format!("no event id: {made}"))?;
        self.keep(Lasting::Announced(id.to_owned()));
        Ok(())
    }

    fn wait_for_delivery(&self) -> Done {
        let depth = || Some(self.device.ask("GET", "/api/v1/queue", &Value::Null).ok()?.body["queue"]["depth"].clone());
        match soon(|| depth().is_some_and(|depth| depth == 0)) {
            true => Ok(()),
            false => Err(format!("the queue does not become empty: {:?}\n{}", depth(), self.device.log())),
        }
    }

    fn note_losses(&self) -> Done {
        let status = self.good("GET", "/api/v1/status", &Value::Null)?;
        for (name, count) in status["losses"].as_object().into_iter().flatten() {
            if let Some(count) = count.as_u64().filter(|count| *count > 0) {
                self.keep(Lasting::Loss { name: name.clone(), count });
            }
        }
        Ok(())
    }

    fn first_start(&mut self) -> Done {
        self.chapter("key, package and first start");
        self.device.central.close(true);
        let key = self.device.run(&["queue", "key"])?;
        self.keep(Lasting::Key(key.trim().to_owned()));
        self.install("1.1")?;
        self.device.start()
    }

    fn install(&self, version: &str) -> Done {
        let dir = self.kit.package(version).map_err(|error| error.to_string())?;
        let install = || self.device.run(&["package", "install", &dir.to_string_lossy()]);
        self.make_hold(Standing::Package(version.to_owned()), install).map(drop)
    }

    fn without_a_link(&mut self) -> Done {
        self.chapter("photos and corrections without a link");
        let photos = self.work(4)?;
        self.accept(&photos[0], "Abe")?;
        let labels = json!({
            "soundness": ["III"], "measure": ["C1"], "damage_type": ["cracking"], "damage_location": ["pier"],
        });
        self.judge(&photos[1], "Baba", "corrected", &json!({ "labels": labels }))?;
        self.accept(&photos[1], "Chiba")?;
        self.judge(&photos[1], "Doi", "undone", &json!({ "undo": true }))?;
        self.place(&photos[2], "B-7")
    }

    fn uploads(&mut self) -> Done {
        self.chapter("uploads");
        let mut all = Vec::new();
        for _ in 0..3 {
            let (name, photo, sha256) = self.next_photo();
            good("upload", self.device.upload(&name, &photo)?)?;
            self.keep(Lasting::Upload(sha256.clone()));
            all.push(sha256);
        }
        self.see_captures(&all)
    }

    fn tags_and_settings(&mut self) -> Done {
        self.chapter("tags, settings and visitors");
        let tag = json!({ "bridge": "B-1", "span": "2" });
        self.make_hold(Standing::Tag(tag.to_string()), || self.good("PUT", "/api/v1/tag", &tag))?;
        self.work(1)?;
        let tag = json!({ "bridge": "B-2" });
        self.make_hold(Standing::Tag(tag.to_string()), || self.device.run(&["tag", "--bridge", "B-2"]))?;
        self.set_at_the_device(20_000_000)?;
        let code = self.good("POST", "/api/v1/pairing", &json!({ "role": "viewer" }))?;
        let entry = json!({ "code": code["code"], "name": "Doi" });
        let token = self.good("POST", "/api/v1/session", &entry)?["token"].as_str().unwrap_or_default().to_owned();
        self.keep(Lasting::Visitor(sha256(token.as_bytes())));
        Ok(())
    }

    fn set_at_the_device(&self, bytes_per_s: u32) -> Done {
        let standing = Standing::Settings(bytes_per_s.to_string());
        let change = json!({ "bytes_per_s_max": bytes_per_s });
        self.make_hold(standing, || self.good("PATCH", "/api/v1/settings", &change)).map(drop)
    }

    fn delivery(&mut self) -> Done {
        self.chapter("delivery");
        self.device.central.close(false);
        self.wait_for_delivery()?;
        let photos = self.work(2)?;
        self.accept(&photos[0], "Endo")?;
        self.wait_for_delivery()
    }

    fn commands(&mut self) -> Done {
        self.chapter("commands");
        self.give("ping", &json!({}))?;
        let standing = Standing::Settings("30000000".to_owned());
        self.make_hold(standing, || self.give("set", &json!({ "bytes_per_s_max": 30_000_000 })))?;
        let photos = self.work(1)?;
        self.give("retag", &json!({ "photos": photos, "tag": { "bridge": "B-3" } }))?;
        self.keep(Lasting::Place { sha256: photos[0].clone(), bridge: "B-3".to_owned() });
        self.give("resend", &json!({ "photos": photos }))?;
        self.give("reclassify", &json!({ "photos": photos }))?;
        self.wait_for_delivery()
    }

    fn give(&self, op: &str, args: &Value) -> Done {
        let (topic, payload) = self.kit.command(op, args)?;
        let state = self.device.central.command(&topic, &payload);
        if !state.as_ref().is_some_and(|state| state["state"] == "done") {
            return Err(format!("{op} was not carried out: {state:?}\n{}", self.device.log()));
        }
        self.keep(Lasting::Command { topic, payload });
        Ok(())
    }

    /// Has two events refused, which stay set aside until the end.
    fn refused_events(&mut self) -> Done {
        self.chapter("refused events");
        self.wait_for_delivery()?;
        self.device.central.refuse(2);
        self.work(4)?;
        // Each further event that the broker accepts shows that the fault is with these two.
        let mut more = 0;
        while self.good("GET", "/api/v1/queue", &Value::Null)?["queue"]["set_aside"] != 2 {
            if more == REFUSED_BESIDE_MAX {
                return Err(format!("refused events are not set aside:\n{}", self.device.log()));
            }
            more += 1;
            thread::sleep(Duration::from_secs(1));
            self.work(1)?;
        }
        self.device.central.refuse(0);
        self.work(1).map(drop)
    }

    fn bundles(&mut self) -> Done {
        self.chapter("bundles");
        self.device.central.close(true);
        self.work(1)?;
        let Kit { secrets, .. } = self.kit;
        self.kit.import_bundle(&self.device)?;
        self.keep(Lasting::Bundle(secrets.bundle_ids.clone()));
        self.device.run(&["queue", "export", &self.kit.own_bundle().to_string_lossy()])?;
        self.device.central.close(false);
        self.wait_for_delivery()
    }

    fn packages(&mut self) -> Done {
        self.chapter("packages");
        self.install("1.2")?;
        self.device.stop();
        self.device.start()?;
        self.work(1)?;
        let back = || self.device.run(&["package", "rollback"]);
        self.make_hold(Standing::Package("1.1".to_owned()), back)?;
        self.device.stop();
        self.device.start()
    }

    /// Imports the photos of a card while no daemon runs.
    fn import(&mut self) -> Done {
        self.chapter("import by hand");
        self.device.stop();
        let photos = [self.next_photo(), self.next_photo()];
        let card = photos.clone().map(|(name, photo, _)| (name, photo));
        let card = self.device.card(&card).map_err(|error| error.to_string())?;
        self.device.run(&["ingest", &card])?;
        photos.into_iter().for_each(|(_, _, sha256)| self.keep(Lasting::Capture { sha256, event: None }));
        self.device.run(&["reclassify"])?;
        self.device.start()
    }

    fn killed(&mut self) -> Done {
        self.chapter("killed at work");
        for _ in 0..2 {
            let taken = self.take(2)?;
            self.see_captures(&taken[..1])?;
            self.device.kill();
            self.device.start()?;
            self.see_captures(&taken)?;
        }
        self.wait_for_delivery()
    }

    /// Damages the head of the database while the device is off. No row is hit, so nothing may be lost.
    fn salvage(&mut self, name: &str, switch_off: fn(&mut Self)) -> Done {
        self.chapter("work before a salvage");
        self.device.central.close(true);
        let photos = self.work(2)?;
        self.accept(&photos[0], &format!("Fuji {}", self.photos))?;
        let tag = json!({ "bridge": "B-4", "member": self.photos.to_string() });
        self.make_hold(Standing::Tag(tag.to_string()), || self.good("PUT", "/api/v1/tag", &tag))?;
        self.note_losses()?;
        switch_off(self);
        self.chapter(name);
        // The first sixteen bytes identify the file as a database.
        self.damage(3)?;
        self.device.start()?;
        self.note_losses()?;
        self.work(1)?;
        self.chapter("delivery after a salvage");
        self.device.central.close(false);
        self.wait_for_delivery()
    }

    fn stop_for_good(&mut self) {
        self.device.stop();
    }

    /// Kills the daemon, so that the last commits are only in the write-ahead log.
    fn pull_the_plug(&mut self) {
        self.device.kill();
    }

    /// Damages a byte of the database. Everything is on the drive by then.
    fn damage(&self, offset: u64) -> Done {
        self.device.recorder.sync(Sync::All);
        self.device.flip("data/device.db", offset).map_err(|error| format!("device.db: {error}"))?;
        self.device.recorder.sync(Sync::All);
        Ok(())
    }

    /// Damages the row that contains the counters.
    fn lost_counters(&mut self) -> Done {
        self.chapter("salvage without counters");
        self.device.central.close(true);
        self.work(1)?;
        self.device.stop();
        let disk = self.device.recorder.disk();
        let database = disk.read("data/device.db").unwrap_or_default();
        let places = places(database, b"{\"schema\":");
        if places.is_empty() {
            return Err("the counters were not found in device.db".to_owned());
        }
        self.device.mark(Mark::Damaged(Damage::Counters));
        for place in places {
            self.damage(place as u64 + 2)?;
        }
        self.device.start()?;
        self.work(1)?;
        self.device.central.close(false);
        self.wait_for_delivery()
    }

    /// Damages a row while the device works. It is found when it is read, and its photo is classified again.
    fn salvage_at_work(&mut self) -> Done {
        self.chapter("salvage at work");
        let photos = self.work(2)?;
        let name = file_name(self.photos);
        self.accept(&photos[0], "Goto")?;
        self.accept(&photos[1], "Hara")?;
        self.wait_for_delivery()?;
        // After a proper stop, all commits are in the database file itself.
        self.device.stop();
        self.device.start()?;
        self.device.central.close(true);
        let disk = self.device.recorder.disk();
        let damage = Damage::Result { sha256: photos[1].clone(), photo: self.photos };
        self.device.mark(Mark::Damaged(damage));
        for place in places(disk.read("data/device.db").unwrap_or_default(), name.as_bytes()) {
            self.damage(place as u64)?;
        }
        self.see_captures(&photos)?;
        self.work(1)?;
        match self.device.log().contains("salvaged") {
            true => Ok(()),
            false => Err(format!("the damage was not found:\n{}", self.device.log())),
        }
    }

    fn end(&mut self) -> Done {
        self.chapter("the end");
        self.device.central.close(false);
        self.good("POST", "/api/v1/queue/retry", &json!({}))?;
        self.work(1)?;
        self.wait_for_delivery()?;
        self.device.central.wait_for_silence(Duration::from_millis(200));
        self.device.stop();
        Ok(())
    }
}

/// Returns a file name like those that cameras give.
pub fn file_name(photo: usize) -> String {
    format!("DJI_{photo:04}.JPG")
}

fn good(what: &str, answer: Answer) -> Done<Value> {
    match answer.is_good() {
        true => Ok(answer.body),
        false => Err(format!("{what}: {} {}", answer.status, answer.body)),
    }
}

/// Returns the places where a text occurs.
fn places(bytes: &[u8], text: &[u8]) -> Vec<usize> {
    let found = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text);
    found.map(|(place, _)| place).collect()
}

/// Records all chapters.
///
/// # Errors
/// If the device misbehaves even without a power cut.
pub fn record(device: Device) -> Done<crate::recording::Recording> {
    let device = perform(device)?;
    let ended = |error: io::Error| format!("the drive is still in use: {error}");
    Ok(device.cut().map_err(ended)?.recording())
}
