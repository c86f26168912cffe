//! What lives as long as one connection: what is sent, what was answered, and what has to happen when.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use log::warn;

use super::command::Reply;
use super::connection::{Answer, BrokerLimits, Connection, Loss, Message, Signal, packet_bytes};
use super::lanes::Lanes;
use super::link::Settings;
use super::rate::Bucket;
use super::settlement::{Fate, Settled, Settlement};
use super::states::Context;
use super::suspects::Suspects;
use super::window::{Sent, Window};
use super::{Desk, LinkEvent, backoff, messages};
use crate::domain::Health;
use crate::journal::{EventClass, JournalError, OutboxRow};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Pause after `device.db` could not be read.
const FAULT_PAUSE: Duration = Duration::from_secs(1);
/// A ping unanswered for this share of the time between pings, which begins with a ping, is the end of the link. So a
/// link that dies is noticed within 1.4 times that time.
const PING_SHARE: f64 = 0.4;
/// For a large message the stall timer waits longer: the slowest link that is of use takes a second for so much.
const SLOWEST_BYTES_PER_S: usize = 1024;
const ENDS_CONNECTION: &str = "the broker ends the connection at this event";
/// Signals that are handled before the queue is looked at again.
const SIGNALS_MAX: usize = 256;

pub struct Session {
    pub connection: Connection,
    pub settlement: Settlement,
    pub replies: Replies,
    window: Window,
    limits: BrokerLimits,
    lanes: Lanes,
    /// Messages that go before all events.
    control: VecDeque<Control>,
    hold: Hold,
    /// When rows that were refused are tried again.
    rewind_at: Option<Instant>,
    refusals: u32,
    rate: Bucket,
    health_at: Instant,
    /// Since when a ping waits for anything to be heard.
    ping_sent: Option<Instant>,
    last_progress: Instant,
    pub began: Instant,
    /// Events that are still to be sent one at a time: at one of them the broker ends the connection.
    pub singly: usize,
    pub suspects: Suspects,
    /// Events that the broker took.
    pub accepted: u64,
}

enum Control {
    Publish(Message, Sent),
    Subscribe(String),
}

/// The broker holds the queue up.
#[derive(Default)]
struct Hold {
    until: Option<Instant>,
    /// In a row.
    count: u32,
}

/// Answers to commands that the broker has not acknowledged yet. They outlive a connection.
#[derive(Default)]
pub struct Replies {
    open: BTreeMap<u64, Reply>,
    last: u64,
}

impl Session {
    pub fn new(connection: Connection, limits: BrokerLimits, replies: Replies, context: &Context) -> Self {
        let now = Instant::now();
        let in_flight = usize::from(context.params.in_flight);
        let mut session = Session {
            connection,
            settlement: Settlement::default(),
            replies: Replies { last: replies.last, ..Replies::default() },
            window: Window::new(in_flight.min(limits.receive_max)),
            limits,
            lanes: Lanes::new(),
            control: VecDeque::new(),
            hold: Hold::default(),
            rewind_at: None,
            refusals: 0,
            rate: Bucket::new(context.around.link.settings().bytes_per_s_max, now),
            health_at: now,
            ping_sent: None,
            last_progress: now,
            began: now,
            singly: 0,
            suspects: Suspects::default(),
            accepted: 0,
        };
        session.introduce(context);
        session.add_replies(replies.open.into_values(), context);
        session
    }

    fn introduce(&mut self, context: &Context) {
        let depth = context.around.reader.outbox_depth().ok().map(|depth| depth.total());
        let status = messages::online(&context.params, context.around.link.settings(), depth);
        self.control.push_back(Control::Publish(status, Sent::Status));
        if context.around.desk.is_some() {
            self.control.push_back(Control::Subscribe(format!("{}/cmd/+/+", context.params.prefix)));
        }
    }

    fn add_replies(&mut self, replies: impl IntoIterator<Item = Reply>, context: &Context) {
        for reply in replies {
            self.replies.last += 1;
            let message = messages::reply(&context.params, &reply.topic, reply.payload.clone());
            self.control.push_back(Control::Publish(message, Sent::Reply(self.replies.last)));
            self.replies.open.insert(self.replies.last, reply);
        }
    }

    /// There may be new rows, new answers to commands, or other settings.
    pub fn woken(&mut self, context: &Context) {
        self.lanes.woken();
        if let Some(desk) = &context.around.desk {
            self.add_replies(desk.take_replies(), context);
        }
    }

