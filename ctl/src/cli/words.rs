//! Splits a line typed into `txn` or `watch -i` into words.
//!
//! Words are separated by white space. `"…"` is one word with Go's escapes; `'…'` is one word taken
//! literally. A word that begins otherwise runs to the next white space, quotes inside it included; a quote
//! that is never closed is skipped. (The shells' rules are different: `a"b c"` is two words here.)

use crate::go_text::quote::{InvalidSyntax, scan_quoted};

/// The words of a line, as bytes since escapes can stand for any byte.
///
/// # Errors
/// A `"…"` word has an escape that Go does not know.
pub(crate) fn split(line: &str) -> Result<Vec<Vec<u8>>, InvalidSyntax> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        match first {
            _ if first.is_ascii_whitespace() => rest = after,
            '"' if closing_quote(after).is_some() => {
                let (word, tail) = scan_quoted(rest)?;
                words.push(word);
                rest = tail;
            }
            '\'' => match after.split_once('\'') {
                Some((word, tail)) => {
                    words.push(word.as_bytes().to_vec());
                    rest = tail;
                }
                None => rest = after,
            },
            '"' => rest = after,
            _ => {
                let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
                words.push(rest.as_bytes()[..end].to_vec());
                rest = &rest[end..];
            }
        }
    }
    Ok(words)
}

/// Where the first `"` stands that no backslash precedes.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_and_quotes() {
        for (line, words) in [
            ("", &[][..]),
            ("  get \t foo  ", &["get", "foo"]),
            (r#"put foo "a b""#, &["put", "foo", "a b"]),
            (r#"put foo "a\nb\"c""#, &["put", "foo", "a\nb\"c"]),
            ("put foo 'a \"b'", &["put", "foo", "a \"b"]),
            (r#"get "foo"#, &["get", "foo"]),
            ("get 'foo", &["get", "foo"]),
            (r#"get a"b c"d"#, &["get", "a\"b", "c\"d"]),
            (r#"get "" --prefix"#, &["get", "", "--prefix"]),
            (r#""a""b"'c'"#, &["a", "b", "c"]),
            ("get ä€", &["get", "ä€"]),
        ] {
            let split: Vec<Vec<u8>> = split(line).unwrap();
            assert_eq!(
                split,
                words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>(),
                "{line}"
            );
        }
        assert!(split(r#"get "fo\qo""#).is_err());
        assert_eq!(split(r#""\xff""#).unwrap(), [vec![255]]);
    }

    proptest! {
        #[test]
        fn never_panics(line in "[\"'\\\\ a-cä\n]{0,20}") {
            let _ = split(&line);
        }
    }
}
