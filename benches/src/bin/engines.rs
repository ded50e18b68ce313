//! `benches/engines`: see `holdfast_benches::engines`.

use std::process::ExitCode;

// The server's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast_benches::engines::main()
}
