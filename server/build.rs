//! Tells the crate which compiler builds it, for the third line of `--version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    if let Ok(output) = Command::new(rustc).arg("--version").output()
        && let Ok(text) = String::from_utf8(output.stdout)
    {
        let version: Vec<_> = text.split_whitespace().take(2).collect();
        println!("cargo::rustc-env=HOLDFAST_RUSTC={}", version.join(" "));
    }
}
