//! The option of all commands that decode photos.

use clap::ValueEnum;

use crate::photo::Decoding;
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
