//! The page decoder: leaves and branches.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| holdfast_engine::fuzz::page(data));
