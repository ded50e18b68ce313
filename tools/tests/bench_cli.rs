//! `holdfast-bench` as a process: command lines that need no server, and loads against a real etcd.
//!
//! The second part runs when `HOLDFAST_ETCD_DIR` names a folder with the programs `etcd` and `etcdctl`.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it must be")]

use std::{
    env, fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast-bench"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_bad_command_line_exits_with_255() {
    for line in [
        &["put", "--no-such-flag"][..],
        &["no-such-command"],
        &["put", "--total", "x"],
        &["put", "--sample=x"],
    ] {
        let output = bench(line).output().unwrap();
        assert_eq!(output.status.code(), Some(255), "{line:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{line:?}");
    }
    assert_eq!(bench(&["--help"]).output().unwrap().status.code(), Some(0));
}

#[test]
fn what_cannot_be_run_exits_with_1_and_one_clear_line() {
    let cases: [(&[&str], &str); 8] = [
        (&["put", "--key-space-size", "0"], "expected positive --key-space-size, got (0)\n"),
        (&["watch", "--key-space-size=-3"], "expected positive --key-space-size, got (-3)\n"),
        (
            &["txn-put", "--txn-ops", "2"],
            "expected --txn-ops no larger than --key-space-size, got txn-ops(2) key-space-size(1)\n",
        ),
        (&["put", "--cacert", "x"], "TLS is not available in this build: leave out --cacert\n"),
        (
            &["put", "--insecure-skip-tls-verify"],
            "TLS is not available in this build: leave out --insecure-skip-tls-verify\n",
        ),
        (
            &["put", "--endpoints", "https://127.0.0.1:1"],
            "dial error: endpoint \"https://127.0.0.1:1\": TLS is not available in this build\n",
        ),
        (&["put", "--clients", "0"], "expected positive --conns and --clients\n"),
        (
            &["put", "--auto-sync-interval", "1s"],
            "--auto-sync-interval is not supported: connections stay with the --endpoints given\n",
        ),
    ];
    for (line, expected) in cases {
        let output = bench(line).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(1), expected), "{line:?}");
        assert!(output.stdout.is_empty(), "{line:?}");
    }
}

