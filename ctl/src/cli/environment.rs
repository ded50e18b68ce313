//! `ETCDCTL_…` variables: each global flag can be given by one.
//!
//! `--dial-timeout` is `ETCDCTL_DIAL_TIMEOUT`, and so on. A variable together with its flag is an error even
//! when they agree, because one of the two would be ignored; an unknown variable is reported and ignored. An
//! empty variable counts as not set.

use super::flag::{Flag, Values};
use crate::{
    failure::{Code, Failure},
    notice,
};

const PREFIX: &str = "ETCDCTL_";

/// Selected the client for etcd's second API in old releases; nothing listens to it any more.
const API: &str = "ETCDCTL_API";

/// The variable of a flag.
pub(crate) fn variable(flag: &Flag) -> String {
    format!("{PREFIX}{}", flag.name.replace('-', "_").to_uppercase())
}

/// Sets the global flags that `variables` give. `exempt` names further variables that are known to the
/// command itself.
///
/// # Errors
/// A flag is given on the command line and by its variable.
pub(crate) fn apply(
    values: &mut Values,
    global: &[Flag],
    variables: impl Iterator<Item = (String, String)>,
    exempt: &[&str],
) -> Result<(), Failure> {
    let mut variables: Vec<(String, String)> =
        variables.filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty()).collect();
    variables.sort();
    for (name, value) in variables {
        let Some(flag) = global.iter().find(|flag| variable(flag) == name) else {
            if name != API && !exempt.contains(&name.as_str()) {
                notice::warn(
                    "unrecognized environment variable",
                    "environment-variable",
                    &format!("{name}={value}"),
                );
            }
            continue;
        };
        if values.is_changed(flag.name) {
            return Err(conflict(&name));
        }
        if let Err(reason) = values.set(flag.name, &value) {
            notice::warn(
                "environment variable ignored: its value cannot be read",
                "environment-variable",
                &format!("{name}: {reason}"),
            );
        }
    }
    Ok(())
}

/// The message is etcdctl's, the stray parenthesis included.
fn conflict(name: &str) -> Failure {
    let message = "conflicting environment variable is shadowed by corresponding command-line flag \
                   (either unset environment variable or disable flag))";
    Failure::with_line(Code::Error, notice::line("fatal", message, "environment-variable", name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::globals;

    fn values() -> Values {
        let mut values = Values::default();
        values.declare(globals::FLAGS);
        values
    }

    fn vars(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    #[test]
    fn variables_set_flags() {
        let mut values = values();
        let given = vars(&[
            ("ETCDCTL_WRITE_OUT", "json"),
            ("ETCDCTL_HEX", "true"),
            ("ETCDCTL_USER", ""),
            ("ETCDCTL_BOGUS", "1"),
        ]);
        apply(&mut values, globals::FLAGS, given, &[]).unwrap();
        assert_eq!(values.text("write-out"), "json");
        assert!(values.bool("hex"));
        assert!(!values.is_changed("user"));
    }

    #[test]
    fn a_variable_and_its_flag_conflict_even_when_they_agree() {
        let mut values = values();
        values.set("write-out", "json").unwrap();
        let failure =
            apply(&mut values, globals::FLAGS, vars(&[("ETCDCTL_WRITE_OUT", "json")]), &[]).unwrap_err();
        assert_eq!(failure.code(), 1);
        assert!(failure.report().unwrap().contains("\"environment-variable\":\"ETCDCTL_WRITE_OUT\""));
        assert!(apply(&mut values, globals::FLAGS, vars(&[("ETCDCTL_WRITE_OUT", "")]), &[]).is_ok());
    }

    #[test]
    fn values_that_cannot_be_read_are_left_out() {
        let mut values = values();
        apply(&mut values, globals::FLAGS, vars(&[("ETCDCTL_HEX", "x")]), &[]).unwrap();
        assert!(!values.bool("hex"));
    }
}
