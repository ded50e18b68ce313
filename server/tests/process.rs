//! Whole processes: command line to exit code, with a member that only pretends.
//!
//! The test binary starts itself as the server: the test `child` runs the server's main function when the variable
//! [`ARGS`] tells it to, and does nothing otherwise.

#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use holdfast_proto::etcdserverpb::{AlarmMember, Member};
use holdfast_server::http::{HealthSource, PeerSource};
use holdfast_server::start::node::{Context, End, Node};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tonic::service::Routes;

const ARGS: &str = "HOLDFAST_TEST_ARGS";

/// A member named `refuses` does not start; one named `removed` or `fails` ends once it is ready.
struct Pretender {
    name: String,
    _context: Context,
}

impl Node for Pretender {
    type Grpc = Routes;

    fn start(context: Context) -> BoxFuture<'static, Result<Self, Box<dyn Error + Send + Sync>>> {
        Box::pin(async {
            match context.config.name.as_str() {
                "refuses" => Err("no such luck".into()),
                name => Ok(Self { name: name.to_owned(), _context: context }),
            }
        })
    }
    fn member_id(&self) -> u64 {
        0xabc
    }
    fn grpc(self: &Arc<Self>) -> Routes {
        Routes::default()
    }
    fn ready(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
    fn ended(self: &Arc<Self>) -> BoxFuture<'static, End> {
        let name = self.name.clone();
        Box::pin(async move {
            match name.as_str() {
                "removed" => End::Removed,
                "fails" => End::Failed("a disk".into()),
                _ => std::future::pending().await,
            }
        })
    }
    fn stopping(self: &Arc<Self>) {}
    fn stop(self: &Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

impl HealthSource for Pretender {
    fn read(&self, _: bool) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
    fn alarms(&self) -> Vec<AlarmMember> {
        Vec::new()
    }
    fn has_leader(&self) -> bool {
        true
    }
    fn is_learner(&self) -> bool {
        false
    }
    fn cluster_version(&self) -> Option<String> {
        None
    }
    fn storage_version(&self) -> Option<String> {
        None
    }
}

impl PeerSource for Pretender {
    fn cluster_id(&self) -> u64 {
        1
    }
    fn members(&self) -> Vec<Member> {
        Vec::new()
    }
}

#[test]
fn child() {
    let Ok(args) = std::env::var(ARGS) else { return };
    let mut line = vec!["holdfast".to_owned()];
    line.extend(args.lines().map(str::to_owned));
    let env: Vec<_> = std::env::vars().filter(|(name, _)| name != ARGS).collect();
    holdfast_server::start::main::<Pretender>(line, &env)
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).current_dir(dir).env(ARGS, args.join("\n"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for a process that is to end by itself: status, stdout without libtest's own lines, stderr.
fn finish(mut command: Command) -> (ExitStatus, String, String) {
    let child = command.spawn().unwrap();
    let pid = Pid::from_child(&child);
    let (done, waiting) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output().unwrap()));
    let output = waiting.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| {
        kill_process(pid, Signal::KILL).unwrap();
        panic!("the server runs although it should have ended")
    });
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stdout = stdout.strip_prefix("\nrunning 1 test\n").unwrap_or(&stdout).to_owned();
    (output.status, stdout, String::from_utf8(output.stderr).unwrap())
}

/// What the log says: messages, and the line with this message.
fn lines(stderr: &str) -> Vec<Value> {
    stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

fn find<'a>(lines: &'a [Value], message: &str) -> &'a Value {
    lines.iter().find(|line| line["msg"] == message).unwrap_or_else(|| panic!("no {message:?} in {lines:#?}"))
}

fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

