//! Selects the kernel: the best one that the processor has, or the one named in the environment.

use std::env;
use std::sync::OnceLock;

use super::micro::{self, Micro};
use super::simd::Isa;

/// The int8 kernel with its float instructions. It exists only where the processor has both.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub name: &'static str,
    pub(super) micro: &'static Micro,
    pub(super) isa: Isa,
}

/// Error for a kernel that this processor does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: this processor has no kernel `{name}`; it has {}", Kernel::VARIABLE, available.join(", "))]
pub struct KernelError {
    name: String,
    available: Vec<&'static str>,
}

impl Kernel {
    /// Environment variable that forces a kernel by its name.
    pub const VARIABLE: &str = "BRIDGECLIP_KERNEL";

    /// Kernel in plain Rust, for any processor.
    pub const SCALAR: Kernel = Kernel { name: "scalar", micro: &micro::SCALAR, isa: Isa::PORTABLE };

    /// Returns the kernels that can run here, fastest first. The last one is `scalar`.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = native();
        kernels.push(Kernel::SCALAR);
        kernels
    }

    /// Returns the kernel of this name, if it can run here.
    pub fn named(name: &str) -> Result<Kernel, KernelError> {
        let available = Kernel::available();
        let error =
            || KernelError { name: name.to_owned(), available: available.iter().map(|kernel| kernel.name).collect() };
        available.iter().find(|kernel| kernel.name == name).copied().ok_or_else(error)
    }

    fn from_environment() -> Result<Kernel, KernelError> {
        match env::var(Self::VARIABLE) {
            Ok(name) if !name.is_empty() => Kernel::named(&name),
            _ => Ok(Kernel::available()[0]),
        }
    }
}

/// Returns the kernel of this process, which is chosen once, at the first call.
pub fn selected() -> Result<Kernel, KernelError> {
    static SELECTED: OnceLock<Result<Kernel, KernelError>> = OnceLock::new();
    SELECTED.get_or_init(Kernel::from_environment).clone()
}

#[cfg(target_arch = "x86_64")]
fn native() -> Vec<Kernel> {
    let kernel =
        |name, micro, isa: Option<Isa>, detected: bool| isa.filter(|_| detected).map(|isa| Kernel { name, micro, isa });
    let has_vnni = is_x86_feature_detected!("avx512vnni");
    [
        kernel("avx512vnni", &micro::AVX512_VNNI, Isa::avx512(), has_vnni),
        kernel("avxvnni", &micro::AVX_VNNI, Isa::avx2(), is_x86_feature_detected!("avxvnni")),
        kernel("avx2", &micro::AVX2, Isa::avx2(), true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(target_arch = "aarch64")]
fn native() -> Vec<Kernel> {
    use std::arch::is_aarch64_feature_detected;
    let kernel = |name, micro, detected: bool| Isa::neon().filter(|_| detected).map(|isa| Kernel { name, micro, isa });
    [
        kernel("i8mm", &micro::I8MM, is_aarch64_feature_detected!("i8mm")),
        kernel("sdot", &micro::SDOT, is_aarch64_feature_detected!("dotprod")),
        kernel("neon", &micro::NEON, true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn native() -> Vec<Kernel> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if a kernel that is forced in the environment is missing, as in tests under emulation.
    #[test]
    fn the_kernel_of_this_process_is_the_fastest_or_the_one_asked_for() {
        let asked = env::var(Kernel::VARIABLE).ok().filter(|name| !name.is_empty());
        let expected = asked.unwrap_or_else(|| Kernel::available()[0].name.to_owned());
        assert_eq!(selected().expect("a kernel").name, expected);
    }

    #[test]
    fn an_unknown_kernel_is_refused_with_those_there_are() {
        let message = Kernel::named("abacus").expect_err("refused").to_string();
        assert!(message.contains("no kernel `abacus`") && message.contains("scalar"), "{message}");
        assert_eq!(Kernel::available().last().expect("one").name, "scalar");
    }
}
