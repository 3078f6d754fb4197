//! The binary `tandem`.
#![forbid(unsafe_code)]

fn main() {}
