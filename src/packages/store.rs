//! The packages on a device. `current` and `previous` are links, each replaced in one step.
//!
//! A new package is received and tested in a hidden folder. The following steps then switch to it, in this order: the
//! folder gets its name, the package is recorded as on trial, `previous` is set to the last good package, `current` to
//! the new one. If the power fails after any of these steps, `current` is an intact package, and installing again
//! resumes from there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use log::warn;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{InstallError, NewPackage, TrustedKeys, Version, record};
use crate::drive::Drive;
use crate::durable::{self, SHARED, read_state};
use crate::package::{Manifest, Package, files, is_plain};

const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";
/// Folder in which packages are received. An installation removes what an interrupted one left in it.
const INCOMING: &str = ".incoming";
/// File about the package on trial, which has not yet shown that the daemon can start with it.
const TRIAL: &str = "trial.json";
/// File about the last package that was given up, for `check`.
const GIVEN_UP: &str = "given-up.json";
/// File of the newest version of each package name that the daemon has started with.
const NEWEST: &str = "newest.json";

/// Number of starts with a package on trial that may end before the package has answered.
const STARTS_MAX: u32 = 3;
/// Bytes left free on the drive for everything else.
const SPACE_RESERVE: u64 = 16 << 20;
/// Maximum length of a package's name.
const NAME_LENGTH_MAX: usize = 64;
/// Mode of package files, whatever the umask of the installing user.
const FILE_MODE: u32 = 0o644;
/// Mode of package folders, whatever the umask of the installing user.
const FOLDER_MODE: u32 = 0o755;

/// The folder of all packages of a device.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// Parameters for installing a package.
#[derive(Clone, Debug)]
pub struct Install {
    /// Trusted keys. One of them must have signed the package.
    pub keys: TrustedKeys,
    /// Maximum size of the package.
    pub bytes_max: u64,
    /// Whether a version older than one that was in use is accepted.
    pub allow_downgrade: bool,
}

/// A package in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Installed {
    /// Name of the package's folder in the store.
    pub id: String,
    /// Role of the package. None if it is neither in use nor the previous one.
    pub role: Option<Role>,
    /// Whether the package still has to show that it works.
    pub on_trial: bool,
}

/// The role of an installed package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The package is in use.
    Current,
    /// The package was in use before.
    Previous,
}

#[derive(Debug, Serialize, Deserialize)]
struct Trial {
    package: String,
    starts: u32,
    /// The trial of the package that is current until this one takes its place. A switch that was cut off leaves that
    /// package in use, still on trial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<Box<Trial>>,
}

/// A package that failed on trial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GivenUp {
    /// Name of the package's folder in the store.
    pub package: String,
    /// Reason why the package was given up, for a message.
    pub reason: String,
    /// When the package was given up.
    pub at: Timestamp,
}

/// One change on the drive. Repeating it changes nothing.
#[derive(Debug)]
enum Step {
    /// `.incoming` gets its name.
    Name(String),
    /// The package is recorded as on trial.
    Trial(String),
    /// A link is set to a package.
    Link(&'static str, String),
}

impl Store {
    /// Returns the store in a folder, which need not exist yet.
    pub fn at(root: &Path) -> Self {
        Store { root: root.to_owned() }
    }

    /// Returns the folder of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Receives a package, tests it with `test` and switches to it. Returns the package's folder name. On an error the
    /// package in use stays in use.
    pub fn install(
        &self,
        source: &NewPackage,
        params: &Install,
        test: impl FnOnce(&Package) -> Result<(), InstallError>,
    ) -> Result<String, InstallError> {
        self.make_root().map_err(InstallError::io(&self.root))?;
        let _lock = self.lock()?;
        let incoming = self.root.join(INCOMING);
        self.remove_folder(&incoming)?;
        fs::create_dir(&incoming).map_err(InstallError::io(&incoming))?;
        let received = self.receive(source, params, &incoming, test);
        let id = received.inspect_err(|_| drop(fs::remove_dir_all(&incoming)))?;
        for step in self.switch_to(&id) {
            self.apply(&step)?;
        }
        self.remove_unused()?;
        Ok(id)
    }

