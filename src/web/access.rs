//! Visitors of the field page, their roles and the pairing codes that admit them.
//!
//! People at the device itself may do everything. A visitor from the network needs a code that the device shows
//! (`bridgeclip pair`): six digits, valid for one visitor and ten minutes. In exchange for the code the browser
//! receives a random token, which it keeps in a cookie. The device keeps only the tokens' hashes.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use log::{info, warn};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::attempts::Attempts;
use super::elapsed::{Clock, Elapsed};
use crate::domain::{PersonName, Sha256, TagText};
use crate::durable::{self, PRIVATE, read_state};
use crate::random::secret;

/// Name of the visitors' file in the data folder.
const FILE_NAME: &str = "sessions.json";
/// Time for which a pairing code is valid.
pub const CODE_LIFE: Duration = Duration::from_secs(600);
/// Time for which an admitted visitor stays known, in seconds.
pub const SESSION_LIFE_S: u64 = 30 * 24 * 3600;
/// Maximum number of visitors that are known at the same time. One more replaces the visitor who was admitted first.
const SESSIONS_MAX: usize = 64;
/// Seconds between two writes of the elapsed time: a power cut loses no more than this, and each write wears the card.
const KEEP_EVERY_S: u64 = 600;
/// Number of digits of a visitor's id, out of the 64 of their token's hash.
const ID_DIGITS: usize = 8;

/// Rights of a visitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May see everything.
    Viewer,
    /// May also add photos, judge, tag and change settings.
    Inspector,
}

/// Person or program that makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    pub role: Role,
    /// Name that the visitor gave.
    pub name: Option<PersonName>,
    /// Id of an admitted visitor; `None` for people at the device itself.
    pub id: Option<String>,
}

impl Visitor {
    /// Returns the visitor that stands for everybody at the device itself.
    pub fn here() -> Self {
        Visitor { role: Role::Inspector, name: None, id: None }
    }

    /// Reports whether the visitor is at the device itself.
    pub fn is_here(&self) -> bool {
        self.id.is_none()
    }
}

/// Visitor as lists show them. All times are measured by the device's own [`Elapsed`] clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    pub id: String,
    pub name: PersonName,
    pub role: Role,
    /// Seconds since the visitor was admitted.
    pub since_s: u64,
    /// Seconds since the visitor's last request.
    pub seen_s: u64,
    /// Seconds until the visitor must pair again.
    pub left_s: u64,
    /// Address of the visitor's last request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// Admitted visitor as the file stores them. Times are seconds of [`Elapsed`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Session {
    token: Sha256,
    role: Role,
    name: PersonName,
    since_s: u64,
    seen_s: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

impl Session {
    fn id(&self) -> String {
        self.token.to_string()[..ID_DIGITS].to_owned()
    }

    fn left_s(&self, now_s: u64) -> u64 {
        SESSION_LIFE_S.saturating_sub(now_s.saturating_sub(self.since_s))
    }
}

/// Content of the visitors' file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    clock: Elapsed,
    sessions: Vec<Session>,
}

/// Visitors' file in the present form or in an older one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Kept(Kept),
    /// Form until version 0.1, where a session ended at a moment of the device's calendar.
    Calendar(Vec<CalendarSession>),
}

#[derive(Deserialize)]
struct CalendarSession {
    token: Sha256,
    role: Role,
    name: TagText,
    expires: Timestamp,
}

impl Default for Stored {
    fn default() -> Self {
        Stored::Kept(Kept::default())
    }
}

impl From<Stored> for Kept {
    /// Converts a file of either form. An old session's age is unknown, so it counts as new. Only one that has
    /// verifiably ended is dropped: its end is in the past, and later than any end that an unset calendar would have
    /// given.
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Kept(kept) => kept,
            Stored::Calendar(sessions) => {
                let now = Timestamp::now();
                let has_ended = |session: &CalendarSession| session.expires > PLAUSIBLE_FROM && session.expires <= now;
                let sessions = sessions.into_iter().filter(|session| !has_ended(session)).map(|session| {
                    let CalendarSession { token, role, name, .. } = session;
                    let name = PersonName::seen_of(&name);
                    Session { token, role, name, since_s: 0, seen_s: 0, address: None }
                });
                Kept { clock: Elapsed::default(), sessions: sessions.collect() }
            }
        }
    }
}

/// Earliest date that a set calendar can show, 2025-01-01: no device ran this program before.
const PLAUSIBLE_FROM: Timestamp = Timestamp::constant(1_735_689_600, 0);

#[derive(Debug)]
struct Code {
    digits: String,
    role: Role,
    made: Instant,
}

/// Reason for not admitting a visitor. It does not reveal whether a code exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    #[error("this is not a code that the device shows now; make one at the device with `bridgeclip pair`")]
    Wrong,
    #[error("too many codes were tried; wait {} s", .0.as_secs() + 1)]
    TooMany(Duration),
}

