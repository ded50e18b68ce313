//! The numbers of the file format, version 2, and the coding of its fixed parts.
//!
//! All integers are little-endian. The file is an array of pages; page `id` starts at byte `id × page size`. A page
//! starts with a header of 16 bytes; a page with overflow `n` takes the ids `id ..= id + n`, and the extra pages have no
//! header of their own: header and body run on over the page border.
//!
//! ```text
//! header   id u64 · flags u16 · count u16 · overflow u32
//! meta     magic u32 · version u32 · page size u32 · flags u32 · root u64 · sequence u64
//!          · freelist u64 · high water u64 · txid u64 · FNV-1a of the 56 bytes before
//! leaf     count × (flags u32 · pos u32 · key length u32 · value length u32), then keys and values
//! branch   count × (pos u32 · key length u32 · child page u64), then keys
//! bucket   (as a value) root page u64 · sequence u64; with root 0 a leaf page follows inline
//! ```
//!
//! `pos` counts from the start of its own element; the value follows its key.

/// Bytes of a page header.
pub(crate) const HEADER_LEN: u64 = 16;
/// Bytes of an element of a leaf or a branch page.
pub(crate) const ELEMENT_LEN: u64 = 16;
/// Bytes of the bucket header that starts a bucket's value.
pub(crate) const BUCKET_HEADER_LEN: u64 = 16;
/// Bytes of a meta page that carry something: header, fields, checksum.
pub(crate) const META_LEN: usize = 80;

/// Page flag: inner page of a tree.
pub(crate) const FLAG_BRANCH: u16 = 0x01;
/// Page flag: page with entries.
pub(crate) const FLAG_LEAF: u16 = 0x02;
/// Page flag: one of the two meta pages.
pub(crate) const FLAG_META: u16 = 0x04;
/// Page flag: list of free pages.
pub(crate) const FLAG_FREELIST: u16 = 0x10;
/// Element flag: the value of this leaf entry is a bucket.
pub(crate) const ENTRY_IS_BUCKET: u32 = 0x01;

/// Longest key, in bytes, that bbolt takes. A key is never empty.
pub const MAX_KEY_LEN: u64 = 32_768;
/// Longest value, in bytes, that bbolt takes.
pub const MAX_VALUE_LEN: u64 = (1 << 31) - 2;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
/// Freelist page id that says "not persisted: free is what cannot be reached".
const NO_FREELIST: u64 = u64::MAX;
/// Where the checksummed fields of a meta page start and end, counted from the start of the page.
const META_FIELDS: std::ops::Range<usize> = 16..72;

/// FNV-1a, 64 bits (Fowler, Noll, Vo): the checksum of a meta page.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The 2 bytes at `at`, or `None` past the end.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// The 4 bytes at `at`, or `None` past the end.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// The 8 bytes at `at`, or `None` past the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

/// The header of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// The page's own number (0 in an inline bucket).
    pub(crate) id: u64,
    /// One of the `FLAG_` constants.
    pub(crate) flags: u16,
    /// Number of elements.
    pub(crate) count: u16,
    /// Number of further pages that belong to this one.
    pub(crate) overflow: u32,
}

impl PageHeader {
    /// Appends the 16 bytes to `out`.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.overflow.to_le_bytes());
    }

    /// Reads the first 16 bytes; `None` when there are fewer. Nothing is judged here.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            id: u64_at(bytes, 0)?,
            flags: u16_at(bytes, 8)?,
            count: u16_at(bytes, 10)?,
            overflow: u32_at(bytes, 12)?,
        })
    }
}

/// What a meta page says of the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Bytes of a page.
    pub page_size: u32,
    /// Page of the tree of named buckets.
    pub root: u64,
    /// Sequence number of the root bucket; etcd leaves it at 0.
    pub sequence: u64,
    /// Page of the list of free pages; `None` when it is not persisted, as in all files of etcd on Linux.
    pub freelist: Option<u64>,
    /// First page id that was never allocated. The content of the file is `high_water × page_size` bytes.
    pub high_water: u64,
    /// Transaction that wrote this page; of two valid meta pages the one with the higher number counts.
    pub txid: u64,
}

impl Meta {
    /// The first [`META_LEN`] bytes of meta page `id`; the rest of the page is zero.
    pub(crate) fn encode(&self, id: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(META_LEN);
        PageHeader { id, flags: FLAG_META, count: 0, overflow: 0 }.encode(&mut out);
        for field in [MAGIC, VERSION, self.page_size, 0] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let freelist = self.freelist.unwrap_or(NO_FREELIST);
        for field in [self.root, self.sequence, freelist, self.high_water, self.txid] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        let checksum = fnv1a(&out[META_FIELDS]);
        out.extend_from_slice(&checksum.to_le_bytes());
        assert_eq!(out.len(), META_LEN);
        out
    }

    /// Reads a meta page from its first [`META_LEN`] bytes. `None` unless magic, version and checksum are right. (Boltdb of
    /// 2014 also took a checksum of zero; no etcd 3 ever wrote that, and taking it would let a zeroed field pass.)
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let valid = u32_at(bytes, 16)? == MAGIC
            && u32_at(bytes, 20)? == VERSION
            && u64_at(bytes, 72)? == fnv1a(bytes.get(META_FIELDS)?);
        if !valid {
            return None;
        }
        Some(Self {
            page_size: u32_at(bytes, 24)?,
            root: u64_at(bytes, 32)?,
            sequence: u64_at(bytes, 40)?,
            freelist: Some(u64_at(bytes, 48)?).filter(|id| *id != NO_FREELIST),
            high_water: u64_at(bytes, 56)?,
            txid: u64_at(bytes, 64)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The first 80 bytes of a database that etcd wrote.
    const REAL_META: [u8; META_LEN] = [
        0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, // id 0, meta
        0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, // magic, version, page size
        2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // root, sequence
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0, 0, 0, 0, 0, // freelist, high water
        0x10, 0, 0, 0, 0, 0, 0, 0, 0x14, 0xce, 0xac, 0xef, 0xd2, 0xdb, 0x06, 0xaf, // txid, checksum
    ];

    #[test]
    fn meta_of_a_real_file() {
        let meta = Meta { page_size: 4096, root: 2, sequence: 0, freelist: None, high_water: 5, txid: 16 };
        assert_eq!(Meta::decode(&REAL_META), Some(meta));
        assert_eq!(meta.encode(0), REAL_META);
    }

    #[test]
    fn second_meta_of_a_real_file() {
        let meta = Meta { page_size: 4096, root: 3, sequence: 0, freelist: None, high_water: 5, txid: 17 };
        assert_eq!(meta.encode(1)[72..], [0xd4, 0x59, 0xc3, 0xc0, 0x5a, 0xb1, 0x13, 0xa9]);
    }

    #[test]
    fn every_flipped_bit_of_the_fields_is_noticed() {
        for bit in 16 * 8..META_LEN * 8 {
            let mut bytes = REAL_META;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Meta::decode(&bytes), None, "bit {bit}");
        }
        for len in 0..META_LEN {
            assert_eq!(Meta::decode(&REAL_META[..len]), None, "length {len}");
        }
    }

    #[test]
    fn page_header_round_trip() {
        let header = PageHeader { id: 7 << 40, flags: FLAG_BRANCH, count: 513, overflow: 70_000 };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        assert_eq!(bytes.len() as u64, HEADER_LEN);
        assert_eq!(PageHeader::decode(&bytes), Some(header));
        assert_eq!(PageHeader::decode(&bytes[..15]), None);
    }
}
