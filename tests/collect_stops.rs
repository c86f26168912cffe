//! Checks `bridgeclip collect` while database or broker is silent: it ends within five seconds after SIGTERM, resumes
//! by itself when they are back, and has acknowledged only what is stored.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip_needs::needs;
use rusqlite::Connection;

use crate::support::collecting::{Collecting, event, sqlite};
use crate::support::{Broker, PostgresServer, bridgeclip, eventually, exit_code, free_port, publish};

/// Time limit for a stop.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Time for a collector to reach the state that a test needs.
const MOMENT: Duration = Duration::from_millis(1_500);

const SOURCE: &str = "bridge/v1/site/unit";

fn send(port: u16, sequence: i64) {
    publish(port, &format!("{SOURCE}/capture/result"), &event(SOURCE, &format!("e-{sequence}"), sequence), false);
}

fn assert_clean_stop(collecting: &mut Collecting, state: &str) {
    assert!(collecting.is_running(), "{state}: {}", collecting.log());
    let (status, took): (ExitStatus, Duration) = collecting.stop();
    assert!(took < STOP_MAX, "{state}: it took {took:?}");
    assert_eq!(exit_code(status), 0, "{state}: {}", collecting.log());
}

/// Starts a server that accepts connections and says nothing, and returns its port.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        held.extend(listener.incoming().flatten());
    });
    port
}

/// A port whose queue of connections is full: the kernel answers nothing to a client that wants another.
struct BlackHole {
    port: u16,
    _listener: TcpListener,
    _held: Vec<TcpStream>,
}

impl BlackHole {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address: SocketAddr = listener.local_addr().expect("its address");
        let patience = Duration::from_millis(300);
        let mut held = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, patience) {
            held.push(stream);
        }
        BlackHole { port: address.port(), _listener: listener, _held: held }
    }
}

fn postgres_at(port: u16) -> String {
    format!("postgresql://test@127.0.0.1:{port}/postgres")
}

#[test]
fn a_database_that_never_answers_stops_no_stop() {
    let (silent, hole) = (silent(), BlackHole::new());
    for (state, port) in [("silent", silent), ("a black hole", hole.port)] {
        let mut collecting = Collecting::new("one", free_port(), &postgres_at(port));
        collecting.start();
        thread::sleep(MOMENT);
        assert_clean_stop(&mut collecting, state);
    }
}

#[test]
fn a_database_that_never_answers_is_told_after_the_limit() {
    for port in [silent(), BlackHole::new().port] {
        let collecting = Collecting::with("one", free_port(), &postgres_at(port), "[collect.limits]\nconnect_s = 1");
        let settings = collecting.settings();
        for command in ["run", "report"] {
            let begin = Instant::now();
            let output = bridgeclip(&["collect", command, "--config", settings.to_str().expect("text")]);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(exit_code(output.status) == 1 && begin.elapsed() < Duration::from_secs(10), "{error}");
            assert!(error.contains("no answer within 1 s") || error.contains("timed out"), "{error}");
        }
    }
}

#[needs(mosquitto)]
#[test]
fn a_broker_that_never_answers_stops_no_stop() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let hole = BlackHole::new();
    for (state, port) in [("nobody", free_port()), ("silent", silent()), ("a black hole", hole.port)] {
        let mut collecting = Collecting::started("one", port, &sqlite(&dir));
        thread::sleep(MOMENT);
        assert_clean_stop(&mut collecting, state);
    }
    let port = free_port();
    let broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::started("one", port, &sqlite(&dir));
    collecting.wait_until_ready(port, "one");
    broker.freeze();
    thread::sleep(MOMENT);
    assert_clean_stop(&mut collecting, "frozen");
}

