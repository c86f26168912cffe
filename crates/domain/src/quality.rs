//! Figures for how well a photo shows its subject.

use serde::{Deserialize, Serialize};

/// Figures that identify photos which cannot be judged. They say nothing about damage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhotoQuality {
    /// Variance of the Laplacian of the 8-bit luma, at a short side of 448 pixels (or at the full size of a smaller
    /// photo), so that cameras can be compared. It is small if the photo is blurred or shows a plain surface.
    pub sharpness: f32,
    /// Mean luma, from 0 (black) to 1 (white).
    pub brightness: f32,
    /// Share of pixels with a luma of at most 5 of 255, where nothing can be seen.
    pub black_share: f32,
    /// Share of pixels with a luma of at least 250 of 255, where nothing can be seen.
    pub white_share: f32,
    /// Millimetres of the subject that one pixel of the file covers at the point that a laser measured. Known only if
    /// the focal length is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millimetres_per_pixel: Option<f32>,
}
