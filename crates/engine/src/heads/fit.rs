//! Training by the published recipe: AdamW, a cosine schedule by epochs, dropout, batches of 64 without a smaller last one.
//!
//! The published training sees other crops and colours of a photo in each epoch; here its embedding is all there is.
//!
//! The heads share no weights, so each is trained alone, and each thread takes one head at a time. The result equals
//! that of training them together: joint training would only add up their losses, and AdamW treats every weight by
//! itself.

use std::f64::consts::PI;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::thread;

use bridgeclip_domain::{Category, CategoryLabels, Labels};
use bridgeclip_kernels::Kernel;
use bridgeclip_random::Random;

use super::adamw::AdamW;
use super::gradient::{Examples, Gradient};
use super::{Head, Heads, NORM_EPSILON};

/// Parameters of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct FitParams {
    /// Number of passes over the rows, at least 1.
    pub epochs: usize,
    /// Learning rate of the first epoch, above 0. It falls towards 0 along half a cosine, epoch by epoch.
    pub learning_rate: f32,
    /// Share of every weight, times the learning rate, that a step removes; at least 0.
    pub weight_decay: f32,
    /// Share of the linear layer's inputs that are left out in a step, in [0, 1).
    pub dropout: f32,
    /// Number of rows in a step, at least 1. Rows that do not fill the last batch of an epoch are left out of it, unless
    /// there are fewer rows than one batch.
    pub batch: usize,
    /// Seed of all random choices.
    pub seed: u64,
}

impl Default for FitParams {
    /// Returns the published parameters.
    fn default() -> Self {
        FitParams { epochs: 30, learning_rate: 1e-3, weight_decay: 1e-4, dropout: 0.3, batch: 64, seed: 42 }
    }
}

/// Reason why a training failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    #[error("{name} is {value}; expected {expected}")]
    Parameter { name: &'static str, value: f64, expected: &'static str },
    #[error("no row has a label of {0}; a linear head needs examples")]
    NoLabels(Category),
    #[error("row {row} holds {value}")]
    NotFinite { row: usize, value: f32 },
    #[error("training {0} gave numbers that are not finite; give a lower learning rate")]
    Diverged(Category),
    #[error("the training was stopped")]
    Stopped,
}

/// The end of one pass over the examples of one category.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochEnd {
    pub category: Category,
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch, measured on each batch before its step.
    pub loss: f64,
}

/// Called at the end of each epoch; decides whether to continue.
pub type Progress<'a> = dyn Fn(&EpochEnd) -> ControlFlow<()> + Sync + 'a;

/// Trains the heads of all categories on `rows`, `[labels.len()][dim]` unit-length embeddings.
///
/// A row without a label in a category is left out of that category. In a single-label category only the first label
/// counts. At most four `threads` are used. They call `progress` at the end of each epoch, which can end the training.
/// The same parameters give the same bits with any number of threads and any kernel of a machine; the C library of
/// another machine may compute a different last bit of e^x.
///
/// # Panics
/// If `dim` is 0 or `rows` has another length.
pub fn fit(
    rows: &[f32],
    dim: usize,
    labels: &[Labels],
    params: &FitParams,
    kernel: Kernel,
    threads: usize,
    progress: &Progress,
) -> Result<Heads, FitError> {
    assert!(dim > 0 && rows.len() == labels.len() * dim, "{} labelled rows of {dim}", labels.len());
    params.check()?;
    check_finite(rows, dim)?;
    let mut work = Category::ALL;
    // Threads pop from the end, so the category with the most classes starts first. Then the threads end at nearly the
    // same time.
    work.sort_by_key(|category| category.classes().len());
    let work = Mutex::new(work.to_vec());
    let next = || work.lock().expect("no thread panicked").pop();
    let train = |category| fit_head(rows, dim, labels, category, params, kernel, progress);
    let mut trained = thread::scope(|scope| {
        let worker = || std::iter::from_fn(next).map(|category| (category, train(category))).collect::<Vec<_>>();
        let workers: Vec<_> = (0..threads.clamp(1, Category::ALL.len())).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no thread panicked")).collect::<Vec<_>>()
    });
    trained.sort_by_key(|(category, _)| *category);
    let heads: Vec<Head> = trained.into_iter().map(|(_, head)| head).collect::<Result<_, _>>()?;
    Ok(Heads {
        dim,
        epsilon: NORM_EPSILON,
        preparation: None,
        heads: heads.try_into().expect("a head for each category"),
    })
}

