//! The environment: `ETCD_<FLAG>` for every flag that the command line has left alone.
//!
//! A flag given both ways stops the start: nobody could tell which one was meant. An empty variable counts as unset. A
//! variable that only looks like ours (Kubernetes makes `ETCD_PORT` and such for a service of that name) is a warning.

use std::collections::BTreeSet;

use super::flag::ValueError;
use super::notice::Notice;
use super::quote::Quoted;
use super::table;
use super::values::Values;

/// Why the environment was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Set as a flag as well. (Logged as fatal; status 1.)
    #[error(
        "conflicting environment variable is shadowed by corresponding command-line flag (either unset environment \
         variable or disable flag))"
    )]
    Conflict {
        /// The variable.
        variable: String,
    },
    /// A value that could not be read.
    #[error("invalid value {} for {variable}: {error}", Quoted(.value))]
    Value {
        /// The variable.
        variable: String,
        /// What it holds.
        value: String,
        /// Why not.
        error: ValueError,
    },
}

/// Lays the environment under the flags of the command line.
pub fn apply(
    values: &mut Values,
    env: &[(String, String)],
    notices: &mut Vec<Notice>,
) -> Result<(), EnvError> {
    let version = env.iter().find(|(name, value)| name == "ETCD_VERSION" && !value.is_empty());
    if let Some((_, value)) = version {
        notices.push(Notice::VersionVariable { value: value.clone() });
    }
    let (mut from_arguments, mut used) = (BTreeSet::new(), BTreeSet::new());
    let mut failure = None;
    let mut flags: Vec<_> = table::all().collect();
    flags.sort_by_key(|flag| flag.name);
    for flag in flags {
        let variable = flag.variable();
        if values.is_set(flag.name) {
            from_arguments.insert(variable);
            continue;
        }
        let Some((_, value)) = env.iter().find(|(name, value)| *name == variable && !value.is_empty()) else {
            continue;
        };
        if flag.name == "version" {
            continue; // said above
        }
        used.insert(variable.clone());
        match values.set(flag, value) {
            Ok(()) => notices.push(Notice::VariableUsed { name: variable, value: value.clone() }),
            Err(error) => failure = Some(EnvError::Value { variable, value: value.clone(), error }),
        }
    }
    for (name, value) in env {
        if used.contains(name) || (version.is_some() && name == "ETCD_VERSION") {
            continue;
        }
        if from_arguments.contains(name) {
            return Err(EnvError::Conflict { variable: name.clone() });
        }
        if name.starts_with("ETCD_") {
            notices.push(Notice::VariableUnknown { text: format!("{name}={value}") });
        }
    }
    failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn run(args: &[&str], env: &[(&str, &str)]) -> Result<(Values, Vec<Notice>), EnvError> {
        let args: Vec<_> = args.iter().map(|s| (*s).to_owned()).collect();
        let env: Vec<_> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut values = parse::arguments(&args).unwrap();
        let mut notices = Vec::new();
        apply(&mut values, &env, &mut notices)?;
        Ok((values, notices))
    }

    #[test]
    fn variables_stand_for_flags() {
        let (values, notices) = run(&[], &[("ETCD_NAME", "m1"), ("HOME", "/")]).unwrap();
        assert_eq!(values.text("name"), "m1");
        assert!(values.is_set("name"));
        assert_eq!(notices, [Notice::VariableUsed { name: "ETCD_NAME".into(), value: "m1".into() }]);
    }

    #[test]
    fn empty_and_strange_variables_are_warned_of() {
        let (values, notices) =
            run(&[], &[("ETCD_NAME", ""), ("ETCD_FOO", "1"), ("ETCD_VERSION", "v3.5")]).unwrap();
        assert!(!values.is_set("name"));
        assert_eq!(
            notices,
            [
                Notice::VersionVariable { value: "v3.5".into() },
                Notice::VariableUnknown { text: "ETCD_NAME=".into() },
                Notice::VariableUnknown { text: "ETCD_FOO=1".into() },
            ]
        );
    }

    #[test]
    fn flag_and_variable_together_are_refused() {
        let error = run(&["--name", "a"], &[("ETCD_NAME", "a")]).unwrap_err();
        assert_eq!(error, EnvError::Conflict { variable: "ETCD_NAME".into() });
        assert_eq!(
            run(&["--name", "a"], &[("ETCD_NAME", "")]).unwrap_err(),
            error,
            "etcd looks at the name only"
        );
    }

    #[test]
    fn bad_values_name_the_variable() {
        let error = run(&[], &[("ETCD_ELECTION_TIMEOUT", "abc")]).unwrap_err();
        assert_eq!(error.to_string(), "invalid value \"abc\" for ETCD_ELECTION_TIMEOUT: parse error");
    }
}
