//! The image encoder: a photo's tensor to its embedding.

use tract_onnx::prelude::{Datum, Tensor};

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::Threads;
use bridgeclip_package::{Package, files};

use super::EncodeError;
use super::plan::{Plan, Tokens};

/// What the classifying stage needs of an encoder; tests put their own in its place.
pub trait EncodeImage: Send + Sync {
    /// Encodes one preprocessed photo: `3 * size * size` values (see [`bridgeclip_photo::tensor`]).
    fn encode(&self, tensor: &[f32]) -> Result<Embedding, EncodeError>;
}

/// The package's image encoder, loaded. Can be run from several threads at once.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    plan: Plan,
    size: usize,
    threads: Threads,
}

impl ImageEncoder {
    /// Loads the encoder, which will split each photo over `threads`.
    pub fn load(package: &Package, threads: &Threads) -> Result<Self, EncodeError> {
        let manifest = package.manifest();
        let size = manifest.image.size as usize;
        let path = package.path(files::IMAGE_GRAPH);
        let plan = Plan::load(&path, &[1, 3, size, size], f32::datum_type(), manifest.embedding_dim, Tokens::Needed)?;
        Ok(ImageEncoder { plan, size, threads: threads.clone() })
    }

    /// Multiplications of weights with activations for one photo.
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
