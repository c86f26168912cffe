//! Tests of the intake on real folders.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// Records that take file names for capture times.
#[derive(Default)]
struct Fake {
    files: RefCell<Vec<(PathBuf, FileStamp, Look)>>,
    /// Names of the files that were passed over, in the order in which they were told.
    passed_over: RefCell<Vec<String>>,
    /// Counts at the end of the last rescan.
    counts: RefCell<String>,
}

impl Fake {
    fn note(&self, candidate: &Candidate, look: Look) {
        self.files.borrow_mut().push((candidate.path.clone(), candidate.stamp.clone(), look));
    }

    fn passed_over(&self) -> Vec<String> {
        let mut names = self.passed_over.borrow().clone();
        names.sort();
        names
    }
}

impl Records for Fake {
    fn look(&self, path: &Path, stamp: &FileStamp) -> Look {
        let records = self.files.borrow();
        let record = records.iter().rev().find(|(known, at, _)| known == path && at == stamp);
        record.map_or(Look::Offer, |(_, _, look)| *look)
    }

    fn taken(&self, path: &Path, _: &FileStamp) -> Timestamp {
        let digits: String = path.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        Timestamp::from_second(digits.parse().unwrap_or(0)).unwrap_or_default()
    }

    fn passed_over(&self, path: &Path, _: SideFile) {
        self.passed_over.borrow_mut().push(name(path));
    }

    fn rescanned(&self, passed_over: &PassedOver) {
        *self.counts.borrow_mut() = passed_over.to_string();
    }
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

/// Writes files of one byte below a folder.
fn write_all(root: &Path, files: &[&str]) {
    for file in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, "1").expect("write");
    }
}

fn intake(root: &Path, once: bool) -> Intake {
    let params = Params {
        roots: vec![root.to_owned()],
        rescan: Duration::from_millis(50),
        settle: Duration::from_millis(20),
        own: None,
        uploads: None,
        once,
    };
    Intake::new(params)
}

fn names(intake: &mut Intake, records: &Fake) -> Vec<String> {
    let mut names = Vec::new();
    while let Some(candidate) = intake.next(records) {
        names.push(name(&candidate.path));
        records.note(&candidate, Look::Settled);
    }
    names
}

#[test]
fn what_has_rested_for_long_and_what_arrives_whole_is_offered_at_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (old, new) = (dir.path().join("1.jpg"), dir.path().join("2.jpg"));
    let file = fs::File::create(&old).expect("a file");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
    let an_hour = Duration::from_secs(3_600);
    let params = Params { rescan: an_hour, settle: an_hour, ..intake(dir.path(), false).params };
    let (mut intake, records) = (Intake::new(params), Fake::default());
    let found = intake.next(&records).expect("the old file");
    records.note(&found, Look::Settled);
    assert_eq!(found.path, old);
    let arrivals = intake.arrivals();
    fs::write(&new, b"photo").expect("a file");
    arrivals.arrived(new.clone());
    let found = intake.next(&records).expect("the file");
    assert_eq!((found.path, found.unchanged < an_hour), (new, true));
}

#[test]
fn finds_old_and_new_files_below_the_root_once() {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(dir.path().join("DCIM")).expect("folder");
    fs::write(dir.path().join("DCIM/old.jpg"), "1").expect("write");
    fs::write(dir.path().join(".hidden.jpg"), "1").expect("write");
    fs::write(dir.path().join("copy.jpg.part"), "1").expect("write");
    std::os::unix::fs::symlink(dir.path(), dir.path().join("circle")).expect("a link");
    let (mut intake, records) = (intake(dir.path(), false), Fake::default());
    let first = intake.next(&records).expect("a file");
    assert_eq!(first.path, dir.path().join("DCIM/old.jpg"));
    records.note(&first, Look::Settled);
    fs::write(dir.path().join("new.jpg"), "1").expect("write");
    let second = intake.next(&records).expect("a file");
    assert_eq!(second.path, dir.path().join("new.jpg"));
    records.note(&second, Look::Settled);
    intake.stopper().stop();
    assert_eq!(intake.next(&records), None);
}

