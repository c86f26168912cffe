//! How well a photo shows its subject.

use serde::{Deserialize, Serialize};

/// Numbers by which a photo that cannot be judged is recognised. They say nothing about damage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhotoQuality {
    /// Variance of the Laplacian of the 8-bit luma, at the scale at which the encoder sees the photo. Small when
    /// the photo is blurred, or shows a plain surface.
    pub sharpness: f32,
    /// Mean luma, from 0 (black) to 1 (white).
    pub brightness: f32,
    /// Share of pixels that are black: nothing can be seen there.
    pub black_share: f32,
    /// Share of pixels that are white: nothing can be seen there.
    pub white_share: f32,
    /// Millimetres of the subject that one pixel of the file covers, where distance and focal length are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millimetres_per_pixel: Option<f32>,
}
