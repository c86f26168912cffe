//! Health of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::domain::{DeviceHealth, Drops, PassedOver, ReceiverHealth, Unreadable};
use crate::drive::Drive;
use crate::position::{LineReport, Locator};
use crate::web::ClosedDoors;

/// Folder in which the kernel shows temperatures, in thousandths of a degree Celsius.
const SENSORS: &str = "/sys/class/thermal";

/// Source of health figures. Clones share their counts.
#[derive(Clone)]
pub struct Vitals {
    data_dir: PathBuf,
    locator: Arc<Locator>,
    files_failed: Arc<AtomicU64>,
    unreadable: Arc<Mutex<UnreadableFiles>>,
    passed_over: Arc<Mutex<PassedOver>>,
    receiver: Arc<Mutex<Option<Reporter>>>,
    /// Doors of the field page that could not be opened.
    pub closed_doors: ClosedDoors,
}

/// Function that explains the receiver's line.
type Reporter = Box<dyn Fn() -> LineReport + Send>;

/// Returns the word that a value is in JSON.
fn word(value: &impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// Files that could not be read.
#[derive(Debug, Default)]
struct UnreadableFiles {
    /// Number of failed reads in a row, by file.
    tries: BTreeMap<PathBuf, u32>,
    /// Error of the last failed read, with the file's path.
    reason: String,
}

/// Maximum number of files that are remembered as unreadable. On a card that fails entirely, they represent all its
/// files.
const UNREADABLE_MAX: usize = 1_000;

impl Vitals {
    /// Starts with no failures counted.
    pub fn new(data_dir: &Path, locator: &Arc<Locator>) -> Self {
        Vitals {
            data_dir: data_dir.to_owned(),
            locator: Arc::clone(locator),
            files_failed: Arc::default(),
            unreadable: Arc::default(),
            passed_over: Arc::default(),
            receiver: Arc::default(),
            closed_doors: ClosedDoors::default(),
        }
    }

    /// Counts a file that was recorded as failed.
    pub fn file_failed(&self) {
        self.files_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that a file could not be read. Returns how many reads of it failed in a row before this one.
    pub fn file_unreadable(&self, path: &Path, reason: &str) -> u32 {
        let mut unreadable = self.unreadable();
        unreadable.tries.retain(|known, _| known == path || known.exists());
        unreadable.reason = reason.to_owned();
        if unreadable.tries.len() >= UNREADABLE_MAX && !unreadable.tries.contains_key(path) {
            return 0;
        }
        let tries = unreadable.tries.entry(path.to_owned()).or_default();
        *tries += 1;
        *tries - 1
    }

    /// Notes that a file could be read, or is gone.
    pub fn file_readable(&self, path: &Path) {
        self.unreadable().tries.remove(path);
    }

    /// Notes how many files beside photos the intake passes over.
    pub fn files_passed_over(&self, passed_over: &PassedOver) {
        self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clone_from(passed_over);
    }

    /// Reports on the receiver's line from now on.
    pub fn follow(&self, report: impl Fn() -> LineReport + Send + 'static) {
        *self.receiver.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(report));
    }

    fn receiver(&self) -> Option<ReceiverHealth> {
        let report = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|report| report())?;
        Some(ReceiverHealth {
            source: report.source,
            state: word(&report.state).unwrap_or_default(),
            protocol: report.protocol.as_ref().and_then(word),
            last_fix_s: report.last_fix_s.map(|age_s| (age_s * 10.0).round() / 10.0),
            satellites: report.satellites,
            missing: report.missing,
        })
    }

    fn unreadable(&self) -> MutexGuard<'_, UnreadableFiles> {
        self.unreadable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable_files(&self) -> Option<Unreadable> {
        let unreadable = self.unreadable();
        let files = unreadable.tries.len() as u64;
        (files > 0).then(|| Unreadable { files, reason: unreadable.reason.clone() })
    }

    /// Returns the temperature of the hottest sensor, in degrees Celsius.
    pub fn temperature(&self) -> Option<f32> {
        hottest(Path::new(SENSORS))
    }

    /// Returns the present health figures.
    pub fn now(&self) -> DeviceHealth {
        DeviceHealth {
            disk_free_bytes: Drive::of(&self.data_dir).ok().map(|drive| drive.free_bytes),
            temperature_celsius: self.temperature(),
            position: self.locator.position(),
            receiver: self.receiver(),
            unreadable: self.unreadable_files(),
            passed_over: self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            closed_doors: self.closed_doors.now(),
            drops: Drops { files_failed: self.files_failed.load(Ordering::Relaxed), commands_refused: 0 },
        }
    }
}

fn hottest(sensors: &Path) -> Option<f32> {
    let entries = fs::read_dir(sensors).ok()?;
    let temperatures = entries.flatten().filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("temp")).ok()?;
        Some(text.trim().parse::<f32>().ok()? / 1000.0)
    });
    // A missing sensor often reads as absolute zero, or as all bits set.
    temperatures.filter(|celsius| (-60.0..=200.0).contains(celsius)).max_by(f32::total_cmp)
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;
    use crate::position::LocatorParams;

    #[test]
    fn the_hottest_sensor_that_makes_sense_counts() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let add = |zone: &str, text: &str| {
            fs::create_dir(dir.path().join(zone)).expect("a folder");
            fs::write(dir.path().join(zone).join("temp"), text).expect("write");
        };
        assert_eq!(hottest(dir.path()), None);
        add("thermal_zone0", "48500\n");
        add("thermal_zone1", "61250\n");
        add("thermal_zone2", "-273000\n");
        add("cooling_device0", "none");
        assert_eq!(hottest(dir.path()), Some(61.25));
        assert_eq!(hottest(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn this_machine_has_a_disk() {
        let locator = Arc::new(Locator::new(LocatorParams { age_s_max: 60.0, zone: Offset::UTC }).expect("a boot id"));
        let vitals = Vitals::new(Path::new("/"), &locator);
        vitals.clone().file_failed();
        let health = vitals.now();
        assert!(health.disk_free_bytes.is_some());
        assert_eq!(health.drops.files_failed, 1);
    }
}