impl FitParams {
    fn check(&self) -> Result<(), FitError> {
        let is_rate = self.learning_rate.is_finite() && self.learning_rate > 0.0;
        let is_decay = self.weight_decay.is_finite() && self.weight_decay >= 0.0;
        let checks = [
            (self.epochs >= 1, "epochs", self.epochs as f64, "at least 1"),
            (self.batch >= 1, "batch", self.batch as f64, "at least 1"),
            (is_rate, "learning_rate", f64::from(self.learning_rate), "a number above 0"),
            (is_decay, "weight_decay", f64::from(self.weight_decay), "a number of at least 0"),
            ((0.0..1.0).contains(&self.dropout), "dropout", f64::from(self.dropout), "at least 0 and below 1"),
        ];
        match checks.into_iter().find(|(is_good, ..)| !is_good) {
            Some((_, name, value, expected)) => Err(FitError::Parameter { name, value, expected }),
            None => Ok(()),
        }
    }
}

fn check_finite(rows: &[f32], dim: usize) -> Result<(), FitError> {
    match rows.iter().position(|value| !value.is_finite()) {
        Some(place) => Err(FitError::NotFinite { row: place / dim, value: rows[place] }),
        None => Ok(()),
    }
}

fn fit_head(
    rows: &[f32],
    dim: usize,
    labels: &[Labels],
    category: Category,
    params: &FitParams,
    kernel: Kernel,
    progress: &Progress,
) -> Result<Head, FitError> {
    let targets: Vec<u32> = labels.iter().map(|labels| target(category, labels.get(category))).collect();
    let mut order: Vec<u32> = (0..labels.len() as u32).filter(|&row| targets[row as usize] != 0).collect();
    if order.is_empty() {
        return Err(FitError::NoLabels(category));
    }
    let mut training = Training::new(dim, category, params, kernel);
    let examples = Examples { rows, targets: &targets };
    for epoch in 1..=params.epochs {
        let loss = training.epoch(&examples, &mut order, epoch);
        if progress(&EpochEnd { category, epoch, loss }).is_break() {
            return Err(FitError::Stopped);
        }
    }
    match training.head.values.iter().all(|value| value.is_finite()) {
        true => Ok(training.head),
        false => Err(FitError::Diverged(category)),
    }
}

/// Returns the classes as bits; in a single-label category only the first one.
fn target(category: Category, labels: &CategoryLabels) -> u32 {
    let count = if category.is_multi() { usize::MAX } else { 1 };
    labels.indexes().iter().take(count).fold(0, |bits, index| bits | 1 << index)
}

struct Training<'a> {
    head: Head,
    gradient: Gradient,
    adam: AdamW,
    random: Random,
    params: &'a FitParams,
}

impl<'a> Training<'a> {
    fn new(dim: usize, category: Category, params: &'a FitParams, kernel: Kernel) -> Self {
        let mut random = Random::new(&[params.seed, category as u64]);
        let head = first_head(dim, category, &mut random);
        Training {
            gradient: Gradient::new(kernel, category, dim, NORM_EPSILON, params.dropout),
            adam: AdamW::new(head.values.len(), params.weight_decay),
            head,
            random,
            params,
        }
    }

