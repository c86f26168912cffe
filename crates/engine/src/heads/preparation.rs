//! How photos were prepared before the encoder made the features that heads are trained on.

use std::fmt;

use bridgeclip_photo::Preprocess;

/// The sizes of a photo on its way to the encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// Short side of the resized photo, in pixels.
    pub resize: u32,
    /// Side of the square that is cut out of its centre, in pixels.
    pub size: u32,
}

impl From<&Preprocess> for Preparation {
    fn from(preprocess: &Preprocess) -> Self {
        Preparation { resize: preprocess.resize, size: preprocess.size }
    }
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "short side {}, centre {} x {1} pixels", self.resize, self.size)
    }
}
