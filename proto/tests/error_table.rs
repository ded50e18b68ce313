//! The error table against a list of what etcd 3.7.1 sends.

#![allow(clippy::unwrap_used, missing_docs)]

use holdfast_proto::error::{EtcdError, code_name};

const EXPECTED: &str = include_str!("fixtures/errors.txt");

#[test]
fn names_codes_and_texts_are_etcds() {
    let expected: Vec<_> =
        EXPECTED.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let actual: Vec<_> = EtcdError::ALL
        .iter()
        .map(|error| format!("{error:?} {} {}", code_name(error.code()), error.message()))
        .collect();
    assert_eq!(actual, expected);
    assert_eq!(actual.len(), 63 + 10 + 5, "declared, bare, of the framework");
}
