//! The uplink's modes: connecting, online, offline. Each is a function that returns the next one.

use std::time::Duration;

use bytes::Bytes;
use log::{info, warn};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Answer, Connection, Message, Signal};
use super::window::{Sent, Window};
use super::{Link, LinkEvent, Params, backoff};
use crate::journal::{EventClass, Journal, JournalError, OutboxRow, Reader};

/// Includes the name look-up, which the client library does not bound.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pause after `device.db` refused a deletion.
const DELETION_PAUSE: Duration = Duration::from_secs(1);
/// Headers of a publish besides topic and payload, rounded up.
const PUBLISH_OVERHEAD_BYTES: usize = 128;

pub(super) struct Uplink {
    params: Params,
    link: Link,
    reader: Reader,
    journal: Journal,
    report: Box<dyn Fn(LinkEvent) + Send>,
    stopped: watch::Receiver<bool>,
    /// Attempts since the broker last acknowledged something. One that accepts connections and drops them at once
    /// does not reset the pauses.
    attempts: u32,
}

enum Mode {
    Connecting,
    Online(Box<Session>),
    Offline,
    Stopped,
}

/// What lives as long as one connection.
struct Session {
    connection: Connection,
    window: Window,
    packet_bytes_max: usize,
    /// The last row of each class that was handed over.
    after: [i64; EventClass::ALL.len()],
    /// Whether the outbox may hold rows of the class beyond it.
    more: [bool; EventClass::ALL.len()],
    /// The broker holds the queue up until then.
    held_until: Option<Instant>,
    holds: u32,
    /// Acknowledged rows that are still in the outbox.
    acknowledged: Vec<i64>,
    deletion: Option<Deletion>,
    last_progress: Instant,
    /// Answers of the broker so far.
    acknowledgements: u64,
}

/// The number of deleted rows, or the rows that could not be deleted and why.
type Deleted = Result<usize, (Vec<i64>, JournalError)>;
type Deletion = JoinHandle<Deleted>;

/// What a session waits for.
enum Happened {
    Signal(Signal),
    Woken,
    Deleted(Deleted),
    Stalled,
    HoldOver,
    Stopped,
}

/// Why a session ends.
enum End {
    Lost(String),
    Stopped,
}

#[derive(Serialize)]
struct Status<'a> {
    state: &'static str,
    boot_id: &'a str,
    software: &'static str,
    package: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_depth: Option<u64>,
}

impl Uplink {
    pub fn new(
        params: Params,
        link: Link,
        reader: Reader,
        journal: Journal,
        report: Box<dyn Fn(LinkEvent) + Send>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        Uplink { params, link, reader, journal, report, stopped, attempts: 0 }
    }

    pub async fn run(&mut self) {
        let mut mode = Mode::Connecting;
        loop {
            mode = match mode {
                Mode::Connecting => self.connect().await,
                Mode::Online(session) => self.serve(*session).await,
                Mode::Offline => self.rest().await,
                Mode::Stopped => return,
            }
        }
    }

