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
#[derive(Clone, Copy, Debug)]
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
    pub header: Header,
}

/// What a panel starts with, before its weights.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Its size for a padded depth.
    pub bytes: fn(depth: usize) -> usize,
    /// Makes it, given the packed weights, which it may put into another order.
    pub fill: fn(header: &mut [u8], weights: &mut [u8]),
}

impl Header {
    pub const NONE: Header = Header { bytes: |_| 0, fill: |_, _| () };
}

/// How an int8 activation is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activations {
    /// As it is.
    Signed,
    /// Plus 128, as an unsigned byte.
    Offset,
    /// Each group is followed by its magnitudes, as unsigned bytes.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "only AVX2 wants it"))]
    WithMagnitude,
}

impl Layout {
    /// Bytes of one stored activation.
    pub fn activation_bytes(&self) -> usize {
        match self.activations {
            Activations::WithMagnitude => 2,
            Activations::Signed | Activations::Offset => 1,
        }
    }

    /// Bytes of a panel, for a padded depth.
    pub fn panel_bytes(&self, depth: usize) -> usize {
        (self.header.bytes)(depth) + depth * self.panel_columns
    }

    /// Bytes of one row in a tile, for a padded depth.
    pub fn row_bytes(&self, depth: usize) -> usize {
        depth * self.activation_bytes()
    }
}

/// Pointers and sizes of one call. What must hold is said at [`MicroAtDepth::tile`], which checks it.
#[derive(Clone, Copy)]
struct Operands {
    rows: usize,
    /// Values per row, padded.
    depth: usize,
    activations: *const u8,
    panel: *const u8,
    out: *mut i32,
    /// Where to touch memory ahead, and by how many bytes to go on after each group of weights. Never dereferenced.
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "scalar code does not")
    )]
    ahead: *const u8,
    #[cfg_attr(
        not(any(target_arch = "x86_64", target_arch = "aarch64")),
        expect(dead_code, reason = "scalar code does not")
    )]
    ahead_step: usize,
}

/// A kernel of one instruction set. The set's presence is for the owner to have checked: see [`super::Kernel`].
#[derive(Debug)]
pub struct Micro {
    pub layout: Layout,
    run: unsafe fn(&Operands),
}

impl Micro {
    /// The kernel at work on rows of a padded depth.
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

/// A kernel, and what follows from the depth of the rows that it works on.
#[derive(Clone, Copy, Debug)]
pub struct MicroAtDepth {
    micro: &'static Micro,
    depth: usize,
    groups: usize,
    row_bytes: usize,
    panel_bytes: usize,
}

/// What will be needed next: the kernel asks for a share of it while it works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead<'a> {
    bytes: &'a [u8],
    /// Of one tile.
    share: usize,
    /// Of one group of weights.
    step: usize,
}

impl Ahead<'_> {
    /// What is left after one tile.
    pub fn next(self) -> Self {
        Ahead { bytes: self.bytes.get(self.share..).unwrap_or_default(), ..self }
    }
}

impl MicroAtDepth {
    /// The padded depth.
    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn panel_bytes(&self) -> usize {
        self.panel_bytes
    }

    /// Bytes to ask for while `tiles` tiles are worked on.
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
        // SAFETY: the lengths are as the layout says, `PackedSlice` has slack behind it for loads ahead of use, a tile
        // of at most `tile_rows * panel_columns` values fits `Tile` (tested for every kernel), and the caller answers
        // for the instructions.
        unsafe { (self.micro.run)(&operands) }
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
