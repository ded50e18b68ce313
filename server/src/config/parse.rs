//! The command line, read with the rules of Go's `flag` package over the one table.
//!
//! One dash or two; `-name value` or `-name=value`; a boolean takes a value only with the equals sign; the first argument
//! that is no flag, or `--`, ends the flags, and etcd then refuses what is left. `-h` and `-help` act the moment they are met.

use super::flag::ValueError;
use super::quote::Quoted;
use super::table;
use super::values::Values;

/// Why the command line was refused. All but [`ArgsError::Stray`] end the process with status 2 after the usage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// `-h`, `-help`: not an error, but the end of reading.
    #[error("help requested")]
    Help,
    /// Three dashes, or a name that is empty or begins with an equals sign.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// No such flag.
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    /// The last argument is a flag that wants a value.
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    /// A boolean with another word than true or false.
    #[error("invalid boolean value {} for -{name}: {error}", Quoted(.value))]
    Bool {
        /// The flag.
        name: String,
        /// What was given.
        value: String,
        /// Why not.
        error: ValueError,
    },
    /// Any other value that could not be read.
    #[error("invalid value {} for flag -{name}: {error}", Quoted(.value))]
    Value {
        /// The flag.
        name: String,
        /// What was given.
        value: String,
        /// Why not.
        error: ValueError,
    },
    /// An argument that is no flag. (Logged as `failed to verify flags`; status 1.)
    #[error("{} is not a valid flag", Quoted(.0))]
    Stray(String),
}

/// Reads the arguments after the program's name.
pub fn arguments(args: &[String]) -> Result<Values, ArgsError> {
    let mut values = Values::default();
    let mut rest = args;
    while let Some((arg, after)) = rest.split_first() {
        if arg.len() < 2 || !arg.starts_with('-') {
            return Err(ArgsError::Stray(arg.clone()));
        }
        rest = after;
        if arg == "--" {
            break;
        }
        rest = one_flag(arg, rest, &mut values)?;
    }
    match rest.first() {
        Some(stray) => Err(ArgsError::Stray(stray.clone())),
        None => Ok(values),
    }
}

/// Reads the flag in `arg`, with the next argument as its value where it needs one; gives back what is left.
fn one_flag<'a>(arg: &str, rest: &'a [String], values: &mut Values) -> Result<&'a [String], ArgsError> {
    let body = arg.strip_prefix("--").unwrap_or(&arg[1..]);
    if body.is_empty() || body.starts_with(['-', '=']) {
        return Err(ArgsError::Syntax(arg.to_owned()));
    }
    let (name, given) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (body, None),
    };
    let Some(flag) = table::find(name) else {
        return Err(if matches!(name, "h" | "help") {
            ArgsError::Help
        } else {
            ArgsError::Unknown(name.into())
        });
    };
    let name = || flag.name.to_owned();
    if flag.is_bool() {
        let value = given.unwrap_or("true");
        values.set(flag, value).map_err(|error| ArgsError::Bool {
            name: name(),
            value: value.into(),
            error,
        })?;
        return Ok(rest);
    }
    let (value, rest) = match (given, rest.split_first()) {
        (Some(value), _) => (value, rest),
        (None, Some((value, rest))) => (value.as_str(), rest),
        (None, None) => return Err(ArgsError::NoValue(name())),
    };
    values.set(flag, value).map_err(|error| ArgsError::Value { name: name(), value: value.into(), error })?;
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Values, ArgsError> {
        arguments(&line.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn go_syntax() {
        let values =
            parse(&["-name", "a", "--data-dir=d=e", "--pre-vote=F", "-unsafe-no-fsync", "--name=b", "--"])
                .unwrap();
        assert_eq!(values.text("name"), "b");
        assert_eq!(values.text("data-dir"), "d=e");
        assert!(!values.flag("pre-vote"));
        assert!(values.flag("unsafe-no-fsync"));
        assert!(values.is_set("name") && !values.is_set("wal-dir"));
        assert_eq!(parse(&["--name="]).unwrap().text("name"), "");
        assert_eq!(parse(&["--name", "--wal-dir"]).unwrap().text("name"), "--wal-dir");
    }

    #[test]
    fn ignored_flags_are_silent() {
        let values = parse(&["--snapshot", "--vv=3", "-test.outputdir=/x"]).unwrap();
        assert_eq!(values.changed().count(), 0);
    }

    /// Each text was taken from etcd 3.5.1; the stray argument has the double quotes of 3.6.
    #[test]
    fn errors_have_etcds_texts() {
        for (line, text) in [
            (vec!["--bogus"], "flag provided but not defined: -bogus"),
            (vec!["--bogus=1"], "flag provided but not defined: -bogus"),
            (vec!["-name"], "flag needs an argument: -name"),
            (vec!["---x"], "bad flag syntax: ---x"),
            (vec!["-=x"], "bad flag syntax: -=x"),
            (vec!["--pre-vote=maybe"], "invalid boolean value \"maybe\" for -pre-vote: parse error"),
            (vec!["--pre-vote", "false"], "\"false\" is not a valid flag"),
            (vec!["foo"], "\"foo\" is not a valid flag"),
            (vec!["-"], "\"-\" is not a valid flag"),
            (vec!["--", "--name"], "\"--name\" is not a valid flag"),
            (vec!["--election-timeout=abc"], "invalid value \"abc\" for flag -election-timeout: parse error"),
            (
                vec!["--election-timeout=99999999999999999999"],
                "invalid value \"99999999999999999999\" for flag -election-timeout: value out of range",
            ),
            (vec!["--snapshot-count=-1"], "invalid value \"-1\" for flag -snapshot-count: parse error"),
            (
                vec!["--quota-backend-bytes=a"],
                "invalid value \"a\" for flag -quota-backend-bytes: parse error",
            ),
            (
                vec!["--grpc-keepalive-interval=5"],
                "invalid value \"5\" for flag -grpc-keepalive-interval: parse error",
            ),
            (
                vec!["--max-concurrent-streams", "x"],
                "invalid value \"x\" for flag -max-concurrent-streams: strconv.ParseUint: parsing \"x\": invalid syntax",
            ),
            (
                vec!["--listen-peer-urls", "foo"],
                "invalid value \"foo\" for flag -listen-peer-urls: URL scheme must be http, https, unix, or unixs: foo",
            ),
            (
                vec!["--cors", ""],
                "invalid value \"\" for flag -cors: URL scheme must be http, https, unix, or unixs: ",
            ),
            (
                vec!["--initial-cluster-state", "bogus"],
                "invalid value \"bogus\" for flag -initial-cluster-state: invalid value",
            ),
        ] {
            assert_eq!(parse(&line).unwrap_err().to_string(), text, "{line:?}");
        }
        assert_eq!(parse(&["-h"]).unwrap_err(), ArgsError::Help);
        assert_eq!(parse(&["--help", "--bogus"]).unwrap_err(), ArgsError::Help);
    }
}
