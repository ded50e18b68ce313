//! What `--help`, `--version` and a bad command line print.

use std::fmt::Write as _;

use super::flag::{Flag, Kind, Support};
use super::table::GROUPS;
use crate::version;

/// Printed on stderr before the list of flags, and after an error in the command line.
pub const USAGE: &str = "Usage:

  holdfast [flags]
    Run a member of a cluster. Flags, variables and API are etcd's.

  holdfast --version
    Print the version.

  holdfast --help
    Print every flag.
";

/// The list of flags, in groups.
pub fn flags() -> String {
    let mut out = String::new();
    for group in GROUPS {
        let _ = writeln!(out, "{}:", group.title);
        let brief: Vec<_> = group.flags.iter().filter(|flag| flag.help.is_empty()).map(|f| f.name).collect();
        if brief.is_empty() {
            for flag in group.flags {
                describe(flag, &mut out);
            }
        } else {
            wrap(&brief, &mut out);
        }
        out.push('\n');
    }
    out.push_str("Every flag can be given as a variable: --data-dir is ETCD_DATA_DIR.\n");
    out
}

fn describe(flag: &Flag, out: &mut String) {
    let shown = match (flag.kind, flag.support) {
        (_, Support::NoEffect(_)) | (Kind::Bool, _) if flag.default == "false" => String::new(),
        (Kind::Text, _) => format!(" '{}'", flag.default),
        _ => format!(" {}", if flag.default.is_empty() { "''" } else { flag.default }),
    };
    let _ = writeln!(out, "  --{}{shown}\n      {}", flag.name, flag.help);
}

/// Names alone, as many on a line as fit.
fn wrap(names: &[&str], out: &mut String) {
    let mut width = 0;
    for name in names {
        if width > 0 && width + name.len() + 3 > 100 {
            out.push('\n');
            width = 0;
        }
        out.push_str(if width == 0 { "  " } else { " " });
        let _ = write!(out, "--{name}");
        width += name.len() + 3;
    }
    out.push('\n');
}

/// The four lines of `--version`.
pub fn version() -> String {
    format!(
        "etcd Version: {}\nGit SHA: {}\nGo Version: {}\nGo OS/Arch: {}/{}\n",
        version::ETCD,
        version::git_sha(),
        version::go(),
        version::os(),
        version::arch()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn every_flag_is_named() {
        let help = flags();
        for flag in table::all() {
            assert!(help.contains(&format!("--{}", flag.name)), "{}", flag.name);
        }
    }

    #[test]
    fn version_has_etcds_four_lines() {
        let text = version();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], "etcd Version: 3.7.1");
        assert!(lines[1].starts_with("Git SHA: holdfast-"));
        assert!(lines[2].starts_with("Go Version: "));
        assert!(lines[3].starts_with("Go OS/Arch: linux/"));
    }
}
