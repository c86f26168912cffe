//! Embeddings: vectors that represent a photo or a text.

/// Unit-length vector of finite `f32` in the shared space of photos and texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

/// Reason why an encoder output or stored vector cannot be an embedding.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EmbeddingError {
    #[error("value {index} of the embedding is {value}")]
    NotFinite { index: usize, value: f32 },
    #[error("the embedding is all zeros and has no direction")]
    Zero,
}

impl Embedding {
    /// Divides `vector` by its L2 norm, which is summed in `f64`.
    ///
    /// # Errors
    /// If a value is not finite, or if all values are zero.
    pub fn normalise(mut vector: Vec<f32>) -> Result<Self, EmbeddingError> {
        if let Some(index) = vector.iter().position(|value| !value.is_finite()) {
            return Err(EmbeddingError::NotFinite { index, value: vector[index] });
        }
        let norm = vector.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        if norm == 0.0 {
            return Err(EmbeddingError::Zero);
        }
        vector.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
        Ok(Embedding(vector))
    }

    /// Returns the values, as many as the package's `embedding_dim`.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// Returns the values as little-endian `f32`, the form in both databases.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Returns the cosine similarity in [-1, 1].
    ///
    /// # Panics
    /// If the dimensions differ.
    pub fn cosine(&self, other: &Embedding) -> f32 {
        assert_eq!(self.0.len(), other.0.len());
        self.0.iter().zip(&other.0).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_to_unit_length() {
        let embedding = Embedding::normalise(vec![3.0, 4.0]).unwrap();
        assert_eq!(embedding.values(), [0.6, 0.8]);
        assert!((embedding.cosine(&embedding) - 1.0).abs() < 1e-7);
    }

    #[test]
    fn refuses_what_has_no_direction() {
        assert_eq!(Embedding::normalise(vec![0.0; 3]), Err(EmbeddingError::Zero));
        let error = Embedding::normalise(vec![0.0, f32::INFINITY]).unwrap_err();
        assert_eq!(error, EmbeddingError::NotFinite { index: 1, value: f32::INFINITY });
    }
}
