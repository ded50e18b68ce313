//! Commands that do not end by themselves.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStdin},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use crate::{
    run::{Outcome, Side},
    script::Line,
};

/// How long a line may take. Reached only when a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running command whose lines arrive one by one.
struct Running {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Running {
    fn start(side: &Side, line: &Line) -> Self {
        let mut child =
            side.command(&line.words, &line.variables, false).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(side.expand(&line.stdin).as_bytes()).expect("the program reads");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines }
    }

    fn next_line(&self) -> Option<String> {
        self.lines.recv_timeout(PATIENCE).ok()
    }

    fn stop(mut self) -> String {
        let _ = self.child.kill();
        let mut stderr = String::new();
        let _ = self.child.stderr.take().expect("stderr is piped").read_to_string(&mut stderr);
        let _ = self.child.wait();
        stderr
    }
}

/// Runs a line until it has printed `count` lines.
pub(crate) fn until_lines(side: &Side, line: &Line, count: usize) -> Outcome {
    let running = Running::start(side, line);
    let stdout: String = (0..count).map_while(|_| running.next_line()).map(|line| line + "\n").collect();
    Outcome { stdout, stderr: running.stop(), code: None }
}

/// Watches that see their events happen, several on one stream.
pub(crate) fn live(dir: &Path) {
    let [expected, found] = [Side::reference(dir), Side::ours(dir)].map(|mut side| {
        side.learn_identifiers();
        live_on(&side)
    });
    assert_eq!(expected, found);
}

/// Watches that outlive a crash of the server: no event is lost, and none comes twice.
pub(crate) fn resumes(dir: &Path) {
    let mut side = Side::ours(dir);
    change(&side, "put a 1");
    let words = ["watch", "-i"].map(str::to_owned).to_vec();
    let stdin = "watch a --rev=2\nwatch b\nprogress\n".to_owned();
    let running = Running::start(&side, &Line { words, stdin, ..Line::default() });
    let next = |count: usize| -> Vec<String> {
        (0..count)
            .map(|_| running.next_line().expect("another line"))
            .filter(|line| !line.contains("progress"))
            .collect()
    };
    // Three lines of the event, and two answers that show that both watches exist.
    assert_eq!(next(5), ["PUT", "a", "1"]);
    side.etcd.restart(dir);
    change(&side, "put a 2");
    assert_eq!(next(3), ["PUT", "a", "2"]);
    side.etcd.restart(dir);
    change(&side, "put b 3");
    assert_eq!(next(3), ["PUT", "b", "3"]);
    running.stop();
}

/// Changes a key by etcdctl.
fn change(side: &Side, words: &str) {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    assert_eq!(side.run(&words, &[], "", true).code, Some(0), "{words:?}");
}

fn live_on(side: &Side) -> Vec<String> {
    let put = |words: &str| change(side, words);
    let words = ["watch", "-i", "-w", "json"].map(str::to_owned).to_vec();
    let line = Line { words, stdin: "watch a --prev-kv\nprogress\n".to_owned(), ..Line::default() };
    let mut running = Running::start(side, &line);
    let mut seen = Vec::new();
    let mut collect = |running: &Running, count: usize| {
        for _ in 0..count {
            seen.push(side.normal(&running.next_line().expect("another line"), &[]));
        }
    };
    // The answer to "progress" shows that the watch exists.
    collect(&running, 2);
    put("put a 1");
    collect(&running, 1);
    put("put a 2");
    collect(&running, 1);
    running.stdin.write_all(b"watch b --prefix -- echo saw\nprogress\n").expect("the program reads");
    collect(&running, 4);
    put("put b2 x");
    collect(&running, 2);
    put("del a");
    collect(&running, 1);
    running.stop();
    seen
}
