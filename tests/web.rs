//! The API as browsers and programs use it, over real connections.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Device, bridgeclip, demo_photos, eventually, free_port};

/// An answer: status, head, body.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {}", self.head, String::from_utf8_lossy(&self.body));
        })
    }
}

/// A device with a page on a port of its own.
struct Paged {
    device: Device,
    port: u16,
}

impl Paged {
    fn new(address: &str) -> Self {
        let port = free_port();
        let device = Device::with_settings(None, &format!("[web]\nlisten = \"{address}:{port}\"\n"));
        let mut paged = Paged { device, port };
        paged.device.start();
        eventually("an open door", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        paged
    }

    /// For this machine alone.
    fn here() -> Self {
        Self::new("127.0.0.1")
    }

    fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        let host = if head.to_ascii_lowercase().contains("\r\nhost:") { "" } else { "\r\nHost: localhost" };
        let head = format!("{head}{host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).expect("written");
        // A body that is refused need not be taken to its end.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head, body: answer[end + 4..].to_vec() }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1"), b"")
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nContent-Type: application/json");
        self.ask(&head, body.to_string().as_bytes())
    }

    fn upload(&self, name: &str, photo: &[u8]) -> Answer {
        let head = "POST /api/v1/photos HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=line";
        self.ask(head, &form(name, photo))
    }

    fn cli(&self, args: &[&str]) -> String {
        let config = self.device.config();
        let args = [args, &["--config", config.to_str().expect("a plain path")]].concat();
        let output = bridgeclip(&args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

fn form(name: &str, photo: &[u8]) -> Vec<u8> {
    let head = format!(
        "--line\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"{name}\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), photo, b"\r\n--line--\r\n"].concat()
}

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
    let mut stream = TcpStream::connect(("127.0.0.1", paged.port)).expect("a connection");
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
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
fn on_the_network_a_visitor_needs_the_code_that_the_device_shows() {
    let paged = Paged::new("0.0.0.0");
    let refused = paged.get("/api/v1/status");
    assert_eq!(refused.status, 401);
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("bridgeclip pair")));
    assert_eq!(paged.send("POST", "/api/v1/pairing", &json!({ "role": "inspector" })).status, 401);
    let pair = |role| paged.cli(&["pair", "--role", role]).replace([' ', '\n'], "");
    let enter = |code: &str| paged.send("POST", "/api/v1/session", &json!({ "code": code, "name": "A. Sato" }));
    let code = pair("viewer");
    assert_eq!(enter(if code == "000000" { "111111" } else { "000000" }).status, 403);
    let entered = enter(&code);
    assert_eq!(entered.status, 200, "{}", entered.json());
    let head = entered.head.to_lowercase();
    assert!(head.contains("httponly; samesite=strict"), "{head}");
    let token = entered.json()["token"].as_str().expect("a token").to_owned();
    let as_viewer = |head: &str| paged.ask(&format!("{head} HTTP/1.1\r\nCookie: bridgeclip={token}"), b"").status;
    assert_eq!(as_viewer("GET /api/v1/status"), 200);
    assert_eq!(as_viewer("POST /api/v1/photos"), 403);
    assert_eq!(enter(&code).status, 403, "a code is good for one");
    let me = paged.ask(&format!("GET /api/v1/session HTTP/1.1\r\nCookie: bridgeclip={token}"), b"").json();
    assert_eq!((&me["role"], &me["name"]), (&json!("viewer"), &json!("A. Sato")));
    assert_eq!(as_viewer("DELETE /api/v1/session"), 204);
    assert_eq!(as_viewer("GET /api/v1/status"), 401);
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
    // Many who say nothing, and many who never end.
    let silent: Vec<_> =
        (0..60).map(|_| TcpStream::connect(("127.0.0.1", paged.port)).expect("a connection")).collect();
    let dripping: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = TcpStream::connect(("127.0.0.1", paged.port)).expect("a connection");
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
