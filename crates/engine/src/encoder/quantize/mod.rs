//! Quantises a float package to int8.
//!
//! Weights become int8 with a scale for each output; at run time, activations are quantised with a scale for each
//! token. Before that, channels with outliers are smoothed ([`smooth`]). If the quantised encoder misses its aim, each
//! layer is quantised alone to measure its effect on the embedding. The layers that cost most then stay in float.

mod calibrate;
mod error;
mod samples;
mod smooth;
mod tower;
mod weights;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tract_onnx::prelude::{Datum, DatumType, TractError};

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::{self as kernels, Kernel, KernelError, Threads};
use bridgeclip_package::Quantized;
use bridgeclip_package::{Fidelity, Package, PackageError, files};

use self::calibrate::{Inputs, Sample};
use self::tower::Tower;
use self::write::Precision;
use super::fused::Layer;
use super::plan::{Plan, Tokens};
use super::{CONTEXT_LENGTH, EncodeError};

pub use samples::{caption_samples, pictures};

/// Cosine to the float encoder, over the calibration samples, that a quantised encoder should reach. Layers are
/// kept in float until it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aim {
    /// Least mean cosine.
    pub mean: f64,
    /// Least cosine of any sample.
    pub worst: f64,
}

impl Default for Aim {
    /// Returns an aim stricter than the fidelity promised for unseen photos (0.999 mean and 0.997 worst).
    fn default() -> Self {
        Aim { mean: 0.9994, worst: 0.9985 }
    }
}

impl Aim {
    fn is_met(self, fidelity: &Fidelity) -> bool {
        fidelity.mean >= self.mean && fidelity.worst >= self.worst
    }
}

/// Number of samples that the sensitivity scan uses.
const SCANNED: usize = 8;

/// Reason why a package cannot be quantised.
#[derive(Debug, thiserror::Error)]
pub enum QuantizeError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("{}: cannot be read as an encoder of this program's exporter: {reason}", path.display())]
    Graph { path: PathBuf, reason: String },
    #[error("{}: is {precision} already; quantise the float package that it was made from", path.display())]
    NotFloat { path: PathBuf, precision: String },
    #[error("{}: exists already; give a folder that does not exist yet", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
}

/// A comparison of a quantised package with its float package.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub image: TowerReport,
    pub text: TowerReport,
}

/// A comparison of a quantised encoder with its float encoder.
#[derive(Clone, Debug, Serialize)]
pub struct TowerReport {
    /// Cosine to the float encoder over the calibration samples.
    pub fidelity: Fidelity,
    /// Size of graph and weights before quantisation, in bytes.
    pub bytes_before: u64,
    /// Size of graph and weights after quantisation, in bytes.
    pub bytes_after: u64,
    /// The linear layers, in the order of the graph.
    pub layers: Vec<LayerReport>,
}

/// A linear layer of a quantised encoder.
#[derive(Clone, Debug, Serialize)]
pub struct LayerReport {
    pub name: String,
    /// Number of values of an output row.
    pub outputs: usize,
    /// Number of values of an input row.
    pub depth: usize,
    /// `int8` or `float`.
    pub precision: &'static str,
    /// Alpha of the smoothing fold. None if the layer is not smoothed.
    pub alpha: Option<f32>,
    /// Error of the layer's output on calibration rows, as a share of the output's norm.
    pub relative_error: f64,
    /// One minus the cosine of the embedding, with this layer alone in int8. Measured only if the first attempt missed
    /// the aim.
    pub cosine_loss: Option<f64>,
}

/// The current stage of a quantisation, for display.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Name of the stage, in English.
    pub stage: &'static str,
    /// Number of steps of the stage that are done.
    pub done: usize,
    /// Number of steps of the stage.
    pub total: usize,
}

