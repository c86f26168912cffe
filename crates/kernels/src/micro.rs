//! Int8 micro-kernels: a few rows of activations times one panel of weights.
//!
//! All of them compute the same numbers: `out[r][c] = sum over k of a[r][k] * w[c][k]`, exactly, in 32 bits. They
//! differ in the packing of the operands ([`Layout`]).

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

/// Maximum number of values in a tile of any kernel.
const TILE_VALUES_MAX: usize = 10 * 32;

/// Products of one tile, `[rows][panel_columns]`.
pub type Tile = [i32; TILE_VALUES_MAX];

/// Packing of a kernel's operands.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Maximum number of rows of activations in one tile.
    pub tile_rows: usize,
    /// Divisor of the number of rows in a tile; rows of zeros pad it.
    pub row_step: usize,
    /// Outputs (rows of the weight matrix) in one panel, a multiple of 16.
    pub panel_columns: usize,
    /// Number of adjacent activations of one row: a tile is `[depth / row_group][rows][row_group]`.
    pub row_group: usize,
    /// Number of adjacent weights of one output: a panel is `[depth / column_group][panel_columns][column_group]`, or,
    /// with a `column_block`, `[panel_columns / block][depth / column_group][block][column_group]`.
    pub column_group: usize,
    /// Outputs whose groups of weights are adjacent.
    pub column_block: usize,
    /// Divisor of the depth (values per row), which is padded with zeros; a multiple of both groups.
    pub depth_step: usize,
    pub activations: Activations,
    pub header: Header,
}

/// Start of a panel, before its weights.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Function that returns the size in bytes for a padded depth.
    pub bytes: fn(depth: usize) -> usize,
    /// Function that fills the header from the packed weights, which it may reorder.
    pub fill: fn(header: &mut [u8], weights: &mut [u8]),
}

impl Header {
    /// No header.
    pub const NONE: Header = Header { bytes: |_| 0, fill: |_, _| () };
}

/// Storage form of int8 activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// Signed bytes.
    Signed,
    /// Unsigned bytes, with 128 added.
    Offset,
    /// Signed bytes, each group followed by its magnitudes as unsigned bytes.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only AVX2 wants it"))]
    WithMagnitude,
}

impl Layout {
    /// Returns the bytes of one stored activation.
    pub fn activation_bytes(&self) -> usize {
        match self.activations {
            Activations::WithMagnitude => 2,
            Activations::Signed | Activations::Offset => 1,
        }
    }

    /// Returns the bytes of a panel, for a padded depth.
    pub fn panel_bytes(&self, depth: usize) -> usize {
        (self.header.bytes)(depth) + depth * self.panel_columns
    }

    /// Returns the bytes of one row in a tile, for a padded depth.
    pub fn row_bytes(&self, depth: usize) -> usize {
        depth * self.activation_bytes()
    }
}

/// Pointers and sizes of one call. Their requirements are stated at [`MicroAtDepth::tile`], which checks them.
#[derive(Clone, Copy)]
struct Operands {
    rows: usize,
    /// Padded number of values per row.
    depth: usize,
    activations: *const u8,
    panel: *const u8,
    out: *mut i32,
    /// Address to prefetch. It is never dereferenced.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "scalar code does not")
    )]
    ahead: *const u8,
    /// Bytes by which `ahead` advances after each group of weights.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "scalar code does not")
    )]
    ahead_step: usize,
}

/// A kernel of one instruction set. Its owner must have checked that the processor has it; see [`super::Kernel`].
#[derive(Debug)]
pub struct Micro {
    pub layout: Layout,
    run: unsafe fn(&Operands),
}

impl Micro {
    /// Prepares the kernel for rows of a padded depth.
    ///
    /// # Panics
    /// If the depth does not fit the layout.
    pub fn at_depth(&'static self, depth: usize) -> MicroAtDepth {
        let layout = &self.layout;
        assert!(depth > 0 && depth.is_multiple_of(layout.depth_step), "depth {depth}");
        let groups = depth / layout.column_group;
        MicroAtDepth {
            micro: self,
            depth,
            groups,
            row_bytes: layout.row_bytes(depth),
            panel_bytes: layout.panel_bytes(depth),
        }
    }
}

/// A kernel with the sizes that follow from the depth of its rows.
#[derive(Clone, Copy, Debug)]
pub struct MicroAtDepth {
    micro: &'static Micro,
    depth: usize,
    groups: usize,
    row_bytes: usize,
    panel_bytes: usize,
}

/// Bytes that are needed next. The kernel prefetches a share of them while it works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead<'a> {
    bytes: &'a [u8],
    /// Bytes to prefetch during one tile.
    share: usize,
    /// Bytes to prefetch during one group of weights.
    step: usize,
}

impl Ahead<'_> {
    /// Returns what is left after one tile.
    pub fn next(self) -> Self {
        Ahead { bytes: self.bytes.get(self.share..).unwrap_or_default(), ..self }
    }
}

impl MicroAtDepth {
    /// Returns the padded depth.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the bytes of a panel.
    pub fn panel_bytes(&self) -> usize {
        self.panel_bytes
    }

    /// Divides the prefetching of `bytes` among `tiles` tiles.
    pub fn ahead<'a>(&self, bytes: &'a [u8], tiles: usize) -> Ahead<'a> {
        let share = bytes.len().div_ceil(tiles);
        Ahead { bytes, share, step: share.div_ceil(self.groups) }
    }

    /// Multiplies `rows` packed rows by one packed panel into `out`, as `[rows][panel_columns]`.
    ///
    /// # Safety
    /// The processor must have the kernel's instructions.
    ///
    /// # Panics
    /// If a length does not fit the layout.
    #[inline]
    pub unsafe fn tile(
        &self,
        rows: usize,
        activations: PackedSlice<'_>,
        panel: PackedSlice<'_>,
        out: &mut Tile,
        ahead: Ahead<'_>,
    ) {
        let layout = &self.micro.layout;
        assert!(rows > 0 && rows <= layout.tile_rows, "{rows} rows");
        assert!(layout.row_step == 1 || rows.is_multiple_of(layout.row_step), "{rows} rows");
        assert_eq!(activations.0.len(), rows * self.row_bytes);
        assert_eq!(panel.0.len(), self.panel_bytes);
        let operands = Operands {
            rows,
            depth: self.depth,
            activations: activations.0.as_ptr(),
            panel: panel.0.as_ptr(),
            out: out.as_mut_ptr(),
            ahead: ahead.bytes.as_ptr(),
            ahead_step: ahead.step,
        };
        // SAFETY: the lengths match the layout, `PackedSlice` is followed by slack for loads ahead of use, a tile of at
        // most `tile_rows * panel_columns` values fits `Tile` (tested for every kernel), and the caller guarantees the
        // instructions.
        unsafe { (self.micro.run)(&operands) }
    }
}

/// Packed values, followed by [`AlignedBytes::SLACK`] readable bytes.
#[derive(Clone, Copy)]
pub struct PackedSlice<'a>(&'a [u8]);

impl<'a> PackedSlice<'a> {
    /// Returns `len` bytes from `start` on.
    pub fn of(bytes: &'a AlignedBytes, start: usize, len: usize) -> Self {
        PackedSlice(&bytes[start..][..len])
    }
}
