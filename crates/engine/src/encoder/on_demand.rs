//! A text encoder that is loaded when somebody searches and freed when nobody has searched for a while. It is needed
//! only now and then, but takes as much memory as the image encoder.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::Threads;
use bridgeclip_package::Package;

use super::{EncodeError, TextEncoder};

/// A package's text encoder, in memory only while it is in use. Clones share it.
#[derive(Clone, Debug)]
pub struct OnDemandTextEncoder(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    package: Package,
    threads: Threads,
    idle: Duration,
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The encoder and the moment of its last use. None while it is not in memory.
    loaded: Option<(Arc<TextEncoder>, Instant)>,
    /// Whether no handle that could use the encoder is left.
    over: bool,
}

impl OnDemandTextEncoder {
    /// Returns a handle without loading anything. The encoder is freed once it has not been used for `idle`.
    pub fn new(package: Package, threads: Threads, idle: Duration) -> Self {
        let (state, ended) = (Mutex::default(), Condvar::new());
        OnDemandTextEncoder(Arc::new(Shared { package, threads, idle, state, ended }))
    }

    /// Encodes one text. Loads the encoder first if it is not in memory.
    pub fn encode(&self, text: &str) -> Result<Embedding, EncodeError> {
        let encoder = self.encoder()?;
        let embedding = encoder.encode(text);
        if let Some((_, used)) = &mut self.0.state().loaded {
            *used = Instant::now();
        }
        embedding
    }

    /// Reports whether the encoder is in memory.
    pub fn is_loaded(&self) -> bool {
        self.0.state().loaded.is_some()
    }

    fn encoder(&self) -> Result<Arc<TextEncoder>, EncodeError> {
        let mut state = self.0.state();
        if let Some((encoder, used)) = &mut state.loaded {
            *used = Instant::now();
            return Ok(Arc::clone(encoder));
        }
        let encoder = Arc::new(TextEncoder::load(&self.0.package, &self.0.threads)?);
        state.loaded = Some((Arc::clone(&encoder), Instant::now()));
        let shared = Arc::clone(&self.0);
        // If the thread cannot start, the encoder merely stays in memory.
        drop(thread::Builder::new().name("text encoder".into()).spawn(move || shared.let_go_when_idle()));
        Ok(encoder)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until the encoder has been idle for long enough, then frees it.
    fn let_go_when_idle(&self) {
        let mut state = self.state();
        while let Some((_, used)) = state.loaded.as_ref().filter(|_| !state.over) {
            let rest = self.idle.saturating_sub(used.elapsed());
            if rest.is_zero() {
                break;
            }
            state = self.ended.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.loaded = None;
    }
}

impl Drop for OnDemandTextEncoder {
    fn drop(&mut self) {
        // Two references remain when the last handle is dropped: its own and that of the sleeping thread. If two
        // handles are dropped at once, the encoder is freed only when its idle time is over.
        if Arc::strong_count(&self.0) <= 2 {
            self.0.state().over = true;
            self.0.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn it_is_loaded_on_first_use_and_let_go_when_idle() {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/demo/package");
        let package = Package::open(&demo).expect("the demo package");
        let expected =
            TextEncoder::load(&package, &Threads::default()).expect("loads").encode("rust").expect("encodes");
        let encoder = OnDemandTextEncoder::new(package, Threads::default(), Duration::from_millis(300));
        assert!(!encoder.is_loaded());
        for _ in 0..2 {
            assert_eq!(encoder.encode("rust").expect("encodes"), expected);
            assert!(encoder.is_loaded());
            let begin = Instant::now();
            while encoder.is_loaded() {
                assert!(begin.elapsed() < Duration::from_secs(20), "it was not let go");
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