    /// Whether nothing is left to do until something happens.
    pub fn is_idle(&self, settings: Settings) -> bool {
        !self.has_work(settings) && self.is_settled() && self.suspects.is_empty()
    }

    /// Whether everything that was sent was answered, and `device.db` knows it.
    fn is_settled(&self) -> bool {
        self.window.is_empty() && self.settlement.open() == 0
    }

    pub fn has_work(&self, settings: Settings) -> bool {
        let waits = self.hold.until.is_some() || self.rewind_at.is_some();
        waits || !self.control.is_empty() || self.lanes.may_have_rows(settings.last_class())
    }

    /// Hands over what there is room for.
    pub fn fill(&mut self, context: &Context) -> Result<(), Loss> {
        self.send_control()?;
        let settings = context.around.link.settings();
        self.rate.set_rate(settings.bytes_per_s_max, Instant::now());
        while self.may_send(context) && self.send_next(context, settings.last_class())? {}
        if !self.has_work(settings) && self.is_settled() && !self.suspects.is_empty() {
            // There is no other event that could show that it is them.
            self.suspects.acquit();
            self.rewind_later(context);
        }
        Ok(())
    }

    fn send_control(&mut self) -> Result<(), Loss> {
        while let Some(next) = self.control.front()
            && self.window.takes(next.bytes())
        {
            match self.control.pop_front() {
                Some(Control::Publish(message, sent)) => self.publish(message, sent)?,
                Some(Control::Subscribe(filter)) => {
                    self.hand_over(Sent::Subscription, 0);
                    self.connection.subscribe(filter)?;
                }
                None => return Ok(()),
            }
        }
        Ok(())
    }

    fn may_send(&self, context: &Context) -> bool {
        let open = self.window.len() + self.settlement.open();
        open < usize::from(context.params.in_flight)
            && self.control.is_empty()
            && self.hold.until.is_none()
            && (self.singly == 0 || self.window.is_empty())
            && self.rate.wait(Instant::now()).is_zero()
    }

    /// Hands the next event over. False if there is none, or no room for it.
    fn send_next(&mut self, context: &Context, last: EventClass) -> Result<bool, Loss> {
        let (window, settlement, suspects) = (&self.window, &self.settlement, &self.suspects);
        let is_known = |row| window.contains(row) || settlement.contains(row) || suspects.contains(row);
        let read = |class, after, limit| context.around.reader.outbox(class, after, limit);
        let (class, bytes) = match self.lanes.front(last, is_known, read) {
            Ok(Some(row)) => (row.class, event_bytes(context, row)),
            Ok(None) => return Ok(false),
            Err(error) => return Ok(self.after_read_error(context, &error)),
        };
        if bytes <= self.limits.packet_bytes_max && !self.window.takes(bytes) {
            return Ok(false);
        }
        let Some(row) = self.lanes.take(class) else { return Ok(false) };
        if bytes > self.limits.packet_bytes_max {
            self.set_aside(&row, bytes);
        } else {
            self.send(context, row, bytes)?;
        }
        Ok(true)
    }

    fn send(&mut self, context: &Context, row: OutboxRow, bytes: usize) -> Result<(), Loss> {
        let message = Message {
            topic: row.whole_topic(&context.params.prefix),
            payload: Bytes::from(row.payload),
            retain: false,
            content_type: content_type(row.class),
        };
        self.rate.take(bytes, Instant::now());
        self.publish(message, Sent::Event(row.id))
    }

    fn set_aside(&mut self, row: &OutboxRow, bytes: usize) {
        let limit = self.limits.packet_bytes_max;
        let reason = format!("a packet of {bytes} bytes; this broker takes {limit}");
        self.settlement.add(row.id, Fate::Impossible(reason), Instant::now());
    }

    pub fn publish(&mut self, message: Message, sent: Sent) -> Result<(), Loss> {
        self.hand_over(sent, message.packet_bytes());
        self.connection.publish(message)
    }

    fn hand_over(&mut self, sent: Sent, bytes: usize) {
        if self.window.is_empty() {
            self.last_progress = Instant::now();
        }
        self.window.handed_over(sent, bytes);
    }

    /// Pauses; a database that is locked or on a failing card may be readable again.
    fn after_read_error(&mut self, context: &Context, error: &JournalError) -> bool {
        self.hold_until(context, Instant::now() + FAULT_PAUSE, error.to_string());
        false
    }

