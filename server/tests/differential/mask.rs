//! What two servers may say differently: it is replaced before their answers are compared.

/// Numbers that follow these words are the servers' own: raft's terms and indexes, sizes and times.
const NUMBERS_AFTER: [&str; 17] = [
    r#""raft_term":"#,
    r#""RaftTerm" : "#,
    r#""raftTerm":"#,
    r#""raftIndex":"#,
    r#""RaftIndex" : "#,
    r#""raftAppliedIndex":"#,
    r#""RaftAppliedIndex" : "#,
    r#""dbSize":"#,
    r#""DBSize" : "#,
    r#""dbSizeInUse":"#,
    "took = ",
    r#""Took" : "#,
    r#""took":""#,
    "remaining(",
    r#""ttl":"#,
    r#""version":""#,
    r#""Version" : ""#,
];

/// Replaces every number, with what belongs to it (`1.5ms`, `3.5.1`), after one of the words above, and every decimal or
/// hexadecimal number after one of `more`.
pub(crate) fn numbers(text: &str, more: &[&str]) -> String {
    let usual = NUMBERS_AFTER.iter().fold(text.to_owned(), |text, word| {
        number_after(&text, word, |c| c.is_ascii_digit() || ".-µmnhs".contains(c))
    });
    more.iter().fold(usual, |text, word| number_after(&text, word, |c| c.is_ascii_hexdigit()))
}

fn number_after(text: &str, word: &str, belongs: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(word);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(&belongs);
        masked.push_str(word);
        if rest.len() < part.len() {
            masked.push('#');
        }
        masked.push_str(rest);
    }
    masked
}

/// The lines of standard error without the client's own log, which is JSON with times and addresses in it.
pub(crate) fn without_log(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.starts_with('{')).collect()
}

/// The cells of a status line or of the rows of a status table that must be equal: all but version, size, term and
/// indexes. Columns: endpoint, id, version, size, leader, learner, term, index, applied index, errors.
pub(crate) fn status_cells(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        let separator = if line.starts_with('|') { "|" } else { "," };
        let line = line.trim_matches('|');
        let cells: Vec<&str> = line.split(separator).map(str::trim).collect();
        // Rules of a table tell only how wide the cells are.
        if line.starts_with('+') {
            continue;
        }
        for (index, cell) in cells.iter().enumerate() {
            let own = cells.len() >= 10
                && matches!(index, 2 | 3 | 6..=8)
                && cell.starts_with(|c: char| c.is_ascii_digit());
            masked.push_str(if own { "#" } else { cell });
            masked.push('|');
        }
        masked.push('\n');
    }
    masked
}

/// A table without what depends on the width of its cells.
pub(crate) fn table(text: &str) -> String {
    let row = |line: &str| line.split('|').map(str::trim).collect::<Vec<_>>().join("|");
    text.lines().filter(|line| !line.starts_with('+')).map(|line| row(line) + "\n").collect()
}

#[test]
fn numbers_are_masked_and_the_rest_stays() {
    assert_eq!(
        numbers(r#"{"revision":7,"raft_term":2},"took":"1.7µs"}"#, &[]),
        r##"{"revision":7,"raft_term":#},"took":"#"}"##
    );
    assert_eq!(numbers("lease 1 remaining(99s), x=5f.", &["x="]), "lease 1 remaining(#), x=#.");
    assert_eq!(
        status_cells("a:1, 8e, 3.5.1, 25 kB, true, false, 2, 9, 9, \n"),
        "a:1|8e|#|#|true|false|#|#|#||\n"
    );
    assert_eq!(table("+--+\n|  a |   b |\n"), "|a|b|\n");
    assert_eq!(without_log("{\"level\":1}\nError: x\n"), "Error: x\n");
}
