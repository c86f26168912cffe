//! Keeps a panic inside a decoder from costing more than its photo.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Number of [`guarded`] calls that this thread is inside of.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work`, which leaves nothing behind that others see. Returns `None` if it panics. Nothing is printed then: a bad
/// photo has its own record, and a trace on the standard error would look like a fault of the program.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if DEPTH.get() == 0 {
                report(panic);
            }
        }));
    });
    DEPTH.set(DEPTH.get() + 1);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    outcome.ok()
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_panic_costs_only_its_own_result() {
        assert_eq!(guarded(|| guarded(|| panic!("inside")).is_none()), Some(true));
        assert_eq!(guarded(|| -> u8 { [1, 2][DEPTH.get() as usize + 1] }), None);
        assert_eq!((guarded(|| 5), DEPTH.get()), (Some(5), 0));
    }

    #[test]
    #[ignore = "started by the next test"]
    fn a_process_of_its_own() {
        assert_eq!(guarded(|| panic!("expected")), None::<()>);
    }

    #[test]
    fn a_panic_leaves_nothing_on_the_standard_error() {
        let mut command = Command::new(env::current_exe().expect("this binary"));
        command.args(["guard::tests::a_process_of_its_own", "--exact", "--ignored", "--nocapture"]);
        let output = command.env("RUST_BACKTRACE", "full").output().expect("it starts");
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
        assert_eq!(err, "");
    }
}
