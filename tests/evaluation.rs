//! Checks `bridgeclip eval` on the held-out pictures of the demo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::support::{bridgeclip, data, demo_package, demo_photos, exit_code, stderr, write_npy};

const HEADER: &str = "image,text,kenzenudo,taisaku,damage_type,damage_loc,\
    kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid\n";

/// Runs `bridgeclip eval`; arguments may be paths.
fn eval(args: &[&dyn AsRef<Path>]) -> Output {
    let texts: Vec<&str> = args.iter().map(|arg| (*arg).as_ref().to_str().expect("UTF-8")).collect();
    bridgeclip(&[&["eval"], &texts[..]].concat())
}

fn json(output: &Output) -> Value {
    assert_eq!(exit_code(output.status), 0, "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn macro_f1(run: &Value, category: &str) -> f64 {
    run["classification"]["categories"][category]["macro_f1"].as_f64().expect("a figure")
}

fn val() -> (PathBuf, PathBuf) {
    (data("demo/val.csv"), data("demo/val_embeddings.npy"))
}

#[test]
fn classification_of_the_held_out_pictures_and_its_predictions_file() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (predictions, out) = (dir.path().join("predictions.csv"), dir.path().join("metrics.json"));
    let (csv, embeddings) = val();
    let package = demo_package();
    let output = eval(&[
        &"classify",
        &"--csv",
        &csv,
        &"--embeddings",
        &embeddings,
        &"--package",
        &package,
        &"--json",
        &"--out-csv",
        &predictions,
        &"--out",
        &out,
    ]);
    let run = json(&output);
    assert_eq!(run["photos"], 1500);
    let figures: Value =
        serde_json::from_slice(&fs::read(package.join("../FIGURES.json")).expect("read")).expect("JSON");
    for category in ["soundness", "measure", "damage_type", "damage_location"] {
        let expected = figures["knn"]["macro_f1"][category].as_f64().expect("a figure");
        // The reference holds embeddings of this program's encoder; the figures use those of PyTorch.
        assert!((macro_f1(&run, category) - expected).abs() < 0.005, "{category}");
    }
    assert!(run["classification"]["mean_macro_f1"].as_f64().expect("a figure") >= 0.80);
    assert!(run["urgency"]["recall"].is_f64() && run["second_look"]["all"]["photos"] == 1500);
    assert!(run["classification"]["categories"]["soundness"]["calibration"]["expected_error"].is_f64());
    let written: Value = serde_json::from_slice(&fs::read(out).expect("read")).expect("JSON");
    assert_eq!(written, run);

    let again = json(&eval(&[&"classify", &"--predictions", &predictions, &"--json"]));
    assert_eq!(without_calibration(again), without_calibration(run));
}

/// Returns the classification of a run without its calibration; a predictions file has no confidences.
fn without_calibration(mut run: Value) -> Value {
    let categories = run["classification"]["categories"].as_object_mut().expect("an object");
    for scores in categories.values_mut() {
        scores.as_object_mut().expect("an object").remove("calibration");
    }
    run["classification"].take()
}

#[test]
fn photos_are_embedded_and_an_unreadable_one_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let photos = demo_photos();
    let folder = photos[0].parent().expect("a folder");
    let csv = dir.path().join("rows.csv");
    let name = |index: usize| photos[index].file_name().expect("a name").to_string_lossy().into_owned();
    let rows = format!(
        "x/{},t,II,S2,cracking,pier,1,1,1,1\nx/absent.jpg,t,II,S2,cracking,pier,1,1,1,1\nx/{},t,,,,pier,0,0,0,1\n",
        name(0),
        name(1)
    );
    fs::write(&csv, format!("{HEADER}{rows}")).expect("write");
    let out = dir.path().join("predictions.csv");
    let output = eval(&[&"classify", &"--csv", &csv, &"--image-root", &folder, &"--json", &"--out-csv", &out]);
    assert_eq!(exit_code(output.status), 1);
    let message = stderr(&output);
    assert!(message.contains("rows.csv, line 3: ") && message.contains("absent.jpg: cannot read"), "{message}");
    let run: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&run["photos"], &run["left_out"]), (&2.into(), &1.into()));
    assert_eq!(run["classification"]["categories"]["soundness"]["photos"], 1);
    assert_eq!(run["classification"]["categories"]["damage_location"]["photos"], 2);
    assert_eq!(fs::read_to_string(out).expect("read").lines().count(), 1 + 2);
}

