//! Checks TLS and passwords against a real mosquitto: who is refused, and what the reason says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use bridgeclip::journal::EventClass;
use bridgeclip::uplink::{
    Endpoint, LinkEvent, LinkState, Login, Params, TlsError, TlsFiles, client_config, read_secret,
};
use bridgeclip_needs::needs;

use crate::support::{
    Authority, Broker, Device, GOOD_YEARS, Identity, Station, Subscriber, bridgeclip, demo_photos, eventually,
    free_port, write_secret,
};

fn listener(authority: &Authority, identity: &Identity, more: &str) -> String {
    format!(
        "cafile {}\ncertfile {}\nkeyfile {}\n{more}",
        authority.certificate.display(),
        identity.certificate.display(),
        identity.key.display()
    )
}

fn trusting(authority: &Authority) -> TlsFiles {
    TlsFiles { ca: Some(authority.certificate.clone()), client: None }
}

fn params(port: u16, files: &TlsFiles) -> Params {
    let tls = Some(client_config("localhost", files).expect("usable files"));
    let station = Station::params(port);
    let endpoint = Endpoint { host: "localhost".to_owned(), tls, ..station.endpoint };
    Params { endpoint, hold_without_subscriber: false, ..station }
}

/// Returns a station with a running uplink and three events.
fn station(params: Params) -> Station {
    let mut station = Station::new();
    station.queue(EventClass::Result, "result", 3, 300);
    station.start(params);
    station
}

/// Returns the reason why the link to a broker with this certificate fails.
fn refusal(authority: &Authority, identity: &Identity) -> String {
    let port = free_port();
    let _broker = Broker::start_with(port, &listener(authority, identity, ""));
    let station = station(params(port, &trusting(authority)));
    let reason = station.wait_for_refusal();
    assert_eq!(station.depth().total(), 3, "nothing was sent");
    assert!(!station.reports().iter().any(|(_, event)| *event == LinkEvent::Online));
    reason
}

#[needs(mosquitto)]
#[test]
fn events_arrive_through_tls() {
    let authority = Authority::new();
    let port = free_port();
    let identity = authority.issue("broker", &["localhost"], GOOD_YEARS);
    let _broker = Broker::start_with(port, &listener(&authority, &identity, ""));
    station(params(port, &trusting(&authority))).wait_until_delivered();
}

#[needs(mosquitto)]
#[test]
fn tls_certificate_has_expired() {
    let authority = Authority::new();
    let reason = refusal(&authority, &authority.issue("broker", &["localhost"], (2020, 2022)));
    assert!(reason.contains("has expired at 2022-01-01T00:00:00Z"), "{reason}");
}

#[needs(mosquitto)]
#[test]
fn tls_certificate_is_not_valid_yet() {
    let authority = Authority::new();
    let reason = refusal(&authority, &authority.issue("broker", &["localhost"], (2090, 2095)));
    assert!(reason.contains("valid from 2090-01-01T00:00:00Z on") && reason.contains("clock is wrong"), "{reason}");
}

#[needs(mosquitto)]
#[test]
fn tls_certificate_is_for_another_host() {
    let authority = Authority::new();
    let reason = refusal(&authority, &authority.issue("broker", &["broker.example"], GOOD_YEARS));
    assert!(reason.contains("another host") && reason.contains("broker.example"), "{reason}");
    assert!(reason.contains("localhost"), "{reason}");
}

#[needs(mosquitto)]
#[test]
fn tls_certificate_is_self_signed() {
    let authority = Authority::new();
    let reason = refusal(&authority, &authority.self_signed("broker", &["localhost"]));
    assert!(reason.contains("self-signed, or its issuer is unknown"), "{reason}");
}

#[needs(mosquitto)]
#[test]
fn tls_certificate_of_an_unknown_issuer() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let reason = refusal(&ours, &theirs.issue("broker", &["localhost"], GOOD_YEARS));
    assert!(reason.contains("its issuer is unknown") && reason.contains("mqtt.tls.ca_file"), "{reason}");
}

#[needs(mosquitto)]
#[test]
fn tls_is_answered_in_plain_text() {
    let authority = Authority::new();
    // mosquitto closes the connection; another server may answer.
    let port = free_port();
    let _broker = Broker::start(port);
    let station = station(params(port, &trusting(&authority)));
    let (_, reason) = station.wait_for_offline();
    assert!(reason.contains("no TLS connection") && reason.contains("plain text"), "{reason}");
    let port = answering(b"\x20\x03\x00\x87\x00 not TLS at all");
    let station = self::station(params(port, &trusting(&authority)));
    let reason = station.wait_for_refusal();
    assert!(reason.contains("does not speak TLS on this port"), "{reason}");
    assert_eq!(station.depth().total(), 3);
}

/// Opens a port that greets every connection with these bytes.
fn answering(bytes: &'static [u8]) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = std::io::Write::write_all(&mut stream, bytes);
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
    port
}

