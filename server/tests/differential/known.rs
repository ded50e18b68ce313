//! Where Holdfast answers as etcd 3.7 does, and etcd 3.5.1, with which it is compared, does not.

/// A line of the script and why its answers may differ.
const KNOWN: [(&str, &str); 2] = [
    (
        "watch --rev={deleted} gone --prefix",
        "a deletion at exactly the compacted revision is kept, and told to watchers, since 3.5.16; 3.5.1 has dropped it",
    ),
    (
        "endpoint hashkv --rev=10",
        "the hash at exactly the compacted revision is told since compactions remember their hashes; 3.5.1 refuses it",
    ),
];

/// Why the answers to a line of the script may differ; `None` when they must not.
pub(crate) fn reason(line: &str) -> Option<&'static str> {
    KNOWN.iter().find(|(known, _)| *known == line).map(|(_, reason)| *reason)
}

#[test]
fn every_known_difference_is_still_in_the_script() {
    let script = crate::script::script();
    for (line, reason) in KNOWN {
        assert!(script.iter().any(|step| step.line == line), "no longer in the script: {line} ({reason})");
    }
}
