//! Checks `bridgeclip collect` on tables that somebody else has changed, made or restricted.

use bridgeclip_needs::needs;
use postgres::{Client, NoTls};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use crate::support::collecting::{Collecting, body, device, event, sqlite};
use crate::support::{Broker, PostgresServer, bridgeclip, eventually, exit_code, free_port, publish};

/// Tables as version 1 made them, for PostgreSQL; `FIRST_SQLITE` has those for SQLite.
const FIRST_POSTGRES: &str = "
    CREATE TABLE bridgeclip_version (version bigint NOT NULL);
    INSERT INTO bridgeclip_version VALUES (1);
    CREATE TABLE event (source text NOT NULL, id text NOT NULL, kind text NOT NULL, sequence bigint NOT NULL,
        subject text NOT NULL, time timestamptz NOT NULL, supersedes text, body jsonb NOT NULL,
        received timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (source, id));
    CREATE TABLE thumbnail (source text NOT NULL, event_id text NOT NULL, jpeg bytea NOT NULL,
        received timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (source, event_id));
    CREATE TABLE refused (topic text NOT NULL, reason text NOT NULL, payload bytea NOT NULL,
        received timestamptz NOT NULL DEFAULT now());
    INSERT INTO refused VALUES ('old', 'old', ''), ('old', 'old', '');
    CREATE VIEW capture AS SELECT DISTINCT ON (source, subject) * FROM event ORDER BY source, subject, sequence DESC;";
const FIRST_SQLITE: &str = "
    PRAGMA user_version = 1;
    CREATE TABLE event (source TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, sequence INTEGER NOT NULL,
        subject TEXT NOT NULL, time TEXT NOT NULL, supersedes TEXT, body TEXT NOT NULL, received_us INTEGER NOT NULL,
        PRIMARY KEY (source, id)) STRICT;
    CREATE TABLE thumbnail (source TEXT NOT NULL, event_id TEXT NOT NULL, jpeg BLOB NOT NULL,
        received_us INTEGER NOT NULL, PRIMARY KEY (source, event_id)) STRICT;
    CREATE TABLE refused (topic TEXT NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL,
        received_us INTEGER NOT NULL) STRICT;
    INSERT INTO refused VALUES ('old', 'old', x'', 0), ('old', 'old', x'', 0);
    CREATE VIEW capture AS SELECT * FROM (SELECT *, 1 AS place FROM event) WHERE place = 1;";

/// Both databases, each with a way to change it as its owner does.
struct Databases {
    dir: TempDir,
    server: PostgresServer,
}

impl Databases {
    fn new() -> Self {
        Databases { dir: tempfile::tempdir().expect("a temporary folder"), server: PostgresServer::start() }
    }

    fn addresses(&self) -> [String; 2] {
        [self.server.address(), sqlite(&self.dir)]
    }

    /// Changes a database: with one statement for both kinds, or with one of its own.
    fn change(&self, address: &str, postgres: &str, sqlite: &str) {
        match address.starts_with("sqlite") {
            true => self.file().execute_batch(sqlite).expect("a change"),
            false => self.server.client().batch_execute(postgres).expect("a change"),
        }
    }

    fn file(&self) -> Connection {
        Connection::open(self.dir.path().join("events.db")).expect("a database")
    }

    /// Drops all tables of both databases.
    fn drop_tables(&self) {
        let sql = "DROP VIEW IF EXISTS capture; DROP TABLE IF EXISTS event; DROP TABLE IF EXISTS thumbnail;
                   DROP TABLE IF EXISTS refused;";
        self.server.client().batch_execute(&format!("{sql} DROP TABLE IF EXISTS bridgeclip_version")).expect("gone");
        self.file().execute_batch(&format!("{sql} PRAGMA user_version = 0")).expect("gone");
    }
}

