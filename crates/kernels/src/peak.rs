//! Measures the peak speed of the selected kernel on this machine.

use std::time::{Duration, Instant};

use super::Kernel;
use super::buffer::AlignedBytes;
use super::int8_matrix::pack_panel;
use super::micro::{Ahead, PackedSlice, Tile};

/// Values per row, few enough for the operands to stay in the first-level cache.
const DEPTH: usize = 256;
/// Number of tiles between two readings of the clock.
const TILES: usize = 200;

impl Kernel {
    /// Measures the int8 multiply-adds per second of one core, on operands that stay in its first-level cache. Returns
    /// the best of short measurements over `time`.
    pub fn int8_peak(&self, time: Duration) -> f64 {
        let layout = &self.micro.layout;
        let micro = self.micro.at_depth(DEPTH);
        let rows = layout.tile_rows;
        let activations = AlignedBytes::zeroed(rows * layout.row_bytes(DEPTH));
        let mut panel = AlignedBytes::zeroed(micro.panel_bytes());
        let weights = vec![0; layout.panel_columns * DEPTH];
        pack_panel(layout, &weights, DEPTH, DEPTH, &mut panel).expect("zeros are within the range of weights");
        let mut products: Tile = [0; _];
        let work = (TILES * rows * layout.panel_columns * DEPTH) as f64;
        let (start, mut best) = (Instant::now(), 0.0f64);
        while start.elapsed() < time {
            let begin = Instant::now();
            for _ in 0..TILES {
                let activations = PackedSlice::of(&activations, 0, activations.len());
                let panel = PackedSlice::of(&panel, 0, panel.len());
                // SAFETY: a `Kernel` exists only where its instructions do.
                unsafe { micro.tile(rows, activations, panel, &mut products, Ahead::default()) };
                std::hint::black_box(&mut products);
            }
            best = best.max(work / begin.elapsed().as_secs_f64());
        }
        best
    }
}
