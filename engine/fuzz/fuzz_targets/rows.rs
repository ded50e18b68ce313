//! The decoders of the store's records and rows.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast_engine::fuzz::rows(data));