/// Starts a collector that must fail, and returns its error message.
fn refusal(address: &str) -> String {
    let collecting = Collecting::new("one", 1, address);
    let settings = collecting.settings();
    let output = bridgeclip(&["collect", "run", "--config", settings.to_str().expect("text")]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(exit_code(output.status), 1, "{error}");
    error
}

/// Starts a collector that must store an event, a thumbnail and a refusal.
fn assert_works(address: &str, name: &str) -> Collecting {
    let port = free_port();
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let mut collecting = Collecting::started(name, port, address);
    collecting.wait_until_ready(port, name);
    let source = format!("bridge/v1/site/{name}");
    let before = collecting.report().1["refused"].as_u64().expect("a number");
    publish(port, &format!("{source}/capture/thumb/e-1"), b"\xff\xd8\xff\xd9", false);
    publish(port, &format!("{source}/capture/other"), b"{}", false);
    publish(port, &format!("{source}/capture/result"), &event(&source, "e-1", 1), false);
    collecting.wait_for(&source, 1);
    eventually("one that is refused", || collecting.report().1["refused"] == before + 1);
    assert!(collecting.is_running(), "{}", collecting.log());
    collecting.kill();
    collecting
}

#[needs(mosquitto, postgresql)]
#[test]
fn columns_of_the_owner_do_no_harm() {
    let databases = Databases::new();
    for address in databases.addresses() {
        assert_works(&address, "before");
        let columns = "ALTER TABLE event ADD COLUMN note text; ALTER TABLE thumbnail ADD COLUMN seen text;
                       ALTER TABLE refused ADD COLUMN by text;";
        databases.change(&address, columns, columns);
        assert_works(&address, "after");
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn tables_of_the_first_version_are_brought_up_to_date() {
    let databases = Databases::new();
    for address in databases.addresses() {
        databases.change(&address, FIRST_POSTGRES, FIRST_SQLITE);
        assert_works(&address, "one");
        assert_works(&address, "two");
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn what_cannot_work_is_told_at_the_start() {
    let databases = Databases::new();
    let no_key = "CREATE TABLE event AS SELECT * FROM old; DROP TABLE old CASCADE;";
    let no_key = format!("DROP VIEW capture; ALTER TABLE event RENAME TO old; {no_key}");
    let cases = [
        ("DELETE FROM event; ALTER TABLE event ADD COLUMN owner text NOT NULL", "", "owner"),
        ("DROP VIEW capture; ALTER TABLE event DROP COLUMN supersedes", "", "no column `supersedes`"),
        ("ALTER TABLE refused DROP COLUMN bytes", "", "no column `bytes`"),
        (&no_key, &no_key.replace(" CASCADE", ""), "unique"),
        ("ALTER TABLE thumbnail ALTER COLUMN jpeg TYPE text", "SELECT", "sqlstate 42883"),
        ("ALTER DATABASE postgres SET default_transaction_read_only = on", "SELECT", "read only"),
    ];
    for (postgres, file, expected) in cases {
        for address in databases.addresses() {
            let is_file = address.starts_with("sqlite");
            if is_file && file == "SELECT" {
                continue;
            }
            databases.drop_tables();
            assert_works(&address, "before");
            let file = match file {
                "" if postgres.contains("NOT NULL") => {
                    "DROP TABLE event; CREATE TABLE event (source TEXT, id TEXT, kind TEXT,
                    sequence INTEGER, subject TEXT, time TEXT, supersedes TEXT, body TEXT, received_us INTEGER,
                    owner TEXT NOT NULL, PRIMARY KEY (source, id))"
                }
                "" => postgres,
                file => file,
            };
            databases.change(&address, postgres, file);
            let error = refusal(&address);
            assert!(error.to_lowercase().contains(expected), "{expected}: {error}");
            databases.change(&address, "BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT", "");
        }
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn tables_of_another_program_are_left_alone() {
    let databases = Databases::new();
    for address in databases.addresses() {
        let foreign = "CREATE TABLE event (id integer PRIMARY KEY, title text);";
        databases.change(&address, foreign, foreign);
        let error = refusal(&address);
        assert!(error.contains("`event` has no column `source`") && error.contains("of its own"), "{error}");
    }
    let tables = databases.server.client().query("SELECT 1 FROM pg_tables WHERE schemaname = 'public'", &[]);
    assert_eq!(tables.expect("rows").len(), 1, "nothing was made beside it");
    let made: i64 = databases
        .file()
        .query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(made, 1);
    databases.drop_tables();
    for address in databases.addresses() {
        assert_works(&address, "before");
        databases.change(&address, "UPDATE bridgeclip_version SET version = 99", "PRAGMA user_version = 99");
        assert!(refusal(&address).contains("newer program (version 99)"));
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn somebody_who_may_only_read_and_insert_can_collect() {
    let server = PostgresServer::start();
    assert_works(&server.address(), "owner");
    let grants = "CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT ON event, thumbnail, refused TO clerk;
                  GRANT SELECT ON bridgeclip_version TO clerk;";
    server.client().batch_execute(grants).expect("a role");
    let address = server.address().replace("test@", "clerk@");
    assert_works(&address, "clerk");
    server.client().batch_execute("REVOKE INSERT ON refused FROM clerk").expect("less");
    let error = refusal(&address);
    assert!(error.contains("permission denied for table refused (SQLSTATE 42501)"), "{error}");
    assert!(error.contains("grant this user SELECT and INSERT"), "{error}");
}

#[needs(mosquitto, postgresql)]
#[test]
fn a_right_that_is_withdrawn_holds_everything_until_it_is_back() {
    let (server, port) = (PostgresServer::start(), free_port());
    assert_works(&server.address(), "owner");
    let grants = "CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT ON event, thumbnail, refused TO clerk;
                  GRANT SELECT ON bridgeclip_version TO clerk;";
    server.client().batch_execute(grants).expect("a role");
    let _broker = Broker::start_with(port, "max_queued_messages 0");
    let collecting = Collecting::started("one", port, &server.address().replace("test@", "clerk@"));
    collecting.wait_until_ready(port, "one");
    let before = collecting.report().1["refused"].clone();
    server.client().batch_execute("REVOKE INSERT ON event FROM clerk").expect("less");
    let source = "bridge/v1/site/unit";
    for sequence in 1..=5 {
        publish(port, &format!("{source}/capture/result"), &event(source, &format!("e-{sequence}"), sequence), false);
    }
    eventually("a log that names it", || collecting.log().contains("SQLSTATE 42501"));
    server.client().batch_execute("GRANT INSERT ON event TO clerk").expect("more");
    collecting.wait_for(source, 5);
    assert_eq!(collecting.report().1["refused"], before, "{}", collecting.log());
}

#[needs(mosquitto, postgresql)]
#[test]
fn devices_that_the_owner_does_not_know_do_not_hold_up_the_others() {
    let databases = Databases::new();
    for address in databases.addresses() {
        let name = if address.starts_with("sqlite") { "file" } else { "server" };
        assert_works(&address, "before");
        // The sample with which a collector tries the database is not from a known device either.
        let known = "INSERT INTO known VALUES ('bridge/v1/site/known');";
        let postgres = format!(
            "DELETE FROM event; CREATE TABLE known (source text PRIMARY KEY); {known}
             ALTER TABLE event ADD FOREIGN KEY (source) REFERENCES known;"
        );
        let file = format!(
            "DELETE FROM event; CREATE TABLE known (source TEXT PRIMARY KEY); {known}
             CREATE TRIGGER owner BEFORE INSERT ON event WHEN NEW.source NOT IN (SELECT source FROM known)
             BEGIN SELECT RAISE(ABORT, 'violates what the owner knows'); END;"
        );
        databases.change(&address, &postgres, &file);
        let port = free_port();
        let _broker = Broker::start_with(port, "max_queued_messages 0");
        let mut collecting = Collecting::started(name, port, &address);
        eventually("a subscription", || collecting.log().contains("connected to"));
        let before = collecting.report().1["refused"].as_u64().expect("a number");
        let send = |unit: &str, sequence: i64| {
            let source = format!("bridge/v1/site/{unit}");
            let payload = event(&source, &format!("e-{sequence}"), sequence);
            publish(port, &format!("{source}/capture/result"), &payload, false);
        };
        (1..=5).for_each(|sequence| send("unknown", sequence));
        eventually("a log that names it", || collecting.log().contains("violates"));
        (1..=5).for_each(|sequence| send("known", sequence));
        collecting.wait_for("bridge/v1/site/known", 5);
        eventually("all others", || collecting.report().1["refused"] == before + 5);
        assert_eq!(device(&collecting.report().1, "bridge/v1/site/unknown"), json!(null));
        collecting.kill();
    }
}

#[needs(mosquitto, postgresql)]
#[test]
fn what_a_database_drops_without_an_error_is_not_taken_for_stored() {
    let databases = Databases::new();
    for address in databases.addresses() {
        let name = if address.starts_with("sqlite") { "file" } else { "server" };
        assert_works(&address, "before");
        databases.change(
            &address,
            "CREATE RULE owner AS ON INSERT TO event WHERE NEW.subject = 'dropped' DO INSTEAD NOTHING;
             CREATE UNIQUE INDEX owner ON event (source, sequence);",
            "CREATE TRIGGER owner BEFORE INSERT ON event WHEN NEW.subject = 'dropped' BEGIN SELECT RAISE(IGNORE); END;
             CREATE UNIQUE INDEX owner ON event (source, sequence);",
        );
        let port = free_port();
        let _broker = Broker::start_with(port, "max_queued_messages 0");
        let mut collecting = Collecting::started(name, port, &address);
        let source = format!("bridge/v1/ready/{name}");
        collecting.wait_until_ready(port, name);
        let before = collecting.report().1["refused"].as_u64().expect("a number");
        let mut dropped = body(&source, "e-2", 2);
        dropped["subject"] = json!("dropped");
        publish(port, &format!("{source}/capture/result"), dropped.to_string().as_bytes(), false);
        // The sequence number of another event.
        publish(port, &format!("{source}/capture/result"), &event(&source, "e-1", 1), false);
        publish(port, &format!("{source}/capture/result"), &event(&source, "e-3", 3), false);
        collecting.wait_for(&source, 2);
        eventually("two that are set aside", || collecting.report().1["refused"] == before + 2);
        collecting.kill();
    }
    let mut client = Client::connect(&databases.server.address(), NoTls).expect("a connection");
    let rows = client.query("SELECT sqlstate FROM refused WHERE sqlstate IS NOT NULL", &[]).expect("rows");
    assert_eq!(rows.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), ["23505"]);
}
