//! Folders of the build.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    benches.parent().unwrap_or(benches).to_owned()
}

/// The folder of build products.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}
