//! Numbers and booleans as Go's `flag` package reads them.
//!
//! Integers take a base prefix (`0x`, `0o`, `0b`, or a leading `0` for octal) and underscores between digits; booleans take
//! exactly the thirteen spellings of `strconv.ParseBool`. Both matter to people who move a working etcd unit file over.

/// Why a number was refused; shown in the two words that Go's `flag` package uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberError {
    /// Not a number at all.
    Syntax,
    /// A number, but one that does not fit.
    Range,
}

impl NumberError {
    /// The text that Go's `flag` package gives: `parse error` or `value out of range`.
    pub fn flag_text(self) -> &'static str {
        match self {
            Self::Syntax => "parse error",
            Self::Range => "value out of range",
        }
    }

    /// The text of a bare `strconv` error, which etcd's own flag types (`max-concurrent-streams`) let through.
    pub fn strconv_text(self, text: &str) -> String {
        let what = match self {
            Self::Syntax => "invalid syntax",
            Self::Range => "value out of range",
        };
        format!("strconv.ParseUint: parsing {}: {what}", super::quote::Quoted(text))
    }
}

/// An unsigned integer that must fit into `bits` bits.
pub fn parse_uint(text: &str, bits: u32) -> Result<u64, NumberError> {
    let (radix, digits, prefixed) = split_base(text);
    let value = parse_digits(digits, radix, prefixed)?;
    if bits < 64 && value >> bits != 0 {
        return Err(NumberError::Range);
    }
    Ok(value)
}

/// A signed 64-bit integer.
pub fn parse_int(text: &str) -> Result<i64, NumberError> {
    let (negative, rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = parse_uint(rest, 64)?;
    if negative {
        0i64.checked_sub_unsigned(magnitude).ok_or(NumberError::Range)
    } else {
        i64::try_from(magnitude).map_err(|_| NumberError::Range)
    }
}

/// A boolean in one of Go's spellings; `None` for anything else.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Splits the base prefix off: radix, remaining digits, and whether there was a prefix (then an underscore may come first).
fn split_base(text: &str) -> (u32, &str, bool) {
    let bytes = text.as_bytes();
    if bytes.len() < 2 || bytes[0] != b'0' {
        return (10, text, false);
    }
    match bytes[1] {
        b'x' | b'X' => (16, &text[2..], true),
        b'b' | b'B' => (2, &text[2..], true),
        b'o' | b'O' => (8, &text[2..], true),
        _ => (8, &text[1..], true),
    }
}

fn parse_digits(digits: &str, radix: u32, prefixed: bool) -> Result<u64, NumberError> {
    let mut value = Some(0u64);
    let mut after_digit = prefixed;
    let mut any = false;
    for c in digits.chars() {
        if c == '_' {
            if !after_digit {
                return Err(NumberError::Syntax);
            }
            after_digit = false;
            continue;
        }
        let digit = c.to_digit(radix).ok_or(NumberError::Syntax)?;
        value = value.and_then(|v| v.checked_mul(u64::from(radix))?.checked_add(u64::from(digit)));
        after_digit = true;
        any = true;
    }
    if !any || !after_digit {
        return Err(NumberError::Syntax);
    }
    value.ok_or(NumberError::Range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned() {
        use NumberError::{Range, Syntax};
        for (text, want) in [
            ("0", Ok(0)),
            ("128", Ok(128)),
            ("0x10", Ok(16)),
            ("0X1f", Ok(31)),
            ("010", Ok(8)),
            ("0o17", Ok(15)),
            ("0b101", Ok(5)),
            ("1_000", Ok(1000)),
            ("0x_1", Ok(1)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("18446744073709551616", Err(Range)),
            ("", Err(Syntax)),
            ("-1", Err(Syntax)),
            ("+1", Err(Syntax)),
            ("1e5", Err(Syntax)),
            ("0x", Err(Syntax)),
            ("08", Err(Syntax)),
            ("_1", Err(Syntax)),
            ("1__0", Err(Syntax)),
            ("1_", Err(Syntax)),
            (" 1", Err(Syntax)),
            ("99999999999999999999x", Err(Syntax)),
        ] {
            assert_eq!(parse_uint(text, 64), want, "{text:?}");
        }
        assert_eq!(parse_uint("4294967295", 32), Ok(4_294_967_295));
        assert_eq!(parse_uint("4294967296", 32), Err(Range));
    }

    #[test]
    fn signed() {
        assert_eq!(parse_int("-0x10"), Ok(-16));
        assert_eq!(parse_int("+5"), Ok(5));
        assert_eq!(parse_int("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(parse_int("9223372036854775808"), Err(NumberError::Range));
        assert_eq!(parse_int("--1"), Err(NumberError::Syntax));
    }

    #[test]
    fn booleans() {
        assert_eq!(parse_bool("T"), Some(true));
        assert_eq!(parse_bool("False"), Some(false));
        assert_eq!(parse_bool("yes"), None);
        assert_eq!(parse_bool(""), None);
    }
}
