//! What a range read asks for.

use super::keyrange::KeyRange;
use super::live::VersionInfo;

/// Direction of a sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// As the keys come; with another target than the key it means ascending, see [`RangeQuery`].
    #[default]
    None,
    /// Smallest first.
    Ascend,
    /// Greatest first.
    Descend,
}

/// What a sort looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortTarget {
    /// The user's key.
    #[default]
    Key,
    /// Number of the version.
    Version,
    /// Main revision of the creation.
    Create,
    /// Main revision of the last change.
    Mod,
    /// The user's value, bytewise.
    Value,
}

/// One range read, with the fields of etcd's `RangeRequest` that concern the store.
///
/// The order of things is etcd's: filters, then sort, then limit. One quirk belongs to it: a target other than the key
/// with order [`SortOrder::None`] and no filter sorts ascending, but takes only the first `limit` + 1 keys in key order
/// to sort, so that the limit comes before the sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeQuery<'a> {
    /// First key.
    pub key: &'a [u8],
    /// End of the range in etcd's convention, see [`KeyRange`].
    pub range_end: &'a [u8],
    /// Revision to read at; 0 or less is the current one.
    pub revision: i64,
    /// Most key-values to answer; 0 or less is no limit.
    pub limit: i64,
    /// Leave the values out.
    pub keys_only: bool,
    /// Only count; limit, filters and sort do not matter then.
    pub count_only: bool,
    /// Drop versions modified before this, unless 0.
    pub min_mod_revision: i64,
    /// Drop versions modified after this, unless 0.
    pub max_mod_revision: i64,
    /// Drop versions of keys created before this, unless 0.
    pub min_create_revision: i64,
    /// Drop versions of keys created after this, unless 0.
    pub max_create_revision: i64,
    /// Direction of the sort.
    pub order: SortOrder,
    /// What the sort looks at.
    pub target: SortTarget,
}

impl<'a> RangeQuery<'a> {
    /// All of a range at the current revision, in the order of keys.
    pub const fn of(key: &'a [u8], range_end: &'a [u8]) -> Self {
        Self {
            key,
            range_end,
            revision: 0,
            limit: 0,
            keys_only: false,
            count_only: false,
            min_mod_revision: 0,
            max_mod_revision: 0,
            min_create_revision: 0,
            max_create_revision: 0,
            order: SortOrder::None,
            target: SortTarget::Key,
        }
    }

    /// The keys that it is about.
    pub fn keys(&self) -> KeyRange<'a> {
        KeyRange::new(self.key, self.range_end)
    }

    /// The limit as a number of rows.
    pub(crate) fn row_limit(&self) -> Option<usize> {
        (self.limit > 0).then(|| usize::try_from(self.limit).unwrap_or(usize::MAX))
    }

    /// Whether any filter is on.
    pub(crate) fn is_filtered(&self) -> bool {
        [self.min_mod_revision, self.max_mod_revision, self.min_create_revision, self.max_create_revision]
            .iter()
            .any(|&bound| bound != 0)
    }

    /// Whether a version passes the filters.
    pub(crate) fn admits(&self, info: &VersionInfo) -> bool {
        let modified = info.modified.main;
        let created = info.create_revision;
        (self.min_mod_revision == 0 || modified >= self.min_mod_revision)
            && (self.max_mod_revision == 0 || modified <= self.max_mod_revision)
            && (self.min_create_revision == 0 || created >= self.min_create_revision)
            && (self.max_create_revision == 0 || created <= self.max_create_revision)
    }

    /// Which rows have to be fetched, and in which order they are answered.
    pub(crate) fn plan(&self) -> Plan {
        let descending = self.order == SortOrder::Descend;
        match (self.target, self.order) {
            (SortTarget::Key, _) => Plan::KeyOrder { descending },
            (_, SortOrder::None) if !self.is_filtered() => Plan::Sorted { descending, limit_first: true },
            _ => Plan::Sorted { descending, limit_first: false },
        }
    }
}

/// See [`RangeQuery::plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// In key order: the walk can stop behind the limit.
    KeyOrder { descending: bool },
    /// Sorted by something else; `limit_first` is the quirk described at [`RangeQuery`].
    Sorted { descending: bool, limit_first: bool },
}