    async fn connect(&mut self) -> Mode {
        let mut connection = Connection::open(&self.params, self.status("offline", None));
        let mut stopped = self.stopped.clone();
        let signal = tokio::select! {
            signal = timeout(CONNECT_TIMEOUT, connection.signal()) => signal,
            _ = stopped.wait_for(|stopped| *stopped) => return Mode::Stopped,
        };
        match signal {
            Ok(Signal::Connected { packet_bytes_max, receive_max }) => {
                self.go_online(connection, packet_bytes_max, receive_max)
            }
            Ok(Signal::Lost(reason)) => self.go_offline(reason),
            Ok(unexpected) => self.go_offline(format!("the broker began with {unexpected:?}")),
            Err(_) => self.go_offline(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
        }
    }

    fn go_online(&mut self, connection: Connection, bytes_max: Option<u32>, receive_max: Option<u16>) -> Mode {
        let mut session = Session::new(connection, self.params.in_flight, bytes_max, receive_max);
        let depth = self.queue_depth();
        if let Err(reason) = session.publish(self.status("online", depth), Sent::Status) {
            return self.go_offline(reason);
        }
        info!("connected to {}:{}", self.params.host, self.params.port);
        self.link.online.store(true, std::sync::atomic::Ordering::Relaxed);
        (self.report)(LinkEvent::Online);
        Mode::Online(Box::new(session))
    }

    fn go_offline(&mut self, reason: String) -> Mode {
        self.link.online.store(false, std::sync::atomic::Ordering::Relaxed);
        if self.attempts == 0 {
            warn!("no link to {}:{}: {reason}", self.params.host, self.params.port);
        }
        (self.report)(LinkEvent::Offline(reason));
        Mode::Offline
    }

    /// Waits before the next attempt.
    async fn rest(&mut self) -> Mode {
        let pause = backoff::pause(FIRST_PAUSE, self.params.retry_max, self.attempts, backoff::random());
        self.attempts = self.attempts.saturating_add(1);
        match timeout(pause, self.stopped.wait_for(|stopped| *stopped)).await {
            Ok(_) => Mode::Stopped,
            Err(_elapsed) => Mode::Connecting,
        }
    }

    async fn serve(&mut self, mut session: Session) -> Mode {
        let end = loop {
            if let Err(end) = self.step(&mut session).await {
                break end;
            }
        };
        if let End::Stopped = end {
            self.say_goodbye(&mut session).await;
        }
        session.finish_deletions(&self.journal, &self.report).await;
        if session.acknowledgements > 0 {
            self.attempts = 0;
        }
        match end {
            End::Stopped => Mode::Stopped,
            End::Lost(reason) => self.go_offline(reason),
        }
    }

    /// Hands over what there is room for, then waits for the next thing to happen.
    async fn step(&mut self, session: &mut Session) -> Result<(), End> {
        self.fill(session).map_err(End::Lost)?;
        session.start_deletion(&self.journal);
        let stall = (!session.window.is_empty()).then(|| session.last_progress + self.params.stall);
        let mut stopped = self.stopped.clone();
        let happened = tokio::select! {
            signal = session.connection.signal() => Happened::Signal(signal),
            () = self.link.wake.notified() => Happened::Woken,
            result = finished(&mut session.deletion) => Happened::Deleted(result),
            () = until(stall) => Happened::Stalled,
            () = until(session.held_until) => Happened::HoldOver,
            _ = stopped.wait_for(|stopped| *stopped) => Happened::Stopped,
        };
        match happened {
            Happened::Signal(signal) => self.handle(session, signal)?,
            Happened::Woken => session.more = [true; EventClass::ALL.len()],
            Happened::Deleted(result) => session.after_deletion(result, &self.report),
            Happened::HoldOver => session.resume(),
            Happened::Stalled => return Err(End::Lost(format!("no acknowledgement for {:?}", self.params.stall))),
            Happened::Stopped => return Err(End::Stopped),
        }
        Ok(())
    }

    fn handle(&self, session: &mut Session, signal: Signal) -> Result<(), End> {
        match signal {
            Signal::Sent(packet) => session.window.numbered(packet),
            Signal::Answered(packet, answer) => self.answered(session, packet, answer),
            Signal::Lost(reason) => return Err(End::Lost(reason)),
            Signal::Connected { .. } => return Err(End::Lost("the broker connected twice".to_owned())),
        }
        Ok(())
    }

    fn answered(&self, session: &mut Session, packet: u16, answer: Answer) {
        session.last_progress = Instant::now();
        session.acknowledgements += 1;
        let Some(Sent::Row(id)) = session.window.acknowledged(packet) else { return };
        match answer {
            Answer::Accepted => {
                session.holds = 0;
                session.acknowledged.push(id);
            }
            Answer::NoSubscriber if !self.params.hold_without_subscriber => session.acknowledged.push(id),
            Answer::NoSubscriber => self.hold(session, "nobody has subscribed to the results".to_owned()),
            Answer::Refused(reason) => self.hold(session, format!("the broker refused an event: {reason:?}")),
        }
    }

    /// Stops sending for a while; afterwards the queue is read from its start again.
    fn hold(&self, session: &mut Session, reason: String) {
        if session.held_until.is_some() {
            return;
        }
        let pause = backoff::pause(FIRST_PAUSE, self.params.retry_max, session.holds, backoff::random());
        session.held_until = Some(Instant::now() + pause);
        session.holds = session.holds.saturating_add(1);
        if session.holds == 1 {
            warn!("holding the queue: {reason}");
        }
        (self.report)(LinkEvent::Held(reason));
    }

    fn fill(&self, session: &mut Session) -> Result<(), String> {
        EventClass::ALL.into_iter().try_for_each(|class| self.fill_from(session, class))
    }

    fn fill_from(&self, session: &mut Session, class: EventClass) -> Result<(), String> {
        // Rows are fetched some at a time, not one by one at every acknowledgement.
        while session.may_send(class) && session.window.is_roomy() {
            let after = session.after[class as usize];
            let rows = self.reader.outbox(class, after, session.window.room()).map_err(|error| error.to_string())?;
            session.more[class as usize] = !rows.is_empty();
            for row in rows {
                session.after[class as usize] = row.id;
                self.send(session, row)?;
            }
        }
        Ok(())
    }

    fn send(&self, session: &mut Session, row: OutboxRow) -> Result<(), String> {
        if session.window.contains(row.id) {
            return Ok(());
        }
        let topic = row.whole_topic(&self.params.prefix);
        let bytes = topic.len() + row.payload.len() + PUBLISH_OVERHEAD_BYTES;
        if bytes > session.packet_bytes_max {
            let limit = session.packet_bytes_max;
            self.hold(session, format!("event {} has {bytes} bytes, the broker takes {limit}", row.event_id));
            return Ok(());
        }
        let content_type = match row.class {
            EventClass::Thumbnail => "image/jpeg",
            _ => "application/cloudevents+json",
        };
        let message = Message { topic, payload: Bytes::from(row.payload), retain: false, content_type };
        session.publish(message, Sent::Row(row.id))
    }

    async fn say_goodbye(&self, session: &mut Session) {
        let farewell = self.status("offline", self.queue_depth());
        if session.publish(farewell, Sent::Status).is_err() {
            return;
        }
        session.connection.disconnect();
        let listen = async {
            loop {
                let signal = session.connection.signal().await;
                if self.handle(session, signal).is_err() {
                    return;
                }
            }
        };
        // A broker that does not answer publishes our will instead.
        let _ = timeout(GOODBYE_TIMEOUT, listen).await;
    }

    fn queue_depth(&self) -> Option<u64> {
        self.reader.outbox_depth().ok().map(|depth| depth.total())
    }

    fn status(&self, state: &'static str, queue_depth: Option<u64>) -> Message {
        let status = Status {
            state,
            boot_id: &self.params.boot_id,
            software: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
            package: &self.params.package,
            queue_depth,
        };
        let payload = serde_json::to_vec(&status).expect("a status has string keys");
        Message {
            topic: format!("{}/status", self.params.prefix),
            payload: Bytes::from(payload),
            retain: true,
            content_type: "application/json",
        }
    }
}

impl Session {
    fn new(connection: Connection, in_flight: u16, bytes_max: Option<u32>, receive_max: Option<u16>) -> Self {
        Session {
            connection,
            window: Window::new(in_flight.min(receive_max.unwrap_or(u16::MAX))),
            packet_bytes_max: bytes_max.map_or(usize::MAX, |bytes| bytes as usize),
            after: [0; EventClass::ALL.len()],
            more: [true; EventClass::ALL.len()],
            held_until: None,
            holds: 0,
            acknowledged: Vec::new(),
            deletion: None,
            last_progress: Instant::now(),
            acknowledgements: 0,
        }
    }