    /// Handles a signal and those that came with it.
    pub fn handle_all(&mut self, context: &Context, first: Signal) -> Result<(), Loss> {
        self.handle(context, first)?;
        for _ in 1..SIGNALS_MAX {
            match self.connection.signal_now() {
                Some(signal) => self.handle(context, signal)?,
                None => break,
            }
        }
        Ok(())
    }

    pub fn handle(&mut self, context: &Context, signal: Signal) -> Result<(), Loss> {
        let now = Instant::now();
        match signal {
            Signal::Sent(packet) => {
                self.window.numbered(packet);
                self.last_progress = now;
                return Ok(());
            }
            Signal::PingSent => {
                self.ping_sent = Some(now);
                return Ok(());
            }
            Signal::Lost(loss) => return Err(loss),
            Signal::Connected(_) => return Err(Loss::Broken("the broker connected twice".to_owned())),
            Signal::Answered(packet, answer) => self.answered(context, packet, answer)?,
            Signal::Subscribed(packet, granted) => self.subscribed(packet, granted),
            Signal::Incoming(incoming) => context.around.desk.iter().for_each(|desk| desk.hand_in(incoming.clone())),
            Signal::Pong => (),
        }
        self.ping_sent = None;
        Ok(())
    }

    fn subscribed(&mut self, packet: u16, granted: bool) {
        self.last_progress = Instant::now();
        self.window.acknowledged(packet);
        if !granted {
            warn!("the broker does not let this device receive commands; correct its access list");
        }
    }

    fn answered(&mut self, context: &Context, packet: u16, answer: Answer) -> Result<(), Loss> {
        let Some(sent) = self.window.acknowledged(packet) else { return Ok(()) };
        self.last_progress = Instant::now();
        match (sent, answer) {
            (Sent::Event(row), answer) => self.event_answered(context, row, answer),
            (Sent::Status, Answer::NotAuthorised) => Err(not_authorised(context)),
            (Sent::Reply(number), _) => {
                self.replies.open.remove(&number);
                Ok(())
            }
            (Sent::Status | Sent::Subscription, _) => Ok(()),
        }
    }

    fn event_answered(&mut self, context: &Context, row: i64, answer: Answer) -> Result<(), Loss> {
        match answer {
            Answer::NotAuthorised => return Err(not_authorised(context)),
            Answer::NoSubscriber if context.params.hold_without_subscriber => {
                self.hold(context, "nobody has subscribed to the results".to_owned());
            }
            Answer::Accepted | Answer::NoSubscriber => self.accepted(row),
            Answer::Later(reason) => self.hold(context, reason),
            Answer::Unacceptable(reason) => self.refused(row, reason),
        }
        Ok(())
    }

    fn accepted(&mut self, row: i64) {
        self.hold.count = 0;
        self.accepted += 1;
        self.singly = self.singly.saturating_sub(1);
        self.settlement.add(row, Fate::Delivered, Instant::now());
        for guilty in self.suspects.accepted(row) {
            self.refused(guilty, ENDS_CONNECTION.to_owned());
        }
    }

    fn refused(&mut self, row: i64, reason: String) {
        self.settlement.add(row, Fate::Refused(reason), Instant::now());
    }

    /// The broker said that it ended the connection because of an event. If only one was on its way, it was that one.
    pub fn convict(&mut self, reason: &str) {
        if let Some(row) = self.window.only_event() {
            self.refused(row, reason.to_owned());
        }
    }

    /// The connection broke without a reason. If events are sent singly, the one on its way may be why.
    pub fn suspect(&mut self) {
        if let Some(row) = self.window.only_event()
            && self.singly > 0
            && self.suspects.broke_at(row)
        {
            self.refused(row, ENDS_CONNECTION.to_owned());
        }
    }

    pub fn has_events_on_their_way(&self) -> bool {
        self.window.has_events()
    }

    /// Stops sending for a while; afterwards the queue is read from its start again.
    fn hold(&mut self, context: &Context, reason: String) {
        if self.hold.until.is_none() {
            let pause = backoff::pause(FIRST_PAUSE, context.params.retry_max, self.hold.count, backoff::random());
            self.hold_until(context, Instant::now() + pause, reason);
        }
    }

    fn hold_until(&mut self, context: &Context, until: Instant, reason: String) {
        self.hold.until = Some(until);
        self.hold.count = self.hold.count.saturating_add(1);
        if self.hold.count == 1 {
            warn!("holding the queue: {reason}");
        }
        (context.around.report)(LinkEvent::Held(reason));
    }

