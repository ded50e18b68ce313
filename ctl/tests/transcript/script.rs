//! The form of the scripts, and how they are played.
//!
//! ```text
//! # a comment
//! put foo 'a b'                         words as in a shell, without escapes
//! ETCDCTL_HEX=true get foo              variables come first
//! put foo << hello\n                    what is given to stdin, with \n for newlines
//! endpoint health !! took               what may differ, see `normal`
//! lease grant 60 !! lease=LEASE1        learns the identifier; $LEASE1 stands for it from then on
//! get --nosuch !! nostdout              stdout (a help text) is not compared
//! watch -i << foo\n !! stderr           all of stderr is compared, not only the error
//! watch foo --rev=2 !! lines=3          does not end by itself: runs until it has printed three lines
//! @ user add root:pw                    done by etcdctl on both sides, and not compared
//! ```
//! `$EP`, `$PEER`, `$DIR`, `$MEMBER` and `$CLUSTER` stand for what they are on each side.

use std::time::Instant;

use crate::{
    normal,
    run::{Outcome, Side},
    watching,
};

/// One command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) words: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) stdin: String,
    pub(crate) options: Vec<String>,
    pub(crate) real: bool,
}

impl Line {
    fn parse(text: &str) -> Self {
        let (text, options) = text.split_once(" !! ").unwrap_or((text, ""));
        let (text, stdin) = text.split_once(" << ").unwrap_or((text, ""));
        let mut line = Self {
            words: words(text),
            stdin: stdin.replace("\\n", "\n"),
            options: options.split_whitespace().map(str::to_owned).collect(),
            ..Self::default()
        };
        if line.words.first().is_some_and(|word| word == "@") {
            line.words.remove(0);
            line.real = true;
        }
        while let Some((name, value)) = line.words.first().and_then(|word| word.split_once('=')) {
            if !name.starts_with("ETCD") {
                break;
            }
            line.variables.push((name.to_owned(), value.to_owned()));
            line.words.remove(0);
        }
        line
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }

    fn has(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }
}

/// Splits at spaces; quotes keep what is inside together and are removed.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Plays all lines on both sides and compares. Reports all differences at the end.
pub(crate) fn play(text: &str, mut reference: Side, mut ours: Side) {
    reference.learn_identifiers();
    ours.learn_identifiers();
    let mut compared = 0;
    let mut differences = String::new();
    for source in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let line = Line::parse(source);
        if line.real {
            for side in [&reference, &ours] {
                side.run(&line.words, &line.variables, &line.stdin, true);
            }
            continue;
        }
        compared += 1;
        let start = Instant::now();
        let expected = outcome(&mut reference, &line);
        let middle = Instant::now();
        let found = outcome(&mut ours, &line);
        println!("{:>8.1?} {:>8.1?} {source}", middle - start, middle.elapsed());
        if expected != found {
            let parts = ["$ ", source, "\n--- etcdctl\n", &expected, "\n--- ours\n", &found, "\n\n"];
            differences.extend(parts);
        }
    }
    println!("{compared} command lines compared");
    assert!(differences.is_empty(), "\n{differences}");
}

/// Runs a line and tells what is compared.
fn outcome(side: &mut Side, line: &Line) -> String {
    let outcome = match line.option("lines") {
        Some(count) => watching::until_lines(side, line, count.parse().expect("a number of lines")),
        None => side.run(&line.words, &line.variables, &line.stdin, false),
    };
    if let Some(name) = line.option("lease") {
        side.learn_lease(name, &outcome.stdout);
    }
    let Outcome { stdout, stderr, code } = outcome;
    let stderr = if line.has("stderr") {
        normal::stderr_lines(&stderr).join("\n")
    } else {
        normal::error_line(&stderr).to_owned()
    };
    let stdout = if line.has("nostdout") { String::new() } else { stdout };
    side.normal(&format!("{stdout}[stderr] {stderr}\n[code] {code:?}"), &line.options)
}
