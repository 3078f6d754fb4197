//! The binary `tandem`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    tandem::main()
}
