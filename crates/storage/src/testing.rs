//! Helpers that tests of other crates share. The program itself uses none of them.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

/// Opens the same new file with four threads at once, and repeats this fifty times.
///
/// # Panics
/// If one of the threads cannot open it.
pub fn open_at_once<E: Debug + Send>(open: impl Fn(&Path) -> Result<(), E> + Sync) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for round in 0..50 {
        let path = dir.path().join(format!("{round}.db"));
        let start = Barrier::new(4);
        let opened = || {
            start.wait();
            open(&path)
        };
        thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(opened)).collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no panic").expect("it opens"));
        });
    }
}
