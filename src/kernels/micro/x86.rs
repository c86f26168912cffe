//! Kernels for x86-64: one row's group of activations is broadcast, the panel's columns lie in the lanes.

use std::arch::x86_64::*;

use super::{Activations, Layout, Micro, Operands};

/// 512-bit `vpdpbusd`: ten rows by 32 columns, so that a ViT-B/32 image's 50 tokens are five full tiles.
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
    },
    run: avx512_vnni,
};

/// 256-bit `vpdpbusd` in its VEX form.
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
    },
    run: avx_vnni,
};

/// `vpmaddwd` on weights extended to 16 bits while they are loaded: nothing can saturate.
pub static AVX2: Micro = Micro {
    layout: Layout {
        tile_rows: 6,
        row_step: 1,
        panel_columns: 16,
        row_group: 2,
        column_group: 2,
        column_block: 16,
        depth_step: 2,
        activations: Activations::Wide,
    },
    run: avx2,
};

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
/// As [`Micro::tile`] has checked, on a processor with AVX-512 F, BW and VNNI.
unsafe fn avx512_vnni(operands: &Operands) {
    for_rows!(operands, avx512_vnni_tile, 1 2 3 4 5 6 7 8 9 10);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn avx512_vnni_tile<const ROWS: usize>(operands: &Operands) {
    let &Operands { depth, mut activations, panel, out, mut ahead, ahead_step, .. } = operands;
    // SAFETY: the panel is a header of 32 i32, then depth / 4 groups of 128 bytes; the activations are depth / 4
    // groups of 4 * ROWS bytes; `out` has ROWS * 32 places. `ahead` is only prefetched, which cannot fault.
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
            _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
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
/// As [`Micro::tile`] has checked, on a processor with AVX2 and AVX-VNNI.
unsafe fn avx_vnni(operands: &Operands) {
    for_rows!(operands, avx_vnni_tile, 1 2 3 4 5 6);
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avx_vnni_tile<const ROWS: usize>(operands: &Operands) {
    let &Operands { depth, mut activations, panel, out, mut ahead, ahead_step, .. } = operands;
    // SAFETY: the panel is a header of 16 i32, then depth / 4 groups of 64 bytes; the activations are depth / 4
    // groups of 4 * ROWS bytes; `out` has ROWS * 16 places. `ahead` is only prefetched, which cannot fault.
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
            _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
            ahead = ahead.wrapping_add(ahead_step);
            weights = weights.add(64);
            activations = activations.add(4 * ROWS);
        }
        store_16_columns(&sums, out);
    }
}

/// # Safety
/// As [`Micro::tile`] has checked, on a processor with AVX2.
unsafe fn avx2(operands: &Operands) {
    for_rows!(operands, avx2_tile, 1 2 3 4 5 6);
}

#[target_feature(enable = "avx2")]
unsafe fn avx2_tile<const ROWS: usize>(operands: &Operands) {
    let &Operands { depth, mut activations, panel, out, mut ahead, ahead_step, .. } = operands;
    // SAFETY: the panel is depth / 2 groups of 32 bytes; the activations are depth / 2 groups of 4 * ROWS bytes;
    // `out` has ROWS * 16 places. `ahead` is only prefetched, which cannot fault.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        let mut weights = panel;
        for _ in 0..depth / 2 {
            let columns = [
                _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast())),
                _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(16).cast())),
            ];
            for (row, sums) in sums.iter_mut().enumerate() {
                let activation = _mm256_set1_epi32(activations.add(4 * row).cast::<i32>().read_unaligned());
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(activation, columns[0]));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(activation, columns[1]));
            }
            _mm_prefetch::<_MM_HINT_T1>(ahead.cast());
            ahead = ahead.wrapping_add(ahead_step);
            weights = weights.add(32);
            activations = activations.add(4 * ROWS);
        }
        store_16_columns(&sums, out);
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
