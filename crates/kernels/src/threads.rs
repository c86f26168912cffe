//! Splits one piece of work over several cores.
//!
//! A [`Threads`] runs a function inside its pool. Work below it splits itself for the number of threads of the pool
//! that it runs in. Outside of any pool, everything runs on the calling thread.

use std::sync::{Arc, Mutex};
use std::thread;

/// Threads that one image or text may use.
#[derive(Clone, Debug, Default)]
pub struct Threads {
    pool: Option<Arc<rayon::ThreadPool>>,
}

impl Threads {
    /// Creates `count` threads, at least one. A single thread needs no pool.
    pub fn new(count: usize) -> Result<Self, rayon::ThreadPoolBuildError> {
        if count <= 1 {
            return Ok(Threads::default());
        }
        let name = |index| format!("encoder-{index}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).thread_name(name).build()?;
        Ok(Threads { pool: Some(Arc::new(pool)) })
    }

    /// Runs `work`, which may split itself over these threads.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }
}

/// Runs `work` on every item and returns the results in the order of the items. Each of up to `threads` threads takes
/// the next item when it has finished one; the work on an item is not split.
///
/// # Panics
/// If `work` panics.
pub fn spread<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let queue = Mutex::new(items.iter().zip(&mut results));
    let next = || queue.lock().expect("no thread panics while it holds the lock").next();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some((item, result)) = next() {
                    *result = Some(work(item));
                }
            });
        }
    });
    results.into_iter().map(|result| result.expect("every item was worked on")).collect()
}

/// Divides 0..`count` as evenly as possible among the threads of the current pool, runs `work` on each range, and
/// returns the results in order.
pub fn over_ranges<R: Send>(count: usize, work: impl Fn(std::ops::Range<usize>) -> R + Sync) -> Vec<R> {
    let ranges = ranges(count);
    let mut results: Vec<Option<R>> = ranges.iter().map(|_| None).collect();
    for_each(ranges.into_iter().zip(&mut results).collect(), |(range, result)| *result = Some(work(range)));
    results.into_iter().map(|result| result.expect("every range was worked on")).collect()
}

/// Returns the number of processors that the process may use.
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// Returns the number of parts that work should be split into here.
pub(super) fn parts() -> usize {
    rayon::current_thread_index().map_or(1, |_| rayon::current_num_threads())
}

/// Divides 0..`count` into [`parts`] ranges (fewer for fewer items), as evenly as possible.
pub(super) fn ranges(count: usize) -> Vec<std::ops::Range<usize>> {
    let parts = parts().min(count).max(1);
    (0..parts).map(|part| count * part / parts..count * (part + 1) / parts).collect()
}

/// Runs `work` on all items, each on the next free thread.
pub(super) fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    if parts() == 1 || items.len() == 1 {
        return items.into_iter().for_each(work);
    }
    rayon::scope(|scope| {
        for item in items {
            let work = &work;
            scope.spawn(move |_| work(item));
        }
    });
}

/// A range of columns of every row of a matrix, so that threads can write to the matrix at the same time.
pub(super) struct ColumnsMut<'a> {
    pub columns: std::ops::Range<usize>,
    pub rows: Vec<&'a mut [f32]>,
}

/// Divides a row-major matrix into consecutive ranges of columns, starting with column 0.
pub(super) fn split_columns<'a>(
    matrix: &'a mut [f32],
    width: usize,
    ranges: impl IntoIterator<Item = std::ops::Range<usize>>,
) -> Vec<ColumnsMut<'a>> {
    let mut rest: Vec<&mut [f32]> = matrix.chunks_exact_mut(width).collect();
    let cut = |columns: std::ops::Range<usize>| {
        let rows =
            rest.iter_mut().map(|row| row.split_off_mut(..columns.len()).expect("columns lie within the matrix"));
        ColumnsMut { rows: rows.collect(), columns }
    };
    ranges.into_iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<usize> = (0..100).collect();
        for threads in [0, 1, 3, 200] {
            assert_eq!(spread(&items, threads, |item| item * 2), (0..200).step_by(2).collect::<Vec<_>>());
        }
        assert!(spread(&[] as &[usize], 4, |item| *item).is_empty());
    }
}
