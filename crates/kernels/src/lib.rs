//! Arithmetic on this machine's processor: int8 and float matrix products, and the functions between them.
//!
//! All results are the same everywhere. Integer products have one right answer. Float work is written once, over
//! sixteen lanes and in a fixed order ([`simd::Lanes`]), so every instruction set gives the same bits. A result
//! computed on a drone can be compared bit for bit with one computed on a server.
//!
//! This is the only module with `unsafe` code. Two things make it sound:
//! - a [`Kernel`], with its [`simd::Isa`], exists only for instructions that this processor was found to have
//!   ([`Kernel::available`]);
//! - [`micro::MicroAtDepth::tile`] checks every length before it hands pointers to a kernel.
#![allow(unsafe_code)]

mod attention;
mod buffer;
mod elementwise;
mod float_matrix;
mod int8_matrix;
mod micro;
mod peak;
mod select;
mod simd;
mod threads;

pub use attention::{AttentionInput, AttentionShape, Columns, attention};
pub use elementwise::{Activation, layer_norm};
pub use float_matrix::FloatMatrix;
pub use int8_matrix::{Finish, Int8Matrix, MatrixError, QuantizedRows};
pub use select::{Kernel, KernelError, selected};
pub use threads::{Threads, over_ranges, processors, spread};
