//! Float functions over rows: layer norm, GELU, softmax, quantising. Each is written once, over [`Lanes`].
//!
//! Closures that compute with lanes are avoided. They are separate functions without the caller's instruction set, and
//! where the compiler does not inline them, each lane operation becomes a call.

use super::simd::{LANES, Lanes, Operation};
use super::{Kernel, threads};

/// Function that follows a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x Φ(x), where Φ is the normal distribution, with an absolute error of erf of 2e-7.
    Gelu,
    /// x / (1 + exp(-1.702 x)), as in OpenAI's original CLIP.
    QuickGelu,
}

/// A function of each value, chosen at compile time. `apply` must be `#[inline(always)]`.
pub(super) trait Function {
    fn apply<L: Lanes>(x: L) -> L;
}

pub(super) struct Identity;
pub(super) struct Gelu;
pub(super) struct QuickGelu;

impl Function for Identity {
    #[inline(always)]
    fn apply<L: Lanes>(x: L) -> L {
        x
    }
}

impl Function for Gelu {
    #[inline(always)]
    fn apply<L: Lanes>(x: L) -> L {
        gelu(x)
    }
}

impl Function for QuickGelu {
    #[inline(always)]
    fn apply<L: Lanes>(x: L) -> L {
        x.div(L::splat(1.0).add(exp(x.mul(L::splat(-1.702)))))
    }
}

/// Calls a generic method with the function that an `Option<Activation>` stands for.
macro_rules! with_activation {
    ($activation:expr, $($method:ident).+ :: <$lanes:ident> ()) => {
        match $activation {
            None => $($method).+::<$lanes, $crate::elementwise::Identity>(),
            Some(Activation::Gelu) => $($method).+::<$lanes, $crate::elementwise::Gelu>(),
            Some(Activation::QuickGelu) => $($method).+::<$lanes, $crate::elementwise::QuickGelu>(),
        }
    };
}
pub(super) use with_activation;

#[inline(always)]
fn gelu<L: Lanes>(x: L) -> L {
    let half = x.mul(L::splat(0.5));
    half.mul_add(erf(x.mul(L::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
}

/// Computes erf by the rational approximation of Eigen and XLA, within 2 units in the last place. Beyond +-4, erf is
/// +-1 in f32.
#[inline(always)]
fn erf<L: Lanes>(x: L) -> L {
    const NUMERATOR: [f32; 7] =
        [-2.726_142_3e-10, 2.770_681_4e-8, -2.101_024e-6, -5.692_506_5e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2];
    const DENOMINATOR: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    let x = x.max(L::splat(-4.0)).min(L::splat(4.0));
    let square = x.mul(x);
    x.mul(polynomial(square, NUMERATOR)).div(polynomial(square, DENOMINATOR))
}

/// Evaluates a polynomial of 5 to 7 coefficients, the constant one last. Estrin's scheme joins terms to pairs and pairs
/// to fours, which makes a shorter dependency chain than adding term by term.
#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(x: L, coefficients: [f32; N]) -> L {
    const { assert!(N >= 5 && N <= 7) };
    let square = x.mul(x);
    let high = match N {
        5 => L::splat(coefficients[0]),
        6 => two_terms(x, coefficients[0], coefficients[1]),
        _ => L::splat(coefficients[0]).mul_add(square, two_terms(x, coefficients[1], coefficients[2])),
    };
    let middle = two_terms(x, coefficients[N - 4], coefficients[N - 3]);
    let low = two_terms(x, coefficients[N - 2], coefficients[N - 1]);
    high.mul_add(square.mul(square), middle.mul_add(square, low))
}

#[inline(always)]
fn two_terms<L: Lanes>(x: L, factor: f32, constant: f32) -> L {
    L::splat(factor).mul_add(x, L::splat(constant))
}

/// Constant that moves a number below 2^22, rounded to nearest even, into the low bits of the sum.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23

/// Computes e^x within 2 units in the last place. x is clamped to [-87, 88], where the result is a normal number. The
/// reduction and the polynomial are those of Cephes' `expf`.
#[inline(always)]
fn exp<L: Lanes>(x: L) -> L {
    const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
    let x = x.max(L::splat(-87.0)).min(L::splat(88.0));
    let shifted = x.mul_add(L::splat(std::f32::consts::LOG2_E), L::splat(ROUND));
    let n = shifted.sub(L::splat(ROUND));
    // ln 2 is split in two; the first part has so few bits that n times it is exact.
    let rest = n.mul_add(L::splat(-0.693_359_4), x);
    let rest = n.mul_add(L::splat(2.121_944_4e-4), rest);
    let tail = polynomial(rest, POLYNOMIAL).mul_add(rest.mul(rest), rest);
    tail.add(L::splat(1.0)).times_power_of_two(shifted)
}

/// Loads sixteen values, or those that are left, padded with `fill`.
#[inline(always)]
pub(super) fn load_up_to<L: Lanes>(from: &[f32], fill: f32) -> L {
    if from.len() >= LANES {
        return L::load(from);
    }
    let mut values = [fill; LANES];
    values[..from.len()].copy_from_slice(from);
    L::load(&values)
}

/// Stores sixteen values, or as many as `to` has room for.
#[inline(always)]
pub(super) fn store_up_to<L: Lanes>(lanes: L, to: &mut [f32]) {
    if to.len() >= LANES {
        lanes.store(to);
    } else {
        to.copy_from_slice(&lanes.to_array()[..to.len()]);
    }
}

/// Completes up to sixteen values of a row of a linear layer: applies the activation, then stores the values or adds
/// them to those in `out`.
#[inline(always)]
pub(super) fn finish<L: Lanes, F: Function>(value: L, accumulate: bool, out: &mut [f32]) {
    let value = F::apply(value);
    let value = if accumulate { value.add(load_up_to(out, 0.0)) } else { value };
    store_up_to(value, out);
}

/// Normalises each row to mean 0 and variance 1 (of the complete row, plus `epsilon`), then scales and shifts it.
///
/// `values` is `[rows][weight.len()]`.
///
/// # Panics
/// If `bias` or `values` has another width.
pub fn layer_norm(kernel: Kernel, values: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let width = weight.len();
    assert!(width > 0 && bias.len() == width && values.len().is_multiple_of(width), "shapes of a layer norm");
    let rows = values.len() / width;
    let mut rest = values;
    let parts = threads::ranges(rows)
        .into_iter()
        .map(|range| rest.split_off_mut(..range.len() * width).expect("as many rows as there are"));
    threads::for_each(parts.collect(), |rows| kernel.isa.run(LayerNorm { rows, weight, bias, epsilon }));
}

struct LayerNorm<'a> {
    rows: &'a mut [f32],
    weight: &'a [f32],
    bias: &'a [f32],
    epsilon: f32,
}

impl Operation for LayerNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let width = self.weight.len();
        for row in self.rows.chunks_exact_mut(width) {
            let mut sum = L::splat(0.0);
            for chunk in row.chunks(LANES) {
                sum = sum.add(load_up_to(chunk, 0.0));
            }
            let mean = sum.sum() / width as f32;
            let mut squares = L::splat(0.0);
            for chunk in row.chunks(LANES) {
                let centred = load_up_to::<L>(chunk, mean).sub(L::splat(mean));
                squares = centred.mul_add(centred, squares);
            }
            let variance = squares.sum() / width as f32;
            let scale = L::splat(1.0 / (variance + self.epsilon).sqrt());
            let parameters = self.weight.chunks(LANES).zip(self.bias.chunks(LANES));
            for (values, (weight, bias)) in row.chunks_mut(LANES).zip(parameters) {
                let normal = load_up_to::<L>(values, mean).sub(L::splat(mean)).mul(scale);
                store_up_to(normal.mul_add(load_up_to(weight, 0.0), load_up_to(bias, 0.0)), values);
            }
        }
    }
}