#[test]
fn every_photo_finds_itself_among_its_own_embeddings() {
    let (csv, embeddings) = val();
    let out = tempfile::tempdir().expect("a temporary folder");
    let page = out.path().join("report.html");
    let run = json(&eval(&[
        &"retrieval",
        &"--csv",
        &csv,
        &"--image-embeddings",
        &embeddings,
        &"--text-embeddings",
        &embeddings,
        &"--json",
        &"--html",
        &page,
    ]));
    assert_eq!(run["retrieval"]["image_to_text"]["recall"]["1"], 1.0);
    assert!(run["retrieval"]["image_to_image"].get("recall").is_none());
    let figure = |direction: &str, name: &str| {
        run["retrieval"][direction]["attributes"]["soundness"][name].as_f64().expect("a figure")
    };
    assert!(figure("image_to_image", "mean_average_precision") > 0.5);
    assert!(figure("text_to_image", "ndcg_at_10") > 0.9);
    let page = fs::read_to_string(page).expect("read");
    assert!(page.contains("Text finds photo") && page.contains("damage_type: mAP"));
}

#[test]
fn texts_are_embedded_where_no_file_is_given() {
    let photos = demo_photos();
    let csv = photos[0].with_file_name("photos.csv");
    let run = json(&eval(&[&"retrieval", &"--csv", &csv, &"--json"]));
    assert_eq!((&run["left_out"], run["photos"].as_u64().expect("a count") > 20), (&0.into(), true));
    let recall = run["retrieval"]["text_to_image"]["recall"]["10"].as_f64().expect("a figure");
    assert!(recall > 0.9, "R@10 {recall}");
}

