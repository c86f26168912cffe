//! Kernels for x86-64: a group of one row's activations is broadcast, and the panel's columns are in the lanes.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Activations, Header, Layout, Micro, Operands};

/// Kernel with 512-bit `vpdpbusd`: ten rows by 32 columns, so that the 50 tokens of a ViT-B/32 image are five full
/// tiles.
pub static AVX512_VNNI: Micro = Micro {
    layout: Layout {
        tile_rows: 10,
        row_step: 1,
        panel_columns: 32,
        row_group: 4,
        column_group: 4,
        column_block: 32,
        depth_step: 4,
        activations: Activations::Offset,
        header: OFFSETS_32,
    },
    run: avx512_vnni,
};

/// Kernel with 256-bit `vpdpbusd` in its VEX form.
pub static AVX_VNNI: Micro = Micro {
    layout: Layout {
        tile_rows: 6,
        row_step: 1,
        panel_columns: 16,
        row_group: 4,
        column_group: 4,
        column_block: 16,
        depth_step: 4,
        activations: Activations::Offset,
        header: OFFSETS_16,
    },
    run: avx_vnni,
};

/// Kernel with `vpmaddubsw`, which requires one unsigned operand: |a| times w with the sign of a. Its 16-bit sums of
/// two products are at most 2 * 127 * 127 and cannot saturate. Where the weights allow it ([`is_narrow`]), two such
/// sums are added before they are widened to 32 bits, which saves one of two `vpmaddwd`.
pub static AVX2: Micro = Micro {
    layout: Layout {
        tile_rows: 5,
        row_step: 1,
        panel_columns: 16,
        row_group: 4,
        column_group: 4,
        column_block: 16,
        depth_step: 8,
        activations: Activations::WithMagnitude,
        header: ORDER,
    },
    run: avx2,
};

/// Header for 32 columns and activations with 128 added: for each output an i32, -128 times the sum of its weights.
const OFFSETS_32: Header = Header { bytes: |_| 32 * 4, fill: fill_offsets };
/// Header for 16 columns and activations with 128 added: for each output an i32, -128 times the sum of its weights.
const OFFSETS_16: Header = Header { bytes: |_| 16 * 4, fill: fill_offsets };

fn fill_offsets(header: &mut [u8], weights: &mut [u8]) {
    let columns = header.len() / 4;
    for (column, offset) in header.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let groups = weights.as_chunks::<4>().0.iter().skip(column).step_by(columns);
        let sum: i32 = groups.flatten().map(|&weight| i32::from(weight.cast_signed())).sum();
        *offset = (-128 * sum).to_ne_bytes();
    }
}

/// Header for weights in pairs of groups, `[2][16][4]` for a depth of eight values, narrow pairs first. It holds u16
/// numbers: the count of narrow pairs, then the place of each pair in the depth.
const ORDER: Header = Header { bytes: |depth| (2 + depth / 8 * 2).next_multiple_of(64), fill: narrow_pairs_first };

const PAIR_BYTES: usize = 2 * 16 * 4;

fn narrow_pairs_first(header: &mut [u8], weights: &mut [u8]) {
    let pairs: Vec<[u8; PAIR_BYTES]> = weights.as_chunks().0.to_vec();
    let (narrow, wide): (Vec<_>, Vec<_>) = pairs.iter().enumerate().partition(|(_, pair)| is_narrow(pair));
    let (head, places) = header.as_chunks_mut::<2>().0.split_first_mut().expect("a header");
    *head = u16::try_from(narrow.len()).expect("depth is bounded").to_ne_bytes();
    let sorted = narrow.into_iter().chain(wide);
    for (((place, pair), to), weights) in sorted.zip(places).zip(weights.as_chunks_mut().0) {
        *to = u16::try_from(place).expect("depth is bounded").to_ne_bytes();
        *weights = *pair;
    }
}

