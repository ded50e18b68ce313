//! The newest table in benches/README.md, between two markers.

use std::{fs, path::Path};

use super::run::HarnessError;

const BEGIN: &str = "<!-- side-by-side: begin -->\n";
const END: &str = "<!-- side-by-side: end -->\n";

/// Replaces what stands between the markers in the file at `path`.
pub(crate) fn write(path: &Path, content: &str) -> Result<(), HarnessError> {
    let failed = |error| HarnessError::io(&format!("cannot rewrite {}", path.display()), error);
    let old = fs::read_to_string(path).map_err(failed)?;
    let new = replace(&old, content).ok_or_else(|| HarnessError::Readme(path.to_owned()))?;
    fs::write(path, new).map_err(failed)
}

fn replace(old: &str, content: &str) -> Option<String> {
    let begin = old.find(BEGIN)? + BEGIN.len();
    let end = begin + old[begin..].find(END)?;
    Some(format!("{}\n{}\n\n{}", &old[..begin], content.trim(), &old[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let old = format!("before\n{BEGIN}old\n{END}after\n");
        let new = replace(&old, "new\n");
        assert_eq!(new, Some(format!("before\n{BEGIN}\nnew\n\n{END}after\n")));
        assert_eq!(
            replace(&new.unwrap_or_default(), "x"),
            Some(format!("before\n{BEGIN}\nx\n\n{END}after\n"))
        );
        assert_eq!(replace("no markers", "x"), None);
        assert_eq!(replace(&format!("{END}{BEGIN}"), "x"), None);
    }
}
