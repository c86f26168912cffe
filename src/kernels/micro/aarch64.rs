//! Kernels for 64-bit ARM, in assembly: the intrinsics for SDOT and SMMLA are not stable in Rust, and the loops are laid
//! out for in-order cores, where a value is loaded well before it is used.
//!
//! Registers: v0..v19 hold sums, v20..v24 activations of five rows (or pairs of rows), v25..v28 weights. A loop goes 32
//! values deep and loads one step ahead, so up to 80 bytes behind the operands are read and not used. The last load of
//! an operand moves its pointer on, to the place that was loaded: offsets count from there.

use std::arch::asm;

use super::{Activations, Header, Layout, Micro, Operands};

/// `smull`, `smlal2`, `sadalp`: what every 64-bit ARM has. Two products fit 16 bits as no operand is -128 (a product of
/// two such is the only one that does not leave room for a second).
pub static NEON: Micro = Micro {
    layout: Layout {
        tile_rows: 5,
        row_step: 5,
        panel_columns: 16,
        row_group: 16,
        column_group: 16,
        column_block: 4,
        depth_step: 32,
        activations: Activations::Signed,
        header: Header::NONE,
    },
    run: neon,
};

/// `sdot` by element: four columns by four values times one row's four values.
pub static SDOT: Micro = Micro {
    layout: Layout {
        tile_rows: 5,
        row_step: 5,
        panel_columns: 16,
        row_group: 16,
        column_group: 4,
        column_block: 16,
        depth_step: 32,
        activations: Activations::Signed,
        header: Header::NONE,
    },
    run: sdot,
};

/// `smmla`: two rows times two columns, eight values deep.
pub static I8MM: Micro = Micro {
    layout: Layout {
        tile_rows: 10,
        row_step: 10,
        panel_columns: 16,
        row_group: 8,
        column_group: 8,
        column_block: 8,
        depth_step: 32,
        activations: Activations::Signed,
        header: Header::NONE,
    },
    run: i8mm,
};

/// v0..v19 = 0.
macro_rules! clear_sums {
    () => {
        concat!(
            "movi v0.4s, #0\n movi v1.4s, #0\n movi v2.4s, #0\n movi v3.4s, #0\n movi v4.4s, #0\n",
            "movi v5.4s, #0\n movi v6.4s, #0\n movi v7.4s, #0\n movi v8.4s, #0\n movi v9.4s, #0\n",
            "movi v10.4s, #0\n movi v11.4s, #0\n movi v12.4s, #0\n movi v13.4s, #0\n movi v14.4s, #0\n",
            "movi v15.4s, #0\n movi v16.4s, #0\n movi v17.4s, #0\n movi v18.4s, #0\n movi v19.4s, #0\n",
        )
    };
}

/// The assembly of a kernel, with every vector register taken.
macro_rules! vector_asm {
    ([$($text:expr),* $(,)?], $($operands:tt)*) => {
        asm!(
            $($text),*,
            $($operands)*,
            out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
            out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
            out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
            out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
            out("v29") _, out("v30") _, out("v31") _,
            options(nostack)
        )
    };
}

/// One column group's weights times the five rows' element `lane`.
macro_rules! sdot_column {
    ($weights:literal, $lane:literal, $s0:literal, $s1:literal, $s2:literal, $s3:literal, $s4:literal) => {
        concat!(
            "sdot v",
            $s0,
            ".4s, v",
            $weights,
            ".16b, v20.4b[",
            $lane,
            "]\n",
            "sdot v",
            $s1,
            ".4s, v",
            $weights,
            ".16b, v21.4b[",
            $lane,
            "]\n",
            "sdot v",
            $s2,
            ".4s, v",
            $weights,
            ".16b, v22.4b[",
            $lane,
            "]\n",
            "sdot v",
            $s3,
            ".4s, v",
            $weights,
            ".16b, v23.4b[",
            $lane,
            "]\n",
            "sdot v",
            $s4,
            ".4s, v",
            $weights,
            ".16b, v24.4b[",
            $lane,
            "]\n",
        )
    };
}

