//! Checks who is admitted to the page, over real connections: codes, visitors, proxies, and clients that try to get in
//! the way.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip::domain::Sha256;
use bridgeclip_needs::needs;
use serde_json::{Value, json};

use crate::support::{
    Answer, Device, PATIENCE, Paged, Proxy, demo_photos, eventually, exchange, free_port, read_answer,
};

/// Connects from this address; Linux has all of 127.0.0.0/8 on the loopback.
fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((address, 0))).expect("an own address");
        let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("a connection");
        stream.into_std().expect("a stream")
    });
    stream.set_nonblocking(false).expect("blocking");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream
}

const ENTER: &str = "POST /api/v1/session HTTP/1.1\r\nContent-Type: application/json";

fn entry(code: &str) -> Vec<u8> {
    json!({ "code": code, "name": "A. Sato" }).to_string().into_bytes()
}

/// Returns a new code.
fn code(paged: &Paged, role: &str) -> String {
    paged.cli(&["pair", "--role", role]).replace([' ', '\n'], "")
}

fn other_than(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}

#[test]
fn on_the_network_a_visitor_needs_the_code_that_the_device_shows() {
    let paged = Paged::on_the_network("");
    let refused = paged.get("/api/v1/status");
    assert_eq!(refused.status, 401);
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("bridgeclip pair")));
    assert_eq!(paged.send("POST", "/api/v1/pairing", &json!({ "role": "inspector" })).status, 401);
    let enter = |code: &str| paged.ask(ENTER, &entry(code));
    let good = code(&paged, "viewer");
    assert_eq!(enter(other_than(&good)).status, 403);
    let entered = enter(&good);
    assert_eq!(entered.status, 200, "{}", entered.json());
    let head = entered.head.to_lowercase();
    assert!(head.contains("httponly; samesite=strict"), "{head}");
    assert!(!head.contains("; secure"), "the browser would not send it back: {head}");
    let token = entered.json()["token"].as_str().expect("a token").to_owned();
    let as_viewer = |head: &str| paged.ask_as(&token, head).status;
    assert_eq!(as_viewer("GET /api/v1/status"), 200);
    assert_eq!(as_viewer("POST /api/v1/photos"), 403);
    assert_eq!(as_viewer("POST /api/v1/pairing"), 403);
    assert_eq!(as_viewer("GET /api/v1/visitors"), 403);
    assert_eq!(enter(&good).status, 403, "a code is good for one");
    let me = paged.ask_as(&token, "GET /api/v1/session").json();
    assert_eq!(
        me,
        json!({ "role": "viewer", "name": "A. Sato", "is_here": false, "lets_in": false, "may_export": false })
    );
    assert_eq!(as_viewer("DELETE /api/v1/session"), 204);
    assert_eq!(as_viewer("GET /api/v1/status"), 401);
}

#[test]
fn only_the_socket_and_a_door_that_is_named_so_are_at_the_device() {
    let (here, network) = (free_port(), free_port());
    let settings = format!("[web]\nlisten_here = \"127.0.0.1:{here}\"\nlisten = \"127.0.0.1:{network}\"\n");
    let mut both = Paged { device: Device::with_settings(None, &settings), port: here };
    both.start();
    let me = |paged: &Paged| paged.get("/api/v1/session").json();
    assert_eq!(me(&both), json!({ "role": "inspector", "is_here": true, "lets_in": true, "may_export": true }));
    both.port = network;
    assert_eq!(me(&both), json!({ "is_here": false, "lets_in": false, "may_export": false }));
    assert_eq!(both.get("/api/v1/status").status, 401, "a program of this machine needs a code here too");
    assert_eq!(both.device.api("GET", "/api/v1/session", &Value::Null)["is_here"], true);
    let alone = Paged::here();
    assert_eq!(
        me(&alone),
        json!({ "role": "inspector", "is_here": true, "lets_in": false, "may_export": true }),
        "no code is of any use"
    );
    let through_a_proxy = alone.ask("GET /api/v1/status HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7", b"");
    assert_eq!(through_a_proxy.status, 403);
    assert!(through_a_proxy.json()["detail"].as_str().is_some_and(|detail| detail.contains("trusted_proxies")));
}

