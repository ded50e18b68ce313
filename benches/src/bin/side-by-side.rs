//! `benches/side-by-side`: see `holdfast_benches::side_by_side`.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_benches::side_by_side::main()
}
