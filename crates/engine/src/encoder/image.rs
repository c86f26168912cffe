//! The image encoder: turns a photo's tensor into its embedding.

use tract_onnx::prelude::{Datum, Tensor};

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::Threads;
use bridgeclip_package::{Package, files};

use super::EncodeError;
use super::plan::{Plan, Tokens};

/// The encoder as the classifying stage sees it. Tests substitute their own.
pub trait EncodeImage: Send + Sync {
    /// Encodes one preprocessed photo, `3 * size * size` values; see [`bridgeclip_photo::tensor`].
    fn encode(&self, tensor: &[f32]) -> Result<Embedding, EncodeError>;
}

/// The loaded image encoder of a package. Several threads can run it at once.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    plan: Plan,
    size: usize,
    threads: Threads,
}

impl ImageEncoder {
    /// Loads the encoder. It splits the work on each photo over `threads`.
    pub fn load(package: &Package, threads: &Threads) -> Result<Self, EncodeError> {
        let manifest = package.manifest();
        let size = manifest.image.size as usize;
        let path = package.path(files::IMAGE_GRAPH);
        let plan = Plan::load(&path, &[1, 3, size, size], f32::datum_type(), manifest.embedding_dim, Tokens::Needed)?;
        Ok(ImageEncoder { plan, size, threads: threads.clone() })
    }

    /// Returns the number of multiplications of weights with activations for one photo.
    pub fn multiply_adds(&self) -> Result<u64, EncodeError> {
        self.plan.multiply_adds()
    }
}

impl EncodeImage for ImageEncoder {
    fn encode(&self, tensor: &[f32]) -> Result<Embedding, EncodeError> {
        let input = Tensor::from_shape(&[1, 3, self.size, self.size], tensor)?;
        self.threads.run(|| self.plan.run(input))
    }
}
