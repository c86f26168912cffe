//! The stages that turn a photo's bytes into its embedding, and the embedding into a verdict.

use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridgeclip_domain::{Embedding, Evidence, PhotoQuality, Tag, Verdict};
use bridgeclip_kernels::Threads;
use bridgeclip_package::{Package, PackageError};
use bridgeclip_photo::{
    self as photo, EncoderInput, MemoryBudget, MemoryShare, Orientation, PhotoError, Preprocess, encoder_input,
    quality, read_tag, thumbnail,
};
use bridgeclip_storage::plain_file;

use crate::classify::{Engine, EngineError, Fitted, FittedError, Params};
use crate::encoder::{EncodeError, EncodeImage, ImageEncoder};
use crate::rated::RatedPhotos;
use crate::reference::{FittedKind, Reference, ReferenceError, Search};

/// Limits on one photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest file, in bytes.
    pub bytes_max: u64,
    /// Limits on decoding.
    pub photo: photo::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_max: 100_000_000, photo: photo::Limits::default() }
    }
}

/// Reason why a photo has no embedding or verdict.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
    #[error("the file has more than {0} bytes (photo_megabytes_max)")]
    TooLarge(u64),
    #[error(transparent)]
    Photo(#[from] PhotoError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The reference database failed. This is the device's fault, not the photo's.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

/// Reads a complete file that may be a photo.
///
/// # Errors
/// [`PipelineError::Read`], or [`PipelineError::TooLarge`] if the file is larger than `limits.bytes_max`.
pub fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, PipelineError> {
    let file = plain_file::open(path)?;
    // Capacity for the stated length saves copies while the buffer grows. The file may still turn out longer or
    // shorter.
    let expected = file.metadata()?.len().min(limits.bytes_max) + 1;
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    file.take(limits.bytes_max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limits.bytes_max {
        true => Err(PipelineError::TooLarge(limits.bytes_max)),
        false => Ok(bytes),
    }
}

/// Stage from photo to embedding. It can be used from several threads at once; their photos share [`Embedder::memory`].
pub struct Embedder {
    pub encoder: Box<dyn EncodeImage>,
    pub preprocess: Preprocess,
    pub limits: Limits,
    /// Memory budget that all decodings of this process share.
    pub memory: Arc<MemoryBudget>,
}

/// Embedding of a photo, and other facts from its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    pub embedding: Embedding,
    /// Width and height as stored, in pixels.
    pub pixels: [u32; 2],
    /// Quality from the pixels alone. The metadata add [`photo::Metadata::millimetres_per_pixel`].
    pub quality: PhotoQuality,
}

impl Embedder {
    /// Loads the package's image encoder, which splits each photo over `threads`.
    pub fn load(package: &Package, limits: Limits, threads: &Threads) -> Result<Self, EncodeError> {
        let encoder = Box::new(ImageEncoder::load(package, threads)?);
        let memory = Arc::new(MemoryBudget::new(limits.photo.memory_bytes_max));
        Ok(Embedder { encoder, preprocess: package.preprocess(), limits, memory })
    }

    /// Reads and embeds a photo.
    pub fn embed_file(&self, path: &Path) -> Result<Embedded, PipelineError> {
        self.embed(&read_file(path, &self.limits)?)
    }

    /// Embeds the photo in `bytes`, the content of a file.
    pub fn embed(&self, bytes: &[u8]) -> Result<Embedded, PipelineError> {
        let (input, _memory) = self.input(bytes, None)?;
        self.embed_input(&input)
    }

    /// Decodes a photo, after waiting for the memory that it takes. The caller must keep the share of memory as long as it
    /// needs anything made from the pixels. See [`encoder_input`] for `orientation`.
    fn input(
        &self,
        bytes: &[u8],
        orientation: Option<Orientation>,
    ) -> Result<(EncoderInput, MemoryShare<'_>), PhotoError> {
        let photo = photo::open(bytes, &self.preprocess, &self.limits.photo)?;
        let share = self.memory.take(photo.memory(self.preprocess.apply_orientation));
        Ok((encoder_input(&photo, &self.preprocess, orientation)?, share))
    }

    fn embed_input(&self, input: &EncoderInput) -> Result<Embedded, PipelineError> {
        let embedding = self.encoder.encode(&input.tensor)?;
        Ok(Embedded { embedding, pixels: input.pixels, quality: quality(&input.raster) })
    }
}

/// Stage from embedding to verdict.
pub struct Answerer {
    pub reference: Reference,
    pub engine: Engine,
    /// Photos that inspectors have rated, which vote too. Empty unless a caller adds photos.
    pub rated: RatedPhotos,
}

/// Both stages, from photo to verdict. Clones share everything, and the verdicts are made one at a time.
#[derive(Clone)]
pub struct Classifier {
    pub embedder: Arc<Embedder>,
    answerer: Arc<Mutex<Answerer>>,
}

/// Everything that the daemon learns from the pixels of a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    pub embedded: Embedded,
    pub verdict: Verdict,
    /// Tag in a code that the photo shows.
    pub tag: Option<Tag>,
    /// Small upright JPEG of the photo.
    pub thumbnail: Option<Vec<u8>>,
}

