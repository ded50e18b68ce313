//! The sequence of buckets and entries that makes an image, the same for both passes: checks of names and lengths, the
//! tree of the bucket that is open, and the root tree that gathers the finished buckets.

use super::WriteError;
use super::error::shown;
use super::tree::{Medium, Tree};
use crate::format::{BUCKET_HEADER_LEN, ENTRY_IS_BUCKET, MAX_KEY_LEN, MAX_VALUE_LEN};

/// What is remembered of a finished bucket. The two passes compare theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BucketSummary {
    /// Name of the bucket.
    pub(crate) name: Vec<u8>,
    /// Number of entries.
    pub(crate) entries: u64,
    /// Bytes of all its keys.
    pub(crate) key_bytes: u64,
    /// Bytes of all its values.
    pub(crate) value_bytes: u64,
}

/// The bucket that is being filled.
struct OpenBucket<M: Medium> {
    summary: BucketSummary,
    tree: Tree<M>,
}

/// An image under construction.
pub(crate) struct Image<M: Medium> {
    pub(crate) medium: M,
    root: Tree<M>,
    open: Option<OpenBucket<M>>,
}

impl<M: Medium> Image<M> {
    pub(crate) fn new(medium: M) -> Self {
        Self { medium, root: Tree::new(), open: None }
    }

    /// The bucket that is being filled.
    pub(crate) fn open_bucket(&self) -> Option<&BucketSummary> {
        self.open.as_ref().map(|open| &open.summary)
    }

    /// Ends the open bucket, if any, and opens the next. Returns the ended one.
    pub(crate) fn bucket(&mut self, name: &[u8]) -> Result<Option<BucketSummary>, WriteError> {
        if name.is_empty() || name.len() as u64 > MAX_KEY_LEN {
            return Err(WriteError::NameLength { len: name.len() });
        }
        let ended = self.end_bucket()?;
        if let Some(previous) = ended.as_ref().filter(|previous| previous.name.as_slice() >= name) {
            return Err(WriteError::BucketOrder { name: shown(name), previous: shown(&previous.name) });
        }
        let summary = BucketSummary { name: name.to_vec(), entries: 0, key_bytes: 0, value_bytes: 0 };
        self.open = Some(OpenBucket { summary, tree: Tree::new() });
        Ok(ended)
    }

    /// Adds an entry to the open bucket.
    pub(crate) fn entry(&mut self, key: M::Bytes<'_>, value: M::Bytes<'_>) -> Result<(), WriteError> {
        let OpenBucket { summary, tree } = self.open.as_mut().ok_or(WriteError::NoBucket)?;
        let (key_len, value_len) = (M::len(key), M::len(value));
        if key_len == 0 || key_len as u64 > MAX_KEY_LEN {
            return Err(WriteError::KeyLength { bucket: shown(&summary.name), len: key_len });
        }
        if value_len as u64 > MAX_VALUE_LEN {
            return Err(WriteError::ValueLength { bucket: shown(&summary.name), len: value_len });
        }
        summary.entries += 1;
        summary.key_bytes += key_len as u64;
        summary.value_bytes += value_len as u64;
        tree.entry(&mut self.medium, 0, key, value)
    }

    /// Ends the open bucket: puts its tree, unless it is inline, and enters it in the root tree.
    pub(crate) fn end_bucket(&mut self) -> Result<Option<BucketSummary>, WriteError> {
        let Some(OpenBucket { summary, tree }) = self.open.take() else { return Ok(None) };
        let value = match tree.inline() {
            Some(value) => value,
            None => bucket_header(tree.finish(&mut self.medium)?).to_vec(),
        };
        self.root.entry(&mut self.medium, ENTRY_IS_BUCKET, M::of(&summary.name), M::of(&value))?;
        Ok(Some(summary))
    }

    /// Puts the root tree, after [`Image::end_bucket`], and returns its page: the last of the file.
    pub(crate) fn finish(mut self) -> Result<(u64, M), WriteError> {
        assert!(self.open.is_none(), "the last bucket is ended before the root tree is put");
        let root = self.root.finish(&mut self.medium)?;
        Ok((root, self.medium))
    }
}

/// The value of a bucket with a tree of its own: root page and sequence number. Root 0 stands for "inline".
pub(crate) fn bucket_header(root: u64) -> [u8; BUCKET_HEADER_LEN as usize] {
    let mut header = [0; BUCKET_HEADER_LEN as usize];
    header[..8].copy_from_slice(&root.to_le_bytes());
    header
}
