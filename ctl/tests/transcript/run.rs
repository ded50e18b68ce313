//! One side of the comparison: a server and the program under test.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{etcd::Etcd, normal};

/// How long a command line may take. Reached only by one that hangs, which shows as an exit without a code.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads a pipe to its end.
fn collect(mut pipe: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        bytes
    })
}

/// Waits for the end of a program and returns its exit code; ends it when it takes too long.
fn wait(child: &mut Child) -> Option<i32> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().expect("the program is ours") {
            return status.code();
        }
        thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    child.wait().expect("the program is ours").code()
}

/// What a command line did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// A server, a program, and what stands for what.
pub(crate) struct Side {
    pub(crate) etcd: Etcd,
    pub(crate) program: PathBuf,
    real: PathBuf,
    /// Names of scripts, such as `LEASE1`, and their values here.
    pub(crate) names: BTreeMap<String, String>,
    /// How a protobuf header of this cluster begins.
    header: Vec<u8>,
}

impl Side {
    /// Real etcdctl.
    pub(crate) fn reference(dir: &Path) -> Self {
        Self::new(dir, dir.join("etcdctl"))
    }

    /// holdfastctl, under the name that it stands in for.
    pub(crate) fn ours(dir: &Path) -> Self {
        let mut side = Self::new(dir, PathBuf::new());
        side.program = side.etcd.folder.path().join("etcdctl");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_holdfastctl"), &side.program).expect("a link");
        side
    }

    fn new(dir: &Path, program: PathBuf) -> Self {
        let etcd = Etcd::start(dir);
        let mut names = BTreeMap::new();
        names.insert("EP".to_owned(), etcd.client.clone());
        names.insert("PEER".to_owned(), etcd.peer.clone());
        names.insert("DIR".to_owned(), etcd.folder.path().display().to_string());
        Self { etcd, program, real: dir.join("etcdctl"), names, header: Vec::new() }
    }

    /// Puts values in the place of names.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in self.names.iter().rev() {
            text = text.replace(&format!("${name}"), value);
        }
        text
    }

    /// The command of a line, not yet started. `real`: always etcdctl.
    pub(crate) fn command(&self, words: &[String], variables: &[(String, String)], real: bool) -> Command {
        let mut command = Command::new(if real { &self.real } else { &self.program });
        if !words.iter().any(|word| word.starts_with("--endpoints"))
            && !variables.iter().any(|(name, _)| name == "ETCDCTL_ENDPOINTS")
        {
            command.arg(format!("--endpoints={}", self.etcd.client));
        }
        command.args(words.iter().map(|word| self.expand(word))).current_dir(self.etcd.folder.path());
        for (name, value) in variables {
            command.env(name, self.expand(value));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a line to its end.
    pub(crate) fn run(
        &self,
        words: &[String],
        variables: &[(String, String)],
        stdin: &str,
        real: bool,
    ) -> Outcome {
        let mut child = self.command(words, variables, real).spawn().expect("the program starts");
        let mut input = child.stdin.take().expect("stdin is piped");
        // A program that does not read closes its end.
        let _ = input.write_all(self.expand(stdin).as_bytes());
        drop(input);
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        let code = wait(&mut child);
        let text = |bytes: JoinHandle<Vec<u8>>| {
            let bytes = normal::without_header(bytes.join().expect("the pipe was read"), &self.header);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Outcome { stdout: text(stdout), stderr: text(stderr), code }
    }

    /// Learns the identifiers of the cluster and the member.
    pub(crate) fn learn_identifiers(&mut self) {
        let words: Vec<String> = ["member", "list", "-w", "json"].map(str::to_owned).to_vec();
        let json = self.run(&words, &[], "", true).stdout;
        for (name, field) in [("CLUSTER", "\"cluster_id\":"), ("MEMBER", "\"member_id\":")] {
            let digits: String = json
                .split(field)
                .nth(1)
                .expect("the field")
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let value: u64 = digits.parse().expect("a number");
            self.header.push(if name == "CLUSTER" { 0x08 } else { 0x10 });
            self.header.extend(normal::varint(value));
            self.names.insert(name.to_owned(), format!("{value:x}"));
            self.names.insert(format!("{name}DEC"), value.to_string());
        }
    }

    /// Learns the identifier of a lease from what `lease grant` printed.
    pub(crate) fn learn_lease(&mut self, name: &str, stdout: &str) {
        let hex = stdout.split_whitespace().nth(1).expect("the lease stands in the second word");
        let value = u64::from_str_radix(hex, 16).expect("a hexadecimal identifier");
        self.names.insert(name.to_owned(), hex.to_owned());
        self.names.insert(format!("{name}DEC"), value.to_string());
    }

    /// Replaces what differs between the sides by the same words.
    pub(crate) fn normal(&self, text: &str, variants: &[String]) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.names {
            text = text.replace(value.as_str(), &format!("<{name}>"));
        }
        normal::apply(&text, variants)
    }
}
