//! bbolt, the engine of etcd: a program in Go under `benches/bbolt`, built where `go` is at hand. It speaks the same
//! lines as our own process of a contender.

use std::path::PathBuf;
use std::process::Command;

use crate::common::places::{target, workspace};

/// Builds the program, and returns where it is; `None` where there is no `go`.
pub(crate) fn build() -> Result<Option<PathBuf>, String> {
    if Command::new("go").arg("version").output().is_err() {
        return Ok(None);
    }
    let program = target().join("bbolt-contender");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(&program).arg(".").current_dir(workspace().join("benches/bbolt"));
    let output = command.output().map_err(|error| format!("go build: {error}"))?;
    if output.status.success() {
        Ok(Some(program))
    } else {
        Err(format!("go build in benches/bbolt: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
