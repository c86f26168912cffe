//! A device with a page, which tests ask over real connections. Every answer is checked against `deploy/openapi.json`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bridgeclip::journal::Journal;
use serde_json::{Value, json};

use super::results::{journal_params, record_all};
use super::{Device, bridgeclip, eventually, free_port};

/// An answer: status, head and body.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{error}: {} {}", self.head, String::from_utf8_lossy(&self.body));
        })
    }
}

/// Checks of answers against `deploy/openapi.json`.
pub mod api {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use serde_json::Value;

    use super::{Answer, dechunked};
    use crate::support::{mismatches, resolve};

    pub static DOCUMENT: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("../../deploy/openapi.json")).expect("JSON"));

    /// Status codes that every path can answer before its own handler is asked.
    const BEFORE_ALL: [u16; 6] = [401, 403, 404, 405, 421, 431];

    /// Returns the operations, each as `get /api/v1/status`.
    pub fn operations() -> BTreeSet<String> {
        let paths = DOCUMENT["paths"].as_object().expect("paths").iter();
        let of_path = |(path, item): (&String, &Value)| {
            let methods: Vec<_> =
                item.as_object().expect("operations").keys().map(|method| format!("{method} {path}")).collect();
            methods
        };
        paths.flat_map(of_path).collect()
    }

    fn template(path: &str) -> Option<&'static str> {
        let paths = DOCUMENT["paths"].as_object().expect("paths").keys();
        let fits = |template: &&String| {
            let (form, levels) = (template.split('/'), path.split('/'));
            form.clone().count() == levels.clone().count()
                && form.zip(levels).all(|(form, level)| form == level || form.starts_with('{'))
        };
        paths.map(String::as_str).find(|template| fits(&&(*template).to_owned()))
    }

    /// Checks that every answer is described, and that its form fits.
    pub fn check(request: &str, answer: &Answer) {
        let mut words = request.split([' ', '\r']);
        let (method, target) = (words.next().expect("a method").to_lowercase(), words.next().expect("a target"));
        let path = target.split('?').next().expect("a path");
        if !path.starts_with("/api/") && path != "/metrics" {
            return;
        }
        let content_type = answer.head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-type").then_some(value)
        });
        let operation =
            template(path).map(|template| &DOCUMENT["paths"][template][&method]).filter(|found| !found.is_null());
        let response = operation.and_then(|operation| operation["responses"].get(answer.status.to_string()));
        let Some(response) = response else {
            let before = BEFORE_ALL.contains(&answer.status);
            assert!(before, "{method} {path}: {} is not described", answer.status);
            return;
        };
        let response = response.get("$ref").map_or(response, |reference| resolve(&DOCUMENT, reference));
        let Some(content) = response.get("content") else { return };
        let form = content_type.and_then(|content_type| content.get(content_type));
        let form = form.unwrap_or_else(|| panic!("{method} {path}: {content_type:?} is not described"));
        if let Some(schema) = form.get("schema").filter(|_| content_type.is_some_and(|form| form.ends_with("json"))) {
            let body = serde_json::from_slice(&dechunked(answer)).expect("JSON");
            let wrong = mismatches(&DOCUMENT, schema, &body);
            assert!(wrong.is_empty(), "{method} {path}: {wrong:#?}\n{body:#}");
        }
    }
}

/// A device with a page on a port of its own.
pub struct Paged {
    pub device: Device,
    pub port: u16,
}

impl Paged {
    /// Returns a device whose page is for people at the device.
    pub fn here() -> Self {
        Self::here_with("")
    }

    /// Returns a device whose page is for people at the device, with more settings.
    pub fn here_with(settings: &str) -> Self {
        Self::with(|port| format!("[web]\nlisten_here = \"127.0.0.1:{port}\"\n{settings}"))
    }

    /// Returns a device whose page is for the network. Only programs that use the socket are at the device.
    pub fn on_the_network(settings: &str) -> Self {
        Self::with(|port| format!("[web]\nlisten = \"0.0.0.0:{port}\"\n{settings}"))
    }

