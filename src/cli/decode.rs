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
    /// Largest picture that is decoded, in megapixels.
    #[arg(long, default_value_t = 250, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    megapixels_max: u16,
    /// Memory for decoding one photo, beside its file, in megabytes. Half of it may hold a progressive JPEG.
    #[arg(long, default_value_t = 400, value_name = "N", value_parser = clap::value_parser!(u16).range(50..))]
    memory_megabytes_max: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decode {
    /// At a fraction of the size that leaves enough for the encoder, as the daemon does: much faster.
    Scaled,
    /// Every pixel, as the published pipeline does.
    Exact,
}

impl DecodeArgs {
    /// Returns the default limits on files, and these on decoding.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.photo.pixels_max = u64::from(self.megapixels_max) * 1_000_000;
        limits.photo.memory_bytes_max = u64::from(self.memory_megabytes_max) * 1_000_000;
        limits.photo.coefficient_bytes_max = limits.photo.memory_bytes_max / 2;
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
