//! Figures in tables.

/// Returns a figure with this number of decimal places; `-` if there is none.
pub fn decimals(value: Option<f64>, places: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.places$}"))
}
