//! The states of the uplink. Each is a function that returns the next one.

use std::time::{Duration, Instant};

use log::{info, warn};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::connection::{BrokerLimits, Connection, Loss, Signal};
use super::link::LinkState;
use super::session::{Replies, Session, tell};
use super::suspects::Suspects;
use super::window::Sent;
use super::{Around, Endpoint, LinkEvent, Params, backoff, messages};

/// Includes the name look-up, which the client library does not bound.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that stood so long was a good one, also if nothing had to be sent.
const GOOD_CONNECTION: Duration = Duration::from_secs(60);
/// Events that are sent one at a time while it is not known at which of them the broker ends the connection.
const SINGLY: usize = 300;
/// Connections in a row that took events and acknowledged none, after which events are sent one at a time.
const BARREN_MAX: u32 = 2;

pub struct Uplink {
    context: Context,
    stopped: watch::Receiver<bool>,
    /// Attempts since the broker last took something. One that accepts connections and drops them at once does not
    /// reset the pauses.
    attempts: u32,
    replies: Replies,
    /// Events that are still to be sent one at a time.
    singly: usize,
    suspects: Suspects,
    /// Connections in a row that took events and acknowledged none.
    barren: u32,
}

/// What the states share.
pub struct Context {
    pub params: Params,
    pub around: Around,
}

enum State {
    Connecting,
    Draining(Box<Session>),
    Live(Box<Session>),
    Offline,
    Refused,
    Stopped,
}

/// Why a session ends.
enum End {
    Lost(Loss),
    Stopped,
}

impl From<Loss> for End {
    fn from(loss: Loss) -> Self {
        End::Lost(loss)
    }
}

impl Uplink {
    pub fn new(params: Params, around: Around, stopped: watch::Receiver<bool>) -> Self {
        let context = Context { params, around };
        let (replies, suspects) = (Replies::default(), Suspects::default());
        Uplink { context, stopped, attempts: 0, replies, singly: 0, suspects, barren: 0 }
    }

    pub async fn run(&mut self) {
        let mut state = State::Connecting;
        loop {
            self.context.around.link.enter(state.name());
            state = match state {
                State::Connecting => self.connect().await,
                State::Draining(session) => self.drain(session).await,
                State::Live(session) => self.live(session).await,
                State::Offline => self.rest().await,
                State::Refused => self.wait_for_a_change().await,
                State::Stopped => return,
            }
        }
    }

