//! The decoder of meta pages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast_engine::fuzz::meta(data));
