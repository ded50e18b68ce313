//! "Did you mean this?": names near to a mistyped one.

/// Names at most this many edits away are suggested.
const MAX_DISTANCE: usize = 2;

/// The names that `typed` is a prefix of or nearly spells, in the order given.
pub(crate) fn near<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let typed = typed.to_lowercase();
    names.filter(|name| name.starts_with(&typed) || distance(&typed, name) <= MAX_DISTANCE).collect()
}

/// The number of characters to insert, delete or replace that turn one text into the other (Levenshtein,
/// 1966).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        for (left, right, edits) in
            [("", "", 0), ("", "abc", 3), ("gat", "get", 1), ("gat", "put", 2), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(left, right), edits);
            assert_eq!(distance(right, left), edits);
        }
    }

    #[test]
    fn suggests_prefixes_and_near_misses() {
        let names = ["del", "get", "lease", "put", "watch"];
        assert_eq!(near("gat", names.into_iter()), ["get", "put"]);
        assert_eq!(near("l", names.into_iter()), ["del", "lease"]);
        assert_eq!(near("WATC", names.into_iter()), ["watch"]);
        assert!(near("nosuchcmd", names.into_iter()).is_empty());
    }
}
