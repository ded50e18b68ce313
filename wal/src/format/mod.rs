//! The bytes on disk, as FORMAT.md describes them. Everything here is pure: slices in, values out, and no input makes
//! it panic. All numbers are little-endian.

pub(crate) mod group;
pub(crate) mod record;
pub(crate) mod segment;

/// Groups are padded to at least this, even where the device could write smaller blocks: a 4 KiB page is what flash
/// and page cache write at once, so smaller groups would be read-modify-write.
pub(crate) const MIN_BLOCK_BYTES: u32 = 4096;

/// Greatest block that a device may ask for.
pub(crate) const MAX_BLOCK_BYTES: u32 = 65536;

/// The block that groups are padded to on a device with this logical block.
pub(crate) fn effective_block(device_block: u32) -> u32 {
    device_block.max(MIN_BLOCK_BYTES)
}

/// Rounds up to a whole number of blocks. `block` is a power of two.
pub(crate) fn round_up(bytes: u64, block: u32) -> u64 {
    let mask = u64::from(block) - 1;
    (bytes + mask) & !mask
}

/// The four bytes at `at`. The caller has checked the length.
pub(crate) fn get_u32(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

/// The eight bytes at `at`. The caller has checked the length.
pub(crate) fn get_u64(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// Writes four bytes at `at`.
pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Writes eight bytes at `at`.
pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
