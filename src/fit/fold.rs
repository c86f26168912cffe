//! The folds of the cross-validation.

/// Number of folds in the cross-validation.
pub const FOLDS: usize = 5;
/// Returns the fold of a photo. Folds are scattered over the rows, so that no order of the rows can put all photos of a
/// class into one fold.
pub fn fold_of(row: usize) -> usize {
    // Knuth's multiplicative hash.
    ((row as u32).wrapping_mul(2_654_435_769) >> 16) as usize % FOLDS
}