#[test]
fn links_hidden_folders_and_the_daemon_s_own_folder_are_passed_over_by_scan_and_notification() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let elsewhere = tempfile::tempdir().expect("temporary folder");
    let root = dir.path().join("camera");
    for folder in [".trash", "DCIM", "data"] {
        fs::create_dir_all(root.join(folder)).expect("folder");
    }
    fs::write(elsewhere.path().join("other.jpg"), "1").expect("write");
    let link = |to: &Path, from: &Path| std::os::unix::fs::symlink(to, from);
    link(elsewhere.path(), &root.join("folder")).expect("a link");
    link(&elsewhere.path().join("other.jpg"), &root.join("file.jpg")).expect("a link");
    link(&root.join("data"), &root.join("own")).expect("a link");
    let write = |number: u32| {
        for folder in ["data", ".trash", "folder", "DCIM"] {
            fs::write(root.join(folder).join(format!("{number}.jpg")), "1").expect("write");
        }
    };
    write(1);
    let params = Params { own: Some(root.join("data")), ..intake(&root, false).params };
    let (mut intake, records) = (Intake::new(params), Fake::default());
    for number in 1..4 {
        let found = intake.next(&records).expect("a file");
        assert_eq!(found.path, root.join(format!("DCIM/{number}.jpg")));
        records.note(&found, Look::Settled);
        // The file is named by a notification, or found by the rescan a moment later.
        write(number + 1);
    }
}

#[test]
fn a_root_may_be_a_link_unless_it_leads_to_the_daemon_s_own_folder() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let [data, real] = ["data", "real"].map(|name| dir.path().join(name));
    for folder in [&data, &real, &data.join("uploads")] {
        fs::create_dir(folder).expect("folder");
        fs::write(folder.join("1.jpg"), "1").expect("write");
    }
    let found = |root: &Path| {
        let params = Params { own: Some(data.clone()), ..intake(root, true).params };
        names(&mut Intake::new(params), &Fake::default())
    };
    for (to, expected) in [(&real, 1), (&data, 0)] {
        let link = dir.path().join(format!("link-{expected}"));
        std::os::unix::fs::symlink(to, &link).expect("a link");
        assert_eq!(found(&link).len(), expected, "{}", to.display());
    }
    assert_eq!(found(&data.join("uploads")).len(), 1, "a root may lie in it");
}

/// A watcher that fails the first few times, as one does that has reached a limit of the system.
struct Reluctant {
    failures: usize,
    asked: Arc<AtomicUsize>,
}

impl Watcher for Reluctant {
    fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
        unreachable!("the test makes it")
    }

    fn watch(&mut self, _: &Path, _: notify::RecursiveMode) -> notify::Result<()> {
        match self.asked.fetch_add(1, Ordering::Relaxed) < self.failures {
            true => Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)),
            false => Ok(()),
        }
    }

    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        Ok(())
    }

    fn kind() -> notify::WatcherKind {
        notify::WatcherKind::NullWatcher
    }
}

#[test]
fn a_folder_that_could_not_be_watched_is_tried_again_at_each_rescan_until_it_is() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (mut intake, asked) = (intake(dir.path(), false), Arc::new(AtomicUsize::new(0)));
    intake.watcher = Some(Box::new(Reluctant { failures: 2, asked: asked.clone() }));
    for expected in [1, 2, 3, 3] {
        intake.rescan(Moment::now(), &Fake::default());
        assert_eq!(asked.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn a_changed_file_is_offered_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("photo.jpg");
    fs::write(&path, "1").expect("write");
    let (mut intake, records) = (intake(dir.path(), false), Fake::default());
    records.note(&intake.next(&records).expect("a file"), Look::Settled);
    fs::write(&path, "longer").expect("write");
    assert_eq!(intake.next(&records).expect("the file").stamp.bytes, 6);
}

#[test]
fn what_is_there_together_comes_in_the_order_of_capture() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for name in ["b-3.jpg", "a-20.jpg", "d-1.jpg", "c-3.jpg"] {
        fs::write(dir.path().join(name), "1").expect("write");
    }
    let (mut intake, records) = (intake(dir.path(), true), Fake::default());
    assert_eq!(names(&mut intake, &records), ["d-1.jpg", "b-3.jpg", "c-3.jpg", "a-20.jpg"]);
}

