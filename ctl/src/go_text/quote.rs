//! Go's quoted strings: the `%q` form that etcdctl prints, and the quoted words of its txn and watch
//! grammars.
//!
//! A quoted string stands for bytes, not for characters: `\xff` is the single byte 255, and bytes that are
//! not UTF-8 are printed that way.

use std::fmt::Write as _;

/// The text is not a Go string literal. Go's message for all such cases is these two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid syntax")]
pub(crate) struct InvalidSyntax;

/// Writes bytes as a double-quoted Go string.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut out, c);
        }
        for byte in chunk.invalid() {
            push_format(&mut out, format_args!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        ' '..='~' => out.push(c),
        '\0'..' ' | '\u{7f}' => push_format(out, format_args!("\\x{:02x}", c as u32)),
        _ if is_printable(c) => out.push(c),
        _ if (c as u32) < 0x1_0000 => push_format(out, format_args!("\\u{:04x}", c as u32)),
        _ => push_format(out, format_args!("\\U{:08x}", c as u32)),
    }
}

fn push_format(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

/// Whether Go prints a character outside ASCII as it is: letters, marks, numbers, punctuation and symbols.
///
/// The standard library escapes exactly the other categories, except for a combining mark at the start of a
/// string; hence the letter before it.
fn is_printable(c: char) -> bool {
    let probe = ['a', c].iter().collect::<String>();
    probe.escape_debug().nth(1) == Some(c)
}

/// Reads one quoted string at the start of `text`; returns its bytes and what follows the closing quote.
///
/// Both of Go's forms are accepted: `"…"` with escapes, and `` `…` `` without.
pub(crate) fn scan_quoted(text: &str) -> Result<(Vec<u8>, &str), InvalidSyntax> {
    if let Some(raw) = text.strip_prefix('`') {
        let (inside, rest) = raw.split_once('`').ok_or(InvalidSyntax)?;
        return Ok((inside.as_bytes().to_vec(), rest));
    }
    let mut rest = text.strip_prefix('"').ok_or(InvalidSyntax)?;
    let mut bytes = Vec::new();
    loop {
        let c = rest.chars().next().ok_or(InvalidSyntax)?;
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Ok((bytes, rest)),
            '\n' => return Err(InvalidSyntax),
            '\\' => rest = scan_escape(rest, &mut bytes)?,
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// Reads what follows a backslash, appends what it stands for, and returns the remaining text.
fn scan_escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Result<&'a str, InvalidSyntax> {
    let kind = *text.as_bytes().first().ok_or(InvalidSyntax)?;
    let simple = match kind {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'"' => kind,
        b'x' => return scan_byte(text, 1, 2, 16, bytes),
        b'0'..=b'7' => return scan_byte(text, 0, 3, 8, bytes),
        b'u' => return scan_rune(text, 4, bytes),
        b'U' => return scan_rune(text, 8, bytes),
        _ => return Err(InvalidSyntax),
    };
    bytes.push(simple);
    Ok(&text[1..])
}

fn scan_byte<'a>(
    text: &'a str,
    skip: usize,
    digits: usize,
    radix: u32,
    bytes: &mut Vec<u8>,
) -> Result<&'a str, InvalidSyntax> {
    let value = scan_digits(text, skip, digits, radix)?;
    bytes.push(u8::try_from(value).map_err(|_| InvalidSyntax)?);
    Ok(&text[skip + digits..])
}

fn scan_rune<'a>(text: &'a str, digits: usize, bytes: &mut Vec<u8>) -> Result<&'a str, InvalidSyntax> {
    let c = char::from_u32(scan_digits(text, 1, digits, 16)?).ok_or(InvalidSyntax)?;
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Ok(&text[1 + digits..])
}

fn scan_digits(text: &str, skip: usize, count: usize, radix: u32) -> Result<u32, InvalidSyntax> {
    let digits = text.get(skip..skip + count).ok_or(InvalidSyntax)?;
    if digits.starts_with('+') {
        return Err(InvalidSyntax);
    }
    u32::from_str_radix(digits, radix).map_err(|_| InvalidSyntax)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quotes_as_go_does() {
        for (bytes, text) in [
            (&b"foo"[..], r#""foo""#),
            (b"a\nb\"\\", r#""a\nb\"\\""#),
            (b"\x00\x07\x7f\x1b", r#""\x00\a\x7f\x1b""#),
            (b"\xff\xfe", r#""\xff\xfe""#),
            ("ä€😀".as_bytes(), "\"ä€😀\""),
            ("\u{a0}\u{85}\u{200b}\u{e0001}".as_bytes(), r#""\u00a0\u0085\u200b\U000e0001""#),
            ("e\u{301}\u{301}".as_bytes(), "\"e\u{301}\u{301}\""),
            (b"it's", r#""it's""#),
        ] {
            assert_eq!(quote(bytes), text);
        }
    }

    #[test]
    fn reads_escapes() {
        for (text, bytes, rest) in [
            (r#""a b" tail"#, &b"a b"[..], " tail"),
            (r#""\n\x41\101\"\\""#, b"\nAA\"\\", ""),
            (r#""\u00e4\U0001F600\xff")"#, b"\xc3\xa4\xf0\x9f\x98\x80\xff", ")"),
            ("`raw\\n` x", b"raw\\n", " x"),
            (r#""""#, b"", ""),
        ] {
            assert_eq!(scan_quoted(text).unwrap(), (bytes.to_vec(), rest), "{text}");
        }
        for text in [
            "",
            "foo",
            "\"foo",
            r#""fo\qo""#,
            r#""\'""#,
            r#""\x4""#,
            r#""\x+1""#,
            r#""\ud800""#,
            r#""\777""#,
            "`a",
            "\"a\nb\"",
        ] {
            assert!(scan_quoted(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn quoted_bytes_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let text = quote(&bytes);
            prop_assert_eq!(scan_quoted(&text).unwrap(), (bytes, ""));
        }

        #[test]
        fn scanning_never_panics(text in "[\"\\\\xuU0-9a-f`ä]{0,12}") {
            let _ = scan_quoted(&text);
        }
    }
}
