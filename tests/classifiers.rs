//! Checks every classifier on the held-out pictures of the demo: it gives the same answers as PyTorch and NumPy, photo
//! by photo. Also checks what the fitted rules add.

use std::fs;
use std::path::{Path, PathBuf};

use bridgeclip::classify::{Engine, Fitted, Params, PromptEmbeddings, Prompts};
use bridgeclip::domain::{Category, Embedding, Method, Verdict};
use bridgeclip::package::Package;
use bridgeclip::pipeline::Answerer;
use bridgeclip::rated::RatedPhotos;
use bridgeclip::reference::Reference;
use serde_json::Value;

use crate::support::{bridgeclip, data, demo_package, exit_code, float_demo_package, read_json, read_npy};

#[test]
fn answers_are_those_of_numpy_and_pytorch() {
    let package = Package::open(&float_demo_package()).expect("a good package");
    let heads = fs::read(data("classifiers/heads.bin")).expect("read");
    let mut rows = read_npy(&data("classifiers/prompts.npy")).into_iter();
    let mut next = |_: &str| Embedding::normalise(rows.next().expect("an embedding for each text"));
    let prompts = PromptEmbeddings::new(&Prompts::default(), &mut next).expect("directions").to_bytes();
    assert_eq!(rows.next(), None, "goldens are of other prompts");
    let photos = read_npy(&data("demo/val_embeddings.npy"));
    let expected: Value = read_json("classifiers/predictions.json");
    for method in Method::ALL {
        let reference = Reference::open(&package.reference().expect("a reference"), &package).expect("opens");
        let fitted = Fitted::decode(Some(&heads), Some(&prompts), None).expect("decodes");
        let params = Params { method, ..Params::default() };
        let engine = Engine::new(params, fitted, reference.dim()).expect("an engine");
        let answerer = Answerer { reference, engine, rated: RatedPhotos::default() };
        let answer = |values: &Vec<f32>| {
            let photo = Embedding::normalise(values.clone()).expect("a vector");
            cells(&answerer.verdict(&photo, None).expect("a verdict"))
        };
        let expected: Vec<&str> =
            expected[method.name()].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let found: Vec<String> = photos.iter().map(answer).collect();
        assert_eq!(found.len(), 1500);
        let differing = found.iter().zip(&expected).filter(|(found, expected)| found != expected).count();
        assert_eq!((differing, expected.len()), (0, found.len()), "{method}");
    }
}

/// Returns the class indexes of each category, in rising order.
fn cells(verdict: &Verdict) -> String {
    let cell = |category| {
        let mut indexes: Vec<u8> = verdict.get(category).classes.iter().map(|class| class.index).collect();
        indexes.sort_unstable();
        indexes.iter().map(u8::to_string).collect::<Vec<_>>().join("|")
    };
    Category::ALL.map(cell).join(",")
}

/// Scores the held-out pictures with the rules in the demo package, which were fitted to pictures of another split.
fn eval(more: &[&str]) -> Value {
    let (csv, embeddings, package) = (data("demo/val.csv"), data("demo/val_embeddings.npy"), demo_package());
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (csv, embeddings, package) = (path(&csv), path(&embeddings), path(&package));
    let words = ["eval", "classify", "--csv", &csv, "--embeddings", &embeddings, "--package", &package, "--json"];
    let output = bridgeclip(&[&words, more].concat());
    assert_eq!(exit_code(output.status), 0, "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn mean_macro_f1(run: &Value) -> f64 {
    run["classification"]["mean_macro_f1"].as_f64().expect("a figure")
}

fn calibration_error(run: &Value, category: Category) -> f64 {
    run["classification"]["categories"][category.id()]["calibration"]["expected_error"].as_f64().expect("a figure")
}

#[test]
fn the_balanced_vote_raises_macro_f1() {
    let (published, balanced) = (eval(&[]), eval(&["--rule", "balanced"]));
    let gain = mean_macro_f1(&balanced) - mean_macro_f1(&published);
    assert!(gain >= 0.03, "a gain of {gain:.4}");
    assert_eq!(balanced["method"], "k-NN, balanced rule");
}

#[test]
fn urgent_photos_are_found_and_false_alarms_are_counted() {
    let urgency = &eval(&[])["urgency"];
    assert_eq!((&urgency["photos"], &urgency["urgent"]), (&1500.into(), &95.into()));
    assert!(urgency["recall"].as_f64().expect("a figure") >= 0.95, "{urgency}");
    assert!(urgency["false_alarms_per_100_photos"].as_f64().expect("a figure") <= 2.0, "{urgency}");
}

#[test]
fn confidences_of_every_method_are_calibrated() {
    for way in [&[][..], &["--rule", "balanced"], &["--method", "linear"], &["--method", "zero-shot"]] {
        let run = eval(way);
        for category in Category::ALL {
            let error = calibration_error(&run, category);
            assert!(error < 0.05, "{way:?}, {category}: {error:.4}");
        }
    }
}

#[test]
fn answers_with_a_reason_for_a_second_look_are_wrong_more_often() {
    let run = eval(&[]);
    let share = |flagged: &Value| {
        flagged["wrong"].as_f64().expect("a count") / flagged["photos"].as_f64().expect("a count").max(1.0)
    };
    let (all, reasons) = (share(&run["second_look"]["all"]), &run["second_look"]["reasons"]);
    for reason in ["far_neighbours", "near_tie", "methods_disagree", "other_class"] {
        assert!(share(&reasons[reason]) > all, "{reason}: {}", run["second_look"]);
    }
}

#[test]
fn a_verdict_says_how_it_was_made_and_what_to_look_at() {
    let photo = photo("DSC00015.JPG");
    let verdict = |more: &[&str]| {
        let output = bridgeclip(&[&["classify", "--json", photo.to_str().expect("UTF-8")], more].concat());
        assert_eq!(exit_code(output.status), 0, "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["verdict"].clone()
    };
    // The photo shows rating IV over traffic.
    let found = verdict(&[]);
    assert_eq!((&found["method"], &found["rule"]), (&"knn".into(), &"published".into()));
    assert_eq!((&found["review_urgent"], &found["confidence_calibrated"]), (&true.into(), &true.into()));
    assert_eq!(found["urgency"]["signs"].as_array().map(Vec::len), Some(3), "{}", found["urgency"]);
    assert!(found["second_look"].is_array());
    for method in ["linear", "zero-shot"] {
        let found = verdict(&["--method", method]);
        assert_eq!((&found["method"], found.get("rule")), (&method.into(), None));
        assert_eq!(found["neighbours"].as_array().map(Vec::len), Some(10), "the evidence, whatever the method");
    }
    let output = bridgeclip(&["classify", photo.to_str().expect("UTF-8"), "--rule", "balanced"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("review first") && text.contains("an engineer decides: "), "{text}");
}

fn photo(name: &str) -> PathBuf {
    demo_package().with_file_name("photos").join(name)
}