    /// Trains once on the examples, in a new order. Returns the mean loss. Epochs count from 1.
    fn epoch(&mut self, examples: &Examples, order: &mut [u32], epoch: usize) -> f64 {
        self.random.shuffle(order);
        let rate = f64::from(self.params.learning_rate) * cosine(epoch - 1, self.params.epochs);
        let batch = self.params.batch.min(order.len());
        let batches = order.chunks_exact(batch);
        let count = batches.len() as f64;
        batches.map(|batch| self.learn(examples, batch, rate as f32)).sum::<f64>() / count
    }

    fn learn(&mut self, examples: &Examples, batch: &[u32], rate: f32) -> f64 {
        let loss = self.gradient.compute(&self.head, examples, batch, &mut self.random);
        self.adam.step(&mut self.head.values, &self.gradient.values.values, rate);
        loss
    }
}

/// Returns a factor that falls from 1 to 0 along half a cosine.
fn cosine(step: usize, steps: usize) -> f64 {
    0.5 * (1.0 + (PI * step as f64 / steps as f64).cos())
}

/// Returns a head with PyTorch's initial values: a norm that changes nothing, and a linear layer with uniform values
/// within +-1 / sqrt(dim).
fn first_head(dim: usize, category: Category, random: &mut Random) -> Head {
    let mut values = vec![1.0; dim];
    values.resize(2 * dim, 0.0);
    let end = 1.0 / (dim as f32).sqrt();
    values.resize_with(Head::len(dim, category), || random.within(end));
    Head { dim, values }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::Embedding;

    use super::*;
    use crate::classify::linear_answers;

    const DIM: usize = 48;

    /// Returns rows that are sums of their labels' axes, one axis for each class, plus a little noise.
    fn toy(count: usize) -> (Vec<f32>, Vec<Labels>) {
        let mut random = Random::new(&[8]);
        let mut rows = Vec::new();
        let labels: Vec<Labels> = (0..count).map(|_| toy_labels(&mut random)).collect();
        for labels in &labels {
            let mut row: Vec<f32> = (0..DIM).map(|_| random.within(0.1)).collect();
            for (category, first) in Category::ALL.into_iter().zip([0, 4, 13, 28]) {
                labels.get(category).indexes().iter().for_each(|&index| row[first + usize::from(index)] += 1.0);
            }
            rows.extend(Embedding::normalise(row).expect("a direction").values());
        }
        (rows, labels)
    }

    fn toy_labels(random: &mut Random) -> Labels {
        Labels::new(|category| {
            let count = if category.is_multi() { 1 + random.bits() % 2 } else { 1 };
            let classes = category.classes().len() as u64;
            CategoryLabels::new(category, (0..count).map(|_| (random.bits() % classes) as u8).collect::<Vec<_>>())
        })
    }

    fn train(rows: &[f32], labels: &[Labels], params: &FitParams, threads: usize) -> Result<Heads, FitError> {
        fit(rows, DIM, labels, params, Kernel::available()[0], threads, &|_| ControlFlow::Continue(()))
    }

    #[test]
    fn a_separable_set_is_separated() {
        let (rows, labels) = toy(700);
        let params = FitParams { learning_rate: 1e-2, batch: 32, ..FitParams::default() };
        let seen = Mutex::new(Vec::new());
        let record = |end: &EpochEnd| {
            seen.lock().expect("lock").push(end.clone());
            ControlFlow::Continue(())
        };
        let heads = fit(&rows[..500 * DIM], DIM, &labels[..500], &params, Kernel::available()[0], 2, &record);
        let heads = heads.expect("trains");
        let seen = seen.into_inner().expect("lock");
        assert_eq!(seen.len(), 4 * params.epochs);
        for category in Category::ALL {
            let losses: Vec<f64> = seen.iter().filter(|end| end.category == category).map(|end| end.loss).collect();
            assert!(losses[params.epochs - 1] < 0.6 * losses[0], "{category}: {losses:?}");
        }
        let mut right = 0;
        for (row, labels) in rows.chunks(DIM).zip(&labels).skip(500) {
            let embedding = Embedding::normalise(row.to_vec()).expect("a direction");
            for (category, answer) in Category::ALL.into_iter().zip(linear_answers(&heads.scores(&embedding))) {
                let mut found: Vec<u8> = answer.verdict.classes.iter().map(|class| class.index).collect();
                let mut expected = labels.get(category).indexes().to_vec();
                found.sort_unstable();
                expected.sort_unstable();
                right += usize::from(found == expected);
            }
        }
        assert!(right >= 780, "{right} of 800 answers are right");
    }

    #[test]
    fn the_parameters_are_the_published_ones() {
        let published =
            FitParams { epochs: 30, learning_rate: 1e-3, weight_decay: 1e-4, dropout: 0.3, batch: 64, seed: 42 };
        assert_eq!(FitParams::default(), published);
        // torch.optim.lr_scheduler.CosineAnnealingLR with T_max 30 after 0, 1, 15 and 29 epochs.
        for (epochs, expected) in [(0, 1.0), (1, 0.997_260_947_7), (15, 0.5), (29, 0.002_739_052_3)] {
            assert!((cosine(epochs, 30) - expected).abs() < 1e-9, "{epochs}");
        }
    }

    #[test]
    fn rows_that_fill_no_batch_are_left_out_of_an_epoch() {
        let (rows, labels) = toy(20);
        let train = |batch| {
            let params = FitParams { epochs: 1, batch, dropout: 0.0, ..FitParams::default() };
            train(&rows, &labels, &params, 1).expect("trains").to_bytes()
        };
        assert!(train(20) == train(64), "fewer rows than a batch are one batch");
        assert!(train(19) != train(20));
    }

    #[test]
    fn a_seed_gives_the_same_bits_on_any_number_of_threads() {
        let (rows, labels) = toy(200);
        let params = FitParams { epochs: 2, batch: 70, ..FitParams::default() };
        let one = train(&rows, &labels, &params, 1).expect("trains").to_bytes();
        for threads in [1, 2, 3, 9] {
            assert!(train(&rows, &labels, &params, threads).expect("trains").to_bytes() == one, "{threads} threads");
        }
        let other = FitParams { seed: 43, ..params };
        assert!(train(&rows, &labels, &other, 1).expect("trains").to_bytes() != one);
    }

    #[test]
    fn what_cannot_be_trained_is_refused() {
        let (mut rows, labels) = toy(20);
        let message =
            |rows: &[f32], labels: &[Labels], params| train(rows, labels, &params, 1).expect_err("refused").to_string();
        let good = FitParams { epochs: 1, ..FitParams::default() };
        let cases = [
            (FitParams { epochs: 0, ..good.clone() }, "epochs is 0"),
            (FitParams { batch: 0, ..good.clone() }, "batch is 0"),
            (FitParams { dropout: 1.0, ..good.clone() }, "dropout is 1"),
            (FitParams { learning_rate: f32::NAN, ..good.clone() }, "learning_rate is NaN"),
            (FitParams { weight_decay: -1.0, ..good.clone() }, "weight_decay is -1"),
        ];
        for (params, expected) in cases {
            assert!(message(&rows, &labels, params).contains(expected), "{expected}");
        }
        assert!(message(&[], &[], good.clone()).contains("no row has a label of soundness"));
        rows[DIM] = f32::INFINITY;
        assert!(message(&rows, &labels, good).contains("row 1 holds inf"));
    }

    #[test]
    fn a_training_can_be_stopped_after_an_epoch() {
        let (rows, labels) = toy(50);
        let epochs = Mutex::new(0);
        let stop = |_: &EpochEnd| {
            *epochs.lock().expect("lock") += 1;
            ControlFlow::Break(())
        };
        let result = fit(&rows, DIM, &labels, &FitParams::default(), Kernel::available()[0], 1, &stop);
        assert_eq!(result, Err(FitError::Stopped));
        assert_eq!(epochs.into_inner().expect("lock"), Category::ALL.len(), "one of each category");
    }
}