/// Turns a row of attention scores into weights that are not yet divided by their sum, and returns one over the sum.
///
/// Scores from `valid` on are ignored and become 0. The length is a multiple of 16.
#[inline(always)]
pub(super) fn softmax<L: Lanes>(scores: &mut [f32], valid: usize, scale: f32) -> f32 {
    scores[valid..].fill(f32::NEG_INFINITY);
    let mut greatest = L::splat(f32::NEG_INFINITY);
    for chunk in scores.chunks_exact(LANES) {
        greatest = L::load(chunk).max(greatest);
    }
    let greatest = L::splat(greatest.greatest());
    let mut sum = L::splat(0.0);
    for chunk in scores.chunks_exact_mut(LANES) {
        let weight = exp(L::load(chunk).sub(greatest).mul(L::splat(scale)));
        weight.store(chunk);
        sum = sum.add(weight);
    }
    scores[valid..].fill(0.0);
    1.0 / sum.sum()
}

/// Symmetric quantisation of one row to int8: a value is `scale` times its byte, and the greatest magnitude becomes
/// +-127. Running it returns the scale.
///
/// `flip` is xored into each byte. `bytes` is a multiple of 16, at least as long as `values`, and padded with the byte
/// for 0. A row with NaN or infinity gets a scale that is not finite, so that the fault is visible.
pub(super) struct QuantizeRow<'a> {
    pub values: &'a [f32],
    pub bytes: &'a mut [u8],
    pub flip: u8,
}

impl Operation for QuantizeRow<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<L: Lanes>(self) -> f32 {
        let mut greatest = L::splat(0.0);
        for chunk in self.values.chunks(LANES) {
            greatest = load_up_to::<L>(chunk, 0.0).max_magnitude(greatest);
        }
        let greatest = greatest.to_array().map(f32::to_bits).into_iter().fold(0, u32::max);
        let greatest = f32::from_bits(greatest);
        // Below this, 127 / greatest is no longer a normal number, and the row is 0 for every purpose.
        let factor = if greatest < 1e-30 { 0.0 } else { 127.0 / greatest };
        let mut values = self.values.chunks(LANES);
        for bytes in self.bytes.chunks_exact_mut(LANES) {
            let lanes: L = load_up_to(values.next().unwrap_or_default(), 0.0);
            let rounded = lanes.mul_add(L::splat(factor), L::splat(ROUND)).low_bytes();
            for (byte, rounded) in bytes.iter_mut().zip(rounded) {
                *byte = rounded ^ self.flip;
            }
        }
        greatest / 127.0
    }
}