    /// To be called with what `settlement.finished` gave.
    pub fn after_settlement(&mut self, context: &Context, mut settled: Settled) {
        tell(context, &settled);
        self.settlement.after(&mut settled, Instant::now());
        if settled.again > 0 {
            self.rewind_later(context);
        }
    }

    /// Rows that were left out are tried again after a pause; the others go on.
    fn rewind_later(&mut self, context: &Context) {
        let pause = backoff::pause(FIRST_PAUSE, context.params.retry_max, self.refusals, backoff::random());
        self.refusals = self.refusals.saturating_add(1);
        self.rewind_at.get_or_insert(Instant::now() + pause);
    }

    /// When `on_time` has something to do.
    pub fn deadline(&self, context: &Context) -> Instant {
        let stall = (!self.window.is_empty()).then(|| self.last_progress + self.stall_limit(context));
        let ping = self.ping_sent.map(|sent| sent + self.ping_limit());
        let rate = Some(self.rate.wait(Instant::now())).filter(|wait| !wait.is_zero());
        let rate = rate.map(|wait| Instant::now() + wait);
        let others = [stall, ping, rate, self.hold.until, self.rewind_at, self.settlement.due()];
        others.into_iter().flatten().fold(self.health_at, Instant::min)
    }

    /// Does what is due.
    pub fn on_time(&mut self, context: &Context) -> Result<(), Loss> {
        let now = Instant::now();
        let stall = self.stall_limit(context);
        if !self.window.is_empty() && now >= self.last_progress + stall {
            return Err(Loss::Dead(format!("no acknowledgement for {:.1} s", stall.as_secs_f64())));
        }
        if self.ping_sent.is_some_and(|sent| now >= sent + self.ping_limit()) {
            return Err(Loss::Dead(format!("no answer to a ping for {:.1} s", self.ping_limit().as_secs_f64())));
        }
        let due = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if due(self.hold.until) || due(self.rewind_at) {
            self.hold.until = self.hold.until.filter(|until| *until > now);
            self.rewind_at = self.rewind_at.filter(|at| *at > now);
            self.lanes.rewind();
        }
        if self.health_at <= now {
            self.health_at = now + context.params.health;
            self.send_health(context);
        }
        Ok(())
    }

    fn stall_limit(&self, context: &Context) -> Duration {
        let allowance = Duration::from_secs((self.window.bytes_largest() / SLOWEST_BYTES_PER_S) as u64);
        (context.params.stall + allowance).min(self.limits.keep_alive.mul_f64(1.0 + PING_SHARE))
    }

    fn ping_limit(&self) -> Duration {
        self.limits.keep_alive.mul_f64(PING_SHARE)
    }

    fn send_health(&self, context: &Context) {
        let reader = &context.around.reader;
        let (Ok(depth), Ok(losses), Ok(full)) = (reader.outbox_depth(), reader.losses(), reader.full()) else { return };
        let time = Timestamp::now();
        let mut device = (context.around.health)();
        device.drops.commands_refused = context.around.desk.as_ref().map_or(0, Desk::refused);
        let boot_id = context.params.boot_id.clone();
        let health = Health { time, boot_id, queue: depth.health(time), losses, full, device };
        self.connection.publish_once(messages::health(&context.params, &health));
    }
}

impl Control {
    fn bytes(&self) -> usize {
        match self {
            Control::Publish(message, _) => message.packet_bytes(),
            Control::Subscribe(_) => 0,
        }
    }
}

/// Reports and logs what became of rows.
pub fn tell(context: &Context, settled: &Settled) {
    if settled.delivered > 0 {
        (context.around.report)(LinkEvent::Delivered(settled.delivered));
    }
    for (row, reason) in &settled.set_aside {
        warn!("event {row} of the queue is set aside: {reason}");
        (context.around.report)(LinkEvent::SetAside(*row, reason.clone()));
    }
    if let Some(error) = &settled.error {
        warn!("{error}; answered events stay in the queue for now");
    }
}

fn not_authorised(context: &Context) -> Loss {
    let prefix = &context.params.prefix;
    Loss::Refused(format!("the broker does not let this device publish below {prefix}; correct its access list"))
}

fn content_type(class: EventClass) -> &'static str {
    match class {
        EventClass::Thumbnail => "image/jpeg",
        _ => "application/cloudevents+json",
    }
}

fn event_bytes(context: &Context, row: &OutboxRow) -> usize {
    let topic = row.whole_topic(&context.params.prefix).len();
    packet_bytes(topic, content_type(row.class).len(), row.payload.len())
}
