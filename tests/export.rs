//! Checks `bridgeclip export` on what a device has classified.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bridgeclip::domain::{
    Category, CategoryLabels, FixQuality, Labels, Position, PositionSource, Saying, Statement, Time, TimeQuality,
};
use bridgeclip::journal::{Expect, FILE_NAME, Journal, NewResult};
use bridgeclip_needs::needs;
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::results::{identity, open_journal, record_all, result};
use crate::support::{
    Device, demo_photos, eventually, exit_code, geojson_flaws, memory_kib, ogrinfo, signal, stderr, taken_at,
};

fn text(output: &Output) -> String {
    assert_eq!(exit_code(output.status), 0, "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn export(device: &Device, args: &[&str]) -> Output {
    device.bridgeclip("export", args)
}

fn lines(device: &Device, conditions: &[&str]) -> Vec<Value> {
    let output = export(device, &[&["--format", "jsonl"], conditions].concat());
    text(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn files(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["image"]["file"].as_str().expect("a name")).collect()
}

fn rows(csv: &str) -> Vec<std::collections::HashMap<String, String>> {
    csv::Reader::from_reader(csv.as_bytes()).deserialize().collect::<Result<_, _>>().expect("CSV")
}

/// Starts a device and waits until it has classified four photos of the demo: two of a girder, one of a bridge whose
/// name is a formula, and one with neither tag nor position.
fn inspected(mut device: Device) -> Device {
    device.start();
    let photos = demo_photos();
    let take = |tag: &[&str], photo: &Path, count| {
        device.journal();
        text(&device.bridgeclip("tag", tag));
        device.take(photo);
        device.wait_for_captures(count);
    };
    let girder = ["--bridge", "B-12", "--span", "3", "--member", "G2 <主桁>"];
    take(&girder, &photos[0], 1);
    take(&girder, &photos[1], 2);
    take(&["--bridge", "=1+1"], &photos[2], 3);
    fs::write(device.camera().join("later.tmp"), taken_at(&fs::read(&photos[3]).expect("read"), 3_600)).expect("write");
    text(&device.bridgeclip("tag", &["--clear"]));
    fs::rename(device.camera().join("later.tmp"), device.camera().join("later.jpg")).expect("rename");
    device.wait_for_captures(4);
    device
}

#[test]
fn the_formats_tell_the_same_of_a_device_at_work() {
    let device = inspected(Device::new(None));
    let photos = lines(&device, &[]);
    assert_eq!(photos.len(), 4);
    for (photo, mut event) in photos.iter().zip(results(&device)) {
        assert_eq!(photo["event_id"], event["id"]);
        let data = event["data"].as_object_mut().expect("an object");
        data["verdict"].as_object_mut().expect("an object").remove("neighbours");
        data.remove("queued");
        for (name, value) in data {
            assert_eq!(photo[name.as_str()], *value, "{name} is as in the event");
        }
    }
    let table = text(&export(&device, &["--format", "csv"]));
    let rows = rows(&table);
    assert_eq!(rows.len(), 4);
    for (photo, row) in photos.iter().zip(&rows) {
        assert_eq!(photo["capture"].to_string(), row["id"]);
        assert_eq!(photo["image"]["file"], row["file"]);
        assert_eq!(photo["verdict"]["soundness"][0]["label"], row["soundness"]);
        assert!(["Ⅰ", "Ⅱ", "Ⅲ", "Ⅳ"].contains(&row["soundness_ja"].as_str()));
    }
    assert_eq!((rows[0]["facility_id"].as_str(), rows[2]["facility_id"].as_str()), ("B-12", "'=1+1"));
    assert_eq!((rows[0]["position_source"].as_str(), rows[0]["time_source"].as_str()), ("exif", "exif"));
    assert_eq!(
        (rows[3]["latitude_deg"].as_str(), rows[3]["taken_local"].as_str()),
        ("", "2026-05-09T01:00:00.000+09:00")
    );
    let with_mark = text(&export(&device, &["--format", "csv", "--bom"]));
    assert_eq!(with_mark.strip_prefix('\u{feff}'), Some(table.as_str()));
    let explained = text(&device.bridgeclip("export", &["--columns"]));
    assert!(table.lines().next().expect("names").split(',').all(|name| explained.contains(name)));
}

/// Returns the events of a device, thumbnails excepted.
fn results(device: &Device) -> Vec<Value> {
    use crate::support::results::waiting;
    let rows = waiting(&device.journal()).into_iter().filter(|row| row.topic == "capture/result");
    let mut events: Vec<Value> = rows.map(|row| serde_json::from_slice(&row.payload).expect("JSON")).collect();
    events.sort_by_key(|event| event["data"]["sequence"].as_i64());
    events
}

/// Returns the first point that `ogrinfo` prints, with its fifteen digits.
fn first_point(told: &str) -> (f64, f64) {
    let point = told.split_once("  POINT (").and_then(|(_, rest)| rest.split_once(')')).expect("a point").0;
    let mut numbers = point.split(' ').map(|number| number.parse().expect("a number"));
    (numbers.next().expect("a longitude"), numbers.next().expect("a latitude"))
}

#[needs(gdal)]
#[test]
fn gis_programs_read_the_points() {
    let device = inspected(Device::new(None));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    for (format, path) in [("geojson", path("photos.geojson")), ("gpkg", path("photos.gpkg"))] {
        assert!(text(&export(&device, &["--format", format, "--out", &path])).starts_with("4 photos in "), "{format}");
        let told = ogrinfo(Path::new(&path));
        for part in
            ["Geometry: Point", "Feature Count: 4", "WGS 84", "facility_id (String) = B-12", "soundness_ja (String) = "]
        {
            assert!(told.contains(part), "{format}, {part}: {told}");
        }
        assert_eq!(told.matches("  POINT (").count(), 3, "{format}: one photo has no position: {told}");
        let photo = &lines(&device, &[])[0];
        let degrees = |name: &str| photo["position"][name].as_f64().expect("a number");
        let (longitude, latitude) = first_point(&told);
        let distance = (longitude - degrees("longitude_deg")).abs() + (latitude - degrees("latitude_deg")).abs();
        assert!(distance < 1e-9, "{format}: {longitude} {latitude}");
        assert!(told.contains("position_source (String) = exif"), "{format}: {told}");
    }
    assert!(ogrinfo(Path::new(&path("photos.gpkg"))).contains("taken_at (DateTime) = 20"));
    let collection = fs::read_to_string(path("photos.geojson")).expect("read");
    assert_eq!(geojson_flaws(&collection), [""; 0]);
    let flawed = collection.replace("\"geometry\":null", "\"geometry\":[]").replace("\"Point\"", "\"point\"");
    assert_eq!(geojson_flaws(&flawed).len(), 4, "the check finds flaws");
    for format in ["geojson", "gpkg"] {
        let none = path(&format!("none.{format}"));
        let output = export(&device, &["--format", format, "--bridge", "B-99", "--out", &none]);
        assert!(text(&output).starts_with("0 photos") && stderr(&output).contains("no photo fulfils the conditions"));
        assert!(ogrinfo(Path::new(&none)).contains("Feature Count: 0"), "{format}");
    }
    assert_eq!(geojson_flaws(&fs::read_to_string(path("none.geojson")).expect("read")), [""; 0]);
    for (format, path, count) in [("gpx", path("photos.gpx"), 3), ("kml", path("photos.kml"), 4)] {
        let output = export(&device, &["--format", format, "--out", &path]);
        assert!(text(&output).starts_with(&format!("{count} photos in ")), "{format}: {}", stderr(&output));
        assert_eq!(stderr(&output).contains("1 photos left out"), count == 3, "{format}: {}", stderr(&output));
        let told = ogrinfo(Path::new(&path));
        assert!(told.contains(&format!("Feature Count: {count}")), "{format}: {told}");
    }
}

#[test]
fn a_photogrammetry_program_gets_the_positions_of_the_camera() {
    let device = inspected(Device::new(None));
    let output = export(&device, &["--format", "odm"]);
    let told = text(&output);
    let rows: Vec<Vec<&str>> = told.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert!(told.starts_with("EPSG:4326\n") && rows.len() == 3, "{told}");
    let photo = &lines(&device, &[])[0];
    assert_eq!(rows[0][0], photo["image"]["file"].as_str().expect("a name"));
    let degrees = |index: usize| rows[0][index].parse::<f64>().expect("a number");
    assert_eq!(Some(degrees(1)), photo["position"]["longitude_deg"].as_f64());
    assert_eq!(Some(degrees(2)), photo["position"]["latitude_deg"].as_f64());
    assert!(stderr(&output).contains("1 photos left out"), "{}", stderr(&output));
}

fn sheet(device: &Device, args: &[&str]) -> String {
    text(&export(device, &[&["--format", "html"], args].concat()))
}

/// Returns how many photos of a sheet have a picture, and how many have none.
fn pictures(page: &str) -> (usize, usize) {
    (page.matches("src=\"data:image/jpeg;base64,/9j/").count(), page.matches("No picture at hand").count())
}

#[test]
fn a_sheet_is_printed_for_the_inspector() {
    let device = inspected(Device::new(None).with_thumbnails());
    let page = sheet(&device, &["--lang", "ja"]);
    assert!(
        page.contains("点検写真台帳") && page.contains("径間 3 / 部材 G2 &lt;主桁&gt;") && page.contains("橋梁未設定")
    );
    assert_eq!((page.matches("<article>").count(), pictures(&page)), (4, (4, 0)));
    assert!(!page.contains("<主桁>") && page.contains("2026-05-09 01:00:00 +09:00"));
    assert!(sheet(&device, &["--bridge", "B-12"]).contains("Selection</dt><dd>Bridge: B-12</dd>"));
    fs::remove_dir_all(device.camera()).expect("the card is gone");
    assert_eq!(pictures(&sheet(&device, &[])), (4, 0), "the thumbnails are stored");
}

#[test]
fn a_picture_that_gave_way_is_made_anew_of_the_same_photo_only() {
    let device = inspected(Device::new(None));
    assert_eq!(pictures(&sheet(&device, &[])), (4, 0));
    let name = lines(&device, &[])[1]["image"]["file"].as_str().expect("a name").to_owned();
    fs::copy(device.camera().join("later.jpg"), device.camera().join(name)).expect("another photo of that name");
    assert_eq!(pictures(&sheet(&device, &[])), (3, 1));
}

#[test]
fn conditions_choose_photos() {
    let device = inspected(Device::new(None));
    let photos = lines(&device, &[]);
    let all = files(&photos);
    let label = photos[0]["verdict"]["damage_type"][0]["label"].as_str().expect("a label");
    let with_label = |photo: &&Value| {
        photo["verdict"]["damage_type"].as_array().expect("a list").iter().any(|class| class["label"] == label)
    };
    let expected: Vec<Value> = photos.iter().filter(with_label).cloned().collect();
    assert_eq!(lines(&device, &["--where", &format!("damage_type={label}")]), expected);
    let urgent: Vec<Value> = photos.iter().filter(|photo| photo["verdict"]["review_urgent"] == true).cloned().collect();
    assert_eq!(lines(&device, &["--urgent"]), urgent);
    let taken = photos[0]["taken"]["at"].as_str().expect("a time");
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--bridge", "B-12"], &all[..2]),
        (&["--bridge", "=1+1"], &all[2..3]),
        (&["--since", "2026-05-09"], &all[3..]),
        (&["--since", "2026-05-10"], &[]),
        (&["--until", "2026-05-08"], &all[..3]),
        (&["--since", "2026-05-09", "--until", "2026-05-09"], &all[3..]),
        (&["--until", "2026-05-08T16:00:00Z", "--since", "2026-05-08T16:00:00Z"], &all[3..]),
        (&["--since", taken, "--until", taken, "--where", "damage_loc=scour"], &[]),
    ];
    for (conditions, expected) in &cases[..7] {
        assert_eq!(files(&lines(&device, conditions)), *expected, "{conditions:?}");
    }
    let wrong = [
        (cases[7].0, "is no class of damage_location"),
        (&["--since", "yesterday"], "neither a date"),
        (&["--where", "cracking"], "is not CATEGORY=LABEL"),
    ];
    for (conditions, message) in wrong {
        let output = export(&device, &[&["--format", "csv"], conditions].concat());
        assert!(exit_code(output.status) == 2 && stderr(&output).contains(message), "{}", stderr(&output));
    }
}

/// Returns a device with `count` made-up results, which need no model.
fn recorded(count: u64, change: impl Fn(u64, &mut NewResult)) -> Device {
    let device = Device::new(None);
    let journal = open_journal(&device.data_dir());
    for number in 0..count {
        let mut result = result(number);
        change(number, &mut result);
        journal.record(&identity(), result).expect("stored");
    }
    device
}

fn out_folder() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("photos.csv");
    (dir, path)
}

