//! Kernel in plain Rust: the standard for all other kernels, and the one for processors without a better one.

use super::{Activations, Header, Layout, Micro, Operands};

/// Kernel in plain Rust.
pub static SCALAR: Micro = Micro {
    layout: Layout {
        tile_rows: 4,
        row_step: 1,
        panel_columns: 16,
        row_group: 1,
        column_group: 1,
        column_block: 16,
        depth_step: 1,
        activations: Activations::Signed,
        header: Header::NONE,
    },
    run,
};

/// # Safety
/// The operands must be as [`MicroAtDepth::tile`] has checked.
unsafe fn run(operands: &Operands) {
    let &Operands { rows, depth, activations, panel, out, .. } = operands;
    let columns = SCALAR.layout.panel_columns;
    // SAFETY: these are the lengths of the layout.
    let (activations, panel, out) = unsafe {
        (
            std::slice::from_raw_parts(activations.cast::<i8>(), rows * depth),
            std::slice::from_raw_parts(panel.cast::<i8>(), columns * depth),
            std::slice::from_raw_parts_mut(out, rows * columns),
        )
    };
    out.fill(0);
    for (activations, weights) in activations.chunks_exact(rows).zip(panel.chunks_exact(columns)) {
        for (&activation, out) in activations.iter().zip(out.chunks_exact_mut(columns)) {
            for (&weight, out) in weights.iter().zip(out) {
                *out += i32::from(activation) * i32::from(weight);
            }
        }
    }
}
