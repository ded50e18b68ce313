//! A second reading of FORMAT.md: makes every checksum of a tree file right again, whatever its pages hold.
//!
//! With it damage can be planted that the checksums do not show: what a bug of some release could have written, or
//! somebody who means harm.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

const META_BYTES: usize = 4096;
const FREE_ENTRY: usize = 64;
const TABLE: usize = 256;
const ENTRY_BYTES: usize = 64;
const DEPTH_LIMIT: usize = 20;

/// A file under repair.
struct Sealer<'i> {
    image: &'i mut [u8],
    page_size: usize,
    /// Pages that are sealed, or on the way to be.
    seen: BTreeMap<u64, u64>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(bytes.get(at..at + N)?);
    Some(u64::from_le_bytes(wide))
}

/// Where the newest meta page of a sound file is.
pub fn newest_meta(image: &[u8]) -> usize {
    let txn = |at| number::<8>(image, at + 16).unwrap_or(0);
    if txn(META_BYTES) > txn(0) { META_BYTES } else { 0 }
}

/// Makes the checksums right of everything that the meta page at `meta` leads to, and its own.
pub fn seal(image: &mut [u8], meta: usize) {
    let Some(page_size) = number::<4>(image, meta + 12).filter(|size| (512..=65536).contains(size)) else {
        return;
    };
    let mut sealer = Sealer { image, page_size: page_size as usize, seen: BTreeMap::new() };
    let trees = number::<4>(sealer.image, meta + 48).unwrap_or(0).min(59) as usize;
    for entry in std::iter::once(FREE_ENTRY).chain((0..trees).map(|n| TABLE + n * ENTRY_BYTES)) {
        let entry = meta + entry;
        let depth = sealer.image[entry + 23] as usize;
        if depth == 0 || depth > DEPTH_LIMIT {
            continue;
        }
        if let Some(sum) = number::<8>(sealer.image, entry + 24).and_then(|page| sealer.page(page, depth - 1))
        {
            sealer.write(entry + 32, sum);
        }
    }
    let sum = xxh3_64(&image[meta..meta + META_BYTES - 8]);
    image[meta + META_BYTES - 8..meta + META_BYTES].copy_from_slice(&sum.to_le_bytes());
}

impl Sealer<'_> {
    fn write(&mut self, at: usize, sum: u64) {
        if let Some(place) = self.image.get_mut(at..at + 8) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
    }

    /// Bytes of a run of pages.
    fn range(&self, page: u64, pages: u64) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(page).ok()?.checked_mul(self.page_size)?;
        let end = start.checked_add(usize::try_from(pages).ok()?.checked_mul(self.page_size)?)?;
        (start >= 2 * META_BYTES && end <= self.image.len()).then_some(start..end)
    }

    /// Seals what is below a page, and returns the checksum of the page.
    fn page(&mut self, page: u64, level: usize) -> Option<u64> {
        if let Some(sum) = self.seen.get(&page) {
            return Some(*sum);
        }
        let range = self.range(page, 1)?;
        self.seen.insert(page, 0);
        let (start, end) = (range.start, range.end);
        let count = number::<2>(self.image, start + 4)? as usize;
        for slot in 0..count.min(self.page_size / 6) {
            let Some(place) = number::<2>(self.image, start + 32 + 4 * count + 2 * slot) else { break };
            let cell = start + place as usize;
            // The longest fixed part of a cell is 62 bytes.
            if cell + 62 > end && !(level == 0 && cell + 44 <= end) {
                // A short cell at the end of a leaf has no run, and one of a branch only its child.
                if level > 0 && cell + 34 <= end {
                    self.child(cell, level);
                }
                continue;
            }
            if level > 0 {
                self.child(cell, level);
                self.run(cell, 34, None, 38);
            } else {
                self.run(cell, 4, Some(8), 12);
            }
        }
        let sum = xxh3_64(&self.image[start..end]);
        self.seen.insert(page, sum);
        Some(sum)
    }

    fn child(&mut self, cell: usize, level: usize) {
        if let Some(sum) = number::<8>(self.image, cell + 2).and_then(|child| self.page(child, level - 1)) {
            self.write(cell + 10, sum);
        }
    }

    /// Seals the run of a cell, if it has one.
    fn run(&mut self, cell: usize, key: usize, value: Option<usize>, page: usize) {
        let is_run = number::<2>(self.image, cell).is_some_and(|word| word & 0x8000 != 0);
        let bytes = |at| number::<4>(self.image, cell + at);
        let (Some(key), Some(value)) = (bytes(key), value.map_or(Some(0), bytes)) else { return };
        let pages = (32 + key + value).div_ceil(self.page_size as u64);
        let first = number::<8>(self.image, cell + page);
        if let Some(range) = first.filter(|_| is_run).and_then(|first| self.range(first, pages)) {
            let sum = xxh3_64(&self.image[range]);
            self.write(cell + page + 8, sum);
        }
    }
}