/// All sixteen columns times element `lane`, loading the weights of the next group from `next` bytes on.
macro_rules! sdot_group {
    ($lane:literal, $next:literal, $next_half:literal) => {
        concat!(
            sdot_column!(25, $lane, 0, 1, 2, 3, 4),
            sdot_column!(26, $lane, 5, 6, 7, 8, 9),
            "ldp q25, q26, [{b}, #",
            $next,
            "]\n",
            sdot_column!(27, $lane, 10, 11, 12, 13, 14),
            sdot_column!(28, $lane, 15, 16, 17, 18, 19),
            "ldp q27, q28, [{b}, #",
            $next_half,
            "]\n",
        )
    };
}

/// The same with element 3, the last one: loads the next activations too. `!` behind a place moves the pointer there.
macro_rules! sdot_last_group {
    ($next:literal, $next_half:literal, $a0:literal, $a1:literal, $a2:literal) => {
        concat!(
            sdot_column!(25, 3, 0, 1, 2, 3, 4),
            sdot_column!(26, 3, 5, 6, 7, 8, 9),
            "ldp q25, q26, [{b}, #",
            $next,
            "]\n",
            sdot_column!(27, 3, 10, 11, 12, 13, 14),
            "sdot v15.4s, v28.16b, v20.4b[3]\n",
            "sdot v16.4s, v28.16b, v21.4b[3]\n",
            "ldp q20, q21, [{a}, #",
            $a0,
            "]\n",
            "sdot v17.4s, v28.16b, v22.4b[3]\n",
            "sdot v18.4s, v28.16b, v23.4b[3]\n",
            "ldp q22, q23, [{a}, #",
            $a1,
            "]\n",
            "sdot v19.4s, v28.16b, v24.4b[3]\n",
            "ldr q24, [{a}, #",
            $a2,
            "\n",
            "ldp q27, q28, [{b}, #",
            $next_half,
            "\n",
        )
    };
}

/// # Safety
/// As [`MicroAtDepth::tile`] has checked, on a processor with dot product instructions.
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot(operands: &Operands) {
    let &Operands { depth, activations, panel, out, ahead, ahead_step, .. } = operands;
    // SAFETY: the activations are depth / 16 groups of 80 bytes, the panel depth / 16 times 256 bytes, both with slack
    // for the loads of the step after the last; `out` has 5 * 16 places. Prefetches cannot fault.
    unsafe {
        vector_asm!(
            [
                clear_sums!(),
                "ldp q20, q21, [{a}]",
                "ldp q22, q23, [{a}, #32]",
                "ldr q24, [{a}, #64]!",
                "ldp q25, q26, [{b}]",
                "ldp q27, q28, [{b}, #32]!",
                "2:",
                sdot_group!(0, 32, 64),
                "prfm pldl2keep, [{ahead}]",
                sdot_group!(1, 96, 128),
                "add {ahead}, {ahead}, {ahead_step}",
                sdot_group!(2, 160, 192),
                "subs {steps}, {steps}, #1",
                sdot_last_group!(224, "256]", 16, 48, "80]"),
                sdot_group!(0, 288, 320),
                sdot_group!(1, 352, 384),
                sdot_group!(2, 416, 448),
                sdot_last_group!(480, "512]!", 96, 128, "160]!"),
                "b.ne 2b",
                "stp q0, q5, [{out}]",
                "stp q10, q15, [{out}, #32]",
                "stp q1, q6, [{out}, #64]",
                "stp q11, q16, [{out}, #96]",
                "stp q2, q7, [{out}, #128]",
                "stp q12, q17, [{out}, #160]",
                "stp q3, q8, [{out}, #192]",
                "stp q13, q18, [{out}, #224]",
                "stp q4, q9, [{out}, #256]",
                "stp q14, q19, [{out}, #288]",
            ],
            a = inout(reg) activations => _,
            b = inout(reg) panel => _,
            steps = inout(reg) depth / 32 => _,
            ahead = inout(reg) ahead => _,
            ahead_step = in(reg) 8 * ahead_step,
            out = in(reg) out
        );
    }
}

/// One column pair's weights times five pairs of rows.
macro_rules! smmla_column {
    ($weights:literal, $s0:literal, $s1:literal, $s2:literal, $s3:literal, $s4:literal) => {
        concat!(
            "smmla v",
            $s0,
            ".4s, v20.16b, v",
            $weights,
            ".16b\n",
            "smmla v",
            $s1,
            ".4s, v21.16b, v",
            $weights,
            ".16b\n",
            "smmla v",
            $s2,
            ".4s, v22.16b, v",
            $weights,
            ".16b\n",
            "smmla v",
            $s3,
            ".4s, v23.16b, v",
            $weights,
            ".16b\n",
            "smmla v",
            $s4,
            ".4s, v24.16b, v",
            $weights,
            ".16b\n",
        )
    };
}

