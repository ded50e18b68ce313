//! Runs the script against one server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::ctl::{self, Ctl, Output};
use crate::common::grpc::Client;
use crate::common::{Home, Server};
use crate::mask;
use crate::script::{Action, Mask, Step};

/// How long a watch may take to print what it should.
const WATCH_LIMIT: Duration = Duration::from_secs(20);

/// What a step led to, masked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One server with its client.
pub(crate) struct Side {
    server: Server,
    home: Home,
    ctl: Ctl,
    utl: Option<PathBuf>,
    runtime: tokio::runtime::Runtime,
    client: Client,
    /// Words that stand for others in the script's lines: `{name}`.
    words: BTreeMap<String, String>,
    /// What is this server's own, and what it becomes.
    own: Vec<(String, String)>,
}

impl Side {
    /// Starts the server of `home`.
    pub(crate) fn start(home: Home, ctl: &Path, utl: Option<&Path>) -> Self {
        let server = home.start();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(Client::connect(&server.url()));
        let ctl = Ctl::new(ctl, &server.endpoint(), home.folder());
        let own = own_words(&runtime, &client, &server);
        let words = BTreeMap::new();
        Self { server, home, ctl, utl: utl.map(Path::to_owned), runtime, client, words, own }
    }

    /// Runs all steps.
    pub(crate) fn run(mut self, script: &[Step]) -> Vec<Outcome> {
        let outcomes = script.iter().map(|step| self.step(step)).collect();
        // It must still be there after all that, and must stop when asked.
        self.server.terminate();
        outcomes
    }

    fn step(&mut self, step: &Step) -> Outcome {
        let line = self.filled(&step.line);
        let arguments = split(&line);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = match &step.action {
            Action::Command => self.ctl.run(&arguments, &self.filled(&step.stdin)),
            Action::Watch { lines } => self.ctl.run_until(&arguments, *lines, WATCH_LIMIT),
            Action::Offline => self.offline(&arguments),
            Action::Grant { id, ttl } => self.call(|client| Box::pin(client.grant(*id, *ttl))),
            Action::RaiseAlarm { member, alarm } => {
                self.call(|client| Box::pin(client.alarm(1, *member, *alarm)))
            }
        };
        if let Some(name) = step.remember {
            let revision = self.runtime.block_on(self.client.hash_kv(0)).unwrap().header.unwrap().revision;
            self.words.insert(name.to_owned(), revision.to_string());
        }
        self.masked(&output, step)
    }

    /// A command of the offline tool; nothing where there is none.
    fn offline(&self, arguments: &[&str]) -> Output {
        let Some(utl) = &self.utl else {
            return Output { code: Some(0), stdout: String::new(), stderr: String::new() };
        };
        let mut command = Command::new(utl);
        command.current_dir(self.home.folder()).args(arguments);
        ctl::run(command, "")
    }

    fn call<T>(
        &self,
        call: impl FnOnce(&Client) -> std::pin::Pin<Box<dyn Future<Output = Result<T, tonic::Status>> + '_>>,
    ) -> Output {
        let result = self.runtime.block_on(call(&self.client));
        let stderr = result.err().map(|status| status.message().to_owned()).unwrap_or_default();
        Output { code: Some(0), stdout: String::new(), stderr }
    }

    fn filled(&self, line: &str) -> String {
        self.words
            .iter()
            .fold(line.to_owned(), |line, (name, word)| line.replace(&format!("{{{name}}}"), word))
    }

    fn masked(&self, output: &Output, step: &Step) -> Outcome {
        let own =
            |text: &str| self.own.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        let mut stdout = mask::numbers(&own(&output.stdout), step.numbers_after);
        match step.mask {
            Mask::Usual => {}
            Mask::Status => stdout = mask::status_cells(&stdout),
            Mask::Table => stdout = mask::table(&stdout),
        }
        let stderr = mask::numbers(&own(&mask::without_log(&output.stderr)), step.numbers_after);
        Outcome { code: output.code, stdout, stderr }
    }
}

/// Ids and addresses of a server, and the words that stand for them.
fn own_words(runtime: &tokio::runtime::Runtime, client: &Client, server: &Server) -> Vec<(String, String)> {
    let members = runtime.block_on(
        client.cluster.clone().member_list(holdfast_proto::etcdserverpb::MemberListRequest::default()),
    );
    let members = members.unwrap().into_inner();
    let header = members.header.unwrap();
    let member = &members.members[0];
    let mut own = vec![(server.endpoint(), "CLIENT".to_owned())];
    own.push((member.peer_urls[0].clone(), "http://PEER".to_owned()));
    for (id, word) in [(header.member_id, "MEMBER"), (header.cluster_id, "CLUSTER")] {
        own.push((id.to_string(), word.to_owned()));
        own.push((format!("{id:016x}"), word.to_owned()));
        own.push((format!("{id:x}"), word.to_owned()));
    }
    own
}

/// Splits a line into arguments at blanks; what stands between single quotes stays together.
fn split(line: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            arguments.push(part.to_owned());
        } else {
            arguments.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    arguments
}

#[test]
fn lines_are_split_like_a_shell_does() {
    assert_eq!(split("put a 'b  c' ''"), ["put", "a", "b  c", ""]);
}
