//! One comparison: `mod("key") > "0"`.
//!
//! The parts stand apart by white space, except that the target and its parenthesis stick together. What
//! follows the value is ignored.

use bytes::Bytes;
use holdfast_proto::etcdserverpb as pb;
use pb::compare::{CompareResult, CompareTarget, TargetUnion};

use crate::go_text::{
    number,
    quote::{quote, scan_quoted},
};

/// What stands in a comparison; parts that could not be read are empty.
#[derive(Debug, Default)]
struct Parts<'a> {
    key: Vec<u8>,
    operator: &'a str,
    value: Vec<u8>,
    complete: bool,
}

/// Reads a comparison.
///
/// # Errors
/// A message in etcdctl's words that shows what has been understood.
pub(super) fn parse(line: &str) -> Result<pb::Compare, String> {
    let (target, rest) = line.split_once('(').ok_or_else(|| format!("malformed comparison: {line}"))?;
    let parts = split(rest);
    if !parts.complete {
        let (key, value) = (quote(&parts.key), quote(&parts.value));
        return Err(format!("malformed comparison: {line}; got {target}({key}) {} {value}", parts.operator));
    }
    let number = |radix| {
        number::parse_int(&String::from_utf8_lossy(&parts.value), radix)
            .map_err(|_| format!("invalid txn compare request: {line}"))
    };
    let (target, union) = match target {
        "ver" | "version" => (CompareTarget::Version, TargetUnion::Version(number(10)?)),
        "c" | "create" => (CompareTarget::Create, TargetUnion::CreateRevision(number(10)?)),
        "m" | "mod" => (CompareTarget::Mod, TargetUnion::ModRevision(number(10)?)),
        "val" | "value" => (CompareTarget::Value, TargetUnion::Value(Bytes::from(parts.value.clone()))),
        "lease" => (CompareTarget::Lease, TargetUnion::Lease(number(16)?)),
        _ => return Err(format!("malformed comparison: {line} (unknown target {target})")),
    };
    let result = match parts.operator {
        "=" => CompareResult::Equal,
        "!=" => CompareResult::NotEqual,
        "<" => CompareResult::Less,
        ">" => CompareResult::Greater,
        other => return Err(format!("malformed comparison: {line} (unknown operator {other})")),
    };
    Ok(pb::Compare {
        result: result.into(),
        target: target.into(),
        key: parts.key.into(),
        range_end: Bytes::new(),
        target_union: Some(union),
    })
}

/// Reads `"key") op "value"` as far as possible.
fn split(text: &str) -> Parts<'_> {
    let mut parts = Parts::default();
    let Ok((key, rest)) = scan_quoted(text.trim_start()) else { return parts };
    parts.key = key;
    let Some(rest) = rest.strip_prefix(')').and_then(after_space) else { return parts };
    let (operator, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
    parts.operator = operator;
    let Some(Ok((value, _))) = after_space(rest).map(scan_quoted) else { return parts };
    parts.value = value;
    parts.complete = true;
    parts
}

/// What stands behind the white space at the beginning; none when there is no such space or nothing behind
/// it.
fn after_space(text: &str) -> Option<&str> {
    let rest = text.trim_start();
    (rest.len() < text.len() && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_targets_and_operators() {
        use CompareResult::{Equal, Greater, Less, NotEqual};
        for (line, target, result, union) in [
            (r#"ver("k") = "1""#, CompareTarget::Version, Equal, TargetUnion::Version(1)),
            (r#"version("k") != "-1""#, CompareTarget::Version, NotEqual, TargetUnion::Version(-1)),
            (r#"c("k") < "2""#, CompareTarget::Create, Less, TargetUnion::CreateRevision(2)),
            (r#"create("k") > "2" and more"#, CompareTarget::Create, Greater, TargetUnion::CreateRevision(2)),
            (r#"m("k")   =   "0""#, CompareTarget::Mod, Equal, TargetUnion::ModRevision(0)),
            (r#"val("k") = """#, CompareTarget::Value, Equal, TargetUnion::Value(Bytes::new())),
            (r#"value("\x6b") = "a b""#, CompareTarget::Value, Equal, TargetUnion::Value("a b".into())),
            (r#"lease("k") = "1f""#, CompareTarget::Lease, Equal, TargetUnion::Lease(31)),
        ] {
            let compare = parse(line).unwrap();
            assert_eq!(compare.key, "k");
            assert_eq!((compare.target(), compare.result()), (target, result), "{line}");
            assert_eq!(compare.target_union, Some(union), "{line}");
        }
    }

    /// Printed by etcdctl 3.5.1, but for the operator, which it does not survive.
    #[test]
    fn errors_show_what_has_been_understood() {
        for (line, message) in [
            ("nonsense", "malformed comparison: nonsense"),
            (r#"mod "foo" > "0""#, r#"malformed comparison: mod "foo" > "0""#),
            (r#"mod("foo") = 0"#, r#"malformed comparison: mod("foo") = 0; got mod("foo") = """#),
            (r#"mod(foo) = "0""#, r#"malformed comparison: mod(foo) = "0"; got mod("")  """#),
            (r#"mod("a")"#, r#"malformed comparison: mod("a"); got mod("a")  """#),
            (r#"mod("a") ="#, r#"malformed comparison: mod("a") =; got mod("a") = """#),
            (r#"mod("a") = "1"#, r#"malformed comparison: mod("a") = "1; got mod("a") = """#),
            (r#"mod("a) = "1""#, r#"malformed comparison: mod("a) = "1"; got mod("a) = ")  """#),
            (r#"mod( "a" ) = "1""#, r#"malformed comparison: mod( "a" ) = "1"; got mod("a")  """#),
            (r#"value("foo2")="c""#, r#"malformed comparison: value("foo2")="c"; got value("foo2")  """#),
            (r#"bogus("foo") = "0""#, r#"malformed comparison: bogus("foo") = "0" (unknown target bogus)"#),
            (r#"mod("foo") = "abc""#, r#"invalid txn compare request: mod("foo") = "abc""#),
            (r#"mod("foo") >= "1""#, r#"malformed comparison: mod("foo") >= "1" (unknown operator >=)"#),
        ] {
            assert_eq!(parse(line).unwrap_err(), message);
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in "[a-z(\"\\\\)= <>!0-9ä]{0,24}") {
            let _ = parse(&line);
        }
    }
}
