use std::process::ExitCode;

fn main() -> ExitCode {
    bridgeclip::cli::main()
}