/// Quantises `source` into the new folder `out`, which appears complete or not at all. `pictures` are tensors of the
/// image encoder's input, `[3][size][size]`. The reference database is copied: its vectors remain comparable with those
/// of the quantised encoder.
pub fn quantize(
    source: &Package,
    out: &Path,
    pictures: Vec<Vec<f32>>,
    aim: Aim,
    threads: &Threads,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, QuantizeError> {
    if source.manifest().precision != "f32" {
        let precision = source.manifest().precision.clone();
        return Err(QuantizeError::NotFloat { path: source.dir().to_owned(), precision });
    }
    if out.exists() {
        return Err(QuantizeError::Exists(out.to_owned()));
    }
    let failed = |source| QuantizeError::Write { path: out.to_owned(), source };
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let staging = tempfile::Builder::new().prefix(".quantize-").tempdir_in(parent).map_err(failed)?;
    let target = staging.path().join("package");
    let scratch = staging.path().join("scratch");
    for dir in [&target, &scratch] {
        fs::create_dir(dir).map_err(failed)?;
    }
    let job = Job { source, target: &target, scratch: &scratch, kernel: kernels::selected()?, aim, threads, progress };
    let size = source.manifest().image.size as usize;
    let images = EncoderFiles {
        graph: files::IMAGE_GRAPH,
        weights: files::IMAGE_WEIGHTS,
        input: vec![1, 3, size, size],
        input_type: f32::datum_type(),
    };
    let texts = EncoderFiles {
        graph: files::TEXT_GRAPH,
        weights: files::TEXT_WEIGHTS,
        input: vec![1, CONTEXT_LENGTH],
        input_type: i64::datum_type(),
    };
    let image = job.run(&images, &samples::images(pictures, size))?;
    let text = job.run(&texts, &caption_samples(&source.path(files::TOKENIZER))?)?;
    let quantized = Quantized {
        from: source.hash(),
        embedding_space: source.embedding_space(),
        image: image.fidelity.clone(),
        text: text.fidelity.clone(),
    };
    source.write_quantized(&target, quantized)?;
    fs::rename(&target, out).map_err(failed)?;
    Ok(Report { image, text })
}

/// The files and the input of an encoder.
struct EncoderFiles {
    graph: &'static str,
    weights: &'static str,
    input: Vec<usize>,
    input_type: DatumType,
}

struct Job<'a> {
    source: &'a Package,
    target: &'a Path,
    scratch: &'a Path,
    kernel: Kernel,
    aim: Aim,
    threads: &'a Threads,
    progress: &'a (dyn Fn(Progress) + Sync),
}

