//! Finds the command that a line calls.
//!
//! Command words may be shortened as long as one command remains (`ge foo`, `lea gr 60`), and global flags
//! may stand before and between them. So flags and their values must be stepped over, which takes the tables
//! of the commands known so far.

use super::{
    command::Command,
    flag::{Flag, Kind, Values},
    suggest,
};
use crate::go_text::quote::quote;

/// The command that a line calls, and the words that remain for it.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// From the root to the command.
    pub(crate) path: Vec<&'static Command>,
    /// The flags of all commands on the path and the global ones, at their defaults.
    pub(crate) values: Values,
    /// The line without the command words.
    pub(crate) words: Vec<Vec<u8>>,
}

/// A word that calls no command of the root.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownCommand {
    word: String,
    near: Vec<&'static str>,
}

impl UnknownCommand {
    /// The message for the user.
    pub(crate) fn message(&self, program: &str) -> String {
        let mut message =
            format!("unknown command {} for {}", quote(self.word.as_bytes()), quote(program.as_bytes()));
        if !self.near.is_empty() {
            message.push_str("\n\nDid you mean this?\n");
            for name in &self.near {
                message.extend(["\t", name, "\n"]);
            }
        }
        message
    }
}

/// Walks down the tree as far as the words lead. A group stays where it is when the next word is none of its
/// children: it shows its help then.
///
/// # Errors
/// The root has words but none of its children is called by the first of them.
pub(crate) fn resolve(
    root: &'static Command,
    global: &[Flag],
    words: &[Vec<u8>],
) -> Result<Resolved, UnknownCommand> {
    let mut values = Values::default();
    values.declare(global);
    values.declare(root.flags);
    let mut resolved = Resolved { path: vec![root], values, words: words.to_vec() };
    let mut command = root;
    while let Some(position) = first_argument(&resolved.words, &resolved.values) {
        let word = String::from_utf8_lossy(&resolved.words[position]).into_owned();
        let Some(child) = child_called(command, &word) else {
            if std::ptr::eq(command, root) && !root.children.is_empty() {
                let near = suggest::near(&word, root.children.iter().map(|child| child.name));
                return Err(UnknownCommand { word, near });
            }
            break;
        };
        resolved.words.remove(position);
        resolved.values.declare(child.flags);
        resolved.path.push(child);
        command = child;
    }
    Ok(resolved)
}

/// The child with this name, or else the only one whose name begins so.
pub(crate) fn child_called(command: &'static Command, word: &str) -> Option<&'static Command> {
    if let Some(child) = command.children.iter().find(|child| child.name == word) {
        return Some(child);
    }
    let mut matching = command.children.iter().filter(|child| child.name.starts_with(word));
    matching.next().filter(|_| matching.next().is_none())
}

/// Where the first word stands that is neither a flag nor the value of one.
fn first_argument(words: &[Vec<u8>], values: &Values) -> Option<usize> {
    let mut index = 0;
    while let Some(word) = words.get(index) {
        if word == b"--" {
            return None;
        }
        if !word.starts_with(b"-") && !word.is_empty() {
            return Some(index);
        }
        index += if takes_next_word(&String::from_utf8_lossy(word), values) { 2 } else { 1 };
    }
    None
}

/// Whether a flag's value is the next word. A flag not known yet is taken for one with a value.
fn takes_next_word(word: &str, values: &Values) -> bool {
    if word.contains('=') {
        return false;
    }
    let flag = if let Some(name) = word.strip_prefix("--") {
        if name == "help" {
            return false;
        }
        values.find(name)
    } else {
        let mut letters = word.chars().skip(1);
        match (letters.next(), letters.next()) {
            (Some('h') | None, None) => return false,
            (Some(letter), None) => values.find_short(letter),
            _ => return false,
        }
    };
    flag.is_none_or(|flag| flag.kind != Kind::Bool)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{command::ROOT, globals};

    fn resolve_line(line: &str) -> Result<(Vec<&'static str>, Vec<String>), UnknownCommand> {
        let words: Vec<Vec<u8>> = line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
        let resolved = resolve(&ROOT, globals::FLAGS, &words)?;
        let path = resolved.path[1..].iter().map(|command| command.name).collect();
        Ok((path, resolved.words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect()))
    }

    #[test]
    fn walks_down_over_flags_and_prefixes() {
        for (line, path, words) in [
            ("get foo", &["get"][..], &["foo"][..]),
            ("ge foo", &["get"], &["foo"]),
            (
                "--endpoints x -w json get --prefix foo get",
                &["get"],
                &["--endpoints", "x", "-w", "json", "--prefix", "foo", "get"],
            ),
            ("--hex lease --endpoints=x gr 60", &["lease", "grant"], &["--hex", "--endpoints=x", "60"]),
            ("lease bogus", &["lease"], &["bogus"]),
            ("endpoint --cluster health", &["endpoint", "health"], &["--cluster"]),
            ("", &[], &[]),
            ("-h get", &["get"], &["-h"]),
            ("-- get", &[], &["--", "get"]),
        ] {
            let (found, rest) = resolve_line(line).unwrap();
            assert_eq!(found, path, "{line}");
            assert_eq!(rest, words, "{line}");
        }
    }

    #[test]
    fn unknown_commands_come_with_suggestions() {
        let error = resolve_line("gat a").unwrap_err();
        assert_eq!(
            error.message("etcdctl"),
            "unknown command \"gat\" for \"etcdctl\"\n\nDid you mean this?\n\tget\n\tput\n"
        );
        let error = resolve_line("--cluster endpoint health").unwrap_err();
        assert_eq!(error.message("etcdctl"), "unknown command \"health\" for \"etcdctl\"");
    }
}