#[needs(mosquitto)]
#[test]
fn plain_text_is_not_understood_by_a_tls_port() {
    let authority = Authority::new();
    let port = free_port();
    let identity = authority.issue("broker", &["localhost"], GOOD_YEARS);
    let _broker = Broker::start_with(port, &listener(&authority, &identity, ""));
    let station = station(Station::params(port));
    station.wait_for_offline();
    assert_eq!(station.depth().total(), 3);
}

#[needs(mosquitto)]
#[test]
fn the_broker_wants_a_certificate_of_the_device() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let port = free_port();
    let identity = authority.issue("broker", &["localhost"], GOOD_YEARS);
    let _broker = Broker::start_with(port, &listener(&authority, &identity, "require_certificate true"));
    let without = station(params(port, &trusting(&authority)));
    let reason = without.wait_for_refusal();
    assert!(reason.contains("wants a certificate") && reason.contains("client_cert_file"), "{reason}");
    let with =
        |identity: Identity| TlsFiles { client: Some((identity.certificate, identity.key)), ..trusting(&authority) };
    let wrong = station(params(port, &with(stranger.issue("device", &["device"], GOOD_YEARS))));
    let reason = wrong.wait_for_refusal();
    assert!(reason.contains("does not accept this device's certificate"), "{reason}");
    station(params(port, &with(authority.issue("device", &["device"], GOOD_YEARS)))).wait_until_delivered();
}

#[test]
fn wrong_files_are_named() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (missing, empty) = (dir.path().join("missing.pem"), dir.path().join("empty.pem"));
    fs::write(&empty, "nothing\n").expect("write");
    let good = authority.issue("device", &["device"], GOOD_YEARS);
    let error = |ca: &Path| {
        let files = TlsFiles { ca: Some(ca.to_owned()), client: None };
        client_config("localhost", &files).expect_err("refused").to_string()
    };
    assert!(error(&missing).contains("missing.pem: cannot read"), "{}", error(&missing));
    assert!(error(&empty).contains("empty.pem: no certificate in PEM form"), "{}", error(&empty));
    let client =
        |key: &Path| TlsFiles { client: Some((good.certificate.clone(), key.to_owned())), ..trusting(&authority) };
    let other = authority.issue("other", &["other"], GOOD_YEARS);
    let mismatch = client_config("localhost", &client(&other.key));
    assert!(matches!(mismatch, Err(TlsError::Client { .. })), "{:?}", mismatch.err());
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o644)).expect("a mode");
    let readable = client_config("localhost", &client(&good.key)).expect_err("refused").to_string();
    assert!(readable.contains("mode 644") && readable.contains("chmod 600"), "{readable}");
    assert!(matches!(client_config("not a host", &trusting(&authority)), Err(TlsError::Host(_))));
}

#[needs(mosquitto)]
#[test]
fn a_password_lets_the_device_in() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (users, password) = (dir.path().join("users"), dir.path().join("password"));
    let status = Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(&users).args(["unit", "s3cret"]).status();
    assert!(status.expect("mosquitto_passwd starts").success());
    let port = free_port();
    // The later line counts.
    let more = format!("allow_anonymous false\npassword_file {}", users.display());
    let _broker = Broker::start_with(port, &more);
    let login = |text: &str| {
        write_secret(&password, text);
        let password = Some(read_secret(&password).expect("a secret"));
        let login = Some(Login { username: "unit".to_owned(), password });
        let station = Station::params(port);
        let endpoint = Endpoint { login, ..station.endpoint };
        Params { endpoint, hold_without_subscriber: false, ..station }
    };
    let reason = station(login("wrong")).wait_for_refusal();
    assert!(reason.contains("not authorised") || reason.contains("password is wrong"), "{reason}");
    station(login("s3cret\n")).wait_until_delivered();
}

/// A device with a certificate and a password, on a broker that wants both.
struct Guarded {
    _broker: Broker,
    device: Device,
    /// Texts that must not leave the place where they are.
    secrets: Vec<String>,
}

impl Guarded {
    fn new(users: &Path, authority: &Authority) -> Self {
        const PASSWORD: &str = "correct-horse-battery";
        let status = Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(users).args(["unit", PASSWORD]).status();
        assert!(status.expect("mosquitto_passwd starts").success());
        let more = format!("require_certificate true\nallow_anonymous false\npassword_file {}", users.display());
        let port = free_port();
        let identity = authority.issue("broker", &["localhost"], GOOD_YEARS);
        let broker = Broker::start_with(port, &listener(authority, &identity, &more));
        let own = authority.issue("device", &["device"], GOOD_YEARS);
        let password = users.with_file_name("password");
        write_secret(&password, PASSWORD);
        let settings = format!(
            "[mqtt]\nbroker = \"localhost:{port}\"\nretry_s_max = 1\nhold_without_subscriber = false\n\
             username = \"unit\"\npassword_file = {password:?}\n\
             [mqtt.tls]\nca_file = {:?}\nclient_cert_file = {:?}\nclient_key_file = {:?}\n",
            authority.certificate, own.certificate, own.key
        );
        let key = fs::read_to_string(&own.key).expect("read");
        let secrets = key.lines().filter(|line| !line.starts_with('-')).chain([PASSWORD]);
        let secrets = secrets.map(str::to_owned).collect();
        let device = Device::with_settings(None, &settings);
        fs::create_dir(device.data_dir()).expect("a folder");
        Guarded { _broker: broker, device, secrets }
    }