    fn publish(&mut self, message: Message, sent: Sent) -> Result<(), String> {
        if self.window.is_empty() {
            self.last_progress = Instant::now();
        }
        self.connection.publish(message)?;
        self.window.handed_over(sent);
        Ok(())
    }

    fn may_send(&self, class: EventClass) -> bool {
        self.more[class as usize] && self.held_until.is_none()
    }

    /// Reads the queue from its start again, once no acknowledged row is left in it.
    fn resume(&mut self) {
        if self.acknowledged.is_empty() && self.deletion.is_none() {
            self.held_until = None;
            self.after = [0; EventClass::ALL.len()];
            self.more = [true; EventClass::ALL.len()];
        } else {
            self.held_until = Some(Instant::now() + Duration::from_millis(50));
        }
    }

    /// Deletes what was acknowledged meanwhile, on another thread: a sync of the card may take long.
    fn start_deletion(&mut self, journal: &Journal) {
        if self.deletion.is_some() || self.acknowledged.is_empty() {
            return;
        }
        let sequences = std::mem::take(&mut self.acknowledged);
        let journal = journal.clone();
        self.deletion = Some(tokio::task::spawn_blocking(move || {
            let count = sequences.len();
            journal.delivered(sequences.clone()).map(|()| count).map_err(|error| {
                std::thread::sleep(DELETION_PAUSE);
                (sequences, error)
            })
        }));
    }

    fn after_deletion(&mut self, result: Deleted, report: &dyn Fn(LinkEvent)) {
        self.deletion = None;
        match result {
            Ok(count) => report(LinkEvent::Delivered(count)),
            Err((sequences, error)) => {
                warn!("{error}; acknowledged events stay in the queue for now");
                self.acknowledged.extend(sequences);
            }
        }
    }

    /// Before the queue is read by another session: what was acknowledged must be out of it. One try each; a row
    /// that stays is sent again, and its receiver ignores the known id.
    async fn finish_deletions(&mut self, journal: &Journal, report: &dyn Fn(LinkEvent)) {
        for _ in 0..2 {
            self.start_deletion(journal);
            if self.deletion.is_some() {
                let result = finished(&mut self.deletion).await;
                self.after_deletion(result, report);
            }
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

async fn finished(deletion: &mut Option<Deletion>) -> Deleted {
    match deletion {
        Some(task) => task.await.unwrap_or_else(|_| Err((Vec::new(), JournalError::Stopped))),
        None => std::future::pending().await,
    }
}
