//! Checks the API as browsers and programs use it, over real connections.

use std::fs;
use std::io::{Read, Write};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Paged, api, dechunked, demo_photos, eventually};

#[test]
fn the_running_daemon_tells_how_it_is() {
    let paged = Paged::here();
    let status = paged.get("/api/v1/status").json();
    assert_eq!((&status["link"], &status["captures"]), (&json!("offline"), &json!(0)));
    assert!(status["disk_free_bytes"].as_u64() > Some(0), "{status}");
    let text = paged.cli(&["status"]);
    assert!(text.contains("daemon    running") && text.contains("link      offline"), "{text}");
    let mut json: Value = serde_json::from_str(&paged.cli(&["status", "--json"])).expect("JSON");
    assert_eq!(json["daemon"].take()["package"], status["package"]);
    let missing = paged.get("/api/v1/nothing");
    assert_eq!((missing.status, &missing.json()["status"]), (404, &json!(404)));
    assert!(missing.head.to_lowercase().contains("content-type: application/problem+json"), "{}", missing.head);
    assert!(missing.head.to_lowercase().contains("content-security-policy: default-src 'none'"), "{}", missing.head);
    assert_eq!(paged.send("DELETE", "/api/v1/status", &json!({})).status, 405);
}

#[test]
fn an_uploaded_photo_is_classified_at_once_and_told_of() {
    let paged = Paged::here();
    let mut stream = paged.connect();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
    let mut told = String::new();
    let mut hear = |until: &str| {
        let mut bytes = [0; 1024];
        while !told.contains(until) {
            let length = stream.read(&mut bytes).expect("a hint");
            assert!(length > 0, "the stream ended: {told}");
            told += &String::from_utf8_lossy(&bytes[..length]);
        }
    };
    hear("200 OK");
    let photo = fs::read(&demo_photos()[0]).expect("read");
    let answer = paged.upload("../IMG 1.JPG", &photo);
    let received = answer.json();
    assert_eq!(answer.status, 202, "{received}");
    let file = received["file"].as_str().expect("a name");
    assert!(file.ends_with("-..IMG1.JPG"), "{file}");
    hear(&format!(r#"{{"type":"captured","capture":1,"file":"{file}"}}"#));
    let again = paged.upload("again.jpg", &photo);
    assert_eq!((again.status, &again.json()["capture"]), (200, &json!(1)));
    let torn = paged.upload("torn.jpg", &photo[..photo.len() / 2]);
    assert_eq!(torn.status, 202);
    hear(r#""type":"failed""#);
    assert_eq!(paged.upload("empty.jpg", b"").status, 400);
    assert_eq!(paged.ask("POST /api/v1/photos HTTP/1.1", b"photo").status, 400);
}

#[test]
fn a_tag_that_the_page_sets_holds() {
    let paged = Paged::here();
    assert_eq!(paged.get("/api/v1/tag").json(), json!({}));
    let tag = json!({ "bridge": "B-12", "member": "G2" });
    assert_eq!(paged.send("PUT", "/api/v1/tag", &tag).json(), tag);
    assert_eq!(paged.get("/api/v1/tag").json(), tag);
    assert!(paged.cli(&["tag"]).contains("B-12"));
    let wrong = paged.send("PUT", "/api/v1/tag", &json!({ "bridge": "" }));
    assert_eq!((wrong.status, wrong.json()["detail"].as_str().is_some()), (422, true));
}

#[test]
fn hostile_requests_are_refused_and_cost_no_memory() {
    let paged = Paged::here();
    paged.get("/api/v1/status");
    let before = paged.device.memory_kib("VmRSS");
    for (head, expected) in [
        ("GET /api/v1/status HTTP/1.1\r\nHost: evil.example", 421),
        ("PUT /api/v1/tag HTTP/1.1\r\nOrigin: http://evil.example", 403),
        ("PUT /api/v1/tag HTTP/1.1\r\nSec-Fetch-Site: cross-site", 403),
        ("GET /page/../../../../etc/passwd HTTP/1.1", 404),
        ("GET /page/..%2f..%2fetc%2fpasswd HTTP/1.1", 404),
        ("GET //etc/passwd HTTP/1.1", 404),
    ] {
        assert_eq!(paged.ask(head, b"").status, expected, "{head}");
    }
    let huge = vec![b' '; 8 << 20];
    let head = "PUT /api/v1/tag HTTP/1.1\r\nContent-Type: application/json";
    assert_eq!(paged.ask(head, &huge).status, 413);
    let long = format!("GET /{} HTTP/1.1", "a".repeat(100_000));
    assert!([400, 414, 431].contains(&paged.ask(&long, b"").status));
    // Many connections that say nothing, and many whose request never ends.
    let silent: Vec<_> = (0..60).map(|_| paged.connect()).collect();
    let dripping: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = paged.connect();
            stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nX: ").expect("written");
            stream
        })
        .collect();
    assert_eq!(paged.get("/api/v1/status").status, 200);
    drop((silent, dripping));
    for _ in 0..200 {
        paged.get("/api/v1/nothing");
    }
    let after = paged.device.memory_kib("VmRSS");
    assert!(after < before + 8_192, "{before} KiB before, {after} KiB after");
}

/// Returns a page with six demo photos classified.
fn with_captures() -> Paged {
    let paged = Paged::here();
    let photos = demo_photos();
    for photo in &photos[..6] {
        paged.device.take(photo);
    }
    eventually("six captures", || paged.get("/api/v1/status").json()["captures"] == 6);
    paged
}

#[test]
fn captures_are_listed_shown_and_handed_out() {
    let paged = with_captures();
    let list = paged.get("/api/v1/captures?limit=4").json();
    let ids = |list: &Value| -> Vec<i64> {
        list["captures"].as_array().expect("a list").iter().map(|c| c["capture"].as_i64().expect("an id")).collect()
    };
    assert_eq!((ids(&list), &list["next"]), (vec![6, 5, 4, 3], &json!(3)));
    let rest = paged.get("/api/v1/captures?limit=4&before=3").json();
    assert_eq!((ids(&rest), &rest["next"]), (vec![2, 1], &Value::Null));
    let one = paged.get("/api/v1/captures/6").json();
    assert_eq!(one["verdict"]["neighbours"].as_array().map(Vec::len), Some(10), "{one}");
    assert_eq!(one["has_original"], true);
    let label = list["captures"][0]["verdict"]["soundness"][0]["label"].as_str().expect("a label").to_owned();
    let some = paged.get(&format!("/api/v1/captures?where=soundness={label}")).json();
    assert!(ids(&some).contains(&6), "{some}");
    let file = list["captures"][0]["image"]["file"].as_str().expect("a name");
    let original = paged.get("/api/v1/captures/6/original");
    assert_eq!(original.status, 200);
    assert!(original.head.to_lowercase().contains("content-type: image/jpeg"));
    let sent = fs::read(paged.device.camera().join(file)).expect("the photo");
    assert!(dechunked(&original) == sent, "{} and {} bytes", original.body.len(), sent.len());
    fs::write(paged.device.camera().join(file), b"another photo").expect("written");
    assert_eq!(paged.get("/api/v1/captures/6/original").status, 404, "the name was used again");
    for (path, expected) in [
        ("/api/v1/captures/7", 404),
        ("/api/v1/captures/x", 400),
        ("/api/v1/captures?limit=0", 400),
        ("/api/v1/captures?limit=100000", 400),
        ("/api/v1/captures?colour=red", 400),
        ("/api/v1/captures?where=soundness=V", 400),
    ] {
        let answer = paged.get(path);
        assert_eq!((answer.status, answer.json()["status"].as_u64()), (expected, Some(expected.into())), "{path}");
    }
}

#[test]
fn thumbnails_are_made_where_none_is_stored() {
    let paged = with_captures();
    let thumbnail = paged.get("/api/v1/captures/1/thumbnail");
    assert_eq!(thumbnail.status, 200);
    assert!(thumbnail.body.starts_with(b"\xff\xd8\xff") && thumbnail.body.len() < 60_000);
    fs::remove_dir_all(paged.device.camera()).expect("the card is pulled");
    assert_eq!(paged.get("/api/v1/captures/1/thumbnail").status, 404);
}

#[test]
fn an_inspectors_word_replaces_the_verdict_and_stands() {
    let paged = with_captures();
    let before = paged.get("/api/v1/captures/2").json();
    let labels = json!({
        "soundness": ["IV"], "measure": ["E1"], "damage_type": ["corrosion"], "damage_location": ["main girder"],
    });
    let word = |sequence: &Value, labels: &Value| {
        let mut word = json!({ "sequence": sequence, "name": "A. Sato" });
        if !labels.is_null() {
            word["labels"] = labels.clone();
        }
        paged.send("POST", "/api/v1/captures/2/inspection", &word)
    };
    let made = word(&before["sequence"], &labels);
    assert_eq!(made.status, 200, "{}", made.json());
    let after = paged.get("/api/v1/captures/2").json();
    assert_eq!(after["verdict"]["soundness"], json!([{ "label": "IV" }]), "a person gives no confidence");
    let own = |verdict: &Value| verdict["soundness"][0]["label"].clone();
    assert_eq!(own(&after["device_verdict"]), own(&before["verdict"]));
    assert!(after["device_verdict"]["soundness"][0]["confidence"].is_number());
    assert_eq!((&after["verdict"]["review_urgent"], &after["supersedes"]), (&json!(true), &before["event_id"]));
    assert_eq!((&after["inspection"]["by"], &after["inspection"]["labels"]), (&json!("A. Sato"), &labels));
    assert_eq!(after["verdict"]["neighbours"], before["verdict"]["neighbours"], "the evidence stays");
    assert_eq!(word(&before["sequence"], &Value::Null).status, 409, "it has changed meanwhile");
    assert_eq!(word(&after["sequence"], &Value::Null).status, 200, "accepted as it is now");
    let accepted = paged.get("/api/v1/captures/2").json();
    assert_eq!(accepted["inspection"]["labels"], labels);
    assert_eq!(accepted["inspection"]["device"], after["inspection"]["device"], "what the device said stays");
    for (wrong, expected) in [
        (json!({ "soundness": ["I", "II"], "measure": ["A"] }), 400),
        (json!({ "soundness": ["V"], "measure": ["A"] }), 422),
        (json!({ "measure": ["A"] }), 400),
    ] {
        assert_eq!(word(&accepted["sequence"], &wrong).status, expected, "{wrong}");
    }
    let undo = |sequence: &Value| {
        let word = json!({ "sequence": sequence, "name": "B. Ito", "undo": true });
        paged.send("POST", "/api/v1/captures/2/inspection", &word)
    };
    assert_eq!(undo(&accepted["sequence"]).status, 200);
    let undone = paged.get("/api/v1/captures/2").json();
    assert_eq!((&undone["inspection"]["by"], &undone["inspection"]["labels"]), (&json!("A. Sato"), &labels));
    assert_eq!(undo(&undone["sequence"]).status, 200);
    let own = paged.get("/api/v1/captures/2").json();
    assert_eq!((&own["verdict"], own.get("inspection")), (&before["verdict"], None), "the device's answer is back");
    let acts: Vec<&Value> = own["history"].as_array().expect("a history").iter().map(|entry| &entry["act"]).collect();
    assert_eq!(acts, ["corrected", "accepted", "undone", "undone"]);
    assert_eq!(undo(&own["sequence"]).status, 409, "nothing is left to take back");
    let both = json!({ "sequence": own["sequence"], "name": "x", "undo": true, "labels": labels });
    assert_eq!(paged.send("POST", "/api/v1/captures/2/inspection", &both).status, 400);
    assert_eq!(word(&own["sequence"], &labels).status, 200);
    let accepted = paged.get("/api/v1/captures/2").json();
    let anonymous = json!({ "sequence": accepted["sequence"] });
    assert_eq!(paged.send("POST", "/api/v1/captures/2/inspection", &anonymous).status, 400);
    assert_eq!(
        paged.send("POST", "/api/v1/captures/99/inspection", &json!({ "sequence": 1, "name": "x" })).status,
        404
    );
    let tagged = paged.send("PUT", "/api/v1/captures/2/tag", &json!({ "tag": { "bridge": "B-1", "member": "G1" } }));
    assert_eq!(tagged.status, 200);
    let coverage = paged.get("/api/v1/coverage").json();
    let member = &coverage["members"][0];
    assert_eq!((&member["member"], &member["worst_soundness"]), (&json!("G1"), &json!("IV")), "{coverage}");
    assert_eq!((&member["damage"], &member["photos"]), (&json!({ "corrosion": 1 }), &json!(1)));
    let answer = paged.get("/api/v1/members?bridge=B-1&member=G1").json();
    let member = &answer["members"][0];
    assert_eq!((&member["soundness"][0]["label"], &member["carried_by"]), (&json!("IV"), &json!([2])), "{answer}");
    assert_eq!(paged.get("/api/v1/members?member=G2").json(), json!({ "members": [] }));
    assert_eq!(paged.get("/api/v1/members?bridge=B-1").status, 400, "the name of the member is missing");
    let tally = paged.cli(&["reclassify", "--dry-run", "--json"]);
    let again: Value = serde_json::from_str(tally.lines().last().expect("a line")).expect("JSON");
    assert_eq!(again["inspected"], 1, "{again}");
}

#[test]
fn photos_are_found_by_text_and_by_photo_in_both_places() {
    let paged = with_captures();
    let text = "/api/v1/search?text=Cracking%20is%20observed%20in%20the%20pier.&top=3";
    let own = paged.get(text).json();
    assert_eq!(own["found"].as_array().map(Vec::len), Some(3), "{own}");
    assert!(own["found"][0]["capture"]["verdict"].is_object());
    let labelled = paged.get(&format!("{text}&in=reference&where=damage_type=cracking")).json();
    assert!(labelled["found"][0]["caption"].is_string(), "{labelled}");
    let photo = fs::read(&demo_photos()[0]).expect("read");
    let same = paged.ask("POST /api/v1/search?top=1 HTTP/1.1\r\nContent-Type: image/jpeg", &photo).json();
    assert!(same["found"][0]["similarity"].as_f64() > Some(0.999), "{same}");
    assert_eq!(paged.get("/api/v1/search").status, 400);
    assert_eq!(paged.get("/api/v1/search?text=%20").status, 400);
    assert_eq!(paged.ask("POST /api/v1/search HTTP/1.1", b"no photo").status, 400);
}

#[test]
fn exports_and_numbers_are_handed_out() {
    let paged = with_captures();
    for (format, begin) in [
        ("csv&bom=true", &b"\xef\xbb\xbf"[..]),
        ("geojson", b"{\"type\":\"FeatureCollection\""),
        ("jsonl", b"{\"capture\":1,"),
        ("html&lang=ja", b"<!DOCTYPE html>"),
        ("gpkg", b"SQLite format 3\0"),
        ("gpx", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx "),
        ("kml", b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<kml "),
        ("odm", b"EPSG:4326\n"),
    ] {
        let answer = paged.get(&format!("/api/v1/export?format={format}"));
        let body = dechunked(&answer);
        assert!(body.to_ascii_lowercase().starts_with(&begin.to_ascii_lowercase()), "{format}: {}", answer.head);
    }
    assert_eq!(paged.get("/api/v1/export?format=pdf").status, 400);
    let metrics = paged.get("/metrics");
    let text = String::from_utf8(dechunked(&metrics)).expect("text");
    assert!(
        text.contains("\nbridgeclip_captures 6\n") && text.contains("# TYPE bridgeclip_queue_events gauge"),
        "{text}"
    );
    let left: Vec<_> = fs::read_dir(paged.device.data_dir().join("uploads")).expect("a folder").flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let track = paged.get("/api/v1/track").json();
    let sources: Vec<_> =
        track["points"].as_array().expect("points").iter().map(|p| &p["position"]["source"]).collect();
    assert_eq!(sources, [&json!("exif"); 6]);
}

#[test]
fn earlier_photos_of_the_same_member_are_found_the_most_similar_first() {
    let paged = with_captures();
    let earlier = |capture: i64| paged.get(&format!("/api/v1/captures/{capture}/earlier")).json()["captures"].take();
    assert_eq!(earlier(1), json!([]));
    let before = earlier(6).as_array().map_or(0, Vec::len);
    for capture in [1, 3, 6] {
        let tag = json!({ "tag": { "bridge": "B-1", "span": "2", "member": "G1" } });
        assert_eq!(paged.send("PUT", &format!("/api/v1/captures/{capture}/tag"), &tag).status, 200);
    }
    let found = earlier(6);
    let found = found.as_array().expect("a list");
    assert!(found.len() >= 2 && found.len() >= before, "{found:?}");
    let similarities: Vec<f64> = found.iter().map(|found| found["similarity"].as_f64().expect("a number")).collect();
    assert!(similarities.is_sorted_by(|a, b| a >= b), "{similarities:?}");
    let ids: Vec<_> = found.iter().map(|found| found["capture"]["capture"].as_i64().expect("an id")).collect();
    assert!(ids.contains(&1) && ids.contains(&3) && !ids.contains(&6), "{ids:?}");
}

#[test]
fn the_document_describes_each_path_of_the_router_and_is_served() {
    let paged = Paged::here();
    let served = paged.get("/api/v1/openapi.json");
    assert_eq!(served.json(), *api::DOCUMENT);
    let source = include_str!("../src/web/routes/mod.rs");
    let routes = source.lines().filter_map(|line| line.trim().strip_prefix(".route(\""));
    let mut found = std::collections::BTreeSet::new();
    for route in routes {
        let (path, methods) = route.split_once('"').expect("a path");
        if path != "/" && !path.starts_with("/page/") {
            let methods = ["get", "post", "put", "patch", "delete"]
                .into_iter()
                .filter(|method| methods.contains(&format!("{method}(")));
            found.extend(methods.map(|method| format!("{method} {path}")));
        }
    }
    assert_eq!(found, api::operations());
}

#[test]
fn what_a_page_sets_holds_after_a_restart() {
    let mut paged = Paged::here();
    let usual = json!({ "metered": false, "bytes_per_s_max": 0, "log_level": "info" });
    assert_eq!(paged.get("/api/v1/settings").json(), usual);
    let set = |paged: &Paged, changes: &Value| paged.send("PATCH", "/api/v1/settings", changes);
    let changes = json!({ "metered": true, "bytes_per_s_max": 5_000 });
    let changed = json!({ "metered": true, "bytes_per_s_max": 5_000, "log_level": "info" });
    assert_eq!(set(&paged, &changes).json(), changed);
    assert_eq!(set(&paged, &json!({ "broker": "elsewhere" })).status, 422);
    paged.device.kill();
    paged.start();
    assert_eq!(paged.get("/api/v1/settings").json(), changed);
    assert_eq!(set(&paged, &json!({ "metered": null, "bytes_per_s_max": null })).json(), usual);
}

#[test]
fn the_queue_is_shown_in_its_order() {
    let paged = with_captures();
    let queue = paged.get("/api/v1/queue?limit=3").json();
    assert_eq!(queue["waiting"].as_array().map(Vec::len), Some(3), "{queue}");
    assert!(queue["queue"]["depth"].as_u64() >= Some(6) && queue["set_aside"] == json!([]), "{queue}");
    assert_eq!(paged.send("POST", "/api/v1/queue/retry", &json!({})).json(), json!({ "retried": 0 }));
}

#[test]
fn members_of_the_plan_without_a_photo_are_named() {
    let members = "bridge,span,member\nB-1,1,G1\nB-1,1,G2\nB-2,1,G1\n";
    let paged = Paged::here_with("[inspection]\nmembers = \"members.csv\"\n");
    fs::write(paged.device.config().with_file_name("members.csv"), members).expect("written");
    paged.device.take(&demo_photos()[0]);
    eventually("a capture", || paged.get("/api/v1/status").json()["captures"] == 1);
    let tag = json!({ "tag": { "bridge": "B-1", "span": "1", "member": "G2" } });
    assert_eq!(paged.send("PUT", "/api/v1/captures/1/tag", &tag).status, 200);
    let photos = |query: &str| -> Vec<(String, u64)> {
        let members = paged.get(&format!("/api/v1/coverage{query}")).json()["members"].take();
        let of = |member: &Value| {
            (format!("{} {}", member["bridge"], member["member"]), member["photos"].as_u64().expect("a count"))
        };
        members.as_array().expect("a list").iter().map(of).collect()
    };
    let (g1, g2, other) = (r#""B-1" "G1""#.to_owned(), r#""B-1" "G2""#.to_owned(), r#""B-2" "G1""#.to_owned());
    assert_eq!(photos(""), [(g1.clone(), 0), (g2.clone(), 1), (other, 0)]);
    assert_eq!(photos("?bridge=B-1"), [(g1, 0), (g2.clone(), 1)]);
    assert!(photos("?since=2000-01-01&urgent=true").iter().all(|(_, count)| *count > 0));
    let sheet = paged.cli(&["export", "--format", "html"]);
    assert_eq!(sheet.matches("no photo yet").count(), 2);
    fs::write(paged.device.config().with_file_name("members.csv"), "name\nG1\n").expect("written");
    let broken = paged.get("/api/v1/coverage");
    assert!(broken.status == 500 && broken.json()["detail"].as_str().is_some_and(|detail| detail.contains("columns")));
}

#[test]
fn a_photo_that_an_inspector_has_rated_speaks_for_the_next_one() {
    let mut paged = Paged::here_with("[inspection]\nlearn = true\n");
    // Data after the end of a JPEG makes it another file with the same photo.
    let photo = |count: u64| [fs::read(&demo_photos()[0]).expect("read"), vec![0; count as usize]].concat();
    let upload = |paged: &Paged, count: u64| {
        assert_eq!(paged.upload("photo.jpg", &photo(count)).status, 202);
        eventually("a capture", || paged.get("/api/v1/status").json()["captures"] == count);
        paged.get(&format!("/api/v1/captures/{count}")).json()
    };
    let first = upload(&paged, 1);
    let labels = json!({
        "soundness": ["I"], "measure": ["A"], "damage_type": ["corrosion"], "damage_location": ["pier"],
    });
    let word = json!({ "sequence": first["sequence"], "name": "A. Sato", "labels": labels });
    assert_eq!(paged.send("POST", "/api/v1/captures/1/inspection", &word).status, 200);
    let nearest = |capture: &Value| capture["verdict"]["neighbours"][0].clone();
    let second = nearest(&upload(&paged, 2));
    assert_eq!((&second["id"], &second["labels"]), (&json!(-1), &labels), "{second}");
    assert!(second["source"].as_str().is_some_and(|source| source.contains("rated by A. Sato")), "{second}");
    paged.device.kill();
    paged.start();
    assert_eq!(nearest(&upload(&paged, 3))["id"], -1, "it is known after a restart");
}

/// Measures the page with many captures: `cargo test --release a_hundred_thousand_captures -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute, and says something only on a quiet machine"]
fn a_hundred_thousand_captures() {
    let paged = Paged::with_recorded(100_000);
    let token = paged.let_in("inspector", "A. Sato");
    let median = |times: u32, path: &str| {
        let mut seconds: Vec<f64> = (0..times)
            .map(|_| {
                let begin = Instant::now();
                assert_eq!(paged.ask_as(&token, &format!("GET {path}")).status, 200);
                begin.elapsed().as_secs_f64()
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let (median, slowest) = (seconds[seconds.len() / 2] * 1e3, seconds[seconds.len() - 1] * 1e3);
        println!("{path}: median {median:.1} ms, slowest {slowest:.1} ms");
        median
    };
    let newest = median(51, "/api/v1/captures?limit=50");
    let oldest = median(51, "/api/v1/captures?limit=50&before=60");
    let some = median(51, "/api/v1/captures?limit=50&where=soundness=II");
    median(51, "/api/v1/captures?limit=50&urgent=true");
    median(51, "/api/v1/captures/50000");
    median(5, "/api/v1/search?text=cracking");
    median(3, "/api/v1/captures/50000/earlier");
    median(3, "/api/v1/coverage");
    median(3, "/api/v1/export?format=csv");
    println!("memory: {} KiB", paged.device.memory_kib("VmRSS"));
    assert!(newest <= 30.0 && oldest <= 30.0 && some <= 30.0);
}