    fn check(&self) -> (String, Vec<String>) {
        let config = self.device.config();
        let output = bridgeclip(&["check", "--json", "--config", config.to_str().expect("a plain path")]);
        let text = String::from_utf8(output.stdout).expect("text");
        let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let findings = answer["findings"].as_array().expect("a list").iter();
        let errors = findings.filter(|finding| finding["state"] == "error").map(ToString::to_string).collect();
        (text, errors)
    }
}

#[needs(mosquitto)]
#[test]
fn passwords_and_keys_are_in_no_log() {
    let (dir, authority) = (tempfile::tempdir().expect("a temporary folder"), Authority::new());
    let mut guarded = Guarded::new(&dir.path().join("users"), &authority);
    let log = dir.path().join("log");
    let stderr = fs::File::create(&log).expect("create");
    guarded.device.start_with(|command| {
        command.env("RUST_LOG", "trace").stderr(stderr);
    });
    guarded.device.take(&demo_photos()[0]);
    guarded.device.wait_for_captures(1);
    let journal = guarded.device.journal();
    eventually("a delivered result", || journal.outbox_depth().expect("a count").total() == 0);
    guarded.device.terminate();
    let (doctor, errors) = guarded.check();
    assert!(errors.is_empty(), "{errors:?}");
    let said = fs::read_to_string(&log).expect("read") + &doctor;
    assert!(said.contains("TRACE rustls"), "not all was logged: {said}");
    for secret in &guarded.secrets {
        assert!(!said.contains(secret.as_str()), "{secret} is in the log");
    }
}

#[needs(mosquitto)]
#[test]
fn check_tells_what_is_wrong_with_the_broker() {
    let (dir, authority) = (tempfile::tempdir().expect("a temporary folder"), Authority::new());
    let guarded = Guarded::new(&dir.path().join("users"), &authority);
    assert_eq!(guarded.check().1, [""; 0]);
    let settings = fs::read_to_string(guarded.device.config()).expect("read");
    let (head, client) = settings.split_once("client_cert_file").expect("a certificate");
    fs::write(guarded.device.config(), head).expect("write");
    let errors = guarded.check().1;
    assert!(errors.len() == 1 && errors[0].contains("wants a certificate of this device"), "{errors:?}");
    let stranger = Authority::new();
    let other = head.replace(&format!("{:?}", authority.certificate), &format!("{:?}", stranger.certificate));
    fs::write(guarded.device.config(), format!("{other}client_cert_file{client}")).expect("write");
    let errors = guarded.check().1;
    assert!(errors.len() == 1 && errors[0].contains("its issuer is unknown here"), "{errors:?}");
}

#[needs(mosquitto)]
#[test]
fn an_access_list_that_forbids_publishing_is_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let list = dir.path().join("list");
    fs::write(&list, "topic read #\n").expect("write");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).expect("a mode");
    let port = free_port();
    let broker = Broker::start_with(port, &format!("acl_file {}", list.display()));
    let mut station = station(Station::params(port));
    let (_, reason) = station.wait_for("a held topic", |event| match event {
        LinkEvent::Held { what, reason } if what == "bridge/v1/test/station/capture/result" => Some(reason.clone()),
        _ => None,
    });
    assert!(reason.contains("does not let this device publish there") && reason.contains("access list"), "{reason}");
    eventually("a link that says so", || station.link.state() == LinkState::Held);
    assert_eq!((station.depth().total(), station.depth().set_aside), (3, 0));
    broker.kill();
    let _broker = Broker::start(port);
    let subscriber = Subscriber::start(port);
    subscriber.wait_until_subscribed();
    station.wait_until_delivered();
    eventually("a live link", || station.link.is_online());
    station.stop();
}

#[cfg(feature = "websocket")]
#[needs(mosquitto)]
#[test]
fn events_arrive_through_a_websocket() {
    let authority = Authority::new();
    let identity = authority.issue("broker", &["localhost"], GOOD_YEARS);
    let port = free_port();
    let _broker = Broker::start_with(port, "protocol websockets");
    let through = |params: Params| {
        let endpoint = Endpoint { websocket_path: Some("/mqtt".to_owned()), ..params.endpoint };
        station(Params { endpoint, hold_without_subscriber: false, ..params })
    };
    through(Station::params(port)).wait_until_delivered();
    let port = free_port();
    let _broker = Broker::start_with(port, &listener(&authority, &identity, "protocol websockets"));
    through(params(port, &trusting(&authority))).wait_until_delivered();
    let port = free_port();
    let expired = authority.issue("expired", &["localhost"], (2020, 2022));
    let _broker = Broker::start_with(port, &listener(&authority, &expired, "protocol websockets"));
    let refused = through(params(port, &trusting(&authority)));
    assert!(refused.wait_for_refusal().contains("has expired"));
}