#[test]
fn an_intake_by_hand_ends_when_all_was_offered() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for name in ["1.jpg", "2.jpg"] {
        fs::write(dir.path().join(name), "1").expect("write");
    }
    let records = Fake::default();
    let mut all = intake(dir.path(), true);
    let first = all.next(&records).expect("a file");
    assert_eq!(all.waiting(), 1);
    all.put_back(&first, Duration::from_millis(1));
    assert_eq!(names(&mut all, &records), ["2.jpg", "1.jpg"]);
    assert_eq!(names(&mut intake(&dir.path().join("2.jpg"), true), &Fake::default()), ["2.jpg"], "one file");
    assert!(names(&mut intake(dir.path(), true), &records).is_empty(), "settled");
}

#[test]
fn a_finished_file_is_offered_again_when_its_result_was_lost() {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("photo.jpg"), "1").expect("write");
    let (mut intake, records) = (intake(dir.path(), false), Fake::default());
    let first = intake.next(&records).expect("a file");
    intake.settle(&first);
    fs::write(dir.path().join("other.jpg"), "1").expect("write");
    let other = intake.next(&records).expect("a file");
    assert_eq!(other.path, dir.path().join("other.jpg"));
    records.note(&other, Look::Settled);
    intake.look_again().look_again();
    assert_eq!(intake.next(&records).expect("the first again").path, first.path);
}

#[test]
fn nothing_is_handed_out_during_a_rest_and_a_stop_ends_it() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::write(dir.path().join("1.jpg"), "photo").expect("write");
    let (mut intake, records, begin) = (intake(dir.path(), true), Fake::default(), Instant::now());
    intake.rest(Duration::from_millis(200));
    assert!(intake.next(&records).is_some() && begin.elapsed() >= Duration::from_millis(200));
    fs::write(dir.path().join("2.jpg"), "photo").expect("write");
    intake.rest(Duration::from_secs(600));
    intake.stopper().stop();
    assert!(intake.next(&records).is_none() && begin.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_failed_file_is_offered_when_its_record_is_gone() {
    let dir = tempfile::tempdir().expect("temporary folder");
    fs::write(dir.path().join("1.jpg"), "1").expect("write");
    let (mut intake, records) = (intake(dir.path(), false), Fake::default());
    let first = intake.next(&records).expect("a file");
    records.note(&first, Look::Failed);
    fs::write(dir.path().join("2.jpg"), "1").expect("write");
    let second = intake.next(&records).expect("a file");
    assert_eq!(second.path, dir.path().join("2.jpg"));
    records.note(&second, Look::Settled);
    records.note(&first, Look::Offer);
    assert_eq!(intake.next(&records).expect("the first again").path, first.path);
}

#[test]
fn what_lies_beside_photos_is_passed_over_by_scan_and_notification() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let beside = |number: u32| {
        ["DCIM/{}.MP4", "DCIM/{}.xmp", "MISC/THM/100/{}.SCR", "@eaDir/{}.jpg/M.jpg"]
            .map(|path| path.replace("{}", &number.to_string()))
    };
    let (mut intake, records) = (intake(dir.path(), false), Fake::default());
    for number in 1..4 {
        write_all(dir.path(), &beside(number).each_ref().map(String::as_str));
        write_all(dir.path(), &[&format!("DCIM/{number}.jpg")]);
        // The file is named by a notification, or found by the rescan a moment later.
        let found = intake.next(&records).expect("a file");
        assert_eq!(found.path, dir.path().join(format!("DCIM/{number}.jpg")));
        records.note(&found, Look::Settled);
    }
    intake.rescan(Moment::now(), &records);
    assert_eq!(*records.counts.borrow(), "6 thumbnails, 3 videos, 3 sidecar files");
    intake.rescan(Moment::now(), &records);
    assert_eq!(records.passed_over().len(), 12, "each file is told once: {:?}", records.passed_over());
}

