//! Checks what the daemon reports to the service manager.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::{Device, eventually, exit_code};

#[test]
fn the_service_manager_hears_ready_then_beats_then_stopping() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let hear = || {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("a message within a minute");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let mut device = Device::new(None);
    device.start_with(|command| {
        command.env("NOTIFY_SOCKET", &path);
    });
    assert_eq!(hear(), "EXTEND_TIMEOUT_USEC=3600000000", "the database may have to be mended");
    assert_eq!(hear(), "READY=1");
    // Nothing happens, but the loop still shows that it is running.
    assert_eq!([hear(), hear(), hear()], ["WATCHDOG=1"; 3]);
    device.terminate();
    let last = (0..10).map(|_| hear()).find(|heard| heard != "WATCHDOG=1");
    assert_eq!(last.as_deref(), Some("STOPPING=1"));
}

#[test]
fn a_signal_that_comes_while_the_daemon_starts_stops_it_in_an_orderly_way() {
    for _ in 0..5 {
        let mut device = Device::new(None);
        device.start();
        let database = device.data_dir().join("device.db");
        eventually("a database", || database.exists());
        assert_eq!(exit_code(device.terminate()), 0);
    }
}