fn entries(dir: &TempDir) -> usize {
    fs::read_dir(dir.path()).expect("a folder").count()
}

#[test]
fn a_file_is_replaced_only_on_demand_and_never_beside_the_database() {
    let device = recorded(2, |_, _| ());
    let (dir, path) = out_folder();
    let path_text = path.to_str().expect("text");
    let csv = ["--format", "csv", "--out", path_text];
    assert_eq!(text(&export(&device, &csv)), format!("2 photos in {path_text}\n"));
    fs::write(&path, "mine").expect("write");
    let refused = export(&device, &csv);
    assert!(exit_code(refused.status) == 1 && stderr(&refused).contains("--force"), "{}", stderr(&refused));
    assert_eq!(fs::read_to_string(&path).expect("read"), "mine");
    text(&export(&device, &[&csv[..], &["--force"]].concat()));
    assert_eq!(rows(&fs::read_to_string(&path).expect("read")).len(), 2);
    assert_eq!(entries(&dir), 1, "nothing is left beside it");
    let database = device.data_dir().join(FILE_NAME);
    let refused = export(&device, &["--format", "csv", "--force", "--out", database.to_str().expect("text")]);
    assert!(exit_code(refused.status) == 1 && stderr(&refused).contains("data folder"), "{}", stderr(&refused));
    assert_eq!(lines(&device, &[]).len(), 2);
    let nowhere = export(&device, &["--format", "csv", "--out", "/no/such/folder/photos.csv"]);
    assert!(exit_code(nowhere.status) == 1 && stderr(&nowhere).contains("/no/such/folder/photos.csv"));
    let mut to_full_drive = Command::new(env!("CARGO_BIN_EXE_bridgeclip"));
    to_full_drive.args(["export", "--format", "csv", "--config"]).arg(device.config());
    to_full_drive.stdout(fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux"));
    let full = to_full_drive.output().expect("the program starts");
    assert!(exit_code(full.status) == 1 && stderr(&full).contains("standard output: No space"), "{}", stderr(&full));
}

#[test]
fn wrong_usage_is_explained() {
    let device = recorded(1, |_, _| ());
    let cases: [(&[&str], &str); 6] = [
        (&[], "--format"),
        (&["--format", "shp"], "geojson, csv, gpkg, jsonl, gpx, kml, odm, html"),
        (&["--format", "gpkg"], "--out"),
        (&["--format", "jsonl", "--bom"], "--bom is for --format csv"),
        (&["--format", "geojson", "--lang", "ja"], "both languages"),
        (&["--format", "csv", "--force"], "--out"),
    ];
    for (args, message) in cases {
        let output = export(&device, args);
        assert!(exit_code(output.status) == 2 && stderr(&output).contains(message), "{args:?}: {}", stderr(&output));
    }
    let none_yet = export(&Device::new(None), &["--format", "csv"]);
    assert!(exit_code(none_yet.status) == 1 && stderr(&none_yet).contains("no device has worked here yet"));
}

#[test]
fn a_damaged_capture_is_left_out_and_told() {
    let device = recorded(300, |_, _| ());
    let database = Connection::open(device.data_dir().join(FILE_NAME)).expect("a database");
    database.execute("UPDATE capture SET path = x'2f78' WHERE id IN (7, 200, 299, 300)", []).expect("damaged");
    let output = export(&device, &["--format", "csv"]);
    assert_eq!(exit_code(output.status), 1);
    assert!(stderr(&output).contains("4 damaged captures left out"), "{}", stderr(&output));
    let rows = rows(&String::from_utf8(output.stdout).expect("UTF-8"));
    assert_eq!(rows.len(), 296);
    assert!(rows.iter().all(|row| !["7", "200", "299", "300"].contains(&row["id"].as_str())));
}

#[test]
fn what_is_not_known_is_not_pretended() {
    let device = recorded(3, |number, result| {
        let quality = [TimeQuality::Gps, TimeQuality::Unsynced, TimeQuality::Unsynced][number as usize];
        result.capture.taken = Time::new(format!("2026-05-09T0{number}:00:00Z").parse().expect("a time"), quality);
        result.capture.position = (number > 0).then(|| Position {
            altitude_m: Some(8.5),
            std_m: (number == 2).then_some(0.02),
            quality: (number == 2).then_some(FixQuality::RtkFixed),
            ..Position::at(-33.5, 151.25, PositionSource::Mavlink)
        });
    });
    let rows = rows(&text(&export(&device, &["--format", "csv"])));
    let cells = |number: usize| {
        ["latitude_deg", "position_source", "position_quality", "position_std_m", "hdop", "time_source"]
            .map(|name| rows[number][name].as_str())
    };
    assert_eq!(cells(0), ["", "", "", "", "", "gps"]);
    assert_eq!(cells(1), ["-33.5", "mavlink", "", "", "", "unsynced"]);
    assert_eq!(cells(2), ["-33.5", "mavlink", "rtk_fixed", "0.02", "", "unsynced"]);
    let undated = export(&device, &["--format", "csv", "--until", "2026-05-09T01:00:00Z"]);
    assert!(stderr(&undated).contains("1 photos left out whose time is not known"), "{}", stderr(&undated));
}

#[test]
fn an_inspectors_word_takes_the_place_of_the_models() {
    let device = recorded(2, |_, _| ());
    let was = result(0).verdict.labels();
    let found = |category| match category {
        Category::Soundness => CategoryLabels::new(category, [3]),
        other => was.get(other).clone(),
    };
    let labels = Labels::new(found);
    let at = "2026-05-10T00:30:00Z".parse().expect("a time");
    let statement = Statement { by: "佐藤".parse().expect("a name"), at, saying: Saying::Correct(labels) };
    let journal = open_journal(&device.data_dir());
    journal.judge(&identity(), 1, statement, Expect::VerdictOf(1), true).expect("stored");
    drop(journal);
    let rows = rows(&text(&export(&device, &["--format", "csv"])));
    let cells = |number: usize| {
        ["soundness", "soundness_confidence", "inspection", "inspected_by", "inspected_at", "device_soundness"]
            .map(|name| rows[number][name].as_str())
    };
    let own = was.get(Category::Soundness).names(Category::Soundness).collect::<Vec<_>>().join("; ");
    assert_eq!(cells(0), ["IV", "", "corrected", "佐藤", "2026-05-10T00:30:00.000Z", &own]);
    assert_eq!(cells(1)[2..], ["", "", "", ""]);
    let photos = lines(&device, &[]);
    assert_eq!((&photos[0]["inspection"]["by"], photos[1].get("inspection")), (&"佐藤".into(), None));
    assert!(photos[0]["supersedes"].is_string() && photos[0]["event_id"] != photos[0]["supersedes"]);
    let page = sheet(&device, &["--lang", "ja"]);
    assert!(page.contains("点検者が修正済み： 佐藤, 2026-05-10 09:30:00 +09:00. 機器の判定："));
}

/// Returns a device with `count` results, stored by many threads.
fn filled(count: u64) -> Device {
    let device = Device::new(None);
    let journal: Journal = open_journal(&device.data_dir());
    record_all(&journal, 0..count);
    device
}

#[test]
fn memory_does_not_grow_with_the_number_of_photos() {
    let device = filled(4_000);
    let mut process = device.spawn("export", &["--format", "csv"]);
    let mut out = process.stdout.take().expect("a pipe");
    // The program waits until the reader goes on: it has written as much as the pipe holds.
    let mut read = |bytes: usize| out.read_exact(&mut vec![0; bytes]).expect("more");
    read(200_000);
    let early = memory_kib(process.id(), "VmHWM");
    read(1_500_000);
    let late = memory_kib(process.id(), "VmHWM");
    assert!(late < early + 4_096, "{early} KiB after some photos, {late} KiB after most");
    drop(out);
    assert!(process.wait().expect("an end").success(), "whoever read it has gone away");
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let device = filled(3_000);
    for format in ["csv", "gpkg", "html"] {
        let (dir, path) = out_folder();
        let mut process = device.spawn("export", &["--format", format, "--out", path.to_str().expect("text")]);
        eventually("it has begun", || entries(&dir) > 0);
        signal("INT", process.id());
        assert_eq!(exit_code(process.wait().expect("an end")), 130, "{format}");
        assert_eq!(entries(&dir), 0, "{format}");
    }
}
