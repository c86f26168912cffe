//! Model package: a folder with `package.toml`, two encoders, a tokenizer and a reference database.
//!
//! Everything that a device trusts about its model passes through this crate: every file is measured and hashed before
//! anything reads it.

mod error;
pub mod files;
mod manifest;
mod package;

pub use error::PackageError;
pub use manifest::{
    Checkpoint, Fidelity, FileEntry, ImageInput, MANIFEST_BYTES_MAX, Manifest, Quantized, TextInput, is_plain,
};
pub use package::Package;
