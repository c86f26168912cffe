//! What all commands that decode photos share.

use clap::ValueEnum;

use crate::package::Package;
use crate::photo::{self, Decoding, EncoderInput, PhotoError, encoder_input};
use crate::pipeline::Limits;

/// How photos are decoded.
#[derive(Clone, Debug, clap::Args)]
pub struct DecodeArgs {
    /// How JPEGs are decoded. Use one way for the reference and for the photos that are compared with it.
    #[arg(long, value_enum, default_value = "scaled", value_name = "HOW")]
    decode: Decode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decode {
    /// At a fraction of the size that leaves enough for the encoder, as the daemon does: much faster.
    Scaled,
    /// Every pixel, as the published pipeline does.
    Exact,
}

impl DecodeArgs {
    /// Returns the default limits with this way of decoding.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        if let Decode::Exact = self.decode {
            limits.photo.decoding = Decoding::Exact;
        }
        limits
    }
}

/// Decodes a photo into the input of the package's image encoder.
pub fn input(bytes: &[u8], package: &Package, limits: &Limits) -> Result<EncoderInput, PhotoError> {
    let preprocess = package.preprocess();
    encoder_input(&photo::open(bytes, &preprocess, &limits.photo)?, &preprocess, None)
}
