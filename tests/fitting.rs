//! Checks `bridgeclip reference fit-heads|import-heads|fit-prompts|fit-rules`: what is fitted to a reference and stored
//! in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bridgeclip::classify::Prompts;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    copy_of_demo_package, data, demo_package, demo_photos, eventually, good, refusal, run, stderr, write_npy,
};

fn fitted(package: &Path) -> Value {
    good(&run(&[&"reference", &"info", &package, &"--json"]))["fitted"].clone()
}

fn reference(package: &Path) -> Vec<u8> {
    fs::read(package.join("reference.db")).expect("read")
}

/// Returns the demo package with nothing fitted. It imports its own reference, as an imported reference has nothing
/// fitted.
fn unfitted_package() -> TempDir {
    let (package, exported) = (copy_of_demo_package(), tempfile::tempdir().expect("a temporary folder"));
    good(&run(&[&"reference", &"export", &demo_package(), &"--npy", &exported.path()]));
    let (npy, csv) = (exported.path().join("embeddings.npy"), exported.path().join("rows.csv"));
    good(&run(&[&"reference", &"import", &"--embeddings", &npy, &"--csv", &csv, &"--package", &package.path()]));
    assert_eq!(fitted(package.path()), serde_json::json!({}));
    package
}

fn val() -> (PathBuf, PathBuf) {
    (data("demo/val.csv"), data("demo/val_embeddings.npy"))
}

/// Returns the mean macro-F1 on the held-out pictures.
fn mean_macro_f1(package: &Path, method: &str) -> f64 {
    let (csv, npy) = val();
    let words: [&dyn AsRef<Path>; 11] = [
        &"eval",
        &"classify",
        &"--csv",
        &csv,
        &"--embeddings",
        &npy,
        &"--package",
        &package,
        &"--method",
        &method,
        &"--json",
    ];
    good(&run(&words))["classification"]["mean_macro_f1"].as_f64().expect("a figure")
}

