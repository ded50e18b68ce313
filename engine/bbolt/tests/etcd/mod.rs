//! Running real etcd: the programs in the folder that `HOLDFAST_ETCD_DIR` names, each server in a temporary folder on free
//! ports of the loopback.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The programs of one etcd release.
pub(crate) struct Etcd {
    dir: PathBuf,
}

/// The release to compare with, or `None` with a line that says so.
pub(crate) fn etcd(test: &str) -> Option<Etcd> {
    let Some(dir) = std::env::var_os("HOLDFAST_ETCD_DIR") else {
        println!("SKIPPED {test}: HOLDFAST_ETCD_DIR is not set (a folder with etcd, etcdctl and etcdutl)");
        return None;
    };
    Some(Etcd { dir: dir.into() })
}

impl Etcd {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.dir.join(program));
        command.env("ETCDCTL_API", "3");
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let output = self.command(program).args(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {stderr}");
        output
    }

    /// Runs etcdutl and returns what it prints.
    pub(crate) fn utl(&self, args: &[&str]) -> String {
        String::from_utf8(self.run("etcdutl", args).stdout).unwrap()
    }

    /// `etcdutl snapshot status`: hash, revision, totalKey, totalSize. It fails if bbolt's own check finds anything.
    pub(crate) fn status(&self, file: &Path) -> [u64; 4] {
        let json = self.utl(&["snapshot", "status", "-w", "json", path(file)]);
        ["hash", "revision", "totalKey", "totalSize"].map(|field| {
            let (_, rest) =
                json.split_once(&format!("\"{field}\":")).unwrap_or_else(|| panic!("{field} in {json}"));
            rest.split([',', '}']).next().unwrap().trim().parse().unwrap()
        })
    }

    /// Restores a snapshot into `data_dir`, for a server that [`Etcd::start`] starts there.
    pub(crate) fn restore(&self, snapshot: &Path, data_dir: &Path) {
        self.utl(&["snapshot", "restore", path(snapshot), "--data-dir", path(data_dir)]);
    }

    /// Starts a server and waits until it answers.
    pub(crate) fn start(&self, data_dir: &Path) -> Server<'_> {
        let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let client = format!("http://127.0.0.1:{}", port());
        let peer = format!("http://127.0.0.1:{}", port());
        let mut command = self.command("etcd");
        command.args(["--data-dir", path(data_dir), "--log-level", "error"]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer]);
        // The programs may be wrappers: the server gets a process group of its own, which is ended as a whole.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
        let server = Server { etcd: self, child, endpoint: client };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !server.try_ctl(&["endpoint", "health"]).status.success() {
            assert!(Instant::now() < deadline, "etcd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }
}

/// A running server; it ends with this value.
pub(crate) struct Server<'e> {
    etcd: &'e Etcd,
    child: Child,
    endpoint: String,
}

impl Server<'_> {
    fn try_ctl(&self, args: &[&str]) -> Output {
        self.etcd.command("etcdctl").args(["--endpoints", &self.endpoint]).args(args).output().unwrap()
    }

    /// Runs etcdctl against this server and returns what it prints.
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let output = self.try_ctl(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs one transaction of these operations, in etcdctl's words.
    pub(crate) fn txn(&self, operations: &str) {
        use std::io::Write;
        let mut command = self.etcd.command("etcdctl");
        command.args(["--endpoints", &self.endpoint, "txn"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(format!("\n{operations}\n\n\n").as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && answer.starts_with("SUCCESS"), "{answer}");
    }

    /// Number of keys from etcdctl's own count.
    pub(crate) fn count(&self) -> u64 {
        let fields = self.ctl(&["get", "", "--prefix", "--count-only", "-w", "fields"]);
        let line = fields.lines().find(|line| line.starts_with("\"Count\"")).unwrap();
        line.split(": ").nth(1).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let ended = Command::new("kill").args(["-TERM", "--", &group]).status();
        if ended.is_ok_and(|status| status.success()) {
            let _ = self.child.wait();
        }
    }
}

/// A path as an argument.
pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
