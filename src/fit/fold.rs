//! The folds of the cross-validation.

/// Number of folds in the cross-validation.
pub const FOLDS: usize = 5;
/// Returns the fold of a group of photos. Folds are scattered over the groups, so that no order of the rows can put all
/// photos of a class into one fold.
pub fn fold_of(group: usize) -> usize {
    // Knuth's multiplicative hash.
    ((group as u32).wrapping_mul(2_654_435_769) >> 16) as usize % FOLDS
}