    fn receive(
        &self,
        source: &NewPackage,
        params: &Install,
        incoming: &Path,
        test: impl FnOnce(&Package) -> Result<(), InstallError>,
    ) -> Result<String, InstallError> {
        let manifest = source.receive(&params.keys, incoming, |manifest| self.accept(manifest, source, params))?;
        self.hand_over(incoming).map_err(InstallError::io(incoming))?;
        record::write(incoming, &manifest).map_err(InstallError::io(incoming))?;
        sync_folder(incoming)?;
        let package = Package::open(incoming)?;
        test(&package)?;
        Ok(format!("{}-{}-{}", manifest.name, manifest.version, &package.hash().to_string()[..8]))
    }

    fn make_root(&self) -> io::Result<()> {
        if self.root.is_dir() {
            return Ok(());
        }
        durable::create_folders(&self.root)?;
        fs::set_permissions(&self.root, Permissions::from_mode(FOLDER_MODE))
    }

    /// Makes the package readable for the daemon and removable for its user, whoever installs it: files received by
    /// root are given to the owner of the store. A package contains no secrets.
    fn hand_over(&self, incoming: &Path) -> io::Result<()> {
        let store = fs::metadata(&self.root)?;
        let give = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode))?;
            if fs::metadata(path)?.uid() == store.uid() {
                return Ok(());
            }
            match chown(path, Some(store.uid()), Some(store.gid())) {
                // A user other than root cannot give files away, and keeps their ownership.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                given => given,
            }
        };
        for file in fs::read_dir(incoming)? {
            give(&file?.path(), FILE_MODE)?;
        }
        give(incoming, FOLDER_MODE)
    }

    /// Checks a package by its manifest alone.
    fn accept(&self, manifest: &Manifest, source: &NewPackage, params: &Install) -> Result<(), InstallError> {
        let (NewPackage::Folder(origin) | NewPackage::Archive(origin)) = source;
        let wrong = |key, value: &str, expected| InstallError::Value {
            origin: origin.clone(),
            key,
            value: value.to_owned(),
            expected,
        };
        if !is_plain(&manifest.name) || manifest.name.len() > NAME_LENGTH_MAX {
            return Err(wrong("name", &manifest.name, "1 to 64 letters, digits, '.', '_' or '-'"));
        }
        let is_short = manifest.version.len() <= NAME_LENGTH_MAX;
        let version = manifest.version.parse().ok().filter(|_| is_short);
        let version: Version =
            version.ok_or_else(|| wrong("version", &manifest.version, "numbers with dots, as in 1.4.0"))?;
        if let Some(newest) = self.newest(&manifest.name).filter(|_| !params.allow_downgrade)
            && newest.parse().is_ok_and(|newest: Version| version < newest)
        {
            let (name, version) = (manifest.name.clone(), manifest.version.clone());
            return Err(InstallError::Older { name, version, newest });
        }
        let bytes = manifest.files.values().fold(0_u64, |sum, entry| sum.saturating_add(entry.bytes));
        if bytes > params.bytes_max {
            return Err(InstallError::TooLarge { origin: origin.clone(), bytes, bytes_max: params.bytes_max });
        }
        let drive = Drive::of(&self.root).map_err(InstallError::io(&self.root))?;
        let (free, needed) = (drive.free_bytes, bytes + SPACE_RESERVE);
        match free < needed {
            true => Err(InstallError::NoSpace { store: self.root.clone(), free, needed }),
            false => Ok(()),
        }
    }

    /// Returns the newest version of a package name that is or was in use.
    fn newest(&self, name: &str) -> Option<String> {
        let confirmed = self.read::<BTreeMap<String, String>>(NEWEST).and_then(|mut newest| newest.remove(name));
        let current = self.manifest(CURRENT).filter(|manifest| manifest.name == name);
        let versions = confirmed.into_iter().chain(current.map(|manifest| manifest.version));
        versions.max_by_key(|version| version.parse::<Version>().ok())
    }

    fn manifest(&self, link: &str) -> Option<Manifest> {
        let path = self.root.join(self.target(link)?).join(files::MANIFEST);
        Manifest::parse(&fs::read_to_string(&path).ok()?, &path).ok()
    }

    /// Returns the steps of a switch to a package. A package on trial does not become `previous`, because it is not yet
    /// known to be good.
    fn switch_to(&self, id: &str) -> Vec<Step> {
        let mut steps = vec![Step::Name(id.to_owned())];
        let current = self.target(CURRENT);
        if current.as_deref() == Some(id) {
            return steps;
        }
        steps.push(Step::Trial(id.to_owned()));
        if let Some(current) = current.filter(|current| !self.is_on_trial(current)) {
            steps.push(Step::Link(PREVIOUS, current));
        }
        steps.push(Step::Link(CURRENT, id.to_owned()));
        steps
    }

    fn apply(&self, step: &Step) -> Result<(), InstallError> {
        match step {
            Step::Name(id) => self.name(id),
            Step::Trial(id) => {
                let replaces = self.target(CURRENT).and_then(|current| self.trial_of(&current)).map(Box::new);
                self.write(TRIAL, &Trial { package: id.clone(), starts: 0, replaces })
            }
            Step::Link(name, target) => self.link(name, target),
        }
    }

    /// Gives `.incoming` its name. A folder of that name already has the same package, because the name includes the
    /// hash; it is replaced only if it is damaged.
    fn name(&self, id: &str) -> Result<(), InstallError> {
        let (incoming, path) = (self.root.join(INCOMING), self.root.join(id));
        if Package::open(&path).is_ok() {
            return self.remove_folder(&incoming);
        }
        self.remove_folder(&path)?;
        fs::rename(&incoming, &path).map_err(InstallError::io(&path))?;
        sync_folder(&self.root)
    }

    fn link(&self, name: &str, target: &str) -> Result<(), InstallError> {
        let (path, new) = (self.root.join(name), self.root.join(format!(".{name}")));
        let replace = || {
            durable::remove(&new)?;
            symlink(target, &new)?;
            fs::rename(&new, &path)
        };
        replace().map_err(InstallError::io(&path))?;
        sync_folder(&self.root)
    }

    /// Returns to the previous package, and makes the current one the previous, unless that is on trial and therefore
    /// not known to be good. Returns the folder name of the package now in use.
    pub fn roll_back(&self) -> Result<String, InstallError> {
        let _lock = self.lock()?;
        let nothing = || InstallError::NothingBefore { store: self.root.clone() };
        let (current, previous) = (self.target(CURRENT), self.target(PREVIOUS).ok_or_else(nothing)?);
        if current.as_ref() == Some(&previous) {
            return Err(nothing());
        }
        let good = current.filter(|current| !self.is_on_trial(current));
        self.link(CURRENT, &previous)?;
        if let Some(good) = good {
            self.link(PREVIOUS, &good)?;
        }
        self.remove(TRIAL)?;
        Ok(previous)
    }

    /// Lists the packages in the store.
    pub fn list(&self) -> Result<Vec<Installed>, InstallError> {
        let (current, previous) = (self.target(CURRENT), self.target(PREVIOUS));
        let role = |id: &str| match id {
            _ if current.as_deref() == Some(id) => Some(Role::Current),
            _ if previous.as_deref() == Some(id) => Some(Role::Previous),
            _ => None,
        };
        let installed = |id: String| Installed { role: role(&id), on_trial: self.is_on_trial(&id), id };
        Ok(self.folders()?.into_iter().map(installed).collect())
    }

    /// Returns the last package that was given up. None after a package on trial has succeeded.
    pub fn given_up(&self) -> Option<GivenUp> {
        self.read(GIVEN_UP)
    }

    /// Returns the folder of the package in use. None if nothing is installed.
    pub fn current(&self) -> Option<PathBuf> {
        Some(self.root.join(self.target(CURRENT)?))
    }

    /// Returns the folder of the package to start with, and counts the start if that package is on trial. Gives up a
    /// package on trial after [`STARTS_MAX`] starts without an answer. None if nothing is installed.
    pub(super) fn begin_start(&self) -> Result<Option<PathBuf>, InstallError> {
        let Some(current) = self.target(CURRENT) else { return Ok(self.previous()) };
        if let Some(Trial { package, starts, .. }) = self.trial_of(&current) {
            if starts >= STARTS_MAX {
                self.give_up(&format!("{starts} starts ended before it had answered"))?;
                return Ok(self.previous());
            }
            if let Err(error) = self.write(TRIAL, &Trial { package, starts: starts + 1, replaces: None }) {
                // On a full drive a working daemon is worth more than the count.
                warn!("this start with a package on trial is not counted: {error}");
            }
        }
        Ok(Some(self.root.join(current)))
    }

    /// Returns the folder of the previous package. None if there is none.
    pub(super) fn previous(&self) -> Option<PathBuf> {
        Some(self.root.join(self.target(PREVIOUS)?))
    }

    /// Reports whether the package in this folder is on trial.
    pub(super) fn is_trying(&self, dir: &Path) -> bool {
        dir.file_name().is_some_and(|id| self.is_on_trial(&id.to_string_lossy()))
    }

    /// Ends the trial of a package that works.
    pub(super) fn confirm(&self, manifest: &Manifest) -> Result<(), InstallError> {
        let mut newest: BTreeMap<String, String> = self.read(NEWEST).unwrap_or_default();
        newest.insert(manifest.name.clone(), manifest.version.clone());
        self.write(NEWEST, &newest)?;
        self.remove(GIVEN_UP)?;
        self.remove(TRIAL)
    }

    /// Gives up the current package for good and returns to the last good one. Without one, nothing is installed
    /// afterwards.
    pub(super) fn give_up(&self, reason: &str) -> Result<(), InstallError> {
        let package = self.target(CURRENT).unwrap_or_default();
        self.write(GIVEN_UP, &GivenUp { package, reason: reason.to_owned(), at: Timestamp::now() })?;
        match self.target(PREVIOUS) {
            Some(previous) => self.link(CURRENT, &previous)?,
            None => self.remove(CURRENT)?,
        }
        self.remove(TRIAL)
    }

    fn is_on_trial(&self, id: &str) -> bool {
        self.trial_of(id).is_some()
    }

    /// Returns the trial of a package. None if it is not on trial.
    fn trial_of(&self, id: &str) -> Option<Trial> {
        let Trial { package, starts, replaces } = self.read::<Trial>(TRIAL)?;
        let trials = [Some(Trial { package, starts, replaces: None }), replaces.map(|trial| *trial)];
        trials.into_iter().flatten().find(|trial| trial.package == id)
    }

    /// Returns the package that a link names. None if that is not a package of this store.
    fn target(&self, link: &str) -> Option<String> {
        let target = fs::read_link(self.root.join(link)).ok()?.into_os_string().into_string().ok()?;
        Some(target).filter(|id| is_plain(id) && self.root.join(id).join(files::MANIFEST).is_file())
    }

    fn folders(&self) -> Result<BTreeSet<String>, InstallError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            entries => entries.map_err(InstallError::io(&self.root))?,
        };
        let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let names = folders.filter_map(|entry| entry.file_name().into_string().ok());
        Ok(names.filter(|name| is_plain(name)).collect())
    }

    fn remove_unused(&self) -> Result<(), InstallError> {
        let used = [self.target(CURRENT), self.target(PREVIOUS)];
        let unused = self.folders()?.into_iter().filter(|id| !used.contains(&Some(id.clone())));
        unused.map(|id| self.root.join(id)).try_for_each(|path| match path.join(files::MANIFEST).exists() {
            true => self.remove_folder(&path),
            false => Ok(()),
        })
    }

    /// Locks the store for one installation. The lock is on the folder, so that nobody needs to own a lock file.
    fn lock(&self) -> Result<File, InstallError> {
        let file = File::open(&self.root).map_err(InstallError::io(&self.root))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(InstallError::Busy { store: self.root.clone() }),
            Err(TryLockError::Error(error)) => Err(InstallError::io(&self.root)(error)),
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let consequence = match name {
            TRIAL => "the package in use counts as tried",
            NEWEST => "which versions were in use before is forgotten, and an older one can be installed",
            _ => "nothing is known of packages that were given up",
        };
        read_state(&self.root.join(name), consequence)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), InstallError> {
        let path = self.root.join(name);
        let text = serde_json::to_string(value).expect("plain values are JSON");
        durable::write(&path, text.as_bytes(), SHARED).map_err(InstallError::io(&path))
    }

    fn remove(&self, name: &str) -> Result<(), InstallError> {
        let path = self.root.join(name);
        durable::remove(&path).map_err(InstallError::io(&path))?;
        sync_folder(&self.root)
    }

    fn remove_folder(&self, path: &Path) -> Result<(), InstallError> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(InstallError::io(path)(error)),
            _ => sync_folder(&self.root),
        }
    }
}

