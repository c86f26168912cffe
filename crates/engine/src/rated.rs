//! Photos that inspectors have rated on this device: additional evidence, without a new package.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bridgeclip_domain::{Embedding, Evidence, Labels, caption};

/// Maximum number of rated photos that vote, the last ones. Each takes the memory of an embedding.
const RATED_MAX: usize = 5_000;

/// Photo of this device with an inspector's labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Rated {
    /// Id of the photo's capture.
    pub capture: i64,
    pub embedding: Embedding,
    pub labels: Labels,
    /// Name of the inspector.
    pub by: String,
}

/// Rated photos of one embedding space, the last 5,000 of them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RatedPhotos(Arc<Mutex<Vec<Rated>>>);

impl RatedPhotos {
    /// Adds a photo, or replaces its earlier labels.
    pub fn put(&self, rated: Rated) {
        let mut photos = self.all();
        photos.retain(|known| known.capture != rated.capture);
        if photos.len() == RATED_MAX {
            photos.remove(0);
        }
        photos.push(rated);
    }

    /// Removes a photo, if it is there.
    pub fn remove(&self, capture: i64) {
        self.all().retain(|known| known.capture != capture);
    }

    /// Merges the rated photos into `evidence`, the nearest photos of the reference, most similar first, and keeps the
    /// first `neighbours` of all. Without rated photos it changes nothing.
    ///
    /// # Panics
    /// If the embeddings have another dimension.
    pub fn join(&self, photo: &Embedding, evidence: &mut Vec<Evidence>, neighbours: usize) {
        let photos = self.all();
        if photos.is_empty() {
            return;
        }
        evidence.extend(photos.iter().map(|rated| rated.evidence(photo)));
        // The sort is stable: of equally similar photos, those of the reference come first.
        evidence.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        evidence.truncate(neighbours);
    }

    fn all(&self) -> MutexGuard<'_, Vec<Rated>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rated {
    fn evidence(&self, photo: &Embedding) -> Evidence {
        Evidence {
            // Rows of the reference have positive ids.
            reference_id: -self.capture,
            similarity: photo.cosine(&self.embedding),
            source: format!("capture {}, rated by {}", self.capture, self.by),
            caption: caption(&self.labels),
            labels: self.labels.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_domain::CategoryLabels;

    use super::*;

    fn embedding(x: f32, y: f32) -> Embedding {
        Embedding::normalise(vec![x, y]).expect("a direction")
    }

    fn rated(capture: i64, x: f32, y: f32) -> Rated {
        let labels = Labels::new(|category| CategoryLabels::new(category, [1]));
        Rated { capture, embedding: embedding(x, y), labels, by: "A. Sato".to_owned() }
    }

    fn reference(similarities: &[f32]) -> Vec<Evidence> {
        let photo = embedding(1.0, 0.0);
        let of = |(similarity, id): (&f32, i64)| Evidence {
            reference_id: id,
            similarity: *similarity,
            ..rated(id, 1.0, 0.0).evidence(&photo)
        };
        similarities.iter().zip(1..).map(of).collect()
    }

    #[test]
    fn a_rated_photo_is_among_the_nearest_where_it_belongs() {
        let photos = RatedPhotos::default();
        let (photo, mut untouched) = (embedding(1.0, 0.0), reference(&[0.9, 0.5]));
        photos.join(&photo, &mut untouched, 1);
        assert_eq!(untouched.len(), 2, "nothing is rated, nothing is done");
        photos.put(rated(7, 1.0, 0.0));
        photos.put(rated(8, 0.0, 1.0));
        let mut evidence = reference(&[1.0, 0.9, 0.5]);
        photos.join(&photo, &mut evidence, 3);
        assert_eq!(evidence.iter().map(|photo| photo.reference_id).collect::<Vec<_>>(), [1, -7, 2]);
        assert!(evidence[1].source.contains("capture 7, rated by A. Sato"));
    }

    #[test]
    fn the_last_word_on_a_photo_holds_and_the_oldest_photos_go() {
        let photos = RatedPhotos::default();
        for capture in 0..RATED_MAX as i64 {
            photos.put(rated(capture, 1.0, 0.0));
        }
        photos.put(rated(3, 0.0, 1.0));
        assert_eq!(photos.all().len(), RATED_MAX);
        photos.put(rated(-1, 0.0, 1.0));
        let all = photos.all();
        assert_eq!((all.len(), all[0].capture, all[RATED_MAX - 2].capture), (RATED_MAX, 1, 3));
    }
}
