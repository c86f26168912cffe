//! The int8 micro-kernels: a few rows of activations times one panel of weights.
//!
//! All give the same numbers: `out[r][c] = sum over k of a[r][k] * w[c][k]`, exactly, in 32 bits. They differ in how
//! they want the operands packed ([`Layout`]).

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{I8MM, NEON, SDOT};
pub use scalar::SCALAR;
#[cfg(target_arch = "x86_64")]
pub use x86::{AVX_VNNI, AVX2, AVX512_VNNI};

use super::buffer::AlignedBytes;

/// The most rows and columns that any kernel has in a tile.
const TILE_VALUES_MAX: usize = 10 * 32;

/// Products of one tile, `[rows][panel_columns]`.
pub type Tile = [i32; TILE_VALUES_MAX];

/// How a kernel wants its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Rows of activations in one tile, at most.
    pub tile_rows: usize,
    /// The number of rows in a tile is a multiple of this; rows of zeros fill it up.
    pub row_step: usize,
    /// Outputs (rows of the weight matrix) in one panel; a multiple of 16.
    pub panel_columns: usize,
    /// Activations of one row that lie together: a tile is `[depth / row_group][rows][row_group]`.
    pub row_group: usize,
    /// Weights of one output that lie together: a panel is `[depth / column_group][panel_columns][column_group]`,
    /// or, for a `column_block`, `[panel_columns / block][depth / column_group][block][column_group]`.
    pub column_group: usize,
    pub column_block: usize,
    /// The depth (values per row) is padded with zeros to a multiple of this, and of both groups.
    pub depth_step: usize,
    pub activations: Activations,
}

/// How an int8 activation is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// As it is.
    Signed,
    /// Plus 128, as an unsigned byte. The panel starts with an i32 for each output, -128 times the sum of its weights,
    /// that takes the 128 out again.
    Offset,
    /// Extended to 16 bits.
    Wide,
}

impl Layout {
    /// Bytes of one stored activation.
    pub fn activation_bytes(&self) -> usize {
        match self.activations {
            Activations::Wide => 2,
            Activations::Signed | Activations::Offset => 1,
        }
    }

    /// Bytes of a panel before its weights.
    pub fn header_bytes(&self) -> usize {
        match self.activations {
            Activations::Offset => self.panel_columns * size_of::<i32>(),
            Activations::Signed | Activations::Wide => 0,
        }
    }

    pub fn panel_bytes(&self, depth: usize) -> usize {
        self.header_bytes() + depth * self.panel_columns
    }

    pub fn tile_bytes(&self, rows: usize, depth: usize) -> usize {
        rows * depth * self.activation_bytes()
    }
}

/// Pointers and sizes of one call. What must hold is said at [`Micro::tile`], which checks it.
#[derive(Clone, Copy)]
struct Operands {
    rows: usize,
    /// Values per row, padded.
    depth: usize,
    activations: *const u8,
    panel: *const u8,
    out: *mut i32,
    /// Where to touch memory ahead, and by how many bytes to go on after each load of weights. Never dereferenced.
    ahead: *const u8,
    ahead_step: usize,
}

/// A kernel of one instruction set. The set's presence is for the owner to have checked: see [`super::Kernel`].
#[derive(Debug)]
pub struct Micro {
    pub layout: Layout,
    run: unsafe fn(&Operands),
}

impl Micro {
    /// Multiplies `rows` packed rows by one packed panel into `out`, as `[rows][panel_columns]`.
    ///
    /// `ahead` is what will be needed next (the next panel); the kernel asks for a share of it while it works.
    ///
    /// # Safety
    /// The processor must have the kernel's instructions.
    ///
    /// # Panics
    /// If a length does not fit the layout.
    pub unsafe fn tile(
        &self,
        rows: usize,
        depth: usize,
        activations: PackedSlice<'_>,
        panel: PackedSlice<'_>,
        out: &mut Tile,
        ahead: &[u8],
    ) {
        let layout = &self.layout;
        assert!(rows > 0 && rows <= layout.tile_rows && rows.is_multiple_of(layout.row_step), "{rows} rows");
        assert!(depth > 0 && depth.is_multiple_of(layout.depth_step), "depth {depth}");
        assert_eq!(activations.0.len(), layout.tile_bytes(rows, depth));
        assert_eq!(panel.0.len(), layout.panel_bytes(depth));
        let steps = depth / layout.column_group;
        let operands = Operands {
            rows,
            depth,
            activations: activations.0.as_ptr(),
            panel: panel.0.as_ptr(),
            out: out.as_mut_ptr(),
            ahead: ahead.as_ptr(),
            ahead_step: ahead.len().div_ceil(steps),
        };
        // SAFETY: the lengths are as the layout says, `PackedSlice` has slack behind it for loads ahead of use, a tile
        // of at most `tile_rows * panel_columns` values fits `Tile` (tested for every kernel), and the caller answers
        // for the instructions.
        unsafe { (self.run)(&operands) }
    }
}

/// Packed values with [`AlignedBytes::SLACK`] readable bytes behind them.
#[derive(Clone, Copy)]
pub struct PackedSlice<'a>(&'a [u8]);

impl<'a> PackedSlice<'a> {
    pub fn of(bytes: &'a AlignedBytes, start: usize, len: usize) -> Self {
        PackedSlice(&bytes[start..][..len])
    }
}
