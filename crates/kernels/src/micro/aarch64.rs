//! Kernels for 64-bit ARM, in assembly. The intrinsics for SDOT and SMMLA are not stable in Rust, and the loops are
//! arranged for in-order cores, where a value must be loaded well before it is used.
//!
//! Registers v0 to v19 hold sums, the others activations and weights. A loop is 32 values deep and loads one step
//! ahead, so up to 160 bytes after the operands are read and not used.

use std::arch::asm;

use super::{Activations, Header, Layout, Micro, Operands};

/// Kernel with `smull`, `smlal2` and `sadalp`, which every 64-bit ARM has. Two products fit into 16 bits because no
/// operand is -128; only a product of two such operands would leave no room for a second.
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

/// Kernel with `sdot` by element: four columns by four values times one row's four values.
pub static SDOT: Micro = Micro {
    layout: Layout {
        tile_rows: 10,
        row_step: 10,
        panel_columns: 16,
        row_group: 16,
        column_group: 4,
        column_block: 8,
        depth_step: 32,
        activations: Activations::Signed,
        header: Header::NONE,
    },
    run: sdot,
};

/// Kernel with `smmla`: two rows times two columns, eight values deep.
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

/// Sets v0 to v19 to 0.
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

/// Emits the assembly of a kernel, which uses every vector register.
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

/// Adds to sums `4 * c` to `4 * c + 3` of one row: four columns' weights times element `lane` of the row.
macro_rules! sdot {
    ($sums:literal, $weights:literal, $row:literal, $lane:literal) => {
        concat!("sdot v", $sums, ".4s, v", $weights, ".16b, v", $row, ".4b[", $lane, "]\n")
    };
}

/// Adds to columns 0..4 of rows 4 to 9.
#[rustfmt::skip]
macro_rules! sdot_rows_4_to_9 {
    ($lane:literal) => {
        concat!(
            sdot!(4, 30, 24, $lane), sdot!(5, 30, 25, $lane), sdot!(6, 30, 26, $lane),
            sdot!(7, 30, 27, $lane), sdot!(8, 30, 28, $lane), sdot!(9, 30, 29, $lane),
        )
    };
}

/// Adds to columns 0..4 of all rows.
#[rustfmt::skip]
macro_rules! sdot_columns_0 {
    ($lane:literal) => {
        concat!(
            sdot!(0, 30, 20, $lane), sdot!(1, 30, 21, $lane), sdot!(2, 30, 22, $lane), sdot!(3, 30, 23, $lane),
            sdot_rows_4_to_9!($lane),
        )
    };
}

/// Adds to columns 4..8 of all rows.
#[rustfmt::skip]
macro_rules! sdot_columns_4 {
    ($lane:literal) => {
        concat!(
            sdot!(10, 31, 20, $lane), sdot!(11, 31, 21, $lane), sdot!(12, 31, 22, $lane), sdot!(13, 31, 23, $lane),
            sdot!(14, 31, 24, $lane), sdot!(15, 31, 25, $lane), sdot!(16, 31, 26, $lane), sdot!(17, 31, 27, $lane),
            sdot!(18, 31, 28, $lane), sdot!(19, 31, 29, $lane),
        )
    };
}

/// Adds to columns 0..4, then 4..8, of rows `r` and `r + 1`.
macro_rules! sdot_two_rows {
    ($s0:literal, $s1:literal, $t0:literal, $t1:literal, $r0:literal, $r1:literal, $lane:literal) => {
        concat!(
            sdot!($s0, 30, $r0, $lane),
            sdot!($s1, 30, $r1, $lane),
            sdot!($t0, 31, $r0, $lane),
            sdot!($t1, 31, $r1, $lane),
        )
    };
}

/// Loads from `offset` bytes after a pointer.
macro_rules! load {
    ($registers:literal, $pointer:literal, $offset:literal) => {
        concat!($registers, ", [{", $pointer, "}, #", $offset, "]\n")
    };
}

/// One step, sixteen values deep. The weights of lane 0 and rows 0..6, 8 and 9 are already loaded, except those that
/// `$late` names; the step loads these where the load unit of an in-order core is free. Then it loads the operands of
/// the next step: weights from `b0` on and rows from `a0` on, two (weights) or ten (rows) times 16 bytes each.
#[rustfmt::skip]
macro_rules! sdot_step {
    ([$late_rows_6:expr, $late_row_7:expr, $late_weights:expr], [$w1:literal, $x1:literal, $w2:literal, $x2:literal,
      $w3:literal, $x3:literal, $w4:literal], [$a0:literal, $a2:literal, $a4:literal, $a8:literal, $a9:literal]) => {
        concat!(
            sdot!(0, 30, 20, 0), sdot!(1, 30, 21, 0), $late_rows_6, $late_row_7,
            sdot!(2, 30, 22, 0), sdot!(3, 30, 23, 0), $late_weights, sdot_rows_4_to_9!(0),
            load!("ldr q30", "b", $w1), sdot_columns_4!(0), load!("ldr q31", "b", $x1),
            sdot_columns_0!(1), load!("ldr q30", "b", $w2), sdot_columns_4!(1), load!("ldr q31", "b", $x2),
            sdot_columns_0!(2), load!("ldr q30", "b", $w3), sdot_columns_4!(2), load!("ldr q31", "b", $x3),
            sdot_two_rows!(8, 9, 18, 19, 28, 29, 3), load!("ldr q28", "a", $a8), load!("ldr q29", "a", $a9),
            sdot_two_rows!(0, 1, 10, 11, 20, 21, 3), load!("ldp q20, q21", "a", $a0),
            sdot_two_rows!(2, 3, 12, 13, 22, 23, 3), load!("ldp q22, q23", "a", $a2),
            sdot!(4, 30, 24, 3), sdot!(5, 30, 25, 3), sdot!(6, 30, 26, 3), sdot!(7, 30, 27, 3),
            load!("ldr q30", "b", $w4),
            sdot!(14, 31, 24, 3), sdot!(15, 31, 25, 3), load!("ldp q24, q25", "a", $a4),
            sdot!(16, 31, 26, 3), sdot!(17, 31, 27, 3),
        )
    };
}