#[test]
fn parts_of_the_reference_and_runs_side_by_side() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (whole, parts, page) =
        (dir.path().join("whole.json"), dir.path().join("parts.json"), dir.path().join("report.html"));
    let (csv, embeddings) = val();
    json(&eval(&[&"classify", &"--csv", &csv, &"--embeddings", &embeddings, &"--json", &"--out", &whole]));
    let args: [&dyn AsRef<Path>; 10] = [
        &"scaling",
        &"--csv",
        &csv,
        &"--embeddings",
        &embeddings,
        &"--subsets",
        &"all,100,1k",
        &"--json",
        &"--out",
        &parts,
    ];
    let run = json(&eval(&args));
    assert_eq!(json(&eval(&args)), run, "the same rows each time");
    let points = run["scaling"].as_array().expect("a list");
    let sizes: Vec<u64> = points.iter().map(|point| point["reference_photos"].as_u64().expect("a count")).collect();
    assert_eq!(sizes, [100, 1000, 2500]);
    let mean = |run: &Value| run["classification"]["mean_macro_f1"].as_f64().expect("a figure");
    assert!(mean(&points[0]) < mean(&points[1]) && mean(&points[1]) < mean(&points[2]));
    let all: Value = serde_json::from_slice(&fs::read(&whole).expect("read")).expect("JSON");
    assert!((mean(&all) - mean(&points[2])).abs() < 1e-3, "all rows are the whole reference");

    let output = eval(&[&"compare", &"--html", &page, &whole, &parts]);
    assert_eq!(exit_code(output.status), 0, "{}", stderr(&output));
    let page = fs::read_to_string(page).expect("read");
    // Both runs use the demo package, so their file names must tell them apart.
    assert!(page.contains("(whole.json)") && page.contains("(parts.json)") && page.contains("<polyline"));

    let output = eval(&[&"scaling", &"--csv", &csv, &"--embeddings", &embeddings, &"--subsets", &"10k"]);
    assert!(stderr(&output).contains("10000 photos are wanted, the reference has 2500"), "{}", stderr(&output));
    let foreign = dir.path().join("foreign.json");
    fs::write(&foreign, "{\"a\": 1}").expect("write");
    let output = eval(&[&"compare", &"--html", &dir.path().join("x.html"), &foreign]);
    assert!(stderr(&output).contains("foreign.json: no scores in it"), "{}", stderr(&output));
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let row = "a.jpg,t,II,C1,cracking,pier,1,1,1,1\n";
    let cases: [(&str, String, &str); 5] = [
        ("no column", HEADER.replace("taisaku,", "measure,") + row, "no column `taisaku`"),
        ("unknown label", format!("{HEADER}{row}{}", row.replace("II", "V")), "line 3, column `kenzenudo`: `V` is not"),
        ("two ratings", format!("{HEADER}{}", row.replace("II", "I|II")), "line 2, column `kenzenudo`: `I|II` names"),
        ("short row", format!("{HEADER}a.jpg,t\n"), "line: 2"),
        ("no rows", HEADER.to_owned(), "no rows"),
    ];
    let (csv, npy) = (dir.path().join("rows.csv"), dir.path().join("rows.npy"));
    let refused = |expected: &str| {
        let output = eval(&[&"classify", &"--csv", &csv, &"--embeddings", &npy]);
        assert_eq!(exit_code(output.status), 1, "{expected}");
        assert!(stderr(&output).contains(expected), "{expected}: {}", stderr(&output));
    };
    for (_, content, expected) in cases {
        fs::write(&csv, content).expect("write");
        refused(expected);
    }
    fs::write(&csv, format!("{HEADER}{row}{row}")).expect("write");
    fs::write(&npy, "not an array").expect("write");
    refused("rows.npy: not a NumPy file");
    write_npy(&npy, &[2, 128], |index| index as i64);
    refused("its values are '<i8', expected f32 or f64");
    write_npy(&npy, &[3, 128], |_| 1.0_f32);
    refused("3 rows, ");
    write_npy(&npy, &[2, 64], |_| 1.0_f32);
    refused("64 values per row, the package has 128");
    write_npy(&npy, &[256], |_| 1.0_f32);
    refused("its shape is [256], expected [rows, dim]");
    write_npy(&npy, &[2, 128], |index| if index == 128 + 5 { f32::NAN } else { 1.0 });
    refused("row 1, column 5 is NaN");
    write_npy(&npy, &[2, 128], |index| if index < 128 { 1.0_f64 } else { 0.0 });
    refused("row 1, counted from 0 (line 3 of the CSV): the embedding is all zeros");

    let output = eval(&[&"classify", &"--csv", &csv, &"--embeddings", &npy, &"--out-csv", &csv]);
    assert!(stderr(&output).contains("--out-csv would replace"), "{}", stderr(&output));

    let predictions = dir.path().join("predictions.csv");
    fs::write(&predictions, format!("{HEADER}{row}")).expect("write");
    let output = eval(&[&"classify", &"--predictions", &predictions]);
    assert!(stderr(&output).contains("no column `pred_kenzenudo`"), "{}", stderr(&output));
    assert_eq!(exit_code(eval(&[&"classify"]).status), 2, "one of --csv and --predictions is needed");
    for (option, value) in [("--method", "linear"), ("--rule", "balanced"), ("--neighbours", "5"), ("--package", "x")] {
        let output = eval(&[&"classify", &"--predictions", &predictions, &option, &value]);
        assert_eq!(exit_code(output.status), 2, "{option} is for answers that are made, not read");
    }
}
