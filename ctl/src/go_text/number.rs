//! Numbers and booleans as Go's `strconv` reads them, with its error texts.

use super::quote::quote;

/// Reads a signed 64-bit number in the given radix: an optional sign and digits, nothing else.
///
/// # Errors
/// The text of Go's `strconv.NumError`: `strconv.ParseInt: parsing "zz": invalid syntax` or `… value out of range`.
pub(crate) fn parse_int(text: &str, radix: u32) -> Result<i64, String> {
    parse_digits(text, text, radix)
}

/// Reads a signed 64-bit number whose radix follows from its prefix (`0x`, `0b`, `0o` or `0`; decimal
/// otherwise), as command-line flags of type integer are read.
pub(crate) fn parse_flag_int(text: &str) -> Result<i64, String> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+' | b'-') => text.split_at(1),
        _ => ("", text),
    };
    let lower = rest.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0b", 2), ("0o", 8), ("0", 8)] {
        if let Some(digits) =
            lower.strip_prefix(prefix).filter(|digits| digits.starts_with(|c: char| c.is_ascii_hexdigit()))
        {
            return parse_digits(text, &format!("{sign}{digits}"), radix);
        }
    }
    parse_digits(text, text, 10)
}

fn parse_digits(original: &str, text: &str, radix: u32) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    i64::from_str_radix(text, radix).map_err(|error| {
        let reason = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {}: {reason}", quote(original.as_bytes()))
    })
}

/// Reads a boolean flag value: `1 t T true TRUE True` or `0 f F false FALSE False`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {}: invalid syntax", quote(text.as_bytes()))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn integers_and_their_errors() {
        assert_eq!(parse_int("-12", 10), Ok(-12));
        assert_eq!(parse_int("7fffffffffffffff", 16), Ok(i64::MAX));
        assert_eq!(parse_int("zz", 16).unwrap_err(), "strconv.ParseInt: parsing \"zz\": invalid syntax");
        assert_eq!(parse_int("0x3", 10).unwrap_err(), "strconv.ParseInt: parsing \"0x3\": invalid syntax");
        assert_eq!(
            parse_int("ffffffffffffffff", 16).unwrap_err(),
            "strconv.ParseInt: parsing \"ffffffffffffffff\": value out of range"
        );
        assert_eq!(parse_int("", 10).unwrap_err(), "strconv.ParseInt: parsing \"\": invalid syntax");
    }

    #[test]
    fn flag_integers_take_a_radix_prefix() {
        for (text, value) in
            [("0", 0), ("10", 10), ("0x10", 16), ("-0X1f", -31), ("010", 8), ("0b11", 3), ("0o17", 15)]
        {
            assert_eq!(parse_flag_int(text), Ok(value), "{text}");
        }
        assert!(parse_flag_int("0x").is_err());
        assert!(parse_flag_int("0x-1").is_err());
        assert!(parse_flag_int("09").is_err());
    }

    #[test]
    fn booleans() {
        assert_eq!(parse_bool("T"), Ok(true));
        assert_eq!(parse_bool("0"), Ok(false));
        assert_eq!(parse_bool("maybe").unwrap_err(), "strconv.ParseBool: parsing \"maybe\": invalid syntax");
    }
}
