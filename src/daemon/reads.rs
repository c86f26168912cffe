//! Reads of photos from drives that may hang: a card with a fault, a share whose server is gone.
//!
//! Such a read ends when the kernel gives it up, after minutes or never. So it has a thread of its own, which is
//! abandoned when it takes too long. The photo is tried again later. Photos in other folders, uploads among them, go
//! on.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::durable;

/// Time within which a drive must begin to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Speed of the slowest card, in bytes per second.
const SLOWEST: u64 = 500_000;
/// Maximum number of folders in which a read hangs at the same time.
const HANGING_MAX: usize = 16;
/// Time between two checks whether the daemon is stopping.
const LOOK: Duration = Duration::from_millis(100);

/// Reads that may hang. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    stopping: Arc<AtomicBool>,
    /// Folders in which a read is under way or hangs. A second read there is refused.
    hanging: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Reads {
    /// Gives up the read that is under way, and every later one that does not answer at once.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Reports whether reads are given up because the daemon stops.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Runs `read` on the file at `path` in a thread of its own. `bytes` is the number of bytes it reads, which sets
    /// the time limit.
    pub fn read<T: Send + 'static>(
        &self,
        path: &Path,
        bytes: u64,
        read: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> io::Result<T> {
        self.read_within(ANSWER_MAX + Duration::from_secs(bytes / SLOWEST), path, read)
    }

    fn read_within<T: Send + 'static>(
        &self,
        time_max: Duration,
        path: &Path,
        read: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> io::Result<T> {
        let folder = self.enter(durable::folder(path))?;
        let (answer, answered) = mpsc::channel();
        let path = path.to_owned();
        let work = move || {
            let read = read(&path);
            drop(folder);
            // A caller that has given up does not want the answer.
            let _ = answer.send(read);
        };
        thread::Builder::new().name("read".into()).spawn(work)?;
        self.wait(Instant::now() + time_max, &answered)
    }

    /// Reserves a folder for one read.
    fn enter(&self, folder: &Path) -> io::Result<Folder> {
        let mut hanging = self.hanging();
        if hanging.len() >= HANGING_MAX || !hanging.insert(folder.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the drive has not answered for another file yet"));
        }
        drop(hanging);
        Ok(Folder(self.clone(), folder.to_owned()))
    }

    fn wait<T>(&self, end: Instant, answered: &mpsc::Receiver<T>) -> io::Result<T> {
        loop {
            match answered.recv_timeout(LOOK.min(end.saturating_duration_since(Instant::now()))) {
                Ok(read) => return Ok(read),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the thread that read has panicked"));
                }
                Err(RecvTimeoutError::Timeout) if self.is_stopping() => return Err(io::ErrorKind::Interrupted.into()),
                Err(RecvTimeoutError::Timeout) if Instant::now() >= end => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the drive does not answer"));
                }
                Err(RecvTimeoutError::Timeout) => (),
            }
        }
    }

    fn hanging(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.hanging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Folder in which a file is being read.
struct Folder(Reads, PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        self.0.hanging().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    fn kind<T: std::fmt::Debug>(read: io::Result<T>) -> io::ErrorKind {
        read.expect_err("no answer").kind()
    }

    #[test]
    fn a_read_that_hangs_is_left_to_itself_and_other_folders_go_on() {
        let (reads, (hang, hung)) = (Reads::default(), mpsc::channel::<()>());
        assert_eq!(
            kind(reads.read_within(SHORT, Path::new("card/1.jpg"), move |_| hung.recv())),
            io::ErrorKind::TimedOut
        );
        let begin = Instant::now();
        assert_eq!(kind(reads.read(Path::new("card/2.jpg"), 0, |_| ())), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() < ANSWER_MAX, "it is not waited for again");
        assert_eq!(
            reads.read(Path::new("uploads/3.jpg"), 0, Path::to_owned).expect("read"),
            Path::new("uploads/3.jpg")
        );
        drop(hang);
        let again = || reads.read(Path::new("card/2.jpg"), 0, |_| ()).is_ok();
        assert!(
            (0..1_000).any(|_| again() || {
                thread::sleep(Duration::from_millis(10));
                false
            }),
            "the drive answers again"
        );
    }

    #[test]
    fn a_stop_does_not_wait_for_a_read_that_hangs() {
        let (reads, (_hang, hung)) = (Reads::default(), mpsc::channel::<()>());
        let (stopper, begin) = (reads.clone(), Instant::now());
        let stop = thread::spawn(move || {
            thread::sleep(SHORT);
            stopper.stop();
        });
        assert_eq!(kind(reads.read(Path::new("card/1.jpg"), 0, move |_| hung.recv())), io::ErrorKind::Interrupted);
        assert!(begin.elapsed() < ANSWER_MAX);
        stop.join().expect("no panic");
    }

    #[test]
    fn threads_that_hang_are_few() {
        let reads = Reads::default();
        let hung: Vec<_> = (0..HANGING_MAX).map(|number| reads.enter(Path::new(&number.to_string()))).collect();
        assert!(hung.iter().all(Result::is_ok) && reads.enter(Path::new("more")).is_err());
        drop(hung);
        assert!(reads.enter(Path::new("more")).is_ok());
    }
}
