//! Go's `%q`: how etcd quotes a user's text inside an error message.
//!
//! The texts are matched by scripts and by people comparing logs, so the escapes have to be Go's: they differ from Rust's
//! `{:?}` in the single quote, in control characters and in what lies outside ASCII.

use std::fmt::{Display, Formatter, Result, Write as _};

/// Shows `self.0` as Go's `strconv.Quote` does: in double quotes, with `\n`, `\x00`, `\u200b` and the like.
pub struct Quoted<'a>(pub &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\x07' => f.write_str("\\a")?,
                '\x08' => f.write_str("\\b")?,
                '\x0c' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\x0b' => f.write_str("\\v")?,
                ' ' => f.write_char(c)?,
                _ if printable(c) => f.write_char(c)?,
                _ if (c as u32) < 0x80 => write!(f, "\\x{:02x}", c as u32)?,
                _ if (c as u32) < 0x1_0000 => write!(f, "\\u{:04x}", c as u32)?,
                _ => write!(f, "\\U{:08x}", c as u32)?,
            }
        }
        f.write_char('"')
    }
}

/// Close to Go's `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space, but no other space.
fn printable(c: char) -> bool {
    !c.is_control()
        && !c.is_whitespace()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::Quoted;

    #[test]
    fn quotes_as_go_does() {
        for (text, quoted) in [
            ("", r#""""#),
            ("plain text", r#""plain text""#),
            ("it's", r#""it's""#),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("\x00\x07\n\t\x7f", r#""\x00\a\n\t\x7f""#),
            ("é世\u{200b}", "\"é世\\u200b\""),
        ] {
            assert_eq!(Quoted(text).to_string(), quoted);
        }
    }
}
