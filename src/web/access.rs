//! Who may do what.
//!
//! Whoever is at the device itself may do everything. On the network a visitor is let in by a code that the device shows
//! (`bridgeclip pair`): six digits, good for one visitor, ten minutes and five attempts. They then carry a random token in
//! a cookie. The device keeps only the tokens' hashes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use log::{info, warn};
use serde::{Deserialize, Serialize};

use crate::domain::{Sha256, TagText};
use crate::durable::{self, PRIVATE, read_state};
use crate::secret::secret;

/// In the data folder.
const FILE_NAME: &str = "sessions.json";
/// How long a code is good.
pub const CODE_LIFE: Duration = Duration::from_secs(600);
/// Wrong codes after which a new one must be made.
const ATTEMPTS_MAX: u32 = 5;
/// How long a visitor is known.
pub const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(24 * 30);
/// The oldest one goes when there are more.
const SESSIONS_MAX: usize = 64;

/// What a visitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Also add photos, judge, tag and change settings.
    Inspector,
}

/// Whoever makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    pub role: Role,
    /// As they named themselves.
    pub name: Option<TagText>,
    /// At the device itself.
    pub is_here: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session {
    token: Sha256,
    role: Role,
    name: TagText,
    /// By the device's clock. Without one that is set, visitors may be known for longer or shorter.
    expires: Timestamp,
}

#[derive(Debug)]
struct Code {
    digits: String,
    role: Role,
    made: Instant,
    attempts: u32,
}

/// Why a visitor is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairError {
    #[error("there is no code to enter; make one at the device with `bridgeclip pair`")]
    NoCode,
    #[error("this is not the code that the device shows; {0} attempts are left")]
    Wrong(u32),
}

/// Codes and sessions of one device.
#[derive(Debug)]
pub struct Access {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    code: Option<Code>,
    sessions: Vec<Session>,
}

impl Access {
    /// With the visitors that were let in before. A file that cannot be read lets nobody in.
    pub fn open(data_dir: &Path) -> Self {
        let path = data_dir.join(FILE_NAME);
        let sessions = read_state(&path, "all visitors must pair again");
        Access { path, state: Mutex::new(State { code: None, sessions }) }
    }

    /// A new code, in place of the last one.
    pub fn new_code(&self, role: Role) -> io::Result<String> {
        let number = u32::from_le_bytes(secret()?) % 1_000_000;
        let digits = format!("{number:06}");
        self.state().code = Some(Code { digits: digits.clone(), role, made: Instant::now(), attempts: 0 });
        Ok(digits)
    }

    /// Lets a visitor in; the answer is their token.
    pub fn pair(&self, digits: &str, name: TagText, now: Timestamp) -> Result<io::Result<(String, Role)>, PairError> {
        let mut state = self.state();
        let code = state.code.as_mut().filter(|code| code.made.elapsed() < CODE_LIFE).ok_or(PairError::NoCode)?;
        if code.digits != digits {
            code.attempts += 1;
            let left = ATTEMPTS_MAX - code.attempts;
            if left == 0 {
                warn!("{ATTEMPTS_MAX} wrong pairing codes; the code is void");
                state.code = None;
            }
            return Err(PairError::Wrong(left));
        }
        let role = code.role;
        state.code = None;
        info!("{} is let in as {role:?}", name.as_str());
        Ok(self.admit(&mut state, role, name, now).map(|token| (token, role)))
    }

    fn admit(&self, state: &mut State, role: Role, name: TagText, now: Timestamp) -> io::Result<String> {
        let token: String = secret::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect();
        let sessions = &mut state.sessions;
        sessions.retain(|session| session.expires > now);
        if sessions.len() >= SESSIONS_MAX {
            sessions.remove(0);
        }
        sessions.push(Session { token: Sha256::of(token.as_bytes()), role, name, expires: now + SESSION_LIFE });
        self.store(sessions)?;
        Ok(token)
    }

    /// Who carries this token.
    pub fn visitor(&self, token: &str, now: Timestamp) -> Option<Visitor> {
        let token = Sha256::of(token.as_bytes());
        let state = self.state();
        let session = state.sessions.iter().find(|session| session.token == token && session.expires > now)?;
        Some(Visitor { role: session.role, name: Some(session.name.clone()), is_here: false })
    }

    /// Forgets the visitor with this token.
    pub fn leave(&self, token: &str) -> io::Result<()> {
        let token = Sha256::of(token.as_bytes());
        let mut state = self.state();
        state.sessions.retain(|session| session.token != token);
        self.store(&state.sessions)
    }

    fn store(&self, sessions: &[Session]) -> io::Result<()> {
        durable::write(&self.path, &serde_json::to_vec(sessions)?, PRIVATE)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> TagText {
        "A. Sato".parse().expect("a name")
    }

    fn access() -> (tempfile::TempDir, Access) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let access = Access::open(dir.path());
        (dir, access)
    }

    #[test]
    fn a_code_lets_one_visitor_in_who_stays_known_after_a_restart() {
        let (dir, access) = access();
        let now = Timestamp::now();
        let code = access.new_code(Role::Viewer).expect("a code");
        let (token, role) = access.pair(&code, name(), now).expect("the code").expect("stored");
        assert_eq!(role, Role::Viewer);
        assert_eq!(access.pair(&code, name(), now).expect_err("used"), PairError::NoCode);
        let again = Access::open(dir.path());
        let visitor = Visitor { role, name: Some(name()), is_here: false };
        assert_eq!(again.visitor(&token, now), Some(visitor));
        assert_eq!(again.visitor(&token, now + SESSION_LIFE), None);
        assert_eq!(again.visitor("", now), None);
        let text = std::fs::read_to_string(dir.path().join(FILE_NAME)).expect("the file");
        assert!(!text.contains(&token), "only the hash is kept");
        again.leave(&token).expect("stored");
        assert_eq!(Access::open(dir.path()).visitor(&token, now), None);
    }

    #[test]
    fn five_wrong_codes_make_a_code_void() {
        let (_dir, access) = access();
        let now = Timestamp::now();
        let code = access.new_code(Role::Inspector).expect("a code");
        let wrong = if code == "123456" { "654321" } else { "123456" };
        let left: Vec<_> = (0..5).map(|_| access.pair(wrong, name(), now).expect_err("wrong")).collect();
        assert_eq!(left, [4, 3, 2, 1, 0].map(PairError::Wrong));
        assert_eq!(access.pair(&code, name(), now).expect_err("void"), PairError::NoCode);
    }
}
