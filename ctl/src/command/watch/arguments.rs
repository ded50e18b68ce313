//! What a watch command asks for: a range of keys, options, and a command to run.

use holdfast_proto::etcdserverpb as pb;

use super::Variables;
use crate::{
    cli::flag::Values,
    command::key_range::{Extent, KeyRange},
    failure::Failure,
};

/// A watch that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// The request that creates it.
    pub(super) request: pb::WatchCreateRequest,
    /// The command to run for each event; empty: none.
    pub(super) command: Vec<Vec<u8>>,
}

impl Wish {
    /// Reads the arguments. Those behind `--` are the command; those before it are the key and the end of the
    /// range, or, when there are more than two, the key and others that are ignored. The environment can give
    /// key and range instead.
    pub(super) fn new(
        values: &Values,
        args: &[Vec<u8>],
        before_dashes: Option<usize>,
        variables: &Variables,
    ) -> Result<Self, Failure> {
        let (own, command) = args.split_at(before_dashes.unwrap_or(args.len()));
        if before_dashes.is_some() && command.is_empty() {
            return Err(Failure::bad_args("bad number of arguments (found separator --, but no commands)"));
        }
        let given = |value: &Vec<u8>| Some(value.clone()).filter(|value| !value.is_empty());
        let (key, range_end) = match given(&variables.key) {
            Some(_) if !own.is_empty() => {
                return Err(Failure::bad_args("bad number of arguments (found conflicting environment key)"));
            }
            Some(key) => (key, given(&variables.range_end)),
            None => match own.first() {
                Some(key) => (key.clone(), own.get(1).filter(|_| own.len() == 2).cloned()),
                None => return Err(Failure::bad_args("bad number of arguments")),
            },
        };
        let prefix = values.bool("prefix");
        if prefix && range_end.is_some() {
            return Err(Failure::bad_args("`range_end` and `--prefix` are mutually exclusive"));
        }
        let extent = if prefix { Extent::Prefix } else { Extent::Exact };
        let range = KeyRange::new(extent, &key, range_end.as_deref())?;
        let request = pb::WatchCreateRequest {
            key: range.key,
            range_end: range.end,
            start_revision: values.int("rev"),
            progress_notify: values.bool("progress-notify"),
            prev_kv: values.bool("prev-kv"),
            ..Default::default()
        };
        Ok(Self { request, command: command.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cli::parse;

    fn wish(line: &str, variables: &Variables) -> Result<Wish, String> {
        let mut values = Values::default();
        values.declare(super::super::FLAGS);
        let words: Vec<Vec<u8>> = line.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect();
        let parsed = parse::parse(&words, &mut values)?;
        Wish::new(&values, &parsed.args, parsed.before_dashes, variables)
            .map_err(|failure| failure.report().unwrap_or_default().to_owned())
    }

    fn variables(key: &str, range_end: &str) -> Variables {
        Variables { key: key.into(), range_end: range_end.into() }
    }

    #[test]
    fn arguments_and_command() {
        let none = Variables::default();
        for (line, key, end, command) in [
            ("a", "a", "", &[][..]),
            ("a c", "a", "c", &[]),
            ("a c d", "a", "", &[]),
            ("a c d --prefix", "a", "b", &[]),
            ("--prefix a", "a", "b", &[]),
            ("a -- echo hi", "a", "", &["echo", "hi"]),
            ("a c --rev 1 -- echo --prefix", "a", "c", &["echo", "--prefix"]),
            ("a --prefix -- a", "a", "b", &["a"]),
        ] {
            let wish = wish(line, &none).unwrap();
            assert_eq!(
                (&wish.request.key[..], &wish.request.range_end[..]),
                (key.as_bytes(), end.as_bytes()),
                "{line}"
            );
            assert_eq!(wish.command, command.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn variables_take_the_place_of_arguments() {
        let wish = wish("-- echo hi", &variables("k", "m")).unwrap();
        assert_eq!((&wish.request.key[..], &wish.request.range_end[..]), (&b"k"[..], &b"m"[..]));
        assert_eq!(wish.command.len(), 2);
    }

    #[test]
    fn wrong_numbers_of_arguments() {
        let none = Variables::default();
        for (line, variables, message) in [
            ("", none.clone(), "bad number of arguments"),
            ("-- echo", none.clone(), "bad number of arguments"),
            ("a --", none.clone(), "bad number of arguments (found separator --, but no commands)"),
            ("a", variables("k", ""), "bad number of arguments (found conflicting environment key)"),
            ("a -- echo", variables("k", ""), "bad number of arguments (found conflicting environment key)"),
            ("a b --prefix", none, "`range_end` and `--prefix` are mutually exclusive"),
            ("--prefix", variables("k", "m"), "`range_end` and `--prefix` are mutually exclusive"),
        ] {
            assert_eq!(wish(line, &variables).unwrap_err(), format!("Error: {message}"), "{line}");
        }
    }
}
