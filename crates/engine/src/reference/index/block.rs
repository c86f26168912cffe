//! A block of rows around a common centre, in the form of the file and of the index.

use crate::reference::code::{norm, quantize, round_up};

/// Rows around a centre, nearest first. Every vector except `centre` has one entry, or `dim` entries, for each row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// Centre of the rows, `[dim]`.
    pub centre: Vec<f32>,
    /// Positions of the rows in the reference, from 0.
    pub positions: Vec<u32>,
    /// Upper bounds on the norm of row minus centre, ascending.
    pub distances: Vec<f32>,
    /// Quantised rows, `[rows][dim]`. A row is its `scale` times these values, with an error whose norm is at most
    /// `error`.
    pub int8: Vec<i8>,
    /// Scale of each row.
    pub scales: Vec<f32>,
    /// Upper bound on the norm of each row's error.
    pub errors: Vec<f32>,
}

impl Block {
    /// Quantises rows, given with their positions, into a block. Every row has the dimension of `centre` and finite
    /// values.
    pub fn new(centre: Vec<f32>, rows: &[(u32, Vec<f32>)]) -> Self {
        let distance = |row: &[f32]| {
            let apart = row.iter().zip(&centre).map(|(value, centre)| (f64::from(*value) - f64::from(*centre)).powi(2));
            round_up(apart.sum::<f64>().sqrt())
        };
        let mut sorted: Vec<(f32, u32, &[f32])> =
            rows.iter().map(|(position, row)| (distance(row), *position, &row[..])).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut block = Block { int8: vec![0; rows.len() * centre.len()], ..Block::default() };
        let places = block.int8.chunks_exact_mut(centre.len());
        for ((distance, position, row), place) in sorted.into_iter().zip(places) {
            let (scale, error) = quantize(row, place);
            block.positions.push(position);
            block.distances.push(distance);
            block.scales.push(scale);
            block.errors.push(error);
        }
        Block { centre, ..block }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Reports whether the block has a form that [`Block::new`] can produce for rows of this dimension.
    pub fn is_sound(&self, dim: usize) -> bool {
        let count = self.len();
        let lengths = [self.distances.len(), self.scales.len(), self.errors.len()];
        let is_size = |value: &f32| value.is_finite() && *value >= 0.0;
        count > 0
            && self.centre.len() == dim
            && lengths == [count; 3]
            && self.int8.len() == count * dim
            && norm(&self.centre).is_finite()
            && [&self.distances, &self.scales, &self.errors].into_iter().flatten().all(is_size)
            && self.distances.is_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_nearest_first_with_what_int8_loses() {
        let rows = [(7, vec![3.0, 4.0]), (2, vec![0.0, 1.0]), (9, vec![1.0, 0.0])];
        let block = Block::new(vec![0.0, 0.0], &rows);
        assert_eq!(block.positions, [2, 9, 7]);
        assert!(block.distances[2] >= 5.0 && block.distances[2] < 5.001);
        assert_eq!(block.int8, [0, 127, 127, 0, 95, 127]);
        assert!(block.is_sound(2) && !block.is_sound(1));
    }

    #[test]
    fn what_no_block_can_be_is_seen() {
        let sound = Block::new(vec![0.0], &[(0, vec![1.0]), (1, vec![2.0])]);
        let spoilt = |spoil: fn(&mut Block)| {
            let mut block = sound.clone();
            spoil(&mut block);
            !block.is_sound(1)
        };
        assert!(spoilt(|block| block.distances.reverse()));
        assert!(spoilt(|block| block.scales[0] = f32::NAN));
        assert!(spoilt(|block| block.errors[1] = -1.0));
        assert!(spoilt(|block| block.centre[0] = f32::INFINITY));
        assert!(spoilt(|block| _ = block.int8.pop()));
        assert!(spoilt(|block| *block = Block { centre: vec![0.0], ..Block::default() }));
    }
}
