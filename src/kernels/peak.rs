//! The most that the selected kernel can do on this machine.

use std::time::{Duration, Instant};

use super::Kernel;
use super::buffer::AlignedBytes;
use super::micro::{PackedSlice, Tile};

/// Values per row: with these, operands stay in the first-level cache.
const DEPTH: usize = 256;
/// Tiles between two looks at the clock.
const TILES: usize = 200;

impl Kernel {
    /// Int8 multiply-adds per second of one core, on operands that stay in its first-level cache: the best of short
    /// measurements over `time`.
    pub fn int8_peak(&self, time: Duration) -> f64 {
        let layout = &self.micro.layout;
        let rows = layout.tile_rows;
        let activations = AlignedBytes::zeroed(layout.tile_bytes(rows, DEPTH));
        let panel = AlignedBytes::zeroed(layout.panel_bytes(DEPTH));
        let mut products: Tile = [0; _];
        let work = (TILES * rows * layout.panel_columns * DEPTH) as f64;
        let (start, mut best) = (Instant::now(), 0.0f64);
        while start.elapsed() < time {
            let begin = Instant::now();
            for _ in 0..TILES {
                let activations = PackedSlice::of(&activations, 0, activations.len());
                let panel = PackedSlice::of(&panel, 0, panel.len());
                // SAFETY: a `Kernel` exists only where its instructions do.
                unsafe { self.micro.tile(rows, DEPTH, activations, panel, &mut products, &[]) };
                std::hint::black_box(&mut products);
            }
            best = best.max(work / begin.elapsed().as_secs_f64());
        }
        best
    }
}