#[test]
fn what_a_method_needs_is_said_and_then_fitted() {
    let dir = unfitted_package();
    let (package, photo) = (dir.path(), demo_photos().remove(0));
    let classify =
        |option: &str, value: &str| run(&[&"classify", &"--json", &"--package", &package, &photo, &option, &value]);
    for (option, value, command) in [
        ("--method", "linear", "fit-heads"),
        ("--method", "zero-shot", "fit-prompts"),
        ("--rule", "balanced", "fit-rules"),
        ("--rule", "fused", "fit-rules"),
    ] {
        let message = refusal(&classify(option, value));
        assert!(message.contains(&format!("bridgeclip reference {command}")), "{message}");
    }
    let verdict = &good(&classify("--method", "knn"))["verdict"];
    assert_eq!(verdict["confidence_calibrated"], false);

    let note = good(&run(&[&"reference", &"fit-heads", &"--package", &package, &"--json"]));
    assert_eq!((&note["photos"], &note["seed"], &note["dropout"]), (&2500.into(), &42.into(), &0.3.into()));
    assert!(note["seconds"].is_f64() && note["loss"]["measure"].as_f64().expect("a figure") < 0.5, "{note}");
    good(&run(&[&"reference", &"fit-prompts", &"--package", &package]));
    let (csv, npy) = val();
    let words: [&dyn AsRef<Path>; 9] =
        [&"reference", &"fit-rules", &"--csv", &csv, &"--embeddings", &npy, &"--package", &package, &"--json"];
    let note = good(&run(&words));
    let ways = note["cross_validation"]["ways"].as_array().expect("a list");
    assert_eq!(ways.len(), 5);
    let mean = |way: usize| ways[way]["mean_macro_f1"].as_f64().expect("a figure");
    assert!(mean(1) > mean(0) + 0.02, "balanced {}, published {}", mean(1), mean(0));
    assert!(mean(2) > mean(0), "fused {}, published {}", mean(2), mean(0));
    let gain = &note["cross_validation"]["fused"]["mean"];
    assert!(gain["interval"][0].as_f64().expect("a figure") <= mean(2) - mean(0), "{gain}");
    for way in ways {
        let errors = |which: &str| -> Vec<f64> {
            way[which].as_object().expect("an object").values().filter_map(Value::as_f64).collect()
        };
        let (own, calibrated) = (errors("own_calibration_error"), errors("calibration_error"));
        assert!(calibrated.len() == 4 && calibrated.iter().all(|error| *error < 0.06), "{way}");
        // The fused rule's own confidences are probabilities already.
        let gain = if way["rule"] == "fused" { 1.1 } else { 0.5 };
        assert!(calibrated.iter().sum::<f64>() < own.iter().sum::<f64>() * gain, "{way}");
    }
    assert!(note["cross_validation"]["urgency"]["recall"].as_f64().expect("a figure") >= 0.95);

    let kept = fitted(package);
    assert_eq!(
        kept.as_object().map(|kept| kept.keys().cloned().collect::<Vec<_>>().join(" ")).as_deref(),
        Some("heads prompts rules")
    );
    assert_eq!(kept["rules"]["photos"], 1500);
    good(&run(&[&"package", &"verify", &package]));
    let verdict = &good(&classify("--rule", "balanced"))["verdict"];
    assert_eq!((&verdict["rule"], &verdict["confidence_calibrated"]), (&"balanced".into(), &true.into()));
    let verdict = &good(&classify("--rule", "fused"))["verdict"];
    assert_eq!((&verdict["rule"], &verdict["confidence_calibrated"]), (&"fused".into(), &true.into()));
    assert!(mean_macro_f1(package, "linear") > 0.8);
    // The confidences of the old heads were calibrated; those of these other heads are not.
    good(&run(&[&"reference", &"fit-heads", &"--package", &package, &"--seed", &"7"]));
    let verdict = &good(&classify("--method", "linear"))["verdict"];
    assert_eq!(verdict["confidence_calibrated"], false);
    // The fused vote was fitted with the old heads.
    let message = refusal(&classify("--rule", "fused"));
    assert!(message.contains("no fused vote for its linear heads"), "{message}");
}

#[test]
fn a_seed_gives_the_same_heads() {
    let heads = |seed: &str| {
        let dir = copy_of_demo_package();
        good(&run(&[&"reference", &"fit-heads", &"--package", &dir.path(), &"--seed", &seed]));
        let open = rusqlite::Connection::open(dir.path().join("reference.db")).expect("opens");
        open.query_row("SELECT value FROM fitted WHERE name = 'heads'", [], |row| row.get::<_, Vec<u8>>(0))
            .expect("heads")
    };
    let first = heads("3");
    assert!(first == heads("3") && first != heads("4"));
}

