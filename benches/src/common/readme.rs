//! The newest tables in benches/README.md, each between two markers that name the harness it is of.

use std::{fs, io};

use super::places::workspace;

/// Why a table is not in the README.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadmeError {
    /// There is no place for the table.
    #[error("benches/README.md: no pair of lines <!-- {0}: begin --> and <!-- {0}: end -->")]
    NoPlace(String),
    /// The system refused something.
    #[error("cannot rewrite benches/README.md: {0}")]
    Io(#[from] io::Error),
}

/// Replaces what stands between the markers of `harness`.
pub(crate) fn write(harness: &str, content: &str) -> Result<(), ReadmeError> {
    let path = workspace().join("benches/README.md");
    let old = fs::read_to_string(&path)?;
    let new = replace(&old, harness, content).ok_or_else(|| ReadmeError::NoPlace(harness.to_owned()))?;
    Ok(fs::write(path, new)?)
}

fn replace(old: &str, harness: &str, content: &str) -> Option<String> {
    let marker = |which: &str| format!("<!-- {harness}: {which} -->\n");
    let (first, last) = (marker("begin"), marker("end"));
    let begin = old.find(&first)? + first.len();
    let end = begin + old[begin..].find(&last)?;
    Some(format!("{}\n{}\n\n{}", &old[..begin], content.trim(), &old[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- this: begin -->\n";
    const END: &str = "<!-- this: end -->\n";

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let old = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replace(&old, "this", "new\n");
        assert_eq!(new, Some(format!("before\n{BEGIN}\nnew\n\n{END}after\n")));
        assert_eq!(
            replace(&new.unwrap_or_default(), "this", "x"),
            Some(format!("before\n{BEGIN}\nx\n\n{END}after\n"))
        );
        assert_eq!(replace(&old, "that", "x"), None);
        assert_eq!(replace("no markers", "this", "x"), None);
        assert_eq!(replace(&format!("{END}{BEGIN}"), "this", "x"), None);
    }

    #[test]
    fn the_readme_has_a_place_for_each_table() {
        let text = fs::read_to_string(workspace().join("benches/README.md")).unwrap_or_default();
        for harness in ["side-by-side", "engines", "engines mvcc"] {
            assert!(replace(&text, harness, "").is_some(), "{harness}");
        }
    }
}
