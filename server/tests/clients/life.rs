//! Start, stop, logs.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use holdfast_proto::etcdserverpb as pb;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::common::ctl;
use crate::common::grpc::Client;
use crate::common::home::{holdfast_binary, plain_command};
use crate::common::{Home, Server, skipped};

/// Whether a process has ended by this signal, as a shell sees it: 128 and its number.
fn ended_by(status: ExitStatus, signal: i32) -> bool {
    status.signal() == Some(signal) || status.code() == Some(128 + signal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sigterm_ends_a_server_cleanly_with_clients_on_it() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    // Streams that would go on for ever, and clients that go on writing.
    let create = pb::WatchCreateRequest { key: "k".into(), ..Default::default() };
    let create = pb::watch_request::RequestUnion::CreateRequest(create);
    let requests = tokio_stream::StreamExt::chain(
        tokio_stream::once(pb::WatchRequest { request_union: Some(create) }),
        tokio_stream::pending(),
    );
    let watch = client.watch.clone().watch(requests).await.unwrap().into_inner();
    let renewals = tokio_stream::StreamExt::chain(
        tokio_stream::once(pb::LeaseKeepAliveRequest { id: 1 }),
        tokio_stream::pending(),
    );
    let keep_alive = client.lease.clone().lease_keep_alive(renewals).await.unwrap().into_inner();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut acknowledged = 0;
                while client.put(format!("k{writer}/{acknowledged:06}"), "v").await.is_ok() {
                    acknowledged += 1;
                }
                acknowledged
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, log) = tokio::task::spawn_blocking(move || server.terminate()).await.unwrap();
    assert!(ended_by(status, 15), "{status:?}");
    for line in ["received signal; shutting down", "closing etcd server", "closed etcd server"] {
        assert!(log.contains(line), "the log does not say {line:?}:\n{log}");
    }
    drop((watch, keep_alive));

    let server = home.start();
    let client = Client::connect(&server.url()).await;
    for (writer, task) in writers.into_iter().enumerate() {
        let acknowledged: i64 = task.await.unwrap();
        let there = client.all(&format!("k{writer}/")).await.unwrap().count;
        // The last one may have been written and its answer lost.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&there),
            "{there} keys, {acknowledged} acknowledged"
        );
    }
    let pid = Pid::from_raw(server.pid() as i32).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let (status, _) = server.wait(Duration::from_secs(30)).expect("SIGINT ends it");
    assert!(ended_by(status, 2), "{status:?}");
}

#[test]
fn the_log_is_etcds_json_a_line_for_each_event() {
    let home = Home::holdfast();
    let server = home.start();
    let (_, log) = server.terminate();
    let mut messages = Vec::new();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for field in ["level", "ts", "caller", "msg"] {
            assert!(event[field].is_string(), "{field:?} is missing: {line}");
        }
        assert!(event["ts"].as_str().unwrap().ends_with('Z'), "{line}");
        messages.push(event["msg"].as_str().unwrap().to_owned());
    }
    // In the order in which tools and people expect them.
    let mut rest = messages.iter();
    for message in [
        "configuring peer listeners",
        "configuring client listeners",
        "starting an etcd server",
        "starting etcd server",
        "ready to serve client requests",
        "serving client traffic insecurely; this is strongly discouraged!",
        "received signal; shutting down",
        "closing etcd server",
        "closed etcd server",
    ] {
        assert!(rest.any(|found| found == message), "{message:?} is missing or too early: {messages:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_any_flag_it_is_where_clients_look_for_etcd() {
    let held: Vec<_> = [2379, 2380].iter().map(|port| TcpListener::bind(("127.0.0.1", *port))).collect();
    if held.iter().any(Result::is_err) {
        return skipped("port 2379 or 2380 is taken");
    }
    drop(held);
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("etcd");
    std::os::unix::fs::symlink(holdfast_binary(), &link).unwrap();
    let mut command = plain_command(&link);
    command.current_dir(folder.path());
    let server = Server::spawn(command, folder.path().join("log"), 2379).wait_ready().unwrap();
    let client = Client::connect(&server.url()).await;
    client.put("a", "1").await.unwrap();
    let header = client.hash_kv(0).await.unwrap().header.unwrap();
    assert_eq!((header.member_id, header.cluster_id), (0x8e9e_05c5_2164_694d, 0xcdf8_1819_4e3a_8c32));
    assert!(folder.path().join("default.etcd/member/snap/db").exists());
    server.terminate();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn later_starts_pass_over_the_flags_of_the_first() {
    let home = Home::holdfast();
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    client.put("a", "1").await.unwrap();
    let before = client.hash_kv(0).await.unwrap().header.unwrap();
    server.terminate();
    // What an operator or a Kubernetes manifest changes after the cluster has been founded.
    let home = home.with(&["--initial-cluster-state", "existing", "--initial-cluster-token", "another"]);
    let home = home.with(&["--initial-cluster", "m1=http://127.0.0.1:1,m2=http://127.0.0.1:2"]);
    let server = home.start();
    let client = Client::connect(&server.url()).await;
    let after = client.hash_kv(0).await.unwrap().header.unwrap();
    assert_eq!((after.member_id, after.cluster_id), (before.member_id, before.cluster_id));
    assert_eq!(client.get("a").await.unwrap().unwrap(), "1");
    server.terminate();
}

#[test]
fn version_and_bad_flags_need_no_server() {
    let run = |arguments: &[&str]| {
        let mut command = plain_command(&holdfast_binary());
        command.args(arguments);
        ctl::run(command, "")
    };
    let version = run(&["--version"]);
    assert_eq!(version.code, Some(0));
    let lines: Vec<&str> = version.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    for (line, begin) in lines.iter().zip(["etcd Version: 3.7.", "Git SHA: ", "Go Version: ", "Go OS/Arch: "])
    {
        assert!(line.starts_with(begin), "{lines:?}");
    }
    let unknown = run(&["--no-such-flag"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("flag provided but not defined: -no-such-flag"), "{unknown:?}");
}
