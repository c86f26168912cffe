//! Checks `bridgeclip reference`: building, moving and joining the database of labelled photos.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    copy_of_demo_package, demo_package, demo_photos, eventually, exit_code, good, refusal, run, stderr,
};

const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
    kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";
const LABELS: &str = "A finding.,III,C1,cracking|corrosion,pier,1,1,1,1";

fn info(path: &Path) -> Value {
    good(&run(&[&"reference", &"info", &path, &"--json"]))
}

/// Returns the description of a reference, without the fitted values. Another reference with the same photos starts
/// without them.
fn unfitted_info(path: &Path) -> Value {
    let mut info = info(path);
    info["fitted"] = serde_json::json!({});
    info
}

/// Writes a CSV of sample photos in another folder, as in the published pipeline.
fn write_csv(path: &Path, photos: &[PathBuf], more: &str) {
    let rows =
        photos.iter().map(|photo| format!("old/place/{},{LABELS}\n", photo.file_name().unwrap().to_str().unwrap()));
    fs::write(path, format!("{HEADER}{}{more}", rows.collect::<String>())).expect("write");
}

fn photos_folder() -> PathBuf {
    demo_photos()[0].parent().expect("a folder").to_owned()
}

#[test]
fn a_reference_is_built_from_photos_and_used() {
    let dir = copy_of_demo_package();
    let (package, csv, photos) = (dir.path(), dir.path().join("rows.csv"), demo_photos());
    write_csv(&csv, &photos[..4], &format!("missing.jpg,{LABELS}\n"));
    let root = photos_folder();
    let output =
        run(&[&"reference", &"build", &"--csv", &csv, &"--image-root", &root, &"--package", &package, &"--json"]);
    let message = refusal(&output);
    assert!(message.contains("line 6") && message.contains("missing.jpg"), "{message}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["photos"], &report["rejected"][0]["line"]), (&4.into(), &6.into()));
    good(&run(&[&"package", &"verify", &package]));
    assert_eq!(info(package)["counts"]["damage_type"]["corrosion"], 4);
    let verdict = good(&run(&[&"classify", &"--json", &"--package", &package, &photos[0]]));
    let nearest = &verdict["verdict"]["neighbours"][0];
    assert!(nearest["similarity"].as_f64().is_some_and(|similarity| similarity > 0.9999), "{nearest}");
    assert!(nearest["source"].as_str().unwrap().ends_with(photos[0].file_name().unwrap().to_str().unwrap()));
}

#[test]
fn a_reference_is_built_from_findings_alone() {
    let dir = copy_of_demo_package();
    let (package, csv, photos) = (dir.path(), dir.path().join("rows.csv"), demo_photos());
    let name = |index: usize| photos[index].file_name().expect("a name").to_string_lossy().into_owned();
    let finding = "Cracking and corrosion are observed in the pier. The soundness rating is Ⅲ.";
    let whole = format!("{finding} The component-wise measure classification is C1.");
    fs::write(&csv, format!("image,text\n{},{whole}\n{},{finding}\n{},No damage.\n", name(0), name(1), name(2)))
        .expect("write");
    let root = photos_folder();
    let build = |more: &[&dyn AsRef<Path>]| {
        let words: [&dyn AsRef<Path>; 9] =
            [&"reference", &"build", &"--csv", &csv, &"--image-root", &root, &"--package", &package, &"--json"];
        run(&[&words, more].concat())
    };
    let output = build(&[]);
    let report = good(&output);
    assert_eq!((&report["photos"], &report["incomplete_rows"]), (&1.into(), &2.into()));
    let message = stderr(&output);
    assert!(message.contains("left out: the caption does not say the measure: 1 row, first on line 3"), "{message}");
    let none = "left out: the caption has no sentence of the caption template: 1 row, first on line 4";
    assert!(message.contains(none), "{message}");
    assert_eq!(report["reading"]["remarks"].as_array().expect("a list").len(), 2);
    assert_eq!(info(package)["counts"]["damage_type"]["corrosion"], 1);
    assert!(refusal(&build(&[&"--labels-from", &"columns"])).contains("no column `kenzenudo`"));
}

#[test]
fn a_build_that_is_killed_or_stopped_goes_on_where_it_was() {
    let dir = copy_of_demo_package();
    let package = dir.path();
    // The same photos under many names fill several chunks of 16.
    let folder = dir.path().join("photos");
    fs::create_dir(&folder).expect("create");
    let mut rows = HEADER.to_owned();
    for index in 0..120 {
        let name = format!("{index}.jpg");
        std::os::unix::fs::symlink(&demo_photos()[index % 12], folder.join(&name)).expect("link");
        rows += &format!("{name},{LABELS}\n");
    }
    let csv = folder.join("rows.csv");
    fs::write(&csv, rows).expect("write");
    let before = fs::read(package.join("reference.db")).expect("read");
    let partial = package.join(".reference.db.partial");
    let start = || {
        Command::new(env!("CARGO_BIN_EXE_bridgeclip"))
            .args(["reference", "build", "--threads", "1", "--csv"])
            .arg(&csv)
            .arg("--package")
            .arg(package)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts")
    };
    let done = || {
        let open = rusqlite::Connection::open_with_flags(&partial, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        open.query_row("SELECT done FROM progress", [], |row| row.get::<_, u64>(0)).ok()
    };
    let mut child = start();
    eventually("the first rows are being written", || partial.exists());
    std::thread::sleep(Duration::from_millis(300));
    child.kill().expect("kill");
    child.wait().expect("wait");
    let killed_at = done().unwrap_or(0);
    assert_eq!(fs::read(package.join("reference.db")).expect("read"), before, "the old reference is untouched");
    let child = start();
    std::thread::sleep(Duration::from_millis(150));
    // A build that is interrupted says how far it is, and that is kept.
    interrupt(child.id());
    let output = child.wait_with_output().expect("ends");
    let message = stderr(&output);
    match exit_code(output.status) {
        130 => assert!(message.contains("of 120 photos") && done().unwrap_or(0) >= killed_at, "{message}"),
        code => assert_eq!(code, 0, "{message}"),
    }
    let report = good(&run(&[&"reference", &"build", &"--csv", &csv, &"--package", &package, &"--json"]));
    assert_eq!((&report["photos"], &report["rejected"]), (&120.into(), &Value::Array(vec![])));
    assert!(!partial.exists());
    // The result is the same as that of a build that was never interrupted.
    let whole = copy_of_demo_package();
    good(&run(&[&"reference", &"build", &"--csv", &csv, &"--package", &whole.path()]));
    let export = |package: &Path, name: &str| {
        let to = dir.path().join(name);
        run(&[&"reference", &"export", &package, &"--npy", &to]);
        ["embeddings.npy", "rows.csv"].map(|file| fs::read(to.join(file)).expect("exported"))
    };
    assert!(export(package, "a") == export(whole.path(), "b"));
}

/// Sends SIGINT, as Ctrl-C does.
fn interrupt(process: u32) {
    let done = Command::new("sh").args(["-c", &format!("kill -INT {process}")]).status().expect("sh");
    assert!(done.success());
}

#[test]
fn what_is_exported_can_be_imported_and_merged() {
    let (dir, target) = (tempfile::tempdir().expect("a temporary folder"), copy_of_demo_package());
    let exported = dir.path().join("out");
    run(&[&"reference", &"export", &demo_package(), &"--npy", &exported]);
    let (npy, csv) = (exported.join("embeddings.npy"), exported.join("rows.csv"));
    let import = |npy: &Path, csv: &Path, package: &Path| {
        run(&[&"reference", &"import", &"--embeddings", &npy, &"--csv", &csv, &"--package", &package, &"--json"])
    };
    assert_eq!(good(&import(&npy, &csv, target.path()))["photos"], 2500);
    assert_eq!(info(target.path()), unfitted_info(&demo_package()));
    // Two parts: in each the labels of the other half are marked invalid.
    let parts = [0, 1].map(|part| {
        let package = copy_of_demo_package();
        let text = fs::read_to_string(&csv).expect("read");
        let lines = text.lines().enumerate().map(|(index, line)| match index > 0 && (index - 1) / 1250 != part {
            true => format!("{}0\n", &line[..line.len() - 1]),
            false => format!("{line}\n"),
        });
        let half = dir.path().join(format!("half{part}.csv"));
        fs::write(&half, lines.collect::<String>()).expect("write");
        let report = good(&import(&npy, &half, package.path()));
        assert_eq!((&report["photos"], &report["incomplete_rows"]), (&1250.into(), &1250.into()));
        package
    });
    let merged = copy_of_demo_package();
    let merge = |parts: &[&Path]| {
        let mut words: Vec<&dyn AsRef<Path>> = vec![&"reference", &"merge"];
        words.extend(parts.iter().map(|part| part as &dyn AsRef<Path>));
        let target = merged.path();
        run(&[&words[..], &[&"--package", &target]].concat())
    };
    good(&merge(&[parts[0].path(), parts[1].path()]));
    assert_eq!(info(merged.path()), unfitted_info(&demo_package()));
    let photo = demo_photos().remove(0);
    let verdict = |package: &Path| good(&run(&[&"classify", &"--json", &"--package", &package, &photo]));
    assert_eq!(verdict(merged.path()), verdict(target.path()));
    assert_eq!(verdict(merged.path())["verdict"]["neighbours"], verdict(&demo_package())["verdict"]["neighbours"]);
    let message = refusal(&merge(&[parts[0].path(), parts[0].path()]));
    assert!(message.contains("`train/00000.jpg` is there twice"), "{message}");
    assert!(refusal(&merge(&[merged.path(), parts[0].path()])).contains("own reference"));
    good(&run(&[&"package", &"verify", &merged.path()]));
}

#[test]
fn bad_input_is_refused_with_its_place_and_changes_nothing() {
    let (dir, package) = (tempfile::tempdir().expect("a temporary folder"), copy_of_demo_package());
    let exported = dir.path().join("out");
    run(&[&"reference", &"export", &demo_package(), &"--npy", &exported]);
    let (npy, csv) = (exported.join("embeddings.npy"), exported.join("rows.csv"));
    let (bytes, text) = (fs::read(&npy).expect("read"), fs::read_to_string(&csv).expect("read"));
    let before = fs::read_dir(package.path()).expect("list").count();
    let strict = std::cell::Cell::new(false);
    let refused = |bytes: &[u8], text: &str, expected: &[&str]| {
        let (npy, csv) = (dir.path().join("bad.npy"), dir.path().join("bad.csv"));
        fs::write(&npy, bytes).expect("write");
        fs::write(&csv, text).expect("write");
        let target = package.path();
        let mut words: Vec<&dyn AsRef<Path>> =
            vec![&"reference", &"import", &"--embeddings", &npy, &"--csv", &csv, &"--package", &target];
        if strict.get() {
            words.push(&"--strict");
        }
        let message = refusal(&run(&words));
        assert!(expected.iter().all(|part| message.contains(part)), "{expected:?}: {message}");
        assert_eq!(fs::read_dir(package.path()).expect("list").count(), before, "nothing half-written");
    };
    let data = bytes.len() - 2500 * 128 * 4;
    let with = |row: usize, column: usize, value: f32| {
        let mut bytes = bytes.clone();
        bytes[data + 4 * (row * 128 + column)..][..4].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    refused(&with(17, 3, f32::NAN), &text, &["row 17, column 3 is NaN"]);
    refused(&with(2499, 127, f32::INFINITY), &text, &["row 2499, column 127 is inf"]);
    refused(&bytes[..bytes.len() - 1], &text, &["bad.npy"]);
    refused(b"no NumPy file", &text, &["not a NumPy file"]);
    let zeros = [&bytes[..data], &[0; 128 * 4], &bytes[data + 128 * 4..]].concat();
    refused(&zeros, &text, &["line 2, row 0 of the embeddings", "all zeros"]);
    let huge = String::from_utf8_lossy(&bytes[..data]).replace("2500, 128", "4000000000, 128");
    refused(huge.as_bytes(), &text, &["bad.npy"]);
    let without_last = text.trim_end().rsplit_once('\n').expect("lines").0;
    refused(&bytes, without_last, &["2500 rows", "has 2499"]);
    strict.set(true);
    refused(&bytes, &text.replacen("taisaku,", "measure,", 1), &["no column `taisaku`"]);
    refused(&bytes, &text.replacen(",IV,", ",VI,", 1), &["line 2", "column `kenzenudo`", "`VI`"]);
    good(&run(&[&"package", &"verify", &package.path()]));
}

#[test]
fn what_the_published_scripts_read_is_read_and_reported() {
    let (dir, package) = (tempfile::tempdir().expect("a temporary folder"), copy_of_demo_package());
    let (csv, root, photos) = (dir.path().join("rows.csv"), photos_folder(), demo_photos());
    let name = |index: usize| photos[index].file_name().expect("a name").to_string_lossy().into_owned();
    // No *_valid, no text, no taisaku; a byte order mark, Windows paths, Japanese, other case, a repeated photo.
    let rows = format!(
        "\u{feff}image,kenzenudo,damage_type,damage_loc\nC:\\old\\{0},\u{2162},ひびわれ|ひび割れ,橋脚\n\
         {1},3,CORROSION,piers\n{0},II,nan,pier\nC:\\old\\{0},III,cracking,pier\n{2},II,moss,pier\n{3},II,moss|cracks,pier\n",
        name(0),
        name(1),
        name(2),
        name(3)
    );
    fs::write(&csv, rows).expect("write");
    let build = |more: &[&dyn AsRef<Path>]| {
        let target = package.path();
        let words: [&dyn AsRef<Path>; 9] =
            [&"reference", &"build", &"--csv", &csv, &"--image-root", &root, &"--package", &target, &"--json"];
        run(&[&words, more].concat())
    };
    let output = build(&[]);
    let report = good(&output);
    assert_eq!((&report["photos"], &report["incomplete_rows"]), (&3.into(), &3.into()));
    let message = stderr(&output);
    for part in [
        "labels in Japanese or in other case: 5",
        "soundness `3`, 1 time, first on line 3: read as `III` (a name of the published mapping)",
        "damage_type `moss`, 2 times, first on line 6: names no class",
        "left out: an earlier row has the same image and labels: 1 row, first on line 5",
        "left out: `damage_type` has no usable label: 2 rows, first on line 4",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(report["reading"]["unknown"][0]["word"], "moss");
    let counts = &info(package.path())["counts"];
    assert_eq!((&counts["damage_type"]["cracking"], &counts["measure"]["B"]), (&2.into(), &0.into()));
    // A reference without one of the categories answers the others.
    let verdict = good(&run(&[&"classify", &"--json", &"--package", &package.path(), &photos[0]]));
    assert!(verdict["verdict"]["soundness"].is_object() || verdict["verdict"].is_object(), "{verdict}");
    assert_eq!(good(&build(&[&"--unknown-words", &"other"]))["photos"], 4);
    assert_eq!(good(&build(&[&"--partial-rows"]))["photos"], 5);
    assert!(refusal(&build(&[&"--strict"])).contains("no column `kenzenudo_valid`"));
}

#[test]
fn input_without_a_usable_row_leaves_the_reference_as_it_was() {
    let (dir, package) = (tempfile::tempdir().expect("a temporary folder"), copy_of_demo_package());
    let before = info(package.path());
    let csv = dir.path().join("rows.csv");
    let refused = |rows: &str, expected: &[&str]| {
        write_csv(&csv, &[], rows);
        let output = run(&[&"reference", &"build", &"--csv", &csv, &"--package", &package.path()]);
        let message = refusal(&output);
        assert!(expected.iter().all(|part| message.contains(part)), "{expected:?}: {message}");
        assert_eq!(info(package.path()), before);
        good(&run(&[&"package", &"verify", &package.path()]));
    };
    refused("", &["no row could be used", "0 are left out"]);
    refused("x.jpg,text,II,C1,cracking,pier,1,1,1,0\n", &["no row could be used", "1 are left out"]);
    refused("missing.jpg,text,II,C1,cracking,pier,1,1,1,1\n", &["line 2", "missing.jpg", "1 photos are unreadable"]);
}

#[test]
fn a_reference_of_other_encoders_or_other_preprocessing_is_refused() {
    let package = copy_of_demo_package();
    let manifest = package.path().join("package.toml");
    let text = fs::read_to_string(&manifest).expect("read");
    for (part, changed, named) in [
        ("mean = [0.4", "mean = [0.3", "preprocessing"),
        ("embedding_space = \"f", "embedding_space = \"e", "embedding_space"),
    ] {
        assert!(text.contains(part));
        fs::write(&manifest, text.replace(part, changed)).expect("write");
        let message = refusal(&run(&[&"package", &"verify", &package.path()]));
        assert!(message.contains(named) && message.contains("reference build"), "{message}");
    }
}
