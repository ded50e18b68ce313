//! `watch -i`: orders typed line by line.

use std::io::{self, BufRead, Read};

use tokio::sync::mpsc;

use super::{FLAGS, Order, Variables, Wish};
use crate::{
    cli::{flag::Values, parse, words},
    failure::{Code, Failure},
};

/// Longest line, in bytes.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// What a line means.
#[derive(Debug)]
enum Line {
    Order(Order),
    /// Not understood; why, for stderr.
    Remark(String),
}

/// Reads lines from stdin and sends the orders. The last one is to stop: the end of stdin ends the program.
pub(super) fn read_orders(variables: &Variables, orders: &mpsc::Sender<Order>) {
    let mut input = io::stdin().lock();
    loop {
        let line = match next_line(&mut input) {
            Ok(line) => line,
            Err(reason) => {
                let message = format_args!("error reading watch request line: {reason}");
                // The program ends by itself when nobody takes the order any more.
                let _ = orders.blocking_send(Order::Stop(Failure::new(Code::InvalidInput, message)));
                return;
            }
        };
        match understand(&line, variables) {
            Line::Remark(text) => eprintln!("{text}"),
            Line::Order(order) => {
                let last = matches!(order, Order::Stop(_));
                if orders.blocking_send(order).is_err() || last {
                    return;
                }
            }
        }
    }
}

fn next_line(input: &mut impl BufRead) -> Result<String, String> {
    let mut line = Vec::new();
    input.take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
    let Some(line) = line.strip_suffix(b"\n") else { return Err("EOF".to_owned()) };
    String::from_utf8(line.to_vec()).map_err(|_| "the line is not UTF-8".to_owned())
}

fn understand(line: &str, variables: &Variables) -> Line {
    let words = match words::split(line) {
        Ok(words) => words,
        Err(error) => return stop(Code::InvalidInput, error),
    };
    let Some((name, words)) = words.split_first() else {
        return Line::Remark(format!("Invalid command: {line} (watch and progress supported)"));
    };
    match name.as_slice() {
        b"watch" if words.is_empty() && variables.key.is_empty() => {
            Line::Remark(format!("Invalid command {line} (command type or key is not provided)"))
        }
        b"watch" => understand_watch(line, words, variables),
        b"progress" => Line::Order(Order::Progress),
        _ => Line::Remark(format!("Invalid command {line} (only support watch)")),
    }
}

/// Flags that do not exist and a `--` without a command end the program; other faults concern the line alone.
fn understand_watch(line: &str, words: &[Vec<u8>], variables: &Variables) -> Line {
    let mut values = Values::default();
    values.declare(FLAGS);
    let parsed = match parse::parse(words, &mut values) {
        Ok(parsed) if parsed.help => return stop(Code::BadArgs, "pflag: help requested"),
        Ok(parsed) => parsed,
        Err(message) => return stop(Code::BadArgs, message),
    };
    match Wish::new(&values, &parsed.args, parsed.before_dashes, variables) {
        Ok(wish) => Line::Order(Order::Watch(wish)),
        Err(failure) => {
            let report = failure.report().unwrap_or_default();
            let message = report.strip_prefix("Error: ").unwrap_or(report);
            if message.starts_with("bad number") {
                Line::Order(Order::Stop(failure))
            } else {
                Line::Remark(format!("Invalid command {line} ({message})"))
            }
        }
    }
}

fn stop(code: Code, message: impl std::fmt::Display) -> Line {
    Line::Order(Order::Stop(Failure::new(code, message)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(line: &str) -> String {
        match understand(line, &Variables::default()) {
            Line::Remark(text) => text,
            Line::Order(Order::Progress) => "progress".to_owned(),
            Line::Order(Order::Watch(wish)) => {
                format!("watch {:?} {} {}", wish.request.key, wish.request.start_revision, wish.command.len())
            }
            Line::Order(Order::Stop(failure)) => format!("{} {}", failure.code(), failure.report().unwrap()),
        }
    }

    /// What etcdctl 3.5.1 says.
    #[test]
    fn lines() {
        for (line, meaning) in [
            ("", "Invalid command:  (watch and progress supported)"),
            ("foo", "Invalid command foo (only support watch)"),
            ("WATCH a", "Invalid command WATCH a (only support watch)"),
            ("watch", "Invalid command watch (command type or key is not provided)"),
            (
                "watch a b --prefix",
                "Invalid command watch a b --prefix (`range_end` and `--prefix` are mutually exclusive)",
            ),
            ("watch --bogus a", "128 Error: unknown flag: --bogus"),
            ("watch a --", "128 Error: bad number of arguments (found separator --, but no commands)"),
            ("progress x", "progress"),
            ("  watch \"a b\" --rev 7 -- echo 'x y'", "watch b\"a b\" 7 2"),
        ] {
            assert_eq!(shown(line), meaning, "{line:?}");
        }
    }

    #[test]
    fn the_last_line_must_end_too() {
        let mut input = &b"watch a\nwatch b"[..];
        assert_eq!(next_line(&mut input).unwrap(), "watch a");
        assert_eq!(next_line(&mut input).unwrap_err(), "EOF");
    }
}