    fn with(settings: impl Fn(u16) -> String) -> Self {
        let port = free_port();
        let mut paged = Paged { device: Device::with_settings(None, &settings(port)), port };
        paged.start();
        paged
    }

    /// Returns a device whose page is for the network, with `count` captures in the database.
    pub fn with_recorded(count: u64) -> Self {
        let mut paged = Self::on_the_network("");
        paged.device.terminate();
        let (journal, thread) = Journal::open(&paged.device.data_dir(), journal_params(), |_| ()).expect("a journal");
        record_all(&journal, 0..count);
        drop(journal);
        thread.join().expect("no panic");
        paged.start();
        paged
    }

    /// Starts the daemon again.
    pub fn start(&mut self) {
        self.device.start();
        eventually("an open door", || TcpStream::connect(("127.0.0.1", self.port)).is_ok());
    }

    /// Opens a connection on which nothing has been said.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream
    }

    pub fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let answer = exchange(self.connect(), head, body);
        api::check(head, &answer);
        answer
    }

    /// Admits a visitor and returns their token.
    pub fn let_in(&self, role: &str, name: &str) -> String {
        let code = self.cli(&["pair", "--role", role]).replace([' ', '\n'], "");
        let entered = self.send("POST", "/api/v1/session", &json!({ "code": code, "name": name }));
        assert_eq!(entered.status, 200, "{}", entered.json());
        entered.json()["token"].as_str().expect("a token").to_owned()
    }

    /// Returns the answer to a visitor's request without a body.
    pub fn ask_as(&self, token: &str, head: &str) -> Answer {
        self.ask(&format!("{head} HTTP/1.1\r\nCookie: bridgeclip={token}"), b"")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1"), b"")
    }

    pub fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let head = format!("{method} {path} HTTP/1.1\r\nContent-Type: application/json");
        self.ask(&head, body.to_string().as_bytes())
    }

    pub fn upload(&self, name: &str, photo: &[u8]) -> Answer {
        let head = "POST /api/v1/photos HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=line";
        self.ask(head, &form(name, photo))
    }

    pub fn cli(&self, args: &[&str]) -> String {
        let config = self.device.config();
        let args = [args, &["--config", config.to_str().expect("a plain path")]].concat();
        let output = bridgeclip(&args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Sends one request over a connection and reads the answer to its end.
pub fn exchange(mut stream: TcpStream, head: &str, body: &[u8]) -> Answer {
    let host = if head.to_ascii_lowercase().contains("\r\nhost:") { "" } else { "\r\nHost: localhost" };
    let head = format!("{head}{host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).expect("written");
    // A server need not read a body that it refuses.
    let _ = stream.write_all(body);
    read_answer(stream)
}

/// Reads an answer to the end of its connection.
pub fn read_answer(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head, body: answer[end + 4..].to_vec() }
}

/// Returns a form with a photo.
pub fn form(name: &str, photo: &[u8]) -> Vec<u8> {
    let head = format!(
        "--line\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"{name}\"\r\n\
         Content-Type: image/jpeg\r\n\r\n"
    );
    [head.as_bytes(), photo, b"\r\n--line--\r\n"].concat()
}

/// Returns the body of an answer in chunks (RFC 9112, 7.1).
pub fn dechunked(answer: &Answer) -> Vec<u8> {
    if !answer.head.to_lowercase().contains("transfer-encoding: chunked") {
        return answer.body.clone();
    }
    let (mut rest, mut whole) = (answer.body.as_slice(), Vec::new());
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length = usize::from_str_radix(&String::from_utf8_lossy(&rest[..end]), 16).expect("a length");
        whole.extend_from_slice(&rest[end + 2..][..length]);
        rest = &rest[end + 2 + length + 2..];
        if length == 0 {
            break;
        }
    }
    whole
}