/// Pairing codes and visitors of one device.
pub struct Access {
    path: PathBuf,
    clock: Clock,
    attempts: Attempts,
    state: Mutex<State>,
    /// Lock for writing the file, so that the latest state is written last. Requests do not wait for it.
    writing: Mutex<()>,
    /// Channel that signals whenever visitors may have ceased to be known.
    left: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    code: Option<Code>,
    clock: Elapsed,
    sessions: Vec<Session>,
    /// Value of the elapsed clock at the last write of the file, in seconds.
    kept_s: u64,
}

impl Access {
    /// Opens the visitors' file of a data folder. If the file cannot be read, no visitor is known.
    pub fn open(data_dir: &Path, clock: Clock) -> Self {
        let path = data_dir.join(FILE_NAME);
        let Kept { clock: mut elapsed, sessions } = read_state::<Stored>(&path, "all visitors must pair again").into();
        elapsed.resume(&clock.boot_id);
        let kept_s = elapsed.now((clock.since_boot)());
        let state = Mutex::new(State { code: None, clock: elapsed, sessions, kept_s });
        let (left, _) = watch::channel(());
        Access { path, clock, attempts: Attempts::default(), state, writing: Mutex::default(), left }
    }

    /// Makes a pairing code, which replaces the last one.
    pub fn new_code(&self, role: Role) -> io::Result<String> {
        // A million does not divide 2^32, so codes below 967,296 are likelier than the others, by 1 in 4,294.
        let number = u32::from_le_bytes(secret()?) % 1_000_000;
        let digits = format!("{number:06}");
        self.state().code = Some(Code { digits: digits.clone(), role, made: Instant::now() });
        Ok(digits)
    }

    /// Admits the visitor who enters the right code, and returns their token and role.
    pub fn pair(
        &self,
        digits: &str,
        name: PersonName,
        address: IpAddr,
    ) -> Result<io::Result<(String, Role)>, PairError> {
        self.attempts.pass(address, Instant::now()).map_err(PairError::TooMany)?;
        let mut state = self.state();
        let code = state.code.take_if(|code| code.made.elapsed() < CODE_LIFE && is_same(&code.digits, digits));
        drop(state);
        let Some(Code { role, .. }) = code else {
            warn!("{address} has tried a wrong pairing code");
            return Err(PairError::Wrong);
        };
        info!("{} at {address} is let in as {role:?}", name.as_str());
        Ok(self.admit(role, name, address).map(|token| (token, role)))
    }

    fn admit(&self, role: Role, name: PersonName, address: IpAddr) -> io::Result<String> {
        let token: String = secret::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let hash = Sha256::of(token.as_bytes());
        let mut state = self.state();
        let now_s = self.now_s(&state);
        state.sessions.retain(|session| session.left_s(now_s) > 0);
        if state.sessions.len() >= SESSIONS_MAX {
            state.sessions.remove(0);
        }
        let address = Some(address);
        state.sessions.push(Session { token: hash, role, name, since_s: now_s, seen_s: now_s, address });
        drop(state);
        if let Err(error) = self.keep() {
            self.state().sessions.retain(|session| session.token != hash);
            return Err(error);
        }
        Ok(token)
    }

    /// Returns the visitor who carries this token, and notes the time and the address of their request.
    pub fn visitor(&self, token: &str, address: IpAddr) -> Option<Visitor> {
        let token = Sha256::of(token.as_bytes());
        let mut state = self.state();
        let now_s = self.now_s(&state);
        let session = state.sessions.iter_mut().find(|session| session.token == token && session.left_s(now_s) > 0)?;
        (session.seen_s, session.address) = (now_s, Some(address));
        Some(Visitor { role: session.role, name: Some(session.name.clone()), id: Some(session.id()) })
    }

    /// Returns how long the visitor with this id stays known; `None` if they are no longer known.
    fn left(&self, id: &str) -> Option<Duration> {
        let state = self.state();
        let now_s = self.now_s(&state);
        let left_s = state.sessions.iter().find(|session| session.id() == id)?.left_s(now_s);
        (left_s > 0).then(|| Duration::from_secs(left_s))
    }

    /// Waits until a visitor is no longer known: they have left, were sent away, or their time is over.
    pub async fn ended(&self, id: &str) {
        let mut changes = self.left.subscribe();
        while let Some(left) = self.left(id) {
            // The sender lives as long as `self`, so `changed` cannot fail.
            let _ = tokio::time::timeout(left, changes.changed()).await;
        }
    }