/// Eight values deep, loading the next weights from `b1`, `b2` and the next activations from `a0` .. `a2` bytes on. `!`
/// behind a place moves the pointer there.
macro_rules! smmla_step {
    ($b1:literal, $b2:literal, $a0:literal, $a1:literal, $a2:literal) => {
        concat!(
            smmla_column!(25, 0, 1, 2, 3, 4),
            smmla_column!(26, 5, 6, 7, 8, 9),
            "ldp q25, q26, [{b}, #",
            $b1,
            "]\n",
            smmla_column!(27, 10, 11, 12, 13, 14),
            "smmla v15.4s, v20.16b, v28.16b\n",
            "smmla v16.4s, v21.16b, v28.16b\n",
            "ldp q20, q21, [{a}, #",
            $a0,
            "]\n",
            "smmla v17.4s, v22.16b, v28.16b\n",
            "smmla v18.4s, v23.16b, v28.16b\n",
            "ldp q22, q23, [{a}, #",
            $a1,
            "\n",
            "smmla v19.4s, v24.16b, v28.16b\n",
            "ldr q24, [{a}, #",
            $a2,
            "]\n",
            "ldp q27, q28, [{b}, #",
            $b2,
            "\n",
        )
    };
}

/// Rows `2 * pair` and `2 * pair + 1`, eight columns each, from four 2 x 2 sums.
macro_rules! store_smmla_pair {
    ($s0:literal, $s1:literal, $s2:literal, $s3:literal, $even:literal, $odd:literal) => {
        concat!(
            "zip1 v25.2d, v",
            $s0,
            ".2d, v",
            $s1,
            ".2d\n",
            "zip1 v26.2d, v",
            $s2,
            ".2d, v",
            $s3,
            ".2d\n",
            "zip2 v27.2d, v",
            $s0,
            ".2d, v",
            $s1,
            ".2d\n",
            "zip2 v28.2d, v",
            $s2,
            ".2d, v",
            $s3,
            ".2d\n",
            "stp q25, q26, [{out}, #",
            $even,
            "]\n",
            "stp q27, q28, [{out}, #",
            $odd,
            "]\n",
        )
    };
}

/// # Safety
/// As [`MicroAtDepth::tile`] has checked, on a processor with int8 matrix instructions.
#[target_feature(enable = "neon,i8mm")]
unsafe fn i8mm(operands: &Operands) {
    let &Operands { depth, activations, panel, out, ahead, ahead_step, .. } = operands;
    for block in 0..2 {
        // SAFETY: the activations are depth / 8 groups of 80 bytes, a block of the panel depth / 8 times 64 bytes, both
        // with slack (or the next block) for the loads of the step after the last; `out` has 10 rows of 16 places, of
        // which a block is 8. Prefetches cannot fault.
        unsafe {
            vector_asm!(
                [
                    clear_sums!(),
                    "ldp q20, q21, [{a}]",
                    "ldp q22, q23, [{a}, #32]!",
                    "ldr q24, [{a}, #32]",
                    "ldp q25, q26, [{b}]",
                    "ldp q27, q28, [{b}, #32]!",
                    "2:",
                    smmla_step!(32, "64]", 48, "80]", 112),
                    "prfm pldl2keep, [{ahead}]",
                    smmla_step!(96, "128]", 128, "160]", 192),
                    "add {ahead}, {ahead}, {ahead_step}",
                    smmla_step!(160, "192]", 208, "240]", 272),
                    "subs {steps}, {steps}, #1",
                    smmla_step!(224, "256]!", 288, "320]!", 32),
                    "b.ne 2b",
                    store_smmla_pair!(0, 5, 10, 15, 0, 64),
                    store_smmla_pair!(1, 6, 11, 16, 128, 192),
                    store_smmla_pair!(2, 7, 12, 17, 256, 320),
                    store_smmla_pair!(3, 8, 13, 18, 384, 448),
                    store_smmla_pair!(4, 9, 14, 19, 512, 576),
                ],
                a = inout(reg) activations => _,
                b = inout(reg) panel.add(block * depth * 8) => _,
                steps = inout(reg) depth / 32 => _,
                ahead = inout(reg) ahead.wrapping_add(block * 2 * ahead_step * (depth / 32)) => _,
                ahead_step = in(reg) 2 * ahead_step,
                out = in(reg) out.add(block * 8)
            );
        }
    }
}