struct Server {
    child: Child,
    log: Vec<Value>,
    stderr: Option<BufReader<ChildStderr>>,
    client: SocketAddr,
    peer: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn args(dir: &Path, client: SocketAddr, peer: SocketAddr) -> Vec<String> {
        vec![
            format!("--data-dir={}", dir.join("data").display()),
            format!("--listen-client-urls=http://{client}"),
            format!("--advertise-client-urls=http://{client}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
        ]
    }

    /// Starts one and waits until it has told the init daemon.
    fn start(dir: &Path, more: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let (client, peer) = (free_port(), free_port());
        let args = Self::args(dir, client, peer);
        let args: Vec<_> =
            args.iter().map(String::as_str).chain(["--name=m1"]).chain(more.iter().copied()).collect();
        let mut command = command(dir, &args);
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().map(BufReader::new);
        let mut server = Self { child, log: Vec::new(), stderr, client, peer };
        server.read_until("successfully notified init daemon");
        server
    }

    fn read_until(&mut self, message: &str) {
        loop {
            let mut line = String::new();
            assert!(
                self.stderr.as_mut().unwrap().read_line(&mut line).unwrap() > 0,
                "ended before {message:?}: {:#?}",
                self.log
            );
            self.log.extend(lines(&line));
            if self.log.last().unwrap()["msg"] == message {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        let mut rest = String::new();
        self.stderr.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        self.log.extend(lines(&rest));
        self.child.wait().unwrap()
    }
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn serves_and_dies_of_its_signal() {
    for (signal, number, word) in [(Signal::TERM, 15, "terminated"), (Signal::INT, 2, "interrupt")] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::start(dir.path(), &[], |_| {});
        assert!(get(server.client, "/health").ends_with(r#"{"health":"true","reason":""}"#));
        assert!(get(server.client, "/metrics").contains("\netcd_server_id{server_id=\"abc\"} 1\n"));
        assert!(get(server.peer, "/members").contains("X-Etcd-Cluster-Id: 1\r\n"));
        server.signal(signal);
        let status = server.end();
        assert_eq!((status.code(), status.signal()), (None, Some(number)));
        assert_eq!(find(&server.log, "received signal; shutting down")["signal"], word);
        assert_eq!(server.log.last().unwrap()["msg"], "closed etcd server");
    }
}

#[test]
fn the_log_of_a_start_is_etcds() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("notify");
    let notified = UnixDatagram::bind(&socket).unwrap();
    let server = Server::start(dir.path(), &["--snapshot-count=7"], |command| {
        command.env("NOTIFY_SOCKET", &socket).env("ETCD_MAX_TXN_OPS", "9").env("ETCD_NONSENSE", "x");
    });
    let messages: Vec<_> = server.log.iter().map(|line| line["msg"].as_str().unwrap()).collect();
    let order = [
        "recognized and used environment variable",
        "unrecognized environment variable",
        "Running: ",
        "Initialize and start etcd server",
        "configuring peer listeners",
        "configuring client listeners",
        "starting an etcd server",
        "serving peer traffic",
        "now serving peer/client/metrics",
        "ready to serve client requests",
        "serving client traffic insecurely; this is strongly discouraged!",
        "notifying init daemon",
        "successfully notified init daemon",
    ];
    let places: Vec<_> =
        order.iter().map(|wanted| messages.iter().position(|m| m == wanted).expect(wanted)).collect();
    assert!(places.is_sorted(), "{messages:#?}");
    let settings = find(&server.log, "starting an etcd server");
    assert_eq!(settings["etcd-version"], "3.7.1");
    assert_eq!((&settings["snapshot-count"], &settings["member-initialized"]), (&7.into(), &false.into()));
    assert_eq!(settings["initial-cluster"], format!("m1=http://{}", server.peer));
    assert_eq!(settings["listen-metrics-urls"], Value::Array(Vec::new()));
    let mut bytes = [0; 32];
    let n = notified.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..n], b"READY=1");
}

#[test]
fn a_second_member_on_the_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[], |_| {});
    let args = Server::args(dir.path(), free_port(), free_port());
    let args: Vec<_> = args.iter().map(String::as_str).chain(["--name=m2"]).collect();
    let (status, _, stderr) = finish(command(dir.path(), &args));
    assert_eq!(status.code(), Some(1));
    let lines = lines(&stderr);
    let fatal = find(&lines, "discovery failed");
    assert_eq!(fatal["level"], "fatal");
    assert!(fatal["error"].as_str().unwrap().contains(&format!("pid {}", server.child.id())), "{fatal}");
}

