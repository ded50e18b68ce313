//! What can go wrong while an image is planned or written.

use std::io;

/// Why an image could not be planned or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// An entry came before any bucket.
    #[error("an entry was given before the first bucket; name its bucket first")]
    NoBucket,
    /// A bucket name that bbolt would not take.
    #[error("a bucket name has {len} bytes; it must have 1 to 32768")]
    NameLength {
        /// Bytes of the name.
        len: usize,
    },
    /// Buckets must come in bytewise order of their names, each once.
    #[error("bucket {name:?} was given after bucket {previous:?}; give buckets in bytewise order, each once")]
    BucketOrder {
        /// The offending bucket.
        name: String,
        /// The bucket before it.
        previous: String,
    },
    /// A key that bbolt would not take.
    #[error("bucket {bucket:?}: a key has {len} bytes; it must have 1 to 32768")]
    KeyLength {
        /// Bucket of the entry.
        bucket: String,
        /// Bytes of the key.
        len: usize,
    },
    /// A value that bbolt would not take.
    #[error("bucket {bucket:?}: a value has {len} bytes; at most 2147483646 are possible")]
    ValueLength {
        /// Bucket of the entry.
        bucket: String,
        /// Bytes of the value.
        len: usize,
    },
    /// Keys must come ascending, each once.
    #[error("bucket {bucket:?}: key {key} does not follow the key before it; give keys ascending, each once")]
    KeyOrder {
        /// Bucket of the entry.
        bucket: String,
        /// The offending key, escaped as ASCII, shortened.
        key: String,
    },
    /// The second pass saw other entries than the first one.
    #[error("bucket {bucket:?} differs from the plan: {what}; both passes must walk the same state")]
    PlanDiffers {
        /// Bucket where it was noticed.
        bucket: String,
        /// What differs.
        what: String,
    },
    /// The output refused the bytes.
    #[error("the output failed, the image is incomplete: {0}")]
    Output(#[from] io::Error),
    /// An earlier call failed; what was written so far is no database.
    #[error("an earlier step of this image failed; discard the output and start again")]
    Stopped,
}

/// A name or key for a message: printable ASCII as it is, the rest escaped, at most 64 bytes of it.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let mut text = bytes[..bytes.len().min(SHOWN)].escape_ascii().to_string();
    if bytes.len() > SHOWN {
        text.push('…');
    }
    text
}