fn sync_folder(path: &Path) -> Result<(), InstallError> {
    durable::sync(path).map_err(InstallError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/package")
    }

    /// Copies the demo package and gives it another version.
    fn package(version: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for entry in fs::read_dir(demo()).expect("read").flatten() {
            fs::copy(entry.path(), dir.path().join(entry.file_name())).expect("copy");
        }
        let path = dir.path().join(files::MANIFEST);
        let text = fs::read_to_string(&path).expect("read").replace("\"1.0.0\"", &format!("\"{version}\""));
        fs::write(path, text).expect("write");
        dir
    }

    fn params() -> Install {
        Install { keys: TrustedKeys::default(), bytes_max: 1 << 30, allow_downgrade: false }
    }

    fn install(store: &Store, version: &str) -> Result<String, InstallError> {
        store.install(&NewPackage::at(package(version).path()), &params(), |_| Ok(()))
    }

    fn version(store: &Store) -> Option<String> {
        let dir = store.begin_start().expect("reads")?;
        Some(Package::open(&dir).expect("whole").manifest().version.clone())
    }

    /// Returns a store whose package in use is version 1.0.
    fn used() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let store = Store::at(dir.path());
        install(&store, "1.0").expect("installs");
        store.confirm(&store.manifest(CURRENT).expect("a manifest")).expect("confirms");
        (dir, store)
    }

    #[test]
    fn whatever_step_the_power_goes_after_a_whole_package_is_used() {
        for count in 0..=4 {
            let (_dir, store) = used();
            let incoming = store.root.join(INCOMING);
            fs::create_dir(&incoming).expect("a folder");
            let source = package("2.0");
            let id = store.receive(&NewPackage::at(source.path()), &params(), &incoming, |_| Ok(())).expect("received");
            let steps = store.switch_to(&id);
            assert_eq!(steps.len(), 4);
            steps[..count].iter().for_each(|step| store.apply(step).expect("a step"));
            let expected = if count < 4 { "1.0" } else { "2.0" };
            assert_eq!(version(&store).as_deref(), Some(expected), "after {count} steps");
            install(&store, "2.0").expect("goes on");
            assert_eq!(version(&store).as_deref(), Some("2.0"));
            assert_eq!(store.manifest(PREVIOUS).expect("kept").version, "1.0");
            assert!(!incoming.exists());
        }
    }

    #[test]
    fn a_package_that_never_answers_is_given_up() {
        let (_dir, store) = used();
        install(&store, "2.0").expect("installs");
        for _ in 0..STARTS_MAX {
            assert_eq!(version(&store).as_deref(), Some("2.0"));
        }
        assert_eq!(version(&store).as_deref(), Some("1.0"));
        assert!(store.given_up().is_some_and(|given_up| given_up.package.contains("-2.0-")));
        assert_eq!(version(&store).as_deref(), Some("1.0"), "for good");
    }

    #[test]
    fn a_package_on_trial_is_not_what_one_goes_back_to() {
        let (_dir, store) = used();
        install(&store, "2.0").expect("installs");
        install(&store, "3.0").expect("installs");
        assert_eq!(store.manifest(PREVIOUS).expect("kept").version, "1.0");
        assert_eq!(store.list().expect("a list").len(), 2, "what is not used is removed");
    }

    #[test]
    fn a_way_back_from_a_package_on_trial_does_not_keep_it_as_the_last_good_one() {
        let (_dir, store) = used();
        install(&store, "2.0").expect("installs");
        assert!(store.roll_back().expect("goes back").contains("-1.0-"));
        assert_eq!(store.manifest(PREVIOUS).expect("kept").version, "1.0");
        assert!(matches!(store.roll_back(), Err(InstallError::NothingBefore { .. })));
        assert_eq!(version(&store).as_deref(), Some("1.0"));
    }

    #[test]
    fn a_package_stays_on_trial_if_the_power_goes_while_another_takes_its_place() {
        for count in 0..=3 {
            let (_dir, store) = used();
            install(&store, "2.0").expect("installs");
            assert_eq!(version(&store).as_deref(), Some("2.0"), "the first start");
            let incoming = store.root.join(INCOMING);
            fs::create_dir(&incoming).expect("a folder");
            let source = package("3.0");
            let id = store.receive(&NewPackage::at(source.path()), &params(), &incoming, |_| Ok(())).expect("received");
            let steps = store.switch_to(&id);
            assert_eq!(steps.len(), 3);
            steps[..count].iter().for_each(|step| store.apply(step).expect("a step"));
            // Three starts are allowed, and the old package has had one of them.
            let (expected, starts) = if count < 3 { ("2.0", 2) } else { ("3.0", 3) };
            for _ in 0..starts {
                assert_eq!(version(&store).as_deref(), Some(expected), "after {count} steps");
            }
            assert_eq!(version(&store).as_deref(), Some("1.0"), "after {count} steps, given up");
            install(&store, "3.0").expect("goes on");
            assert_eq!(store.manifest(PREVIOUS).expect("kept").version, "1.0");
        }
    }

    #[test]
    fn versions_go_forward_unless_asked() {
        let (_dir, store) = used();
        install(&store, "2.0").expect("installs");
        store.confirm(&store.manifest(CURRENT).expect("a manifest")).expect("confirms");
        assert!(matches!(install(&store, "1.9"), Err(InstallError::Older { .. })));
        assert!(store.roll_back().expect("goes back").contains("-1.0-"));
        assert!(matches!(install(&store, "1.9"), Err(InstallError::Older { .. })), "after a way back too");
        let downgrade = Install { allow_downgrade: true, ..params() };
        let source = package("1.9");
        store.install(&NewPackage::at(source.path()), &downgrade, |_| Ok(())).expect("installs");
        assert_eq!(version(&store).as_deref(), Some("1.9"));
        assert!(matches!(install(&store, "one"), Err(InstallError::Value { .. })));
    }

    #[test]
    fn a_package_that_fails_its_test_leaves_no_trace() {
        let (dir, store) = used();
        let names = || fs::read_dir(dir.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
        let before: BTreeSet<_> = names();
        let nothing = || InstallError::NothingBefore { store: PathBuf::new() };
        let source = package("2.0");
        store.install(&NewPackage::at(source.path()), &params(), |_| Err(nothing())).expect_err("fails");
        assert_eq!(names(), before);
        assert_eq!(version(&store).as_deref(), Some("1.0"));
    }
}