#[test]
fn heads_of_pytorch_can_be_imported() {
    let (dir, file) = (copy_of_demo_package(), data("classifiers/heads.bin"));
    good(&run(&[&"reference", &"import-heads", &file, &"--package", &dir.path()]));
    assert_eq!(fitted(dir.path())["heads"]["file"], "heads.bin");
    assert!(mean_macro_f1(dir.path(), "linear") > 0.8);

    let (before, bad) = (reference(dir.path()), dir.path().join("bad.bin"));
    let bytes = fs::read(&file).expect("read");
    let mut other_dim = bytes.clone();
    other_dim[8] = 64;
    let mut nan = bytes.clone();
    nan[40..44].copy_from_slice(&f32::NAN.to_le_bytes());
    let small = heads_of_dim_2();
    let cases: [(&[u8], &str); 5] = [
        (b"PK", "does not start with `BCHEADS1`"),
        (&bytes[..bytes.len() - 1], "instead of"),
        (&other_dim, "instead of"),
        (&nan, "soundness holds NaN"),
        (&small, "embeddings of 2 values, the package gives 128"),
    ];
    for (content, expected) in cases {
        fs::write(&bad, content).expect("write");
        let message = refusal(&run(&[&"reference", &"import-heads", &bad, &"--package", &dir.path()]));
        assert!(message.contains("bad.bin") && message.contains(expected), "{message}");
    }
    assert!(reference(dir.path()) == before, "nothing was changed");
    // Heads of photos that were prepared otherwise, or nobody knows how, are taken only on request.
    let mut wider = bytes.clone();
    wider[32..36].copy_from_slice(&256u32.to_le_bytes());
    let unknown = [&b"BCHEADS1"[..], &bytes[8..32], &bytes[40..]].concat();
    for (content, expected) in [
        (wider, "photos with short side 256, centre 224 x 224 pixels; the package prepares them with short side 224"),
        (unknown, "does not say how the photos were prepared"),
    ] {
        fs::write(&bad, content).expect("write");
        let words: [&dyn AsRef<Path>; 5] = [&"reference", &"import-heads", &bad, &"--package", &dir.path()];
        let message = refusal(&run(&words));
        assert!(message.contains(expected) && message.contains("--any-preparation"), "{message}");
        good(&run(&[&words[..], &[&"--any-preparation"]].concat()));
        good(&run(&[&"reference", &"import-heads", &file, &"--package", &dir.path()]));
        assert!(mean_macro_f1(dir.path(), "linear") > 0.8);
    }
}

/// Returns a heads file of dimension 2 whose weights are all 0.
fn heads_of_dim_2() -> Vec<u8> {
    let header = [&b"BCHEADS1"[..], &2u32.to_le_bytes(), &1e-7f32.to_le_bytes()].concat();
    let classes = [4u32, 9, 15, 20];
    let values = classes.iter().map(|classes| 2 * 2 + 3 * classes).sum::<u32>() as usize;
    [header, classes.map(u32::to_le_bytes).concat(), vec![0; 4 * values]].concat()
}

#[test]
fn prompts_can_be_edited() {
    let (dir, file) = (copy_of_demo_package(), tempfile::NamedTempFile::new().expect("a temporary file"));
    let before = mean_macro_f1(dir.path(), "zero-shot");
    // Only texts in the form of captions; the plain descriptions are left out.
    let captions: String =
        Prompts::BUILT_IN.lines().filter(|line| !line.contains("A photo of")).map(|line| format!("{line}\n")).collect();
    fs::write(file.path(), &captions).expect("write");
    let fit = || run(&[&"reference", &"fit-prompts", &"--package", &dir.path(), &"--prompts", &file.path()]);
    good(&fit());
    assert_eq!(fitted(dir.path())["prompts"]["texts"], 48);
    assert_ne!(mean_macro_f1(dir.path(), "zero-shot"), before);
    let kept = reference(dir.path());
    fs::write(file.path(), captions.replace("\"scour\" =", "\"scours\" =")).expect("write");
    let message = refusal(&fit());
    assert!(message.contains("`damage_type.scours` is unknown"), "{message}");
    assert!(reference(dir.path()) == kept, "nothing was changed");
}