    /// Lists all known visitors, the latest admitted first.
    pub fn list(&self) -> Vec<Listed> {
        let state = self.state();
        let now_s = self.now_s(&state);
        let known = state.sessions.iter().rev().filter(|session| session.left_s(now_s) > 0);
        let listed = |session: &Session| Listed {
            id: session.id(),
            name: session.name.clone(),
            role: session.role,
            since_s: now_s.saturating_sub(session.since_s),
            seen_s: now_s.saturating_sub(session.seen_s),
            left_s: session.left_s(now_s),
            address: session.address,
        };
        known.map(listed).collect()
    }

    /// Forgets the visitor with this id at once; returns false if there is none. After an error the visitor may be
    /// known again when the daemon restarts.
    pub fn revoke(&self, id: &str) -> io::Result<bool> {
        let mut state = self.state();
        let before = state.sessions.len();
        state.sessions.retain(|session| session.id() != id);
        let was_known = state.sessions.len() < before;
        drop(state);
        if was_known {
            self.left.send_replace(());
            self.keep()?;
        }
        Ok(was_known)
    }

    /// Updates the elapsed time, and writes it every ten minutes. Must be called about once a minute, from a thread
    /// that may block.
    pub fn tick(&self) {
        let calendar = (self.clock.calendar)().filter(|at| *at > PLAUSIBLE_FROM);
        let mut state = self.state();
        if let Some(at) = calendar {
            state.clock.learn((self.clock.since_boot)(), at);
        }
        let now_s = self.now_s(&state);
        let is_due = !state.sessions.is_empty() && now_s >= state.kept_s + KEEP_EVERY_S;
        drop(state);
        // A visitor's time may have run out, so everyone who waits for an end checks again.
        self.left.send_replace(());
        if is_due {
            self.close();
        }
    }

    /// Writes the elapsed time, for the next start.
    pub fn close(&self) {
        if self.state().sessions.is_empty() {
            return;
        }
        if let Err(error) = self.keep() {
            warn!("{}: cannot write: {error}; visitors may be known for longer", self.path.display());
        }
    }

    fn keep(&self) -> io::Result<()> {
        let _last = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.state();
        state.kept_s = self.now_s(&state);
        let kept = Kept { clock: state.clock.kept((self.clock.since_boot)()), sessions: state.sessions.clone() };
        drop(state);
        durable::write(&self.path, &serde_json::to_vec(&kept)?, PRIVATE)
    }