#[needs(nginx)]
#[test]
fn behind_the_proxy_that_the_readme_advises_nobody_is_at_the_device() {
    let paged = Paged::on_the_network("trusted_proxies = [\"127.0.0.1\"]\n");
    let proxy = Proxy::start(paged.port);
    let (status, _, me) = proxy.ask("GET", "/api/v1/session", &[], "");
    assert_eq!((status, me.as_str()), (200, r#"{"is_here":false,"lets_in":false,"may_export":false}"#));
    assert_eq!(proxy.ask("GET", "/api/v1/status", &[], "").0, 401);
    assert_eq!(proxy.ask("POST", "/api/v1/pairing", &[], r#"{"role":"inspector"}"#).0, 401);
    let body = String::from_utf8(entry(&code(&paged, "inspector"))).expect("text");
    // The browser writes what it likes; the proxy adds what it has seen.
    let spoofed = [("x-forwarded-for", "192.0.2.66")];
    let (status, cookie, _) = proxy.ask("POST", "/api/v1/session", &spoofed, &body);
    assert_eq!(status, 200, "{cookie}");
    assert!(cookie.ends_with("; Secure"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    assert_eq!(proxy.ask("GET", "/api/v1/status", &[("cookie", &cookie)], "").0, 200);
    let (_, _, visitors) = proxy.ask("GET", "/api/v1/visitors", &[("cookie", &cookie)], "");
    let visitors: Value = serde_json::from_str(&visitors).expect("JSON");
    assert_eq!(visitors["visitors"][0]["address"], "127.0.0.1", "the address that the proxy saw: {visitors}");
    let here = Paged::here();
    let wrong = Proxy::start(here.port);
    assert_eq!(wrong.ask("GET", "/api/v1/status", &[], "").0, 403, "it must not be pointed there");
}

#[test]
fn a_trusted_proxy_tells_addresses_and_nobody_else_does() {
    let wrong = |paged: &Paged, chain: &str| {
        let head = format!("{ENTER}\r\nX-Forwarded-For: {chain}");
        paged.ask(&head, &entry("no code")).status
    };
    let paged = Paged::on_the_network("trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n");
    let answers: Vec<u16> =
        (0..6).map(|spoofed| wrong(&paged, &format!("1.2.3.{spoofed}, 192.0.2.1, 10.0.0.1"))).collect();
    assert_eq!(answers, [403, 403, 403, 403, 403, 429], "one address, whatever stands before it");
    assert_eq!(wrong(&paged, "192.0.2.2"), 403, "another address");
    let paged = Paged::on_the_network("");
    let answers: Vec<u16> = (0..6).map(|spoofed| wrong(&paged, &format!("192.0.2.{spoofed}"))).collect();
    assert_eq!(answers, [403, 403, 403, 403, 403, 429], "nobody is believed");
}

#[test]
fn bodies_that_never_end_keep_nobody_out() {
    let paged = Paged::on_the_network("");
    let token = paged.let_in("viewer", "B. Ito");
    let slow = |number: u8| {
        let mut stream = connect_from([127, 0, 0, 2 + number % 4], paged.port);
        let head = format!("{ENTER}\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{");
        stream.write_all(head.as_bytes()).expect("written");
        stream
    };
    let begin = Instant::now();
    let slow: Vec<_> = (0..128).map(slow).collect();
    let mut told = begin.elapsed();
    let mut tell = |what: &str| {
        println!("{what}: {:?}", begin.elapsed() - told);
        told = begin.elapsed();
    };
    assert_eq!(paged.ask_as(&token, "GET /api/v1/status").status, 200);
    tell("status for a visitor who is known");
    assert_eq!(paged.get("/").status, 200);
    tell("page for a stranger");
    paged.let_in("viewer", "C. Abe");
    tell("a code, and a new visitor");
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}: before any of them was given up", begin.elapsed());
    for stream in slow {
        let mut stream = stream;
        let mut answer = Vec::new();
        // Some connections end at once, without an answer.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.contains(" 408 ") || answer.contains(" 429 "), "{answer}");
    }
    assert!(begin.elapsed() < PATIENCE, "{:?}", begin.elapsed());
}

#[test]
fn bodies_that_never_end_keep_nobody_out_behind_a_proxy_that_hands_them_on() {
    let paged = Paged::on_the_network("trusted_proxies = [\"127.0.0.1\"]\n");
    let slow = |number: u8| {
        let mut stream = paged.connect();
        let origin = format!("X-Forwarded-For: 192.0.2.{}", number % 4);
        let head = format!("{ENTER}\r\nHost: localhost\r\n{origin}\r\nContent-Length: 1000\r\n\r\n{{");
        stream.write_all(head.as_bytes()).expect("written");
        stream
    };
    let begin = Instant::now();
    let slow: Vec<_> = (0..120).map(slow).collect();
    let token = paged.let_in("viewer", "C. Abe");
    assert_eq!(paged.ask_as(&token, "GET /api/v1/status").status, 200);
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}: before any of them was given up", begin.elapsed());
    let answers: BTreeSet<u16> = slow.into_iter().map(|stream| read_answer(stream).status).collect();
    assert_eq!(answers, BTreeSet::from([408, 429]), "one gives way to the next of its address, the last ones time out");
}

#[test]
fn whoever_guesses_codes_neither_gets_in_nor_keeps_others_out() {
    let paged = Paged::on_the_network("");
    let guess =
        |last: u8| -> Answer { exchange(connect_from([127, 0, 0, last], paged.port), ENTER, &entry("no code")) };
    let before = guess(200);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = |last: u8| {
            let mut answers = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                answers.insert(guess(last).status);
            }
            answers
        };
        let floods: Vec<_> = (2..6).map(|last| scope.spawn(move || flood(last))).collect();
        thread::sleep(Duration::from_millis(500));
        let code = code(&paged, "viewer");
        let during = guess(201);
        assert_eq!(
            (before.status, &before.body),
            (during.status, &during.body),
            "it does not tell whether there is a code"
        );
        thread::sleep(Duration::from_millis(500));
        assert_eq!(paged.ask(ENTER, &entry(&code)).status, 200, "the code is still good");
        over.store(true, Ordering::Relaxed);
        for flood in floods {
            assert_eq!(flood.join().expect("no panic"), BTreeSet::from([403, 429]));
        }
    });
    let late = exchange(connect_from([127, 0, 0, 2], paged.port), ENTER, &entry("no code"));
    assert!(late.head.to_lowercase().contains("retry-after: "), "{}", late.head);
}

/// Opens the live stream of a visitor and reads its head.
fn listen(paged: &Paged, token: &str) -> TcpStream {
    let mut stream = paged.connect();
    let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nCookie: bridgeclip={token}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("written");
    let (mut heard, mut bytes) = (String::new(), [0; 1024]);
    while !heard.contains("\r\n\r\n") {
        let length = stream.read(&mut bytes).expect("a head");
        assert!(length > 0, "the stream ended: {heard}");
        heard += &String::from_utf8_lossy(&bytes[..length]);
    }
    assert!(heard.contains(" 200 "), "{heard}");
    stream
}

fn has_ended(mut stream: TcpStream) -> bool {
    let begin = Instant::now();
    let mut rest = Vec::new();
    // The stream carries nothing meanwhile but a sign of life every 15 s.
    let ended = stream.read_to_end(&mut rest);
    !matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        && begin.elapsed() < Duration::from_secs(10)
}

#[test]
fn a_visitor_who_is_sent_away_or_leaves_hears_nothing_more() {
    let paged = Paged::on_the_network("");
    let (lost, kept) = (paged.let_in("inspector", "A. Sato"), paged.let_in("viewer", "B. Ito"));
    let listed: Vec<Value> = paged
        .cli(&["pair", "--list", "--json"])
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let names: Vec<_> = listed.iter().map(|visitor| visitor["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["B. Ito", "A. Sato"], "who came last first");
    assert!(paged.cli(&["pair", "--list"]).contains("inspector  A. Sato, last seen "));
    let visitors = paged.ask_as(&lost, "GET /api/v1/visitors").json()["visitors"].take();
    assert_eq!(visitors.as_array().map(Vec::len), Some(2));
    let stream = listen(&paged, &lost);
    let id = listed[1]["id"].as_str().expect("an id");
    paged.cli(&["pair", "--revoke", id]);
    assert!(has_ended(stream), "the live stream of a lost phone goes on");
    assert_eq!(paged.ask_as(&lost, "GET /api/v1/status").status, 401);
    assert_eq!(paged.ask_as(&kept, "GET /api/v1/status").status, 200);
    let gone = paged.device.bridgeclip("pair", &["--revoke", id]);
    assert!(!gone.status.success() && String::from_utf8_lossy(&gone.stderr).contains("no visitor of that id"));
    let inspector = paged.let_in("inspector", "C. Abe");
    let stream = listen(&paged, &kept);
    let viewer = listed[0]["id"].as_str().expect("an id");
    assert_eq!(paged.ask_as(&inspector, &format!("DELETE /api/v1/visitors/{viewer}")).status, 204);
    assert!(has_ended(stream));
    let stream = listen(&paged, &inspector);
    assert_eq!(paged.ask_as(&inspector, "DELETE /api/v1/session").status, 204);
    assert!(has_ended(stream), "the live stream goes on after leaving");
    assert_eq!(paged.cli(&["pair", "--list"]), "");
}

#[test]
fn a_calendar_that_jumps_from_1970_logs_nobody_out() {
    let mut paged = Paged::on_the_network("");
    let token = paged.let_in("inspector", "A. Sato");
    paged.device.terminate();
    let path = paged.device.data_dir().join("sessions.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&path).expect("the visitors")).expect("JSON");
    assert!(!kept.to_string().contains("expires"), "no end by a calendar: {kept}");
    // The calendar, which was at 1970 before, says that the machine was off for decades.
    kept["clock"]["boot_id"] = "before".into();
    kept["clock"]["anchor"] = Value::Null;
    fs::write(&path, kept.to_string()).expect("written");
    paged.start();
    assert_eq!(paged.ask_as(&token, "GET /api/v1/status").status, 200);
    paged.device.terminate();
    // A visitor of 1970 in the form of version 0.1, which admitted for thirty days by the calendar.
    let old = json!([{
        "token": Sha256::of(token.as_bytes()), "role": "inspector", "name": "A. Sato", "expires": "1970-01-31T00:00:09Z",
    }]);
    fs::write(&path, old.to_string()).expect("written");
    paged.start();
    assert_eq!(paged.ask_as(&token, "GET /api/v1/status").status, 200);
}

#[test]
fn names_hold_only_what_is_seen() {
    let paged = Paged::on_the_network("");
    let code = code(&paged, "viewer");
    let enter = |name: &str| paged.send("POST", "/api/v1/session", &json!({ "code": code, "name": name })).status;
    for name in ["\u{202e}otaS .A", "A\u{200b}", "A\nB", " ", ""] {
        assert_eq!(enter(name), 422, "{name:?}");
    }
    assert_eq!(enter("佐藤 花子"), 200, "the code is still good");
}

#[test]
fn what_a_device_keeps_is_for_its_owner_alone() {
    let paged = Paged::on_the_network("");
    let token = paged.let_in("inspector", "A. Sato");
    assert_eq!(paged.ask_as(&token, "GET /api/v1/status").status, 200);
    for name in ["sessions.json", "device.db", "device.db-wal", "device.db-shm"] {
        let file = fs::metadata(paged.device.data_dir().join(name)).expect(name);
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_viewer_takes_files_away_only_if_the_settings_say_so() {
    let export = "GET /api/v1/export?format=csv";
    for (settings, expected) in [("", 403), ("viewers_export = true\n", 200)] {
        let paged = Paged::on_the_network(settings);
        assert_eq!(paged.ask_as(&paged.let_in("viewer", "A. Sato"), export).status, expected);
        assert_eq!(paged.ask_as(&paged.let_in("inspector", "B. Ito"), export).status, 200);
    }
}

#[test]
fn a_port_that_another_program_has_costs_the_page_until_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let mut device = Device::with_settings(None, &format!("[web]\nlisten_here = \"127.0.0.1:{port}\"\n"));
    device.start();
    device.take(&demo_photos()[0]);
    device.wait_for_captures(1);
    let closed = device.api("GET", "/api/v1/status", &Value::Null)["closed_doors"].clone();
    assert_eq!(closed[0]["listen"], format!("127.0.0.1:{port}"), "{closed}");
    assert!(closed[0]["reason"].as_str().is_some_and(|reason| reason.contains("in use")), "{closed}");
    let text = String::from_utf8(device.bridgeclip("status", &[]).stdout).expect("text");
    assert!(text.contains("CLOSED    the page cannot be reached at 127.0.0.1:"), "{text}");
    drop(taken);
    let ask = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut asking = stream.try_clone().expect("the same");
        asking.write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("written");
        Some(read_answer(stream).status)
    };
    eventually("the page", || ask() == Some(200));
    let status = device.api("GET", "/api/v1/status", &Value::Null);
    assert_eq!(status.get("closed_doors"), None, "{status}");
    assert!(device.terminate().success());
}