#[test]
fn failed_starts_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = |more: &[&str], client: SocketAddr| {
        let args = Server::args(dir.path(), client, free_port());
        let args: Vec<_> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let (status, _, stderr) = finish(command(dir.path(), &args));
        (status.code(), lines(&stderr))
    };
    let taken = taken.local_addr().unwrap();
    for (more, client, text) in [
        (vec!["--name=m1"], taken, format!("listen tcp {taken}: bind: address already in use")),
        (vec!["--name=refuses"], free_port(), "no such luck".to_owned()),
        (
            vec!["--name=m1", "--initial-cluster=x=http://127.0.0.1:1"],
            free_port(),
            "couldn't find local name \"m1\" in the initial cluster configuration".to_owned(),
        ),
        (
            vec!["--name=m1", "--auto-compaction-retention=abc"],
            free_port(),
            "error parsing CompactionRetention: time: invalid duration \"abc\"".to_owned(),
        ),
    ] {
        let (code, lines) = start(&more, client);
        assert_eq!((code, &find(&lines, "discovery failed")["error"]), (Some(1), &text.into()));
    }
}

#[test]
fn a_member_that_ends_ends_the_process() {
    for (name, code) in [("removed", 0), ("fails", 1)] {
        let dir = tempfile::tempdir().unwrap();
        let args = Server::args(dir.path(), free_port(), free_port());
        let name = format!("--name={name}");
        let args: Vec<_> = args.iter().map(String::as_str).chain([name.as_str()]).collect();
        let (status, _, stderr) = finish(command(dir.path(), &args));
        assert_eq!(status.code(), Some(code), "{stderr}");
        assert_eq!(lines(&stderr).last().unwrap()["msg"], "closed etcd server");
    }
}

#[test]
fn command_lines_end_as_etcds_do() {
    let dir = tempfile::tempdir().unwrap();
    let (status, stdout, stderr) = finish(command(dir.path(), &["--version"]));
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    assert!(stdout.starts_with("etcd Version: 3.7.1\nGit SHA: holdfast-"), "{stdout}");
    let (status, stdout, stderr) = finish(command(dir.path(), &["-h"]));
    assert_eq!(status.code(), Some(0));
    assert!(stderr.starts_with("Usage:\n") && stdout.contains("--data-dir"));
    let (status, stdout, stderr) = finish(command(dir.path(), &["--bogus"]));
    assert_eq!((status.code(), stdout.as_str()), (Some(2), ""));
    assert!(stderr.starts_with("flag provided but not defined: -bogus\nUsage:\n"), "{stderr}");
    let (status, _, stderr) = finish(command(dir.path(), &["--log-level=x"]));
    assert_eq!((status.code(), stderr.as_str()), (Some(2), "panic: unrecognized level: \"x\"\n"));
    let (status, _, stderr) = finish(command(dir.path(), &["gateway", "start"]));
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("gateway is not supported"));
    let (status, _, stderr) = finish(command(dir.path(), &["foo"]));
    assert_eq!(status.code(), Some(1));
    let log = lines(&stderr);
    assert_eq!(find(&log, "Running: ")["args"], serde_json::json!(["holdfast", "foo"]));
    let warning = find(&log, "failed to verify flags");
    assert_eq!(
        (&warning["level"], &warning["error"]),
        (&"warn".into(), &"\"foo\" is not a valid flag".into())
    );
    let mut both = command(dir.path(), &["--name=a"]);
    both.env("ETCD_NAME", "b");
    let (status, _, stderr) = finish(both);
    assert_eq!(status.code(), Some(1));
    let log = lines(&stderr);
    assert_eq!((&log[0]["level"], &log[0]["environment-variable"]), (&"fatal".into(), &"ETCD_NAME".into()));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was written");
}

#[test]
fn a_closed_stderr_stops_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &[], |_| {});
    server.stderr = None;
    for _ in 0..50 {
        assert!(get(server.client, "/nosuch").contains("404"));
        assert!(get(server.client, "/health?exclude=X").contains("200 OK"));
    }
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().unwrap().signal(), Some(15));
}
