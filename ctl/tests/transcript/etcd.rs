//! A real etcd in a temporary folder.

use std::{
    fs::File,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A running server; stopped when dropped.
pub(crate) struct Etcd {
    process: Child,
    pub(crate) client: String,
    pub(crate) peer: String,
    pub(crate) folder: TempDir,
}

impl Etcd {
    /// Starts a server of one member and waits until it serves.
    pub(crate) fn start(dir: &Path) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let (client, peer) = (free_address(), free_address());
        let process = spawn(dir, folder.path(), &client, &peer);
        let etcd = Self { process, client, peer, folder };
        etcd.wait_until_it_serves(dir);
        etcd
    }

    /// Kills the server and starts it again with the same data at the same address.
    pub(crate) fn restart(&mut self, dir: &Path) {
        self.stop();
        self.process = spawn(dir, self.folder.path(), &self.client, &self.peer);
        self.wait_until_it_serves(dir);
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn wait_until_it_serves(&self, dir: &Path) {
        let start = Instant::now();
        loop {
            let health = Command::new(dir.join("etcdctl"))
                .arg(format!("--endpoints={}", self.client))
                .args(["endpoint", "health", "--command-timeout=2s"])
                .output()
                .expect("HOLDFAST_ETCD_DIR has etcdctl");
            if health.status.success() {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "etcd does not serve; its log is in {:?}",
                self.folder
            );
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(dir: &Path, folder: &Path, client: &str, peer: &str) -> Child {
    let log = File::create(folder.join("log")).expect("a log file");
    Command::new(dir.join("etcd"))
        .args(["--name=n1", "--data-dir"])
        .arg(folder.join("data"))
        .arg(format!("--listen-client-urls=http://{client}"))
        .arg(format!("--advertise-client-urls=http://{client}"))
        .arg(format!("--listen-peer-urls=http://{peer}"))
        .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
        .arg(format!("--initial-cluster=n1=http://{peer}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log"))
        .stderr(log)
        .spawn()
        .expect("HOLDFAST_ETCD_DIR has etcd")
}

/// An address that nothing listens at.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address").to_string()
}