/// Reports whether sums over the pair's two groups fit 16 bits for all activations: 127 * (|w0| + |w1| + |w2| + |w3|) <
/// 2^15.
fn is_narrow(pair: &[u8; PAIR_BYTES]) -> bool {
    let magnitude = |weight: u8| u32::from(weight.cast_signed().unsigned_abs());
    let (first, second) = pair.split_at(PAIR_BYTES / 2);
    let sums = first.as_chunks::<2>().0.iter().zip(second.as_chunks::<2>().0);
    sums.map(|(a, b)| a.iter().chain(b).map(|&weight| magnitude(weight)).sum::<u32>()).all(|sum| 127 * sum < 1 << 15)
}

/// Calls the instance of a tile function for the number of rows, so that its accumulators are registers.
macro_rules! for_rows {
    ($operands:expr, $tile:ident, $($rows:literal)*) => {
        match $operands.rows {
            $($rows => unsafe { $tile::<$rows>($operands) },)*
            rows => unreachable!("{rows} rows in a tile"),
        }
    };
}

/// # Safety
/// The operands must be as [`MicroAtDepth::tile`] has checked, and the processor must have AVX-512 F, BW and VNNI.
unsafe fn avx512_vnni(operands: &Operands) {
    for_rows!(operands, avx512_vnni_tile, 1 2 3 4 5 6 7 8 9 10);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn avx512_vnni_tile<const ROWS: usize>(operands: &Operands) {
    let &Operands { depth, mut activations, panel, out, mut ahead, ahead_step, .. } = operands;
    // SAFETY: the panel is a header of 32 i32, then depth / 4 groups of 128 bytes; the activations are depth / 4 groups
    // of 4 * ROWS bytes; `out` has ROWS * 32 places. `ahead` is only prefetched, which cannot fault.
    unsafe {
        let start = [_mm512_loadu_si512(panel.cast()), _mm512_loadu_si512(panel.add(64).cast())];
        let mut sums = [start; ROWS];
        let mut weights = panel.add(128);
        for _ in 0..depth / 4 {
            let columns = [_mm512_loadu_si512(weights.cast()), _mm512_loadu_si512(weights.add(64).cast())];
            for (row, sums) in sums.iter_mut().enumerate() {
                let activation = _mm512_set1_epi32(activations.add(4 * row).cast::<i32>().read_unaligned());
                sums[0] = _mm512_dpbusd_epi32(sums[0], activation, columns[0]);
                sums[1] = _mm512_dpbusd_epi32(sums[1], activation, columns[1]);
            }
            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            ahead = ahead.wrapping_add(ahead_step);
            weights = weights.add(128);
            activations = activations.add(4 * ROWS);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            _mm512_storeu_si512(out.add(32 * row).cast(), sums[0]);
            _mm512_storeu_si512(out.add(32 * row + 16).cast(), sums[1]);
        }
    }
}

/// # Safety
/// The operands must be as [`MicroAtDepth::tile`] has checked, and the processor must have AVX2 and AVX-VNNI.
unsafe fn avx_vnni(operands: &Operands) {
    for_rows!(operands, avx_vnni_tile, 1 2 3 4 5 6);
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avx_vnni_tile<const ROWS: usize>(operands: &Operands) {
    let &Operands { depth, mut activations, panel, out, mut ahead, ahead_step, .. } = operands;
    // SAFETY: the panel is a header of 16 i32, then depth / 4 groups of 64 bytes; the activations are depth / 4 groups
    // of 4 * ROWS bytes; `out` has ROWS * 16 places. `ahead` is only prefetched, which cannot fault.
    unsafe {
        let start = [_mm256_loadu_si256(panel.cast()), _mm256_loadu_si256(panel.add(32).cast())];
        let mut sums = [start; ROWS];
        let mut weights = panel.add(64);
        for _ in 0..depth / 4 {
            let columns = [_mm256_loadu_si256(weights.cast()), _mm256_loadu_si256(weights.add(32).cast())];
            for (row, sums) in sums.iter_mut().enumerate() {
                let activation = _mm256_set1_epi32(activations.add(4 * row).cast::<i32>().read_unaligned());
                sums[0] = _mm256_dpbusd_avx_epi32(sums[0], activation, columns[0]);
                sums[1] = _mm256_dpbusd_avx_epi32(sums[1], activation, columns[1]);
            }
            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            ahead = ahead.wrapping_add(ahead_step);
            weights = weights.add(64);
            activations = activations.add(4 * ROWS);
        }
        store_16_columns(&sums, out);
    }
}

/// # Safety
/// The operands must be as [`MicroAtDepth::tile`] has checked, and the processor must have AVX2.
unsafe fn avx2(operands: &Operands) {
    for_rows!(operands, avx2_tile, 1 2 3 4 5);
}

#[target_feature(enable = "avx2")]
unsafe fn avx2_tile<const ROWS: usize>(operands: &Operands) {
    let &Operands { depth, panel, out, .. } = operands;
    let pairs = depth / 8;
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    // SAFETY: the panel starts with the header of `ORDER`; the ranges are within the number of pairs. `out` has ROWS *
    // 16 places.
    unsafe {
        let narrow = usize::from(panel.cast::<u16>().read_unaligned()).min(pairs);
        avx2_pairs::<ROWS, true>(operands, 0..narrow, &mut sums);
        avx2_pairs::<ROWS, false>(operands, narrow..pairs, &mut sums);
        store_16_columns(&sums, out);
    }
}

/// Adds the products of some of the panel's pairs of groups.
///
/// # Safety
/// The operands must be as [`MicroAtDepth::tile`] has checked, and `range` must be within the number of pairs.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn avx2_pairs<const ROWS: usize, const NARROW: bool>(
    operands: &Operands,
    range: Range<usize>,
    sums: &mut [[__m256i; 2]; ROWS],
) {
    let &Operands { depth, activations, panel, ahead, ahead_step, .. } = operands;
    let pairs = depth / 8;
    let ones = _mm256_set1_epi16(1);
    // SAFETY: the header has a place for each pair, after its first u16; then the pairs follow. The activations are
    // depth / 8 times 16 * ROWS bytes, and `place` is limited to them. `ahead` is only prefetched, which cannot fault.
    unsafe {
        let weights = panel.add((ORDER.bytes)(depth));
        for index in range {
            let place = usize::from(panel.add(2 + 2 * index).cast::<u16>().read_unaligned()).min(pairs - 1);
            let activations = activations.add(place * 16 * ROWS);
            let weights = weights.add(index * PAIR_BYTES);
            let columns: [_; 4] = std::array::from_fn(|i| _mm256_loadu_si256(weights.add(32 * i).cast()));
            for (row, sums) in sums.iter_mut().enumerate() {
                let quad = |at: usize| _mm256_set1_epi32(activations.add(at).cast::<i32>().read_unaligned());
                let (sign, magnitude) = (quad(8 * row), quad(8 * row + 4));
                let first = [columns[0], columns[1]]
                    .map(|column| _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(column, sign)));
                let (sign, magnitude) = (quad(8 * (ROWS + row)), quad(8 * (ROWS + row) + 4));
                let second = [columns[2], columns[3]]
                    .map(|column| _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(column, sign)));
                for (sum, (first, second)) in sums.iter_mut().zip(first.into_iter().zip(second)) {
                    let products = if NARROW {
                        _mm256_madd_epi16(_mm256_add_epi16(first, second), ones)
                    } else {
                        _mm256_add_epi32(_mm256_madd_epi16(first, ones), _mm256_madd_epi16(second, ones))
                    };
                    *sum = _mm256_add_epi32(*sum, products);
                }
            }
            let ahead = ahead.wrapping_add(2 * index * ahead_step);
            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(ahead_step).cast());
        }
    }
}

/// # Safety
/// `out` must have ROWS * 16 places.
#[target_feature(enable = "avx2")]
unsafe fn store_16_columns<const ROWS: usize>(sums: &[[__m256i; 2]; ROWS], out: *mut i32) {
    for (row, sums) in sums.iter().enumerate() {
        // SAFETY: `row` < ROWS.
        unsafe {
            _mm256_storeu_si256(out.add(16 * row).cast(), sums[0]);
            _mm256_storeu_si256(out.add(16 * row + 8).cast(), sums[1]);
        }
    }
}