/// One column's sixteen weights times the five rows' sixteen activations, into four partial sums each.
macro_rules! neon_column {
    ($weights:literal, $s0:literal, $s1:literal, $s2:literal, $s3:literal, $s4:literal) => {
        concat!(
            "smull v27.8h, v",
            $weights,
            ".8b, v20.8b\n",
            "smull v28.8h, v",
            $weights,
            ".8b, v21.8b\n",
            "smull v29.8h, v",
            $weights,
            ".8b, v22.8b\n",
            "smull v30.8h, v",
            $weights,
            ".8b, v23.8b\n",
            "smull v31.8h, v",
            $weights,
            ".8b, v24.8b\n",
            "smlal2 v27.8h, v",
            $weights,
            ".16b, v20.16b\n",
            "smlal2 v28.8h, v",
            $weights,
            ".16b, v21.16b\n",
            "smlal2 v29.8h, v",
            $weights,
            ".16b, v22.16b\n",
            "smlal2 v30.8h, v",
            $weights,
            ".16b, v23.16b\n",
            "smlal2 v31.8h, v",
            $weights,
            ".16b, v24.16b\n",
            "sadalp v",
            $s0,
            ".4s, v27.8h\n",
            "sadalp v",
            $s1,
            ".4s, v28.8h\n",
            "sadalp v",
            $s2,
            ".4s, v29.8h\n",
            "sadalp v",
            $s3,
            ".4s, v30.8h\n",
            "sadalp v",
            $s4,
            ".4s, v31.8h\n",
        )
    };
}

/// Sixteen values deep. The first two columns' weights have been loaded, and the next ones are.
macro_rules! neon_sixteen {
    () => {
        concat!(
            "ldp q20, q21, [{a}], #80\n",
            "ldp q22, q23, [{a}, #-48]\n",
            "ldr q24, [{a}, #-16]\n",
            neon_column!(25, 0, 1, 2, 3, 4),
            neon_column!(26, 5, 6, 7, 8, 9),
            "ldp q25, q26, [{b}], #64\n",
            neon_column!(25, 10, 11, 12, 13, 14),
            neon_column!(26, 15, 16, 17, 18, 19),
            "ldp q25, q26, [{b}, #-32]\n",
        )
    };
}

/// One row's four columns, each the sum of its four partial sums.
macro_rules! store_neon_row {
    ($s0:literal, $s1:literal, $s2:literal, $s3:literal, $row:literal) => {
        concat!(
            "addp v25.4s, v",
            $s0,
            ".4s, v",
            $s1,
            ".4s\n",
            "addp v26.4s, v",
            $s2,
            ".4s, v",
            $s3,
            ".4s\n",
            "addp v25.4s, v25.4s, v26.4s\n",
            "str q25, [{out}, #",
            $row,
            "]\n",
        )
    };
}

/// # Safety
/// As [`MicroAtDepth::tile`] has checked.
#[target_feature(enable = "neon")]
unsafe fn neon(operands: &Operands) {
    let &Operands { depth, activations, panel, out, .. } = operands;
    for block in 0..4 {
        // SAFETY: the activations are depth / 16 groups of 80 bytes, a block of the panel depth / 16 times 64 bytes,
        // both with slack (or the next block) for the loads of the step after the last; `out` has 5 rows of 16 places,
        // of which a block is 4.
        unsafe {
            vector_asm!(
                [
                    clear_sums!(),
                    "ldp q25, q26, [{b}], #32",
                    "2:",
                    neon_sixteen!(),
                    "subs {steps}, {steps}, #1",
                    neon_sixteen!(),
                    "b.ne 2b",
                    store_neon_row!(0, 5, 10, 15, 0),
                    store_neon_row!(1, 6, 11, 16, 64),
                    store_neon_row!(2, 7, 12, 17, 128),
                    store_neon_row!(3, 8, 13, 18, 192),
                    store_neon_row!(4, 9, 14, 19, 256),
                ],
                a = inout(reg) activations => _,
                b = inout(reg) panel.add(block * depth * 4) => _,
                steps = inout(reg) depth / 32 => _,
                out = in(reg) out.add(block * 4)
            );
        }
    }
}
