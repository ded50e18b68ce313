//! `holdfast-bench`: the load generator. See `holdfast_tools::bench`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    holdfast_tools::bench::main(std::env::args_os())
}