#[cfg(test)]
mod tests {
    use bridgeclip_random::Random;

    use super::super::simd::Isa;
    use super::*;

    /// Applies a function of one value to many values.
    macro_rules! map {
        ($isa:expr, $values:expr, $function:expr) => {{
            struct Map<'a>(&'a [f32]);
            impl Operation for Map<'_> {
                type Output = Vec<f32>;
                #[inline(always)]
                fn run<L: Lanes>(self) -> Vec<f32> {
                    let function: fn(L) -> L = $function;
                    self.0.chunks_exact(LANES).flat_map(|chunk| function(L::load(chunk)).to_array()).collect()
                }
            }
            $isa.run(Map($values))
        }};
    }

    fn isas() -> Vec<Isa> {
        Kernel::available().into_iter().map(|kernel| kernel.isa).collect()
    }

    /// Values over a range, and some special ones.
    fn values(from: f32, to: f32) -> Vec<f32> {
        let mut values: Vec<f32> = (0..160_000).map(|i| from + (to - from) * i as f32 / 160_000.0).collect();
        values.extend([0.0, -0.0, 1e-30, -1e-30, 1e-40, f32::MIN_POSITIVE, 1.0, -1.0]);
        values.extend([0.5, -0.5, 3.999_999, 4.0, -4.0, 4.000_001, f32::EPSILON, 5.0]);
        values
    }

    fn same_bits(a: &[f32], b: &[f32]) -> bool {
        a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
    }

    #[test]
    fn gelu_is_exact_enough_and_the_same_everywhere() {
        let values = values(-12.0, 12.0);
        let expected = |x: f32| f64::from(x) * 0.5 * erfc(-f64::from(x) / std::f64::consts::SQRT_2);
        let scalar = map!(Isa::PORTABLE, &values, gelu);
        for (x, y) in values.iter().zip(&scalar) {
            let error = (f64::from(*y) - expected(*x)).abs();
            assert!(error < 4e-7 * f64::from(x.abs().max(1.0)), "gelu({x}) = {y}, {}", expected(*x));
        }
        for isa in isas() {
            assert!(same_bits(&map!(isa, &values, gelu), &scalar), "{isa:?}");
        }
    }

    #[test]
    fn exp_is_exact_enough_and_the_same_everywhere() {
        let values = values(-87.0, 88.0);
        let scalar = map!(Isa::PORTABLE, &values, exp);
        for (x, y) in values.iter().zip(&scalar) {
            let expected = f64::from(*x).exp();
            assert!((f64::from(*y) / expected - 1.0).abs() < 2.5e-7, "exp({x}) = {y}, {expected}");
        }
        for isa in isas() {
            assert!(same_bits(&map!(isa, &values, exp), &scalar), "{isa:?}");
        }
        assert_eq!(map!(Isa::PORTABLE, &[-1e9; 16], exp)[0], map!(Isa::PORTABLE, &[-87.0; 16], exp)[0]);
    }

    /// Complementary error function in f64, by its continued fraction or its series.
    fn erfc(x: f64) -> f64 {
        if x < 0.0 {
            return 2.0 - erfc(-x);
        }
        if x < 2.5 {
            let (mut term, mut sum) = (x, x);
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                sum += term / f64::from(2 * n + 1);
            }
            return 1.0 - sum * 2.0 / std::f64::consts::PI.sqrt();
        }
        let fraction = (1..200).rev().fold(x, |rest, n| x + f64::from(n) / 2.0 / rest);
        (-x * x).exp() / fraction / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn layer_norm_is_that_of_the_definition_and_the_same_everywhere() {
        let mut random = Random::new(&[3]);
        for width in [1, 5, 15, 16, 17, 33, 144, 768] {
            let rows = 1 + random.below(9);
            let offset = 3.0 * random.normal();
            let values: Vec<f32> = (0..rows * width).map(|_| offset + random.normal()).collect();
            let weight: Vec<f32> = (0..width).map(|_| random.normal()).collect();
            let bias: Vec<f32> = (0..width).map(|_| random.normal()).collect();
            let result = |kernel| {
                let mut values = values.clone();
                layer_norm(kernel, &mut values, &weight, &bias, 1e-5);
                values
            };
            let scalar = result(Kernel::SCALAR);
            for (row, found) in values.chunks_exact(width).zip(scalar.chunks_exact(width)) {
                let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / width as f64;
                let variance = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / width as f64;
                for ((x, y), (w, b)) in row.iter().zip(found).zip(weight.iter().zip(&bias)) {
                    let normal = (f64::from(*x) - mean) / (variance + 1e-5).sqrt();
                    let expected = normal * f64::from(*w) + f64::from(*b);
                    assert!((f64::from(*y) - expected).abs() < 2e-5, "width {width}: {y}, {expected}");
                }
            }
            for kernel in Kernel::available() {
                assert!(same_bits(&result(kernel), &scalar), "{} width {width}", kernel.name);
            }
        }
    }
}
