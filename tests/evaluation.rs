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
fn a_file_of_predictions_needs_only_some_columns_in_either_language() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let csv = dir.path().join("predictions.csv");
    let text = "image,kenzenudo,pred_kenzenudo,damage_type,taisaku,pred_taisaku\n\
        a.jpg,\u{2161},II,ひびわれ,,B\nb.jpg,3,\u{2162},うき,nan,B\nc.jpg,I,moss,うき,,B\n";
    fs::write(&csv, text).expect("write");
    let classify = |more: &[&dyn AsRef<Path>]| {
        let words: [&dyn AsRef<Path>; 3] = [&"classify", &"--predictions", &csv];
        eval(&[&words, more].concat())
    };
    let run = json(&classify(&[&"--json"]));
    let scores = &run["classification"];
    assert_eq!(scores["categories"].as_object().expect("an object").keys().collect::<Vec<_>>(), ["soundness"]);
    assert_eq!(scores["mean_macro_f1"], scores["categories"]["soundness"]["macro_f1"]);
    assert_eq!(scores["categories"]["soundness"]["macro_f1"], 0.5);
    assert!(
        (scores["categories"]["soundness"]["mean_average_precision"].as_f64().expect("a figure") - 7.0 / 9.0).abs()
            < 1e-9
    );
    assert_eq!(scores["not_scored"]["damage_type"], "there is no column `pred_damage_type`");
    assert_eq!(scores["not_scored"]["measure"], "no photo has a true label of it");
    assert_eq!(run["reading"]["unknown"][0]["word"], "moss");
    let output = classify(&[]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("mean of 1 ") && table.contains("measure          not scored: no photo"), "{table}");
    assert!(
        stderr(&output).contains("soundness `moss`, 1 time, first on line 4: names no class"),
        "{}",
        stderr(&output)
    );
    assert_eq!(exit_code(classify(&[&"--strict"]).status), 1);
    fs::write(&csv, "image,pred_taisaku\na.jpg,B\n").expect("write");
    assert!(stderr(&classify(&[])).contains("no category can be scored"), "{}", stderr(&classify(&[])));
}

#[test]
fn retrieval_needs_only_photos_and_texts_and_shows_what_ties_are_worth() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (csv, npy) = (dir.path().join("rows.csv"), dir.path().join("rows.npy"));
    fs::write(&csv, "image,text\na.jpg,same\nb.jpg,same\nc.jpg,other\n").expect("write");
    write_npy(&npy, &[3, 128], |index| if index / 128 == index % 128 { 1.0_f32 } else { 0.0 });
    let retrieval = |more: &[&dyn AsRef<Path>]| {
        let words: [&dyn AsRef<Path>; 5] = [&"retrieval", &"--csv", &csv, &"--image-embeddings", &npy];
        eval(&[&words, more].concat())
    };
    let run = json(&retrieval(&[&"--json"]));
    let texts = &run["retrieval"]["image_to_text"];
    let bounds: Vec<f64> = serde_json::from_value(texts["recall_bounds"]["1"].clone()).expect("two figures");
    let recall = texts["recall"]["1"].as_f64().expect("a figure");
    assert!(bounds[0] <= recall && recall <= bounds[1] && texts["tied_queries"] == 2, "{texts}");
    assert!((bounds[1] - bounds[0] - 2.0 * (recall - bounds[0])).abs() < 1e-9, "two photos share a text: {texts}");
    assert_eq!(texts["attributes"], serde_json::json!({}));
    // Rows 0 and 1 tie for each other's text: one rule lets the first win, the other one the last.
    for ties in ["first", "last", "published"] {
        let run = json(&retrieval(&[&"--json", &"--ties", &ties]));
        let ruled = &run["retrieval"]["image_to_text"];
        assert_eq!(
            (&ruled["recall"]["1"], &ruled["recall_bounds"]),
            (&recall.into(), &texts["recall_bounds"]),
            "{ties}"
        );
    }
    let table = String::from_utf8_lossy(&retrieval(&[]).stdout).into_owned();
    assert!(table.contains("R, own pair first among ties") && table.contains("no labels"), "{table}");
    fs::write(&csv, "image\na.jpg\nb.jpg\nc.jpg\n").expect("write");
    assert!(stderr(&retrieval(&[])).contains("no column `text`; give --text-embeddings"));
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
    let cases: [(String, &str); 5] = [
        (HEADER.replace("taisaku,", "measure,") + row, "no column `taisaku`"),
        (format!("{HEADER}{row}{}", row.replace("II", "V")), "line 3, column `kenzenudo`: `V` is not"),
        (format!("{HEADER}{}", row.replace("II", "I|II")), "line 2, column `kenzenudo`: `I|II` names"),
        (format!("{HEADER}a.jpg,t\n"), "line: 2"),
        (HEADER.to_owned(), "no rows"),
    ];
    let (csv, npy) = (dir.path().join("rows.csv"), dir.path().join("rows.npy"));
    let refused = |expected: &str| {
        let output = eval(&[&"classify", &"--csv", &csv, &"--embeddings", &npy, &"--strict"]);
        assert_eq!(exit_code(output.status), 1, "{expected}");
        assert!(stderr(&output).contains(expected), "{expected}: {}", stderr(&output));
    };
    for (content, expected) in cases {
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