#[test]
fn nobody_at_the_endpoint_is_a_dial_error() {
    let port = free_port();
    let endpoint = format!("127.0.0.1:{port}");
    let output = bench(&["put", "--endpoints", &endpoint]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with(&format!("dial error: {endpoint}: ")), "{}", stderr(&output));
    let output = bench(&["first-read", "--endpoints", &endpoint, "--timeout", "50ms"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("no linearizable read succeeded within 50ms: "),
        "{}",
        stderr(&output)
    );
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A real etcd with a folder of its own; both go with it.
struct Etcd {
    programs: PathBuf,
    folder: tempfile::TempDir,
    client_port: u16,
    peer_port: u16,
    process: Child,
}

impl Etcd {
    /// Starts one; `None`, with a line that says why, when no etcd is given.
    fn start() -> Option<Self> {
        let Some(programs) = env::var_os("HOLDFAST_ETCD_DIR").map(PathBuf::from) else {
            eprintln!("skipped: HOLDFAST_ETCD_DIR does not name a folder with etcd");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let (client_port, peer_port) = (free_port(), free_port());
        let process = spawn_etcd(&programs, &folder, client_port, peer_port);
        let etcd = Self { programs, folder, client_port, peer_port, process };
        let output = etcd.bench(&["first-read"]);
        assert!(stdout(&output).starts_with("First read succeeded after "), "{}", stderr(&output));
        Some(etcd)
    }

    fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bench(arguments);
        command.args(["--endpoints", &self.endpoint()]);
        command
    }

    fn bench(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The parts of a `--json` report of a run that succeeded.
    fn reports(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.command(arguments).arg("--json").output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        document["reports"].as_array().unwrap().clone()
    }

    fn etcdctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.programs.join("etcdctl"));
        command.args(["--endpoints", &self.endpoint()]).args(arguments).env("ETCDCTL_API", "3");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = spawn_etcd(&self.programs, &self.folder, self.client_port, self.peer_port);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn_etcd(
    programs: &std::path::Path,
    folder: &tempfile::TempDir,
    client_port: u16,
    peer_port: u16,
) -> Child {
    let client = format!("http://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let log = fs::File::create(folder.path().join("log")).unwrap();
    let mut command = Command::new(programs.join("etcd"));
    command.arg("--data-dir").arg(folder.path().join("data"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"]);
    command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

#[test]
fn what_put_writes_range_reads() {
    let Some(etcd) = Etcd::start() else { return };
    let space = ["--key-space-size", "3000", "--total", "3000"];
    let many = ["--conns", "7", "--clients", "50"];
    let put =
        etcd.reports(&[&["put", "--sequential-keys", "--val-size", "100"], &space[..], &many[..]].concat());
    assert_eq!((put[0]["successes"].as_u64(), put[0]["failures"].as_u64()), (Some(3000), Some(0)));
    assert_eq!(put[0]["operation"], "PUT");
    assert_eq!(
        etcd.etcdctl(&["get", "", "--prefix", "--count-only", "--write-out=fields"])
            .matches("\"Count\" : 3000")
            .count(),
        1
    );
    for consistency in ["l", "s"] {
        let line =
            [&["range", "--random-keys", "--consistency", consistency], &space[..], &many[..]].concat();
        let range = etcd.reports(&line);
        assert_eq!(
            (range[0]["successes"].as_u64(), range[0]["keys_found"].as_u64()),
            (Some(3000), Some(3000))
        );
    }
    let missing = etcd.bench(&[
        "range",
        "--random-keys",
        "--sequential-keys",
        "--key-space-size",
        "6000",
        "--total",
        "6000",
    ]);
    assert!(stderr(&missing).contains("warning: 3000 of 6000 reads found no key"), "{}", stderr(&missing));
    let paged = etcd.reports(&["range", "--prefix", "--paginate", "--total", "2"]);
    assert_eq!(paged[0]["successes"], 2);
    let txn = etcd.reports(&["txn-put", "--txn-ops", "10", "--key-space-size", "100", "--total", "500"]);
    assert_eq!((txn[0]["successes"].as_u64(), txn[0]["failures"].as_u64()), (Some(500), Some(0)));
}

#[test]
fn the_text_is_etcds_with_the_costs_after_it() {
    let Some(etcd) = Etcd::start() else { return };
    let pid = etcd.process.id().to_string();
    let text =
        stdout(&etcd.bench(&["put", "--total", "500", "--sample", "--server-pid", &pid, "--check-hashkv"]));
    let blocks = [
        "\nSummary:\n  Total:\t",
        "\n\nResponse time histogram:\n  ",
        "\n\nLatency distribution:\n  10% in ",
        "\n\nSample in one second (unix latency throughput):\nUNIX-SECOND,MIN-LATENCY-MS,AVG-LATENCY-MS,MAX-LATENCY-MS,AVG-THROUGHPUT\n",
        &format!("\n\nCost:\n  Server {pid}:\t"),
        "\n  Client ",
        "\nHashKV Summary:\n\tHashKV: ",
        "\n\tDB size: ",
    ];
    let mut rest = text.as_str();
    for block in blocks {
        let at =
            rest.find(block).unwrap_or_else(|| panic!("{block:?} is missing, or out of order, in\n{text}"));
        rest = &rest[at + block.len() - 1..];
    }
    assert!(text.starts_with("\nSummary:\n"));
    let plain = stdout(&etcd.bench(&["range", "foo", "--total", "200", "--consistency", "s"]));
    assert!(plain.starts_with("bench with serializable range\n\nSummary:\n"), "{plain}");
    assert!(!plain.contains("Cost:"), "{plain}");
}

#[test]
fn failures_are_counted_by_text_and_do_not_end_the_run() {
    let Some(etcd) = Etcd::start() else { return };
    let text = stdout(&etcd.bench(&["put", "--total", "5", "--val-size", "1700000"]));
    assert_eq!(text, "\nError distribution:\n  [5]\tetcdserver: request is too large\n\n");
}

#[test]
fn every_watcher_gets_every_event() {
    let Some(etcd) = Etcd::start() else { return };
    let reports = etcd.reports(&[
        "watch",
        "--streams",
        "5",
        "--watch-per-stream",
        "8",
        "--watched-key-total",
        "3",
        "--key-space-size",
        "3",
        "--sequential-keys",
        "--put-total",
        "60",
        "--clients",
        "5",
        "--conns",
        "2",
    ]);
    assert_eq!(
        (reports[0]["operation"].as_str(), reports[0]["successes"].as_u64()),
        (Some("WATCH-MAKE"), Some(40))
    );
    // 40 watchers on three keys: 14, 13 and 13; each key is put twenty times.
    assert_eq!(
        (reports[1]["operation"].as_str(), reports[1]["successes"].as_u64()),
        (Some("WATCH-PUT"), Some(800))
    );
    assert_eq!(reports[1]["puts"]["successes"], 60);
    let text =
        stdout(&etcd.bench(&["watch", "--streams", "2", "--watch-per-stream", "2", "--put-total", "3"]));
    assert!(text.starts_with("Watch creation summary:\n\nSummary:\n"), "{text}");
    assert!(text.contains("\nWatch events received summary:\n\nSummary:\n"), "{text}");
}

#[test]
fn compaction_follows_the_puts() {
    let Some(etcd) = Etcd::start() else { return };
    let line = [
        "put",
        "--total",
        "1000",
        "--rate",
        "2000",
        "--compact-interval",
        "20ms",
        "--compact-index-delta",
        "10",
    ];
    assert_eq!(etcd.reports(&line)[0]["successes"], 1000);
    let output = Command::new(etcd.programs.join("etcdctl"))
        .args(["--endpoints", &etcd.endpoint(), "get", "k", "--rev", "2"])
        .env("ETCDCTL_API", "3")
        .output()
        .unwrap();
    assert!(stderr(&output).contains("required revision has been compacted"), "{}", stderr(&output));
}

#[test]
fn a_user_is_authenticated() {
    let Some(etcd) = Etcd::start() else { return };
    let early = etcd.reports(&["put", "--total", "2", "--user", "root:secret"]);
    assert_eq!(early[0]["successes"], 2, "authentication is not enabled yet, so that no token is needed");
    etcd.etcdctl(&["user", "add", "root:secret"]);
    etcd.etcdctl(&["user", "grant-role", "root", "root"]);
    etcd.etcdctl(&["auth", "enable"]);
    let anonymous = stdout(&etcd.bench(&["put", "--total", "2"]));
    assert!(anonymous.contains("[2]\tetcdserver: user name is empty\n"), "{anonymous}");
    let put = etcd.reports(&["put", "--total", "20", "--user", "root:secret"]);
    assert_eq!(put[0]["successes"], 20);
    let refused = etcd.bench(&["put", "--user", "root:wrong"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).starts_with("bad user information: root:wrong "), "{}", stderr(&refused));
}

/// The server goes away under load and comes back: what failed is counted, and the rest is done.
#[test]
fn a_restarted_server_is_dialled_again() {
    let Some(mut etcd) = Etcd::start() else { return };
    let line = ["put", "--json", "--total", "2000", "--rate", "500", "--clients", "4", "--conns", "2"];
    let load = etcd.command(&line).stdout(Stdio::piped()).spawn().unwrap();
    thread::sleep(Duration::from_millis(700));
    etcd.kill();
    thread::sleep(Duration::from_millis(300));
    etcd.restart();
    let output = load.wait_with_output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let report = &document["reports"][0];
    let (successes, failures) = (report["successes"].as_u64().unwrap(), report["failures"].as_u64().unwrap());
    assert_eq!(successes + failures, 2000);
    assert!(failures >= 2, "both connections broke: {report}");
    assert!(successes > 1000, "the load went on: {report}");
    for text in report["errors"].as_object().unwrap().keys() {
        assert!(text.starts_with("rpc error: code = ") || text.starts_with("etcdserver: "), "{text}");
    }
}