#[needs(mosquitto, postgresql)]
#[test]
fn an_idle_collector_ends_at_once() {
    let (dir, server) = (tempfile::tempdir().expect("a temporary folder"), PostgresServer::start());
    for address in [server.address(), sqlite(&dir)] {
        let port = free_port();
        let _broker = Broker::start_with(port, "max_queued_messages 0");
        let mut collecting = Collecting::started("one", port, &address);
        collecting.wait_until_ready(port, "one");
        let (status, took) = collecting.stop();
        assert!(status.success() && took < Duration::from_secs(2), "{took:?}: {}", collecting.log());
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn a_server_that_freezes_stops_no_stop_and_loses_nothing() {
    let (port, server) = (free_port(), PostgresServer::start());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::started("one", port, &server.address());
    collecting.wait_until_ready(port, "one");
    // The server hangs in a statement.
    server.freeze();
    send(port, 1);
    thread::sleep(MOMENT);
    assert_clean_stop(&mut collecting, "frozen in a statement");
    // The server hangs while the collector connects.
    collecting.start();
    thread::sleep(MOMENT);
    assert_clean_stop(&mut collecting, "frozen while it connects");
    server.thaw();
    collecting.start();
    collecting.wait_for(SOURCE, 1);
    // Another session holds the table.
    let mut session = server.client();
    session.batch_execute("BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE").expect("a lock");
    send(port, 2);
    thread::sleep(MOMENT);
    assert_clean_stop(&mut collecting, "locked");
    session.batch_execute("ROLLBACK").expect("no lock");
    collecting.start();
    collecting.wait_for(SOURCE, 2);
}

#[needs(mosquitto, postgresql)]
#[test]
fn a_server_that_was_frozen_is_used_on() {
    let (port, server) = (free_port(), PostgresServer::start());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let limits = "[collect.limits]\nconnect_s = 1\nstatement_s = 2\nlock_s = 1";
    let mut collecting = Collecting::with("one", port, &server.address(), limits);
    collecting.start();
    collecting.wait_until_ready(port, "one");
    server.freeze();
    (1..=3).for_each(|sequence| send(port, sequence));
    eventually("limits that are over", || {
        let log = collecting.log();
        log.contains("no answer within 4 s") && log.contains("no answer within 1 s")
    });
    server.thaw();
    collecting.wait_for(SOURCE, 3);
    let mut session = server.client();
    session.batch_execute("BEGIN; LOCK TABLE event IN ACCESS EXCLUSIVE MODE").expect("a lock");
    send(port, 4);
    eventually("a lock that is named", || collecting.log().contains("(SQLSTATE 55P03)"));
    session.batch_execute("ROLLBACK").expect("no lock");
    collecting.wait_for(SOURCE, 4);
    assert_eq!(collecting.report().1["refused"], 0);
    assert!(collecting.log().contains("another session holds a lock"), "{}", collecting.log());
    assert!(collecting.is_running());
}

#[needs(mosquitto)]
#[test]
fn a_file_that_another_program_locks_stops_no_stop_and_loses_nothing() {
    let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::with("one", port, &sqlite(&dir), "[collect.limits]\nlock_s = 60");
    collecting.start();
    collecting.wait_until_ready(port, "one");
    let other = Connection::open(dir.path().join("events.db")).expect("a connection");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    send(port, 1);
    thread::sleep(MOMENT);
    assert_clean_stop(&mut collecting, "locked in a transaction");
    collecting.start();
    thread::sleep(MOMENT);
    assert_clean_stop(&mut collecting, "locked at the start");
    other.execute_batch("ROLLBACK").expect("no lock");
    collecting.start();
    collecting.wait_for(SOURCE, 1);
}

#[needs(mosquitto)]
#[test]
fn a_file_that_is_removed_takes_nothing_with_it() {
    let (dir, port) = (tempfile::tempdir().expect("a temporary folder"), free_port());
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::started("one", port, &sqlite(&dir));
    collecting.wait_until_ready(port, "one");
    for name in ["events.db", "events.db-wal", "events.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(name));
    }
    send(port, 1);
    collecting.wait_for(SOURCE, 1);
    assert!(collecting.log().contains("was removed or replaced"), "{}", collecting.log());
    collecting.kill();
}

#[test]
fn leaving_a_broker_that_never_answers_can_be_stopped() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let collecting = Collecting::new("one", silent(), &sqlite(&dir));
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bridgeclip"));
    command.args(["collect", "run", "--leave", "--config"]).arg(collecting.settings());
    let mut process = command.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    // After three silent seconds the collector says goodbye to a broker that does not answer.
    thread::sleep(Duration::from_secs(5));
    let begin = Instant::now();
    crate::support::signal("TERM", process.id());
    let mut ended = false;
    eventually("an end", || {
        ended = ended || process.try_wait().expect("a status").is_some();
        ended
    });
    assert!(begin.elapsed() < STOP_MAX, "{:?}", begin.elapsed());
}