    async fn connect(&mut self) -> State {
        let mut connection = Connection::open(&self.context.params, messages::offline(&self.context.params, None));
        let mut stopped = self.stopped.clone();
        let signal = tokio::select! {
            signal = timeout(CONNECT_TIMEOUT, connection.signal()) => signal,
            _ = stopped.wait_for(|stopped| *stopped) => return State::Stopped,
        };
        match signal {
            Ok(Signal::Connected(limits)) => self.connected(connection, limits),
            Ok(Signal::Lost(loss)) => self.lost(loss),
            Ok(unexpected) => self.lost(Loss::Broken(format!("the broker began with {unexpected:?}"))),
            Err(_) => self.lost(Loss::Broken(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    fn connected(&mut self, connection: Connection, limits: BrokerLimits) -> State {
        let Endpoint { host, port, .. } = &self.context.params.endpoint;
        info!("connected to {host}:{port}");
        let replies = std::mem::take(&mut self.replies);
        let mut session = Session::new(connection, limits, replies, &self.context);
        session.singly = self.singly;
        session.suspects = std::mem::take(&mut self.suspects);
        (self.context.around.report)(LinkEvent::Online);
        State::Draining(Box::new(session))
    }

    /// Delivers until nothing waits any more.
    async fn drain(&mut self, mut session: Box<Session>) -> State {
        loop {
            if let Err(loss) = session.fill(&self.context) {
                return self.end(session, End::Lost(loss)).await;
            }
            if session.is_idle(self.context.around.link.settings()) {
                return State::Live(session);
            }
            if let Err(end) = self.wait(&mut session).await {
                return self.end(session, end).await;
            }
        }
    }

    /// Everything is delivered; waits for something to send.
    async fn live(&mut self, mut session: Box<Session>) -> State {
        loop {
            if let Err(end) = self.wait(&mut session).await {
                return self.end(session, end).await;
            }
            if session.has_work(self.context.around.link.settings()) {
                return State::Draining(session);
            }
        }
    }

    /// Waits for the next thing to happen, and handles it.
    async fn wait(&mut self, session: &mut Session) -> Result<(), End> {
        let Context { params, around } = &self.context;
        session.settlement.start(&around.journal, usize::from(params.in_flight).div_ceil(2), Instant::now());
        let deadline = session.deadline(&self.context).into();
        tokio::select! {
            signal = session.connection.signal() => session.handle_all(&self.context, signal)?,
            () = around.link.woken() => session.woken(&self.context),
            settled = session.settlement.finished() => session.after_settlement(&self.context, settled),
            () = sleep_until(deadline) => session.on_time(&self.context)?,
            _ = self.stopped.wait_for(|stopped| *stopped) => return Err(End::Stopped),
        }
        Ok(())
    }

    async fn end(&mut self, mut session: Box<Session>, end: End) -> State {
        match &end {
            End::Stopped => self.say_goodbye(&mut session).await,
            End::Lost(Loss::Unacceptable(reason)) => {
                session.convict(reason);
                session.singly = SINGLY;
            }
            End::Lost(Loss::Broken(_)) => self.look_for_suspects(&mut session),
            End::Lost(_) => (),
        }
        session.settlement.finish(&self.context.around.journal, |settled| tell(&self.context, settled)).await;
        if session.accepted > 0 || session.began.elapsed() >= GOOD_CONNECTION {
            self.attempts = 0;
        }
        (self.replies, self.suspects, self.singly) = (session.replies, session.suspects, session.singly);
        match end {
            End::Stopped => State::Stopped,
            End::Lost(loss) => self.lost(loss),
        }
    }

    /// A broker may fall over an event, again and again, and say nothing. Then events are sent singly until it is known
    /// which.
    fn look_for_suspects(&mut self, session: &mut Session) {
        session.suspect();
        let barren = session.accepted == 0 && session.has_events_on_their_way();
        self.barren = if barren { self.barren + 1 } else { 0 };
        if self.barren >= BARREN_MAX {
            session.singly = SINGLY;
        }
    }

    fn lost(&mut self, loss: Loss) -> State {
        let Endpoint { host, port, .. } = &self.context.params.endpoint;
        let report = &self.context.around.report;
        match loss {
            Loss::Refused(reason) => {
                warn!("no link to {host}:{port}: {reason}");
                report(LinkEvent::Refused(reason));
                State::Refused
            }
            Loss::Broken(reason) | Loss::Dead(reason) | Loss::Unacceptable(reason) => {
                if self.attempts == 0 {
                    warn!("no link to {host}:{port}: {reason}");
                }
                report(LinkEvent::Offline(reason));
                State::Offline
            }
        }
    }

    /// Waits before the next attempt.
    async fn rest(&mut self) -> State {
        let pause = backoff::pause(FIRST_PAUSE, self.context.params.retry_max, self.attempts, backoff::random());
        self.attempts = self.attempts.saturating_add(1);
        self.pause(pause).await
    }

    /// Waits longer: the broker, or a certificate, will not change its mind soon.
    async fn wait_for_a_change(&mut self) -> State {
        let pause = self.context.params.refused_pause;
        self.pause(backoff::pause(pause, pause, 0, backoff::random())).await
    }

    async fn pause(&mut self, pause: Duration) -> State {
        match timeout(pause, self.stopped.wait_for(|stopped| *stopped)).await {
            Ok(_) => State::Stopped,
            Err(_elapsed) => State::Connecting,
        }
    }

    /// The broker closes the connection when it has read everything; closing it ourselves could throw that away.
    async fn say_goodbye(&self, session: &mut Session) {
        let depth = self.context.around.reader.outbox_depth().ok().map(|depth| depth.total());
        if session.publish(messages::offline(&self.context.params, depth), Sent::Status).is_err() {
            return;
        }
        session.connection.disconnect();
        let listen = async {
            loop {
                let signal = session.connection.signal().await;
                if session.handle(&self.context, signal).is_err() {
                    return;
                }
            }
        };
        // A broker that does not answer publishes our will instead.
        let _ = timeout(GOODBYE_TIMEOUT, listen).await;
    }
}

impl State {
    fn name(&self) -> LinkState {
        match self {
            State::Connecting => LinkState::Connecting,
            State::Draining(_) => LinkState::Draining,
            State::Live(_) => LinkState::Live,
            State::Offline | State::Stopped => LinkState::Offline,
            State::Refused => LinkState::Refused,
        }
    }
}
