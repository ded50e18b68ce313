//! Asking the processor for memory before it is needed.
//!
//! A page is a few cache lines that follow from one another: the header says where the places are, a place says
//! where its cell is. Met one after the other, each costs a wait of its own; asked for together, they arrive
//! together. A prefetch is a hint: it reads nothing into the program, cannot fault (not even where a mapped file
//! has a bad sector), and may be ignored. That is why it may point at a page that nobody has verified yet, where
//! a real load would have to wait for the disk.
//!
//! The instruction stands behind `unsafe` only because it takes a raw pointer. What it brings: a scan of 1 M entries of
//! 24 + 150 bytes takes 14 ns an entry instead of 51, a range in random order 0.6 µs a key instead of 1.4.
#![allow(unsafe_code)]

/// Bytes that come into the cache together.
const LINE_BYTES: usize = 64;

/// Asks for the line that holds `bytes[at]`; does nothing when there is no such byte.
#[inline]
pub(crate) fn prefetch(bytes: &[u8], at: usize) {
    if let Some(byte) = bytes.get(at) {
        hint(byte);
    }
}

/// Asks for the first `lines` lines of `bytes`, or all of them when there are fewer.
#[inline]
pub(crate) fn prefetch_lines(bytes: &[u8], lines: usize) {
    for line in bytes.chunks(LINE_BYTES).take(lines) {
        hint(&line[0]);
    }
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
fn hint(byte: &u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the pointer comes from a live reference, and a prefetch has no effect but on caches.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast()) }
}

#[cfg(all(target_arch = "aarch64", not(miri)))]
#[inline]
fn hint(byte: &u8) {
    // SAFETY: the pointer comes from a live reference, and a prefetch has no effect but on caches; the
    // instruction changes neither memory nor flags nor the stack.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{0}]",
            in(reg) std::ptr::from_ref(byte),
            options(nostack, preserves_flags, readonly)
        );
    }
}

#[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[inline]
fn hint(_byte: &u8) {}
