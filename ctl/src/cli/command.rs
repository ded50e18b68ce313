//! Commands: how one is declared, and the invocation that reaches it.

use std::{future::Future, pin::Pin};

use super::flag::{Flag, Values};
use crate::failure::Outcome;

/// The work of a command, to be awaited.
pub(crate) type Work = Pin<Box<dyn Future<Output = Outcome>>>;

/// One node of the command tree: a group when it has children, a command when it has work.
#[derive(Debug)]
pub(crate) struct Command {
    /// The word that calls it.
    pub(crate) name: &'static str,
    /// Its arguments, as the usage line shows them.
    pub(crate) args: &'static str,
    /// Its purpose in one sentence.
    pub(crate) about: &'static str,
    /// More to know, paragraphs separated by newlines; may be empty.
    pub(crate) details: &'static str,
    /// One command line that shows its use, without the program's name; empty for groups.
    pub(crate) example: &'static str,
    /// Its flags; those of a group hold for all its children.
    pub(crate) flags: &'static [Flag],
    /// The commands below it.
    pub(crate) children: &'static [Command],
    /// What it does; a group shows its help instead.
    pub(crate) work: Option<fn(Invocation) -> Work>,
}

/// A command line that has been understood: the command, the values of its flags, its arguments.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// Name of the program in messages.
    pub(crate) program: &'static str,
    /// From the root to the command.
    pub(crate) path: Vec<&'static Command>,
    /// Flags of the command, of the groups above it, and the global ones.
    pub(crate) values: Values,
    /// The arguments that are no flags. They are bytes: keys need not be text.
    pub(crate) args: Vec<Vec<u8>>,
    /// How many of the arguments stood before `--`, when there was one.
    pub(crate) before_dashes: Option<usize>,
}

impl Invocation {
    /// Argument number `index` as text; bytes that are not UTF-8 become the replacement character, which no
    /// command that asks for text accepts.
    pub(crate) fn arg_text(&self, index: usize) -> String {
        self.args.get(index).map_or_else(String::new, |arg| String::from_utf8_lossy(arg).into_owned())
    }
}
