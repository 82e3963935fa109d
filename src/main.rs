//! The `crossfade` binary: parse, run, exit code.

fn main() {}
