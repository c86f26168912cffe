//! The image encoder: a photo's tensor to its embedding.

use tract_onnx::prelude::{Datum, Tensor};

use super::plan::Plan;
use super::{EncodeError, Package, files};
use crate::domain::Embedding;

/// What the classifying stage needs of an encoder; tests put their own in its place.
pub trait EncodeImage: Send + Sync {
    /// Encodes one preprocessed photo: `3 * size * size` values (see [`crate::photo::tensor`]).
    fn encode(&self, tensor: &[f32]) -> Result<Embedding, EncodeError>;
}

/// The package's image encoder, loaded. Can be run from several threads at once.
#[derive(Debug, Clone)]
pub struct ImageEncoder {
    plan: Plan,
    size: usize,
}

impl ImageEncoder {
    pub fn load(package: &Package) -> Result<Self, EncodeError> {
        let manifest = package.manifest();
        let size = manifest.image.size as usize;
        let path = package.path(files::IMAGE_GRAPH);
        let plan = Plan::load(&path, &[1, 3, size, size], f32::datum_type(), manifest.embedding_dim)?;
        Ok(ImageEncoder { plan, size })
    }
}

impl EncodeImage for ImageEncoder {
    fn encode(&self, tensor: &[f32]) -> Result<Embedding, EncodeError> {
        let input = Tensor::from_shape(&[1, 3, self.size, self.size], tensor);
        self.plan.run(input.map_err(|error| EncodeError::Run(error.to_string()))?)
    }
}