impl Job<'_> {
    fn run(&self, encoder: &EncoderFiles, samples: &[Sample]) -> Result<TowerReport, QuantizeError> {
        self.threads.run(|| {
            let source = self.source.path(encoder.graph);
            let unreadable =
                |error: TractError| QuantizeError::Graph { path: source.clone(), reason: format!("{error:#}") };
            let float = self.load(&source, encoder)?;
            let expected = self.embeddings(&float, samples, "float encoder")?;
            drop(float);
            let mut tower = Tower::read(&source).map_err(unreadable)?;
            let mut inputs = self.calibrate(&tower, encoder, samples)?;
            let alphas = smooth::smooth(self.kernel, &mut tower, &mut inputs);
            let Written { float, fidelity, losses } = self.write(&tower, encoder, samples, &expected)?;
            Ok(TowerReport {
                fidelity,
                bytes_before: bytes(self.source.dir(), encoder),
                bytes_after: bytes(self.target, encoder),
                layers: self.describe(&tower, &inputs, &alphas, &losses, &float),
            })
        })
    }

    fn load(&self, path: &Path, encoder: &EncoderFiles) -> Result<Plan, EncodeError> {
        Plan::load(path, &encoder.input, encoder.input_type, self.source.manifest().embedding_dim, Tokens::All)
    }

    fn embeddings(&self, plan: &Plan, samples: &[Sample], stage: &'static str) -> Result<Vec<Embedding>, EncodeError> {
        let embed = |(index, sample): (usize, &Sample)| {
            (self.progress)(Progress { stage, done: index, total: samples.len() });
            plan.run(sample.input.clone())
        };
        samples.iter().enumerate().map(embed).collect()
    }

    /// Returns the tower as a plan of fused layers, all in float.
    fn float_plan(&self, tower: &Tower, encoder: &EncoderFiles) -> Result<Plan, QuantizeError> {
        self.write_graph(tower, encoder, self.scratch, &Precision::Float)?;
        Ok(self.load(&self.scratch.join(encoder.graph), encoder)?)
    }

    fn write_graph(
        &self,
        tower: &Tower,
        encoder: &EncoderFiles,
        dir: &Path,
        precision: &Precision,
    ) -> Result<(), QuantizeError> {
        tower
            .write(dir, encoder.graph, encoder.weights, precision)
            .map_err(|error| QuantizeError::Graph { path: dir.join(encoder.graph), reason: format!("{error:#}") })
    }

    fn calibrate(
        &self,
        tower: &Tower,
        encoder: &EncoderFiles,
        samples: &[Sample],
    ) -> Result<BTreeMap<String, Inputs>, QuantizeError> {
        let plan = self.float_plan(tower, encoder)?;
        let depths: BTreeMap<&str, usize> = tower.linears().map(|(step, linear)| (&*step.name, linear.depth)).collect();
        let mut done = 0;
        let progress = || {
            done += 1;
            (self.progress)(Progress { stage: "calibration", done, total: samples.len() });
        };
        Ok(calibrate::gather(&plan, samples, |name| depths[name], progress)?)
    }

    /// Measures the cost of each layer alone in int8: one minus the cosine of the embedding, by the layer's name.
    fn scan(
        &self,
        tower: &Tower,
        encoder: &EncoderFiles,
        samples: &[Sample],
    ) -> Result<BTreeMap<String, f64>, QuantizeError> {
        let plan = self.float_plan(tower, encoder)?;
        let samples = &samples[..samples.len().min(SCANNED)];
        let expected = self.embeddings(&plan, samples, "sensitivity scan")?;
        let total = tower.linears().count();
        let mut losses = BTreeMap::new();
        for (done, (step, linear)) in tower.linears().enumerate() {
            (self.progress)(Progress { stage: "sensitivity scan", done, total });
            let layer = Arc::new(Layer::Linear(error::int8_linear(self.kernel, linear)));
            let mut loss = 0.0;
            for (sample, expected) in samples.iter().zip(&expected) {
                let found =
                    plan.run_hooked(sample.input.clone(), |name, _| (name == step.name).then(|| layer.clone()))?;
                loss += 1.0 - cosine(&found, expected);
            }
            losses.insert(step.name.clone(), loss / samples.len() as f64);
        }
        Ok(losses)
    }

    /// Writes the quantised encoder. While it misses the aim, the layer that costs most goes back to float, one layer
    /// at a time.
    fn write(
        &self,
        tower: &Tower,
        encoder: &EncoderFiles,
        samples: &[Sample],
        expected: &[Embedding],
    ) -> Result<Written, QuantizeError> {
        let mut float = BTreeSet::new();
        let fidelity = self.write_once(tower, encoder, samples, expected, &float)?;
        let mut written = Written { float: float.clone(), fidelity, losses: BTreeMap::new() };
        if self.aim.is_met(&written.fidelity) {
            return Ok(written);
        }
        written.losses = self.scan(tower, encoder, samples)?;
        let mut by_loss: Vec<(&String, &f64)> = written.losses.iter().collect();
        by_loss.sort_by(|a, b| b.1.total_cmp(a.1));
        for (name, _) in by_loss {
            float.insert(name.clone());
            written.fidelity = self.write_once(tower, encoder, samples, expected, &float)?;
            if self.aim.is_met(&written.fidelity) {
                break;
            }
        }
        Ok(Written { float, ..written })
    }

    fn write_once(
        &self,
        tower: &Tower,
        encoder: &EncoderFiles,
        samples: &[Sample],
        expected: &[Embedding],
        float: &BTreeSet<String>,
    ) -> Result<Fidelity, QuantizeError> {
        self.write_graph(tower, encoder, self.target, &Precision::Int8Except(float.clone()))?;
        let plan = self.load(&self.target.join(encoder.graph), encoder)?;
        let found = self.embeddings(&plan, samples, "quantised encoder")?;
        Ok(Fidelity::of(found.iter().zip(expected).map(|(found, expected)| cosine(found, expected))))
    }

    fn describe(
        &self,
        tower: &Tower,
        inputs: &BTreeMap<String, Inputs>,
        alphas: &BTreeMap<String, f32>,
        losses: &BTreeMap<String, f64>,
        float: &BTreeSet<String>,
    ) -> Vec<LayerReport> {
        let describe = |(step, linear): (&tower::Step, &tower::FloatLinear)| LayerReport {
            name: step.name.clone(),
            outputs: linear.outputs(),
            depth: linear.depth,
            precision: if float.contains(&step.name) { "float" } else { "int8" },
            alpha: alphas.get(&step.name).copied(),
            relative_error: error::relative_error(self.kernel, linear, &inputs[&step.name].rows),
            cosine_loss: losses.get(&step.name).copied(),
        };
        tower.linears().map(describe).collect()
    }
}

/// A quantised encoder that has been written.
struct Written {
    /// Names of the layers that stayed in float.
    float: BTreeSet<String>,
    fidelity: Fidelity,
    /// Cost of each layer, measured only if the first attempt missed the aim; see [`Job::scan`].
    losses: BTreeMap<String, f64>,
}

fn cosine(a: &Embedding, b: &Embedding) -> f64 {
    a.values().iter().zip(b.values()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn bytes(dir: &Path, encoder: &EncoderFiles) -> u64 {
    [encoder.graph, encoder.weights].iter().filter_map(|name| fs::metadata(dir.join(name)).ok()).map(|m| m.len()).sum()
}
