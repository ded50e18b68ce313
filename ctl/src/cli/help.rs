//! Help texts, made from the tables.

use super::{
    command::Command,
    flag::{Flag, Kind},
};

/// The help of the command at the end of `path`.
pub(crate) fn render(program: &str, path: &[&'static Command], global: &[Flag]) -> String {
    let command = path.last().expect("a path has at least the root");
    let full_name = full_name(program, path);
    let mut out = format!("{full_name}: {}\n", command.about);
    for paragraph in command.details.lines() {
        out.extend([paragraph, "\n"]);
    }
    section(&mut out, "Usage", [usage(&full_name, command)].into_iter());
    if !command.children.is_empty() {
        section(&mut out, "Commands", command_lines(command, path.len() == 1).into_iter());
    }
    if !command.example.is_empty() {
        section(&mut out, "Example", [format!("{program} {}", command.example)].into_iter());
    }
    let own: Vec<Flag> = path.iter().skip(1).flat_map(|command| command.flags).copied().collect();
    if !own.is_empty() {
        section(&mut out, "Flags", flag_lines(&own).into_iter());
    }
    section(&mut out, "Global flags", flag_lines(global).into_iter());
    out
}

fn full_name(program: &str, path: &[&'static Command]) -> String {
    let words = path.iter().skip(1).map(|command| command.name);
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

fn usage(full_name: &str, command: &Command) -> String {
    if command.children.is_empty() {
        format!("{full_name} {}", command.args).trim_end().to_owned()
    } else {
        format!("{full_name} <command>")
    }
}

fn section(out: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    out.extend(["\n", title, ":\n"]);
    for line in lines {
        out.extend(["  ", line.as_str(), "\n"]);
    }
}

/// The children with their purposes; the root lists what can be run, `lease grant` and not `lease`.
fn command_lines(command: &'static Command, leaves: bool) -> Vec<String> {
    let mut entries: Vec<(String, &str)> = Vec::new();
    for child in command.children {
        if leaves && !child.children.is_empty() {
            entries.extend(
                child.children.iter().map(|leaf| (format!("{} {}", child.name, leaf.name), leaf.about)),
            );
        } else {
            entries.push((child.name.to_owned(), child.about));
        }
    }
    entries.sort();
    aligned(&entries)
}

fn flag_lines(flags: &[Flag]) -> Vec<String> {
    let mut entries: Vec<(String, String)> =
        flags.iter().map(|flag| (spelling(flag), flag.help.to_owned())).collect();
    entries.sort_by(|left, right| left.0[4..].cmp(&right.0[4..]));
    aligned(&entries)
}

/// `-w, --write-out="simple"`: names and default; switches show their default only as a word.
fn spelling(flag: &Flag) -> String {
    let short = flag.short.map_or_else(|| "    ".to_owned(), |letter| format!("-{letter}, "));
    let default = match flag.kind {
        Kind::Bool => format!("[={}]", flag.default),
        Kind::Int | Kind::Duration => format!("={}", flag.default),
        Kind::Text => format!("=\"{}\"", flag.default),
        Kind::List => format!("=[{}]", flag.default),
    };
    format!("{short}--{}{default}", flag.name)
}

fn aligned<T: AsRef<str>>(entries: &[(String, T)]) -> Vec<String> {
    let width = entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    entries.iter().map(|(name, about)| format!("{name:width$}  {}", about.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::ROOT, globals};

    fn every_command(visit: &mut impl FnMut(&[&'static Command])) {
        fn walk(path: &[&'static Command], visit: &mut impl FnMut(&[&'static Command])) {
            visit(path);
            for child in path[path.len() - 1].children {
                let mut longer = path.to_vec();
                longer.push(child);
                walk(&longer, visit);
            }
        }
        walk(&[&ROOT], visit);
    }

    #[test]
    fn every_command_has_a_purpose_an_example_and_help() {
        every_command(&mut |path| {
            let command = path[path.len() - 1];
            let name = full_name("holdfastctl", path);
            assert!(command.about.ends_with('.'), "{name}: the purpose is a sentence");
            assert_eq!(
                command.children.is_empty(),
                command.work.is_some(),
                "{name}: a leaf has work, a group has none"
            );
            if command.children.is_empty() {
                let words = name.strip_prefix("holdfastctl ").unwrap_or_default();
                assert!(command.example.contains(words), "{name}: the example calls the command");
            }
            let help = render("holdfastctl", path, globals::FLAGS);
            for flag in command.flags {
                assert!(help.contains(&format!("--{}", flag.name)), "{name}");
                assert!(flag.help.ends_with('.'), "{name} --{}: the help is a sentence", flag.name);
            }
            assert!(help.contains("--endpoints=[127.0.0.1:2379]"));
        });
    }

    #[test]
    fn no_two_flags_of_a_command_share_a_name() {
        every_command(&mut |path| {
            let flags: Vec<&Flag> =
                path.iter().flat_map(|command| command.flags).chain(globals::FLAGS).collect();
            for (index, flag) in flags.iter().enumerate() {
                for other in &flags[..index] {
                    assert_ne!(flag.name, other.name);
                    assert!(flag.short.is_none() || flag.short != other.short, "-{:?}", flag.short);
                }
            }
        });
    }

    #[test]
    fn the_root_lists_what_can_be_run() {
        let help = render("holdfastctl", &[&ROOT], globals::FLAGS);
        assert!(help.contains("\n  lease grant "));
        assert!(!help.contains("\n  lease  "));
    }
}
