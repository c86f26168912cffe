//! Sixteen lanes of f32 on every instruction set, and a way to run code that is compiled for one.

/// Number of values per step of all float work. It is fixed, so that sums are formed in the same order everywhere.
pub const LANES: usize = 16;

/// Sixteen f32 values. Every operation rounds once, as IEEE 754 requires, on every instruction set.
///
/// Values of an implementation may exist only where its instructions do, so only [`Isa::run`] names implementations.
pub trait Lanes: Copy {
    /// Number of rows of a float tile, at most ten, whose sums and addresses fit this instruction set's registers.
    const TILE_ROWS: usize;

    /// Four values, each of which can be spread over all lanes.
    type Four<'a>: Copy;

    /// Loads four values.
    fn four(values: &[f32; 4]) -> Self::Four<'_>;
    /// Returns the value at INDEX, below 4, in every lane.
    fn spread<const INDEX: i32>(four: Self::Four<'_>) -> Self;
    /// Returns the value in every lane.
    fn splat(value: f32) -> Self;
    /// Loads the first sixteen values.
    ///
    /// # Panics
    /// If there are fewer.
    fn load(from: &[f32]) -> Self;
    /// Stores the lanes in the first sixteen places.
    ///
    /// # Panics
    /// If there are fewer.
    fn store(self, to: &mut [f32]);
    /// Converts the first sixteen integers, rounded to nearest even.
    ///
    /// # Panics
    /// If there are fewer.
    fn from_i32(from: &[i32]) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// Computes `self * factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// Returns `self` where it is less than `other`, and otherwise `other` (also for NaN).
    fn min(self, other: Self) -> Self;
    /// Returns `self` where it is greater than `other`, and otherwise `other` (also for NaN).
    fn max(self, other: Self) -> Self;
    /// Returns the greater of |self| and `magnitude`, which must not be negative. A NaN counts as greater than
    /// everything.
    fn max_magnitude(self, magnitude: Self) -> Self;
    /// Multiplies by 2^n, where n is the integer in the low bits of `exponent`. The result must be a normal number.
    fn times_power_of_two(self, exponent: Self) -> Self;
    /// Returns the lowest byte of each value's bits.
    fn low_bytes(self) -> [u8; LANES];

    fn to_array(self) -> [f32; LANES] {
        let mut values = [0.0; LANES];
        self.store(&mut values);
        values
    }

    /// Returns the sum of all lanes, added by halves.
    fn sum(self) -> f32 {
        fold_halves(self.to_array(), |a, b| a + b)
    }

    /// Returns the greatest lane. There must be no NaN.
    fn greatest(self) -> f32 {
        fold_halves(self.to_array(), |a, b| if a > b { a } else { b })
    }
}

#[inline(always)]
fn fold_halves(mut values: [f32; LANES], fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            values[i] = fold(values[i], values[i + width]);
        }
        width /= 2;
    }
    values[0]
}

/// Work over [`Lanes`] that is compiled for each instruction set. `run` must be `#[inline(always)]`.
pub trait Operation {
    type Output;
    fn run<L: Lanes>(self) -> Self::Output;
}

/// Proof that this processor has an instruction set for float work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    /// Scalar code, for the instructions that the compiler may always assume.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Scalar code, for any processor.
    pub const PORTABLE: Isa = Isa(Level::Portable);

    /// Returns AVX2 with FMA, if the processor has them.
    #[cfg(target_arch = "x86_64")]
    pub fn avx2() -> Option<Isa> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Isa(Level::Avx2))
    }

    /// Returns AVX-512 F, BW, VL and DQ, if the processor has them.
    #[cfg(target_arch = "x86_64")]
    pub fn avx512() -> Option<Isa> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq");
        (has && Isa::avx2().is_some()).then_some(Isa(Level::Avx512))
    }

    /// Returns NEON, if the processor has it.
    #[cfg(target_arch = "aarch64")]
    pub fn neon() -> Option<Isa> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Isa(Level::Neon))
    }

    /// Runs the operation, compiled for this instruction set.
    #[inline]
    pub fn run<O: Operation>(self, operation: O) -> O::Output {
        match self.0 {
            Level::Portable => operation.run::<portable::Portable>(),
            // SAFETY: `self` exists only where the instructions were detected.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { x86::run_avx2(operation) },
            // SAFETY: `self` exists only where the instructions were detected.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { x86::run_avx512(operation) },
            // SAFETY: `self` exists only where the instructions were detected.
            #[cfg(target_arch = "aarch64")]
            Level::Neon => unsafe { aarch64::run_neon(operation) },
        }
    }
}