/// # Safety
/// The operands must be as [`MicroAtDepth::tile`] has checked, and the processor must have dot product instructions.
#[target_feature(enable = "neon,dotprod")]
unsafe fn sdot(operands: &Operands) {
    let &Operands { depth, activations, panel, out, .. } = operands;
    for block in 0..2 {
        // SAFETY: the activations are depth / 16 groups of 160 bytes, and a block of the panel is depth / 4 times 32
        // bytes. Both are followed by slack (or the next block) for the loads of the step after the last. `out` has 10
        // rows of 16 places, of which a block is 8.
        unsafe {
            vector_asm!(
                [
                    clear_sums!(),
                    "ldp q20, q21, [{a}]",
                    "ldp q22, q23, [{a}, #32]",
                    "ldp q24, q25, [{a}, #64]",
                    "ldp q28, q29, [{a}, #128]",
                    "ldr q30, [{b}]",
                    "2:",
                    sdot_step!(
                        [load!("ldr q26", "a", 96), load!("ldr q27", "a", 112), load!("ldr q31", "b", 16)],
                        [32, 48, 64, 80, 96, 112, 128],
                        [160, 192, 224, 288, 304]
                    ),
                    "subs {steps}, {steps}, #1",
                    sdot_step!(
                        [load!("ldr q26", "a", 256), load!("ldr q27", "a", 272), load!("ldr q31", "b", 144)],
                        [160, 176, 192, 208, 224, 240, 256],
                        [320, 352, 384, 448, 464]
                    ),
                    "add {b}, {b}, #256",
                    "add {a}, {a}, #320",
                    "b.ne 2b",
                    "stp q0, q10, [{out}]",
                    "stp q1, q11, [{out}, #64]",
                    "stp q2, q12, [{out}, #128]",
                    "stp q3, q13, [{out}, #192]",
                    "stp q4, q14, [{out}, #256]",
                    "stp q5, q15, [{out}, #320]",
                    "stp q6, q16, [{out}, #384]",
                    "stp q7, q17, [{out}, #448]",
                    "stp q8, q18, [{out}, #512]",
                    "stp q9, q19, [{out}, #576]",
                ],
                a = inout(reg) activations => _,
                b = inout(reg) panel.add(block * depth * 8) => _,
                steps = inout(reg) depth / 32 => _,
                out = in(reg) out.add(block * 8)
            );
        }
    }
}

/// Multiplies one column pair's weights by five pairs of rows.
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

/// One step, eight values deep. It loads the next weights from `b1` and `b2` and the next activations from `a0` to
/// `a2`, all offsets in bytes. `!` after an offset moves the pointer there.
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

/// Stores eight columns each of rows `2 * pair` and `2 * pair + 1`, from four 2 x 2 sums.
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
/// The operands must be as [`MicroAtDepth::tile`] has checked, and the processor must have int8 matrix instructions.
#[target_feature(enable = "neon,i8mm")]
unsafe fn i8mm(operands: &Operands) {
    let &Operands { depth, activations, panel, out, ahead, ahead_step, .. } = operands;
    for block in 0..2 {
        // SAFETY: the activations are depth / 8 groups of 80 bytes, and a block of the panel is depth / 8 times 64
        // bytes. Both are followed by slack (or the next block) for the loads of the step after the last. `out` has 10
        // rows of 16 places, of which a block is 8. Prefetches cannot fault.
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

/// Multiplies one column's sixteen weights by the five rows' sixteen activations, into four partial sums each.
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

/// One step, sixteen values deep. The first two columns' weights are already loaded, and the step loads those of the
/// next one.
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

/// Stores four columns of one row, each the sum of its four partial sums.
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
/// The operands must be as [`MicroAtDepth::tile`] has checked.
#[target_feature(enable = "neon")]
unsafe fn neon(operands: &Operands) {
    let &Operands { depth, activations, panel, out, .. } = operands;
    for block in 0..4 {
        // SAFETY: the activations are depth / 16 groups of 80 bytes, and a block of the panel is depth / 16 times 64
        // bytes. Both are followed by slack (or the next block) for the loads of the step after the last. `out` has 5
        // rows of 16 places, of which a block is 4.
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
