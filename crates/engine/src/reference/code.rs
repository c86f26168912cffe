//! Vectors as int8, with a bound on the error.

/// Quantises values: returns whole numbers within -127 and 127, and the scale to multiply them by. The value of
/// greatest magnitude becomes +-127. If the scale is not a normal number, all whole numbers and the scale are 0.
pub fn whole_numbers(values: &[f32]) -> (Vec<f32>, f32) {
    let greatest = values.iter().fold(0.0_f32, |greatest, value| greatest.max(value.abs()));
    let scale = greatest / 127.0;
    if !scale.is_normal() {
        return (vec![0.0; values.len()], 0.0);
    }
    let whole = |value: &f32| (f64::from(*value) / f64::from(scale)).round_ties_even().clamp(-127.0, 127.0) as f32;
    (values.iter().map(whole).collect(), scale)
}

/// Quantises a row to int8 into `out`. Returns its scale, and an upper bound on the Euclidean norm of the error.
pub fn quantize(row: &[f32], out: &mut [i8]) -> (f32, f32) {
    let (whole, scale) = whole_numbers(row);
    let mut lost = 0.0;
    for ((out, whole), value) in out.iter_mut().zip(&whole).zip(row) {
        *out = *whole as i8;
        lost += (f64::from(*value) - f64::from(scale) * f64::from(*whole)).powi(2);
    }
    (scale, round_up(lost.sqrt()))
}

/// Returns the Euclidean norm.
pub fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

/// Rounds a value, at least 0, to an f32 that is never below it.
pub fn round_up(value: f64) -> f32 {
    (value * (1.0 + 1e-6)) as f32 + f32::MIN_POSITIVE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_within_the_bound() {
        let row: Vec<f32> = (0..97).map(|i| ((i * i) as f32).sin()).collect();
        let mut int8 = vec![0; row.len()];
        let (scale, error) = quantize(&row, &mut int8);
        let rest: Vec<f32> = row.iter().zip(&int8).map(|(value, &int8)| value - scale * f32::from(int8)).collect();
        assert!(norm(&rest) <= f64::from(error) && norm(&rest) > 0.9 * f64::from(error));
        assert_eq!(int8.iter().map(|value| value.unsigned_abs()).max(), Some(127));
    }

    #[test]
    fn rows_too_small_for_a_scale_are_all_error() {
        for value in [0.0, 1e-40, f32::MIN_POSITIVE] {
            let mut int8 = [1; 3];
            let (scale, error) = quantize(&[value; 3], &mut int8);
            assert_eq!((scale, int8), (0.0, [0; 3]));
            assert!(f64::from(error) >= norm(&[value; 3]));
        }
    }

    #[test]
    fn rounding_up_never_goes_down() {
        for value in [0.0, 1e-300, 1e-40, 0.1, 1.0 / 3.0, 1e9] {
            assert!(f64::from(round_up(value)) >= value, "{value}");
        }
    }
}