mod portable {
    use super::{LANES, Lanes};

    #[derive(Clone, Copy)]
    pub struct Portable([f32; LANES]);

    impl Portable {
        #[inline(always)]
        fn each(self, other: Self, op: impl Fn(f32, f32) -> f32) -> Self {
            Portable(std::array::from_fn(|i| op(self.0[i], other.0[i])))
        }
    }

    impl Lanes for Portable {
        const TILE_ROWS: usize = 2;

        type Four<'a> = &'a [f32; 4];

        #[inline(always)]
        fn four(values: &[f32; 4]) -> Self::Four<'_> {
            values
        }
        #[inline(always)]
        fn spread<const INDEX: i32>(four: Self::Four<'_>) -> Self {
            Self::splat(four[INDEX as usize])
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Portable([value; LANES])
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            Portable(*from.first_chunk().expect("sixteen values"))
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            *to.first_chunk_mut().expect("sixteen places") = self.0;
        }
        #[inline(always)]
        fn from_i32(from: &[i32]) -> Self {
            Portable(from.first_chunk::<LANES>().expect("sixteen values").map(|value| value as f32))
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self.each(other, |a, b| a + b)
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self.each(other, |a, b| a - b)
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self.each(other, |a, b| a * b)
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            self.each(other, |a, b| a / b)
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            Portable(std::array::from_fn(|i| self.0[i].mul_add(factor.0[i], term.0[i])))
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            self.each(other, |a, b| if a < b { a } else { b })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            self.each(other, |a, b| if a > b { a } else { b })
        }
        #[inline(always)]
        fn max_magnitude(self, magnitude: Self) -> Self {
            // Positive floats are ordered like their bits.
            self.each(magnitude, |a, b| f32::from_bits(a.abs().to_bits().max(b.to_bits())))
        }
        #[inline(always)]
        fn times_power_of_two(self, exponent: Self) -> Self {
            self.each(exponent, |a, n| f32::from_bits(a.to_bits().wrapping_add(n.to_bits() << 23)))
        }
        #[inline(always)]
        fn low_bytes(self) -> [u8; LANES] {
            self.0.map(|value| value.to_bits() as u8)
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{LANES, Lanes, Operation};

    /// # Safety
    /// The processor must have the features named.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn run_avx2<O: Operation>(operation: O) -> O::Output {
        operation.run::<Avx2>()
    }

    /// # Safety
    /// The processor must have the features named.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
    pub unsafe fn run_avx512<O: Operation>(operation: O) -> O::Output {
        operation.run::<Avx512>()
    }

    #[derive(Clone, Copy)]
    pub struct Avx512(__m512);

    // SAFETY of all blocks: values exist only inside `run_avx512` (see `Lanes`), whose caller has shown that the
    // instructions are there. Loads and stores go through references to sixteen values.
    impl Lanes for Avx512 {
        const TILE_ROWS: usize = 10;

        type Four<'a> = &'a [f32; 4];