#[test]
fn rules_are_refused_what_they_cannot_be_fitted_to() {
    let dir = copy_of_demo_package();
    let (before, exported) = (reference(dir.path()), dir.path().join("out"));
    let fit_with = |csv: &Path, npy: &Path, more: &[&dyn AsRef<Path>]| {
        let words: [&dyn AsRef<Path>; 8] =
            [&"reference", &"fit-rules", &"--csv", &csv, &"--embeddings", &npy, &"--package", &dir.path()];
        refusal(&run(&[&words, more].concat()))
    };
    let fit = |csv: &Path, npy: &Path| fit_with(csv, npy, &[]);
    // Photos that are part of the reference are refused.
    good(&run(&[&"reference", &"export", &dir.path(), &"--npy", &exported]));
    let message = fit(&exported.join("rows.csv"), &exported.join("embeddings.npy"));
    assert!(message.contains("line 2: train/00000.jpg is a photo of the reference"), "{message}");
    // Too few photos are refused.
    let (csv, npy) = val();
    let (few, few_npy) = (dir.path().join("few.csv"), dir.path().join("few.npy"));
    let text = fs::read_to_string(&csv).expect("read");
    fs::write(&few, text.lines().take(51).map(|line| format!("{line}\n")).collect::<String>()).expect("write");
    write_npy(&few_npy, &[50, 128], |index| (index % 129) as f32 - 60.0);
    let message = fit(&few, &few_npy);
    assert!(message.contains("50 photos have a label of soundness; rules need at least 100"), "{message}");
    // Wrong rows, labels, columns and numbers are refused, each with its place.
    assert!(fit(&few, &npy).contains("1500 rows, "));
    fs::write(&few, text.replacen(",III,", ",VI,", 1)).expect("write");
    assert!(fit_with(&few, &npy, &[&"--strict"]).contains("line 2, column `kenzenudo`: `VI`"));
    fs::write(&few, text.replacen("val/00001.jpg", "val/00000.jpg", 1)).expect("write");
    assert!(fit(&few, &npy).contains("`val/00000.jpg` is there twice: line 2 and line 3"));
    fs::write(&few, text.replacen("taisaku,", "measure,", 1)).expect("write");
    assert!(fit_with(&few, &npy, &[&"--strict"]).contains("no column `taisaku`"));
    let message = fit(&few, &npy);
    assert!(message.contains("0 photos have a label of measure; rules need at least 100"), "{message}");
    write_npy(&few_npy, &[1500, 128], |index| if index == 3 * 128 + 7 { f32::NAN } else { 1.0 });
    assert!(fit(&csv, &few_npy).contains("row 3, column 7 is NaN"));
    assert!(reference(dir.path()) == before, "nothing was changed");
    good(&run(&[&"package", &"verify", &dir.path()]));
}

#[test]
fn a_stopped_or_killed_training_leaves_the_reference_as_it_was() {
    let dir = copy_of_demo_package();
    // Enough photos for the training to be still at work when it is stopped.
    let (csv, npy) = (dir.path().join("many.csv"), dir.path().join("many.npy"));
    let header = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
        kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";
    let rows = (0..60_000).map(|row| format!("{row}.jpg,t,II,C1,cracking,pier,1,1,1,1\n"));
    fs::write(&csv, format!("{header}{}", rows.collect::<String>())).expect("write");
    write_npy(&npy, &[60_000, 128], |index| ((index * 7919) % 1009) as f32 - 500.0);
    good(&run(&[&"reference", &"import", &"--embeddings", &npy, &"--csv", &csv, &"--package", &dir.path()]));
    let before = reference(dir.path());
    for (signal, code) in [("INT", Some(130)), ("KILL", None)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bridgeclip"))
            .args(["reference", "fit-heads", "--package"])
            .arg(dir.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("starts");
        // The training starts more threads only after it has read the vectors.
        eventually("the training is at work", || threads(child.id()) > 1);
        let busy = run(&[&"reference", &"fit-prompts", &"--package", &dir.path()]);
        assert!(refusal(&busy).contains("another program is at work"), "{}", stderr(&busy));
        let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().expect("sh");
        assert!(kill.success());
        let status = child.wait().expect("ends");
        assert_eq!(status.code(), code, "{signal}");
        assert!(reference(dir.path()) == before, "the old reference, after {signal}");
        good(&run(&[&"package", &"verify", &dir.path()]));
    }
    // Files left by a killed process do not get in the way.
    fs::write(dir.path().join(".reference.db.revision"), "half").expect("write");
    good(&run(&[&"reference", &"fit-prompts", &"--package", &dir.path()]));
    assert!(!dir.path().join(".reference.db.revision").exists());
    assert_eq!(fitted(dir.path())["prompts"]["texts"], 96);
}

/// Returns the number of threads of a process.
fn threads(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count)
}