#[test]
fn what_a_person_names_is_tried_and_what_is_below_it_follows_the_rules() {
    let dir = tempfile::tempdir().expect("temporary folder");
    write_all(dir.path(), &["MISC/THM/1.SCR", "MISC/THM/2.THM", "DCIM/3.jpg", "DCIM/4.jpg", "DCIM/4.dng", "5.mp4"]);
    let look = |roots: &[&str]| {
        let roots = roots.iter().map(|root| dir.path().join(root)).collect();
        let records = Fake::default();
        let found = names(&mut Intake::new(Params { roots, ..intake(dir.path(), true).params }), &records);
        (found.join(" "), records.passed_over().join(" "))
    };
    let told = |found: &str, passed_over: &str| (found.to_owned(), passed_over.to_owned());
    assert_eq!(look(&[""]), told("3.jpg 4.jpg", "1.SCR 2.THM 4.dng 5.mp4"));
    assert_eq!(look(&["", "DCIM"]), told("3.jpg 4.jpg", "1.SCR 2.THM 4.dng 5.mp4"), "each once");
    assert_eq!(look(&["", "MISC/THM"]), told("1.SCR 3.jpg 4.jpg", "2.THM 4.dng 5.mp4"));
    assert_eq!(look(&["MISC/THM/2.THM", "DCIM/4.dng", "5.mp4"]), told("2.THM 4.dng 5.mp4", ""));
}

#[test]
fn a_candidate_says_where_it_comes_from() {
    let dir = tempfile::tempdir().expect("temporary folder");
    write_all(dir.path(), &["data/uploads/1.jpg", "data/uploads/2.thm", "camera/3.jpg"]);
    let roots = ["camera", "data/uploads"].map(|root| dir.path().join(root));
    let origins = |once| {
        let uploads = Some(roots[1].clone());
        let mut intake = Intake::new(Params { roots: roots.to_vec(), uploads, ..intake(dir.path(), once).params });
        let records = Fake::default();
        let next = |_| {
            let candidate = intake.next(&records).expect("a file");
            records.note(&candidate, Look::Settled);
            candidate.origin
        };
        (0..3).map(next).collect::<Vec<_>>()
    };
    assert_eq!(origins(false), [Origin::Uploaded, Origin::Uploaded, Origin::Watched]);
    assert_eq!(origins(true), [Origin::Uploaded, Origin::Uploaded, Origin::Imported]);
}

#[test]
fn a_raw_file_waits_for_its_jpeg() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (mut intake, records) = (intake(dir.path(), false), Fake::default());
    write_all(dir.path(), &["1.ARW"]);
    // A copy has the age of the original.
    let raw = fs::File::options().append(true).open(dir.path().join("1.ARW")).expect("the raw file");
    raw.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
    intake.rescan(Moment::now(), &records);
    assert_eq!(intake.waiting(), 1);
    write_all(dir.path(), &["1.JPG", "2.DNG"]);
    let found = intake.next(&records).expect("the JPEG");
    records.note(&found, Look::Settled);
    assert_eq!(name(&found.path), "1.JPG");
    // The rest of the raw files ends; one has a JPEG beside it by then.
    let later = Moment { instant: Instant::now() + 2 * TWIN_WAIT, ..Moment::now() };
    intake.rescan(Moment::now(), &records);
    for candidate in intake.pending.take_due(later.instant, Duration::ZERO) {
        intake.offer(candidate, later, &records);
    }
    let found = intake.next(&records).expect("the raw file without a JPEG");
    assert_eq!((name(&found.path), records.passed_over()), ("2.DNG".to_owned(), vec!["1.ARW".to_owned()]));
}

#[test]
fn a_wall_clock_that_steps_while_files_wait_does_not_change_when_they_were_seen() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (mut intake, records) = (intake(dir.path(), true), Fake::default());
    write_all(dir.path(), &["1.jpg"]);
    let seen = Moment { wall: Timestamp::UNIX_EPOCH, ..Moment::now() };
    intake.rescan(seen, &records);
    intake.rescan(Moment::now(), &records);
    let found = intake.next(&records).expect("the file");
    assert_eq!((found.seen, found.seen_wall), (seen.instant, seen.wall));
}
