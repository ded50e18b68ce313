//! Splits a command line into flags and arguments.
//!
//! Flags may stand anywhere. `--` ends them. A long flag takes its value from `--flag=value` or from the next
//! word; a switch takes one only from `--switch=false`. Short flags can be joined: `-iw json`, `-wjson` and
//! `-w=json` all work.

use super::flag::{Flag, Kind, Values};
use crate::go_text::quote::quote;

/// What a command line says, apart from the values of its flags.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The words that are no flags, in order.
    pub(crate) args: Vec<Vec<u8>>,
    /// How many of them stood before `--`, when there was one.
    pub(crate) before_dashes: Option<usize>,
    /// Whether help was asked for. The rest of the line has not been looked at then.
    pub(crate) help: bool,
}

/// Reads `words`, sets flags in `values`, and returns the rest.
///
/// # Errors
/// The message for the user, such as `unknown flag: --nosuch` or `flag needs an argument: 'w' in -w`.
pub(crate) fn parse(words: &[Vec<u8>], values: &mut Values) -> Result<Parsed, String> {
    let mut parsed = Parsed::default();
    let mut rest = words;
    while let Some((word, tail)) = rest.split_first() {
        rest = tail;
        if word == b"--" {
            parsed.before_dashes = Some(parsed.args.len());
            parsed.args.extend_from_slice(rest);
            break;
        }
        if word.len() < 2 || word[0] != b'-' {
            parsed.args.push(word.clone());
            continue;
        }
        let text = String::from_utf8_lossy(word);
        let wants_help = match text.strip_prefix("--") {
            Some(body) => parse_long(&text, body, &mut rest, values)?,
            None => parse_short(&text[1..], &mut rest, values)?,
        };
        if wants_help {
            parsed.help = true;
            break;
        }
    }
    Ok(parsed)
}

/// Reads one long flag; true when it asks for help.
fn parse_long(word: &str, body: &str, rest: &mut &[Vec<u8>], values: &mut Values) -> Result<bool, String> {
    if body.starts_with(['-', '=']) {
        return Err(format!("bad flag syntax: {word}"));
    }
    let (name, value) = match body.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (body, None),
    };
    let Some(flag) = values.find(name) else {
        if name == "help" {
            return Ok(true);
        }
        return Err(format!("unknown flag: --{name}"));
    };
    let value = match value {
        Some(value) => value,
        None if flag.kind == Kind::Bool => "true".to_owned(),
        None => next_word(rest).ok_or_else(|| format!("flag needs an argument: --{name}"))?,
    };
    set(flag, &value, values)?;
    Ok(false)
}

/// Reads a word of joined short flags; true when it asks for help.
fn parse_short(letters: &str, rest: &mut &[Vec<u8>], values: &mut Values) -> Result<bool, String> {
    let mut remaining = letters;
    while let Some(letter) = remaining.chars().next() {
        let after = &remaining[letter.len_utf8()..];
        let Some(flag) = values.find_short(letter) else {
            if letter == 'h' {
                return Ok(true);
            }
            return Err(format!("unknown shorthand flag: {} in -{remaining}", quoted_letter(letter)));
        };
        if let Some(value) = after.strip_prefix('=') {
            set(flag, value, values)?;
            break;
        }
        if flag.kind == Kind::Bool {
            set(flag, "true", values)?;
            remaining = after;
            continue;
        }
        let value = if after.is_empty() {
            next_word(rest)
                .ok_or_else(|| format!("flag needs an argument: {} in -{remaining}", quoted_letter(letter)))?
        } else {
            after.to_owned()
        };
        set(flag, &value, values)?;
        break;
    }
    Ok(false)
}

fn next_word(rest: &mut &[Vec<u8>]) -> Option<String> {
    let (word, tail) = rest.split_first()?;
    *rest = tail;
    Some(String::from_utf8_lossy(word).into_owned())
}

fn quoted_letter(letter: char) -> String {
    format!("'{letter}'")
}

fn set(flag: Flag, value: &str, values: &mut Values) -> Result<(), String> {
    values.set(flag.name, value).map_err(|reason| {
        format!(
            "invalid argument {} for {} flag: {reason}",
            quote(value.as_bytes()),
            quote(flag.label().as_bytes())
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn run(line: &str) -> Result<(Parsed, Values), String> {
        let mut values = Values::default();
        values.declare(&[
            Flag::switch("prefix", ""),
            Flag::switch("interactive", "").short('i'),
            Flag::int("limit", ""),
            Flag::text("write-out", "simple", "").short('w'),
        ]);
        let words: Vec<Vec<u8>> = line.split_whitespace().map(|word| word.as_bytes().to_vec()).collect();
        let parsed = parse(&words, &mut values)?;
        Ok((parsed, values))
    }

    fn args(parsed: &Parsed) -> Vec<&str> {
        parsed.args.iter().map(|arg| std::str::from_utf8(arg).unwrap()).collect()
    }

    #[test]
    fn flags_stand_anywhere_and_dashes_end_them() {
        let (parsed, values) = run("a --limit 3 b --prefix - -- --limit -x").unwrap();
        assert_eq!(args(&parsed), ["a", "b", "-", "--limit", "-x"]);
        assert_eq!(parsed.before_dashes, Some(3));
        assert_eq!(values.int("limit"), 3);
        assert!(values.bool("prefix"));
    }

    #[test]
    fn all_spellings_of_a_value() {
        for line in
            ["-w json", "-wjson", "-w=json", "--write-out json", "--write-out=json", "-iw json", "-iwjson"]
        {
            let (_, values) = run(line).unwrap();
            assert_eq!(values.text("write-out"), "json", "{line}");
        }
        assert!(!run("--prefix=false").unwrap().1.bool("prefix"));
        assert!(run("-i=0 x").is_ok_and(|(_, values)| !values.bool("interactive")));
    }

    #[test]
    fn errors_have_the_known_wording() {
        for (line, message) in [
            ("--nosuch", "unknown flag: --nosuch"),
            ("--nosuch=1", "unknown flag: --nosuch"),
            ("-x", "unknown shorthand flag: 'x' in -x"),
            ("-ixy", "unknown shorthand flag: 'x' in -xy"),
            ("--limit", "flag needs an argument: --limit"),
            ("-w", "flag needs an argument: 'w' in -w"),
            ("--=x", "bad flag syntax: --=x"),
            ("---x", "bad flag syntax: ---x"),
            (
                "--limit abc",
                "invalid argument \"abc\" for \"--limit\" flag: strconv.ParseInt: parsing \"abc\": invalid syntax",
            ),
            (
                "--prefix=maybe",
                "invalid argument \"maybe\" for \"--prefix\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
        ] {
            assert_eq!(run(line).unwrap_err(), message);
        }
    }

    #[test]
    fn help_stops_reading() {
        assert!(run("a --help --nosuch").unwrap().0.help);
        assert!(run("-ih").unwrap().0.help);
        assert!(!run("-- --help").unwrap().0.help);
    }
}