        #[inline(always)]
        fn four(values: &[f32; 4]) -> Self::Four<'_> {
            values
        }
        #[inline(always)]
        fn spread<const INDEX: i32>(four: Self::Four<'_>) -> Self {
            Self::splat(four[INDEX as usize])
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Avx512(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from: &[f32; LANES] = from.first_chunk().expect("sixteen values");
            Avx512(unsafe { _mm512_loadu_ps(from.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to: &mut [f32; LANES] = to.first_chunk_mut().expect("sixteen places");
            unsafe { _mm512_storeu_ps(to.as_mut_ptr(), self.0) };
        }
        #[inline(always)]
        fn from_i32(from: &[i32]) -> Self {
            let from: &[i32; LANES] = from.first_chunk().expect("sixteen values");
            Avx512(unsafe { _mm512_cvtepi32_ps(_mm512_loadu_si512(from.as_ptr().cast())) })
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Avx512(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Avx512(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Avx512(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            Avx512(unsafe { _mm512_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            Avx512(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            Avx512(unsafe { _mm512_min_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Avx512(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn max_magnitude(self, magnitude: Self) -> Self {
            Avx512(unsafe {
                let bits = _mm512_castps_si512(_mm512_abs_ps(self.0));
                _mm512_castsi512_ps(_mm512_max_epi32(bits, _mm512_castps_si512(magnitude.0)))
            })
        }
        #[inline(always)]
        fn times_power_of_two(self, exponent: Self) -> Self {
            Avx512(unsafe {
                let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(exponent.0));
                _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self.0), n))
            })
        }
        #[inline(always)]
        fn low_bytes(self) -> [u8; LANES] {
            let mut bytes = [0; LANES];
            unsafe {
                let narrow = _mm512_cvtepi32_epi8(_mm512_castps_si512(self.0));
                _mm_storeu_si128(bytes.as_mut_ptr().cast(), narrow);
            }
            bytes
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx2([__m256; 2]);

    impl Avx2 {
        #[inline(always)]
        fn each(self, other: Self, op: impl Fn(__m256, __m256) -> __m256) -> Self {
            Avx2([op(self.0[0], other.0[0]), op(self.0[1], other.0[1])])
        }
    }

    // SAFETY of all blocks: values exist only inside `run_avx2` (see `Lanes`), whose caller has shown that the
    // instructions are there. Loads and stores go through references to sixteen values.
    impl Lanes for Avx2 {
        const TILE_ROWS: usize = 6;

        type Four<'a> = &'a [f32; 4];

        #[inline(always)]
        fn four(values: &[f32; 4]) -> Self::Four<'_> {
            values
        }
        #[inline(always)]
        fn spread<const INDEX: i32>(four: Self::Four<'_>) -> Self {
            Self::splat(four[INDEX as usize])
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Avx2([unsafe { _mm256_set1_ps(value) }; 2])
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from: &[f32; LANES] = from.first_chunk().expect("sixteen values");
            Avx2(unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from[8..].as_ptr())] })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to: &mut [f32; LANES] = to.first_chunk_mut().expect("sixteen places");
            unsafe {
                _mm256_storeu_ps(to.as_mut_ptr(), self.0[0]);
                _mm256_storeu_ps(to[8..].as_mut_ptr(), self.0[1]);
            }
        }
        #[inline(always)]
        fn from_i32(from: &[i32]) -> Self {
            let from: &[i32; LANES] = from.first_chunk().expect("sixteen values");
            let half = |from: &[i32]| unsafe { _mm256_cvtepi32_ps(_mm256_loadu_si256(from.as_ptr().cast())) };
            Avx2([half(&from[..8]), half(&from[8..])])
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { _mm256_add_ps(a, b) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { _mm256_sub_ps(a, b) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { _mm256_mul_ps(a, b) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { _mm256_div_ps(a, b) })
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            Avx2(std::array::from_fn(|i| unsafe { _mm256_fmadd_ps(self.0[i], factor.0[i], term.0[i]) }))
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { _mm256_min_ps(a, b) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { _mm256_max_ps(a, b) })
        }
        #[inline(always)]
        fn max_magnitude(self, magnitude: Self) -> Self {
            self.each(magnitude, |a, b| unsafe {
                let bits = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(i32::MAX));
                _mm256_castsi256_ps(_mm256_max_epi32(bits, _mm256_castps_si256(b)))
            })
        }
        #[inline(always)]
        fn times_power_of_two(self, exponent: Self) -> Self {
            self.each(exponent, |a, n| unsafe {
                let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), n))
            })
        }
        #[inline(always)]
        fn low_bytes(self) -> [u8; LANES] {
            let mut bytes = [0; LANES];
            unsafe {
                let low = _mm256_set1_epi32(0xFF);
                let a = _mm256_and_si256(_mm256_castps_si256(self.0[0]), low);
                let b = _mm256_and_si256(_mm256_castps_si256(self.0[1]), low);
                // Packing works within 128-bit halves: a0 b0 | a1 b1, four words each.
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(a, b));
                let narrow = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(bytes.as_mut_ptr().cast(), narrow);
            }
            bytes
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::*;

    use super::{LANES, Lanes, Operation};

    /// # Safety
    /// The processor must have the features named.
    #[target_feature(enable = "neon")]
    pub unsafe fn run_neon<O: Operation>(operation: O) -> O::Output {
        operation.run::<Neon>()
    }

    #[derive(Clone, Copy)]
    pub struct Neon([float32x4_t; 4]);

    impl Neon {
        #[inline(always)]
        fn each(self, other: Self, op: impl Fn(float32x4_t, float32x4_t) -> float32x4_t) -> Self {
            Neon(std::array::from_fn(|i| op(self.0[i], other.0[i])))
        }
    }

    // SAFETY of all blocks: values exist only inside `run_neon` (see `Lanes`), whose caller has shown that the
    // instructions are there. Loads and stores go through references to sixteen values.
    impl Lanes for Neon {
        const TILE_ROWS: usize = 5;

        type Four<'a> = float32x4_t;

        #[inline(always)]
        fn four(values: &[f32; 4]) -> Self::Four<'_> {
            unsafe { vld1q_f32(values.as_ptr()) }
        }
        #[inline(always)]
        fn spread<const INDEX: i32>(four: Self::Four<'_>) -> Self {
            Neon([unsafe { vdupq_laneq_f32::<INDEX>(four) }; 4])
        }
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Neon([unsafe { vdupq_n_f32(value) }; 4])
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from: &[f32; LANES] = from.first_chunk().expect("sixteen values");
            Neon(std::array::from_fn(|i| unsafe { vld1q_f32(from[4 * i..].as_ptr()) }))
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to: &mut [f32; LANES] = to.first_chunk_mut().expect("sixteen places");
            for i in 0..4 {
                unsafe { vst1q_f32(to[4 * i..].as_mut_ptr(), self.0[i]) };
            }
        }
        #[inline(always)]
        fn from_i32(from: &[i32]) -> Self {
            let from: &[i32; LANES] = from.first_chunk().expect("sixteen values");
            Neon(std::array::from_fn(|i| unsafe { vcvtq_f32_s32(vld1q_s32(from[4 * i..].as_ptr())) }))
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { vaddq_f32(a, b) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { vsubq_f32(a, b) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { vmulq_f32(a, b) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { vdivq_f32(a, b) })
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, term: Self) -> Self {
            Neon(std::array::from_fn(|i| unsafe { vfmaq_f32(term.0[i], self.0[i], factor.0[i]) }))
        }
        #[inline(always)]
        fn min(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { vbslq_f32(vcltq_f32(a, b), a, b) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            self.each(other, |a, b| unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) })
        }
        #[inline(always)]
        fn max_magnitude(self, magnitude: Self) -> Self {
            self.each(magnitude, |a, b| unsafe {
                let bits = vreinterpretq_u32_f32(vabsq_f32(a));
                vreinterpretq_f32_u32(vmaxq_u32(bits, vreinterpretq_u32_f32(b)))
            })
        }
        #[inline(always)]
        fn times_power_of_two(self, exponent: Self) -> Self {
            self.each(exponent, |a, n| unsafe {
                let n = vshlq_n_u32::<23>(vreinterpretq_u32_f32(n));
                vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a), n))
            })
        }
        #[inline(always)]
        fn low_bytes(self) -> [u8; LANES] {
            let mut bytes = [0; LANES];
            unsafe {
                let [a, b, c, d] = self.0.map(|part| vreinterpretq_u16_f32(part));
                let (low, high) = (vuzp1q_u16(a, b), vuzp1q_u16(c, d));
                let narrow = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
                vst1q_u8(bytes.as_mut_ptr(), narrow);
            }
            bytes
        }
    }
}
