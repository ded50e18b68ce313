//! The text of a transaction: three sections, each ended by an empty line.

use std::io::{BufRead, Read};

use holdfast_proto::etcdserverpb as pb;
use pb::request_op::Request;

use super::compare;
use crate::{
    cli::{command::Command, parse, resolve, words},
    command::{del, get, put},
    failure::{Code, Failure},
    output::write_stdout,
};

/// Longest line, in bytes. A value that a server accepts is far shorter, even if every byte of it is escaped.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The commands that a transaction can have.
static REQUESTS: Command = Command {
    name: "",
    args: "",
    about: "Requests of a transaction.",
    details: "",
    example: "",
    flags: &[],
    children: &[get::COMMAND, put::COMMAND, del::COMMAND],
    work: None,
};

/// Reads a transaction; with `announce` says on stdout what is expected next.
///
/// # Errors
/// The text ends before the third section does, or a line cannot be understood.
pub(super) fn read(input: &mut impl BufRead, announce: bool) -> Result<pb::TxnRequest, Failure> {
    let title = |text: &str| if announce { write_stdout(text.as_bytes()) } else { Ok(()) };
    title("compares:\n")?;
    let compare = section(input, |line| compare::parse(line).map_err(invalid))?;
    title("success requests (get, put, del):\n")?;
    let success = section(input, operation)?;
    title("failure requests (get, put, del):\n")?;
    let failure = section(input, operation)?;
    Ok(pb::TxnRequest { compare, success, failure })
}

fn invalid(message: impl std::fmt::Display) -> Failure {
    Failure::new(Code::InvalidInput, message)
}

/// Reads lines up to an empty one.
fn section<T>(
    input: &mut impl BufRead,
    mut parse: impl FnMut(&str) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut items = Vec::new();
    loop {
        let mut line = Vec::new();
        input.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(invalid)?;
        let Some(line) = line.strip_suffix(b"\n") else { return Err(invalid("EOF")) };
        let text =
            std::str::from_utf8(line).map_err(|_| invalid("a line of the transaction is not UTF-8"))?;
        let text = text.trim();
        if text.is_empty() {
            return Ok(items);
        }
        items.push(parse(text)?);
    }
}

/// Reads one request, a `get`, `put` or `del` with its flags.
fn operation(line: &str) -> Result<pb::RequestOp, Failure> {
    let words = words::split(line).map_err(invalid)?;
    if words.len() < 2 {
        return Err(invalid(format_args!("invalid txn compare request: {line}")));
    }
    let not_understood = || invalid(format_args!("invalid txn request: {line}"));
    let mut resolved = resolve::resolve(&REQUESTS, &[], &words).map_err(|_| not_understood())?;
    let parsed = parse::parse(&resolved.words, &mut resolved.values).map_err(|_| not_understood())?;
    let (values, args) = (&resolved.values, &parsed.args);
    let request = match resolved.path.last().map(|command| command.name) {
        _ if parsed.help => return Err(not_understood()),
        Some("get") => Request::RequestRange(get::request(values, args)?),
        Some("put") => Request::RequestPut(put::request(values, args, Vec::new)?),
        Some("del") => Request::RequestDeleteRange(del::request(values, args)?),
        _ => return Err(not_understood()),
    };
    Ok(pb::RequestOp { request: Some(request) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_text(text: &str) -> Result<pb::TxnRequest, (u8, String)> {
        read(&mut text.as_bytes(), false)
            .map_err(|failure| (failure.code(), failure.report().unwrap_or_default().to_owned()))
    }

    #[test]
    fn three_sections() {
        let txn = read_text(
            "mod(\"a\") > \"0\"\n\n  put a 'b c' --lease=1f\nget --prefix a\n\t\ndel a b --prev-kv\n\n",
        )
        .unwrap();
        assert_eq!(txn.compare.len(), 1);
        let Some(Request::RequestPut(put)) = &txn.success[0].request else { panic!() };
        assert_eq!((&put.key[..], &put.value[..], put.lease), (&b"a"[..], &b"b c"[..], 31));
        let Some(Request::RequestRange(get)) = &txn.success[1].request else { panic!() };
        assert_eq!((&get.key[..], &get.range_end[..]), (&b"a"[..], &b"b"[..]));
        let Some(Request::RequestDeleteRange(del)) = &txn.failure[0].request else { panic!() };
        assert!(del.prev_kv);
    }

    #[test]
    fn the_end_must_not_come_before_the_third_empty_line() {
        for text in ["", "\n\n", "\nget foo", "\n\nget foo\n"] {
            assert_eq!(read_text(text), Err((3, "Error: EOF".to_owned())), "{text:?}");
        }
        assert_eq!(read_text("\n\n\n"), Ok(pb::TxnRequest::default()));
    }

    /// Messages and codes of etcdctl 3.5.1.
    #[test]
    fn requests_that_cannot_be_understood() {
        for (line, code, message) in [
            ("putt foo c", 3, "invalid txn request: putt foo c"),
            ("put", 3, "invalid txn compare request: put"),
            ("GET foo", 3, "invalid txn request: GET foo"),
            ("lease grant 1", 3, "invalid txn request: lease grant 1"),
            ("get foo --bogus", 3, "invalid txn request: get foo --bogus"),
            ("get foo --endpoints=x", 3, "invalid txn request: get foo --endpoints=x"),
            ("get \"fo\\qo\"", 3, "invalid syntax"),
            ("put foo", 128, "put command needs 1 argument and input from stdin or 2 arguments"),
            ("del a b c", 128, "del command needs one argument as key and an optional argument as range_end"),
            (
                "get a --prefix --from-key",
                128,
                "`--prefix` and `--from-key` cannot be set at the same time, choose one",
            ),
        ] {
            assert_eq!(
                read_text(&format!("\n{line}\n\n\n")),
                Err((code, format!("Error: {message}"))),
                "{line}"
            );
        }
    }
}