    fn now_s(&self, state: &State) -> u64 {
        state.clock.now((self.clock.since_boot)())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compares two codes in a time that does not reveal how many of their digits agree.
fn is_same(code: &str, digits: &str) -> bool {
    let differences = code.bytes().zip(digits.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b));
    code.len() == digits.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
pub mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn name() -> PersonName {
        "A. Sato".parse().expect("a name")
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Device whose clock a test sets, in seconds since the machine started.
    struct Bench {
        dir: tempfile::TempDir,
        second: Arc<AtomicU64>,
    }

    impl Bench {
        fn new() -> Self {
            Bench { dir: tempfile::tempdir().expect("a temporary folder"), second: Arc::default() }
        }

        fn start(&self, boot_id: &str, calendar: Option<&str>) -> Access {
            let second = Arc::clone(&self.second);
            let calendar = calendar.map(|at| at.parse().expect("a moment"));
            let clock = Clock {
                boot_id: boot_id.to_owned(),
                since_boot: Box::new(move || Duration::from_secs(second.load(Ordering::Relaxed))),
                calendar: Box::new(move || calendar),
            };
            Access::open(self.dir.path(), clock)
        }

        fn set(&self, second: u64) {
            self.second.store(second, Ordering::Relaxed);
        }
    }

    /// Opens the visitors of a device whose clock stands still.
    pub fn access(dir: &Path) -> Access {
        let since_boot = Box::new(Duration::default);
        Access::open(dir, Clock { boot_id: "boot".to_owned(), since_boot, calendar: Box::new(|| None) })
    }

    fn enter(access: &Access, role: Role) -> String {
        let code = access.new_code(role).expect("a code");
        access.pair(&code, name(), HERE).expect("the code").expect("stored").0
    }

    #[test]
    fn a_code_lets_one_visitor_in_who_stays_known_after_a_restart() {
        let bench = Bench::new();
        let access = bench.start("a", None);
        let code = access.new_code(Role::Viewer).expect("a code");
        let (token, role) = access.pair(&code, name(), HERE).expect("the code").expect("stored");
        assert_eq!(role, Role::Viewer);
        assert_eq!(access.pair(&code, name(), HERE).expect_err("used"), PairError::Wrong);
        let again = bench.start("a", None);
        let visitor = again.visitor(&token, HERE).expect("known");
        assert_eq!((visitor.role, visitor.name, visitor.id.is_some()), (role, Some(name()), true));
        assert_eq!(again.visitor("", HERE), None);
        let text = std::fs::read_to_string(bench.dir.path().join(FILE_NAME)).expect("the file");
        assert!(!text.contains(&token), "only the hash is kept");
        let id = visitor.id.expect("an id");
        assert!(again.revoke(&id).expect("stored") && !again.revoke(&id).expect("nothing to do"));
        assert_eq!(again.visitor(&token, HERE), None);
        assert_eq!(bench.start("a", None).visitor(&token, HERE), None);
    }

    #[test]
    fn wrong_codes_are_slowed_down_and_leave_the_right_one_good() {
        let bench = Bench::new();
        let access = bench.start("a", None);
        let attempt = |code: &str, last: u8| access.pair(code, name(), IpAddr::from([10, 0, 0, last]));
        assert_eq!(attempt("123456", 1).expect_err("no code"), PairError::Wrong);
        let code = access.new_code(Role::Inspector).expect("a code");
        let wrong = if code == "123456" { "654321" } else { "123456" };
        for _ in 0..4 {
            assert_eq!(attempt(wrong, 1).expect_err("wrong"), PairError::Wrong);
        }
        assert!(matches!(attempt(&code, 1), Err(PairError::TooMany(_))), "right, but too many");
        assert!(attempt(&code, 2).is_ok());
        for wrong in ["", "12345", "1234567", "１２３４５６"] {
            assert!(!is_same("123456", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_visitor_is_known_for_thirty_days_of_the_devices_own_time() {
        let bench = Bench::new();
        bench.set(100);
        let access = bench.start("a", None);
        let token = enter(&access, Role::Viewer);
        let is_known = |access: &Access, second| {
            bench.set(second);
            access.visitor(&token, HERE).is_some()
        };
        assert!(is_known(&access, 99 + SESSION_LIFE_S));
        assert_eq!(access.list()[0].left_s, 1);
        access.close();
        let next = bench.start("b", None);
        assert!(is_known(&next, 0) && !is_known(&next, 1), "the machine has started anew");
        assert_eq!(next.list(), []);
    }

    #[test]
    fn a_calendar_that_is_set_logs_nobody_out_and_tells_how_long_the_machine_was_off() {
        let bench = Bench::new();
        let unset = bench.start("a", None);
        let token = enter(&unset, Role::Viewer);
        let same_start = bench.start("a", Some("2026-05-01T00:00:00Z"));
        same_start.tick();
        assert!(same_start.visitor(&token, HERE).is_some(), "from 1970 to 2026");
        same_start.close();
        for (boot, calendar, expected) in [
            ("b", "2026-05-30T00:00:00Z", true),
            ("c", "1970-01-01T00:00:00Z", true),
            ("d", "2026-06-01T00:00:00Z", false),
        ] {
            let access = bench.start(boot, Some(calendar));
            access.tick();
            assert_eq!(access.visitor(&token, HERE).is_some(), expected, "{calendar}");
        }
    }

    #[test]
    fn power_cuts_do_not_keep_a_visitor_young() {
        let bench = Bench::new();
        let token = enter(&bench.start("a", None), Role::Viewer);
        let starts = SESSION_LIFE_S / KEEP_EVERY_S;
        for start in 0..=starts {
            let access = bench.start(&format!("boot {start}"), None);
            assert_eq!(access.visitor(&token, HERE).is_some(), start < starts, "start {start}");
            bench.set(KEEP_EVERY_S);
            access.tick();
            bench.set(0);
        }
    }

    #[test]
    fn sessions_of_a_calendar_are_still_known() {
        let bench = Bench::new();
        let session = |token: &str, expires: &str| {
            let token = Sha256::of(token.as_bytes());
            format!(r#"{{"token":"{token}","role":"viewer","name":"\u202eA","expires":"{expires}"}}"#)
        };
        let sessions = [
            session("future", "2999-01-01T00:00:00Z"),
            session("1970", "1970-01-31T00:00:00Z"),
            session("past", "2025-06-01T00:00:00Z"),
        ];
        std::fs::write(bench.dir.path().join(FILE_NAME), format!("[{}]", sessions.join(","))).expect("written");
        let access = bench.start("a", None);
        assert_eq!(["future", "1970", "past"].map(|token| access.visitor(token, HERE).is_some()), [true, true, false]);
    }

    #[test]
    fn whoever_waits_for_the_end_hears_of_it() {
        let bench = Bench::new();
        let access = bench.start("a", None);
        let token = enter(&access, Role::Viewer);
        let id = access.visitor(&token, HERE).and_then(|visitor| visitor.id).expect("an id");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let early = tokio::time::timeout(Duration::from_millis(50), access.ended(&id)).await;
            assert!(early.is_err());
            let (ended, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(5), access.ended(&id)), async {
                assert!(access.revoke(&id).expect("stored"));
            });
            assert!(ended.is_ok());
        });
    }
}