/// Reason why a classifier cannot be made from a package.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Fitted(#[from] FittedError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Answerer {
    /// Loads the package's reference, and the heads, prompts and rules fitted to it.
    pub fn load(package: &Package, params: Params) -> Result<Self, LoadError> {
        let reference = Reference::open(&package.reference()?, package)?;
        let engine = Engine::new(params, fitted(&reference)?, reference.dim())?;
        Ok(Answerer { reference, engine, rated: RatedPhotos::default() })
    }

    /// Returns the verdict on a photo. `quality` is the photo's, if available.
    pub fn verdict(&self, photo: &Embedding, quality: Option<&PhotoQuality>) -> Result<Verdict, ReferenceError> {
        let mut evidence = self.reference.evidence(photo, self.engine.neighbourhood())?;
        self.rated.join(photo, &mut evidence, self.engine.neighbourhood());
        Ok(self.engine.verdict(photo, evidence, quality))
    }

    /// Returns the verdicts on many photos, in their order. The photos share the scans of the reference.
    pub fn verdicts(&self, photos: &[(Embedding, Option<PhotoQuality>)]) -> Result<Vec<Verdict>, ReferenceError> {
        let embeddings: Vec<Embedding> = photos.iter().map(|(embedding, _)| embedding.clone()).collect();
        let verdict = |((embedding, quality), evidence): (&(Embedding, Option<PhotoQuality>), _)| {
            self.engine.verdict(embedding, evidence, quality.as_ref())
        };
        Ok(photos.iter().zip(self.evidence(&embeddings)?).map(verdict).collect())
    }

    /// Returns the neighbourhoods of many photos, in their order, most similar first. The photos share the scans of the
    /// reference.
    pub fn evidence(&self, photos: &[Embedding]) -> Result<Vec<Vec<Evidence>>, ReferenceError> {
        let neighbours = self.engine.neighbourhood();
        let mut found = self.reference.search_all(photos, &Search::nearest(neighbours))?;
        for (photo, evidence) in photos.iter().zip(&mut found) {
            self.rated.join(photo, evidence, neighbours);
        }
        Ok(found)
    }
}

/// Reads the heads, prompts and rules that are fitted to a reference.
pub fn fitted(reference: &Reference) -> Result<Fitted, LoadError> {
    let heads = reference.fitted(FittedKind::Heads)?;
    let prompts = reference.fitted(FittedKind::Prompts)?;
    let rules = reference.fitted(FittedKind::Rules)?;
    Ok(Fitted::decode(heads.as_deref(), prompts.as_deref(), rules.as_deref())?)
}

impl Classifier {
    /// Loads the package's image encoder, its reference, and what is fitted to it.
    pub fn load(package: &Package, limits: Limits, params: Params, threads: &Threads) -> Result<Self, LoadError> {
        let answerer = Answerer::load(package, params)?;
        let embedder = Arc::new(Embedder::load(package, limits, threads)?);
        Ok(Classifier { embedder, answerer: Arc::new(Mutex::new(answerer)) })
    }

    /// Returns the second stage. No other caller gets a verdict while the guard exists.
    pub fn answerer(&self) -> MutexGuard<'_, Answerer> {
        self.answerer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Classifies the photo in `bytes`, the content of a file.
    pub fn classify(&self, bytes: &[u8]) -> Result<(Embedded, Verdict), PipelineError> {
        let (input, _memory) = self.embedder.input(bytes, None)?;
        self.classify_input(&input)
    }

    /// Classifies the photo in `bytes`, and extracts its tag and thumbnail from the same decoded pixels. `orientation` is
    /// that of the stored pixels, from the photo's metadata; `thumbnail_px` is the long side of the thumbnail in pixels,
    /// `None` for no thumbnail.
    pub fn inspect(
        &self,
        bytes: &[u8],
        orientation: Orientation,
        thumbnail_px: Option<NonZeroU32>,
    ) -> Result<Inspected, PipelineError> {
        let (input, _memory) = self.embedder.input(bytes, Some(orientation))?;
        let (embedded, verdict) = self.classify_input(&input)?;
        let turned = self.embedder.preprocess.apply_orientation;
        let to_turn = if turned { Orientation::UPRIGHT } else { orientation };
        let thumbnail = thumbnail_px.map(|long_side| thumbnail(&input.raster, to_turn, long_side));
        Ok(Inspected { embedded, verdict, tag: read_tag(&input.raster), thumbnail })
    }

    fn classify_input(&self, input: &EncoderInput) -> Result<(Embedded, Verdict), PipelineError> {
        let embedded = self.embedder.embed_input(input)?;
        let verdict = self.answerer().verdict(&embedded.embedding, Some(&embedded.quality))?;
        Ok((embedded, verdict))
    }
}
