//! The one table of flags: etcd 3.7's names, defaults and kinds, with our own words for the help.
//!
//! Parser ([`super::parse`]), environment ([`super::env`]), help ([`super::help`]) and defaults come from here. A flag of
//! etcd's that is not in the table is unknown, as in etcd itself.

mod known;
mod ours;

use super::flag::Flag;

/// Flags that belong together in the help.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The rows.
    pub flags: &'static [Flag],
}

/// Every group, in the order of the help.
pub static GROUPS: &[Group] = &[
    Group { title: "Member", flags: ours::MEMBER },
    Group { title: "Clustering", flags: ours::CLUSTERING },
    Group { title: "Limits and connections", flags: ours::LIMITS },
    Group { title: "Compaction", flags: ours::COMPACTION },
    Group { title: "Logging", flags: ours::LOGGING },
    Group { title: "Metrics and warnings", flags: ours::METRICS },
    Group { title: "Unsafe", flags: ours::UNSAFE },
    Group { title: "Not in etcd", flags: ours::ADDED },
    Group { title: "Other", flags: ours::OTHER },
    Group { title: "Accepted, without effect", flags: known::NO_EFFECT },
    Group { title: "Not supported by this version", flags: known::REFUSED },
    Group { title: "Ignored since etcd 2", flags: known::IGNORED },
];

/// Every flag.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    GROUPS.iter().flat_map(|group| group.flags)
}

/// The flag of this name.
pub fn find(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::flag::Support;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_defaults_read() {
        let mut names = BTreeSet::new();
        for flag in all() {
            assert!(names.insert(flag.name), "{} twice", flag.name);
            flag.default_value();
            assert_ne!(flag.variable(), "ETCD_");
        }
        // 113 flags of etcd 3.7.1, the fifteen that it ignores, and our own.
        assert_eq!(names.len(), 113 + 15 + ours::ADDED.len());
    }

    #[test]
    fn every_row_stands_in_the_right_group() {
        for flag in known::REFUSED {
            assert_eq!(flag.support, Support::Refused, "{}", flag.name);
        }
        for flag in known::NO_EFFECT {
            assert!(matches!(flag.support, Support::NoEffect(_)), "{}", flag.name);
        }
        assert!(find("listen-client-urls").is_some());
        assert!(find("bogus").is_none());
    }
}
