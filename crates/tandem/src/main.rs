//! The binary `tandem`.
#![forbid(unsafe_code)]

/// glibc grows the heap of a thread by a page and a system call at a time, and shrinks it as eagerly; a call's state comes and goes in the
/// engine's and ends in other threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    tandem::main()
}
