//! Divides vectors into clusters of near ones: spherical k-means. An exact search works with any division; a good one
//! makes it fast. The same vectors give the same clusters on every machine.

use bridgeclip_domain::Embedding;
use bridgeclip_kernels::Kernel;

use super::{Index, Search};

/// Number of rounds of assignment. Further rounds hardly speed up a search.
const ROUNDS: usize = 6;

/// Directions, each of which represents the vectors that are nearest to it.
#[derive(Debug)]
pub struct Clusters {
    directions: Vec<Embedding>,
    index: Index,
}

impl Clusters {
    /// Finds up to `count` clusters in a sample of vectors.
    ///
    /// # Panics
    /// If the sample is empty, or if its vectors differ in dimension.
    pub fn find(kernel: Kernel, sample: &[Embedding], count: usize) -> Self {
        let count = count.clamp(1, sample.len());
        let spread = (0..count).map(|cluster| sample[cluster * sample.len() / count].clone());
        let mut clusters = Self::around(kernel, spread.collect());
        for _ in 0..ROUNDS {
            let mut sums: Vec<Vec<f32>> = vec![vec![0.0; sample[0].values().len()]; count];
            for (vector, cluster) in sample.iter().zip(clusters.nearest(sample)) {
                sums[cluster].iter_mut().zip(vector.values()).for_each(|(sum, value)| *sum += value);
            }
            // A cluster without vectors keeps its direction.
            let moved = |(sum, before): (Vec<f32>, Embedding)| Embedding::normalise(sum).unwrap_or(before);
            clusters = Self::around(kernel, sums.into_iter().zip(clusters.directions).map(moved).collect());
        }
        clusters
    }

    fn around(kernel: Kernel, directions: Vec<Embedding>) -> Self {
        let values: Vec<f32> = directions.iter().flat_map(Embedding::values).copied().collect();
        let index = Index::of(kernel, directions[0].values().len(), &values);
        Clusters { directions, index }
    }

    /// Number of clusters.
    pub fn len(&self) -> usize {
        self.directions.len()
    }

    /// Returns the cluster of each vector, from 0.
    pub fn nearest(&self, vectors: &[Embedding]) -> Vec<usize> {
        let found = self.index.search_all(vectors, &Search::nearest(1), self);
        let Ok(found) = found;
        found.into_iter().map(|hits| hits[0].position).collect()
    }
}

impl super::ExactRows for Clusters {
    type Error = std::convert::Infallible;

    fn read(&self, position: usize, values: &mut [f32]) -> Result<(), Self::Error> {
        values.copy_from_slice(self.directions[position].values());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(angle: f32, count: usize) -> impl Iterator<Item = Embedding> {
        (0..count).map(move |i| {
            let angle = angle + 0.01 * i as f32;
            Embedding::normalise(vec![angle.cos(), angle.sin()]).expect("a direction")
        })
    }

    #[test]
    fn what_lies_together_comes_together() {
        let vectors: Vec<Embedding> = around(0.0, 10).chain(around(1.0, 30)).chain(around(3.0, 20)).collect();
        let clusters = Clusters::find(Kernel::SCALAR, &vectors, 3);
        let found = clusters.nearest(&vectors);
        for (range, others) in [(0..10, 10..60), (10..40, 40..60), (40..60, 0..40)] {
            assert!(found[range.clone()].iter().all(|cluster| *cluster == found[range.start]));
            assert!(found[others].iter().all(|cluster| *cluster != found[range.start]));
        }
    }

    #[test]
    fn more_clusters_than_vectors_and_equal_vectors_are_no_trouble() {
        let vectors: Vec<Embedding> = std::iter::repeat_with(|| around(1.0, 1)).take(5).flatten().collect();
        assert_eq!(Clusters::find(Kernel::SCALAR, &vectors, 9).nearest(&vectors), [0; 5]);
    }
}
