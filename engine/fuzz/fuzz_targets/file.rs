//! Whole files: a script that changes a sound file and makes its checksums right again, or the input as it is. See
//! `tests/common/hostile.rs`.
#![no_main]

#[path = "../../tests/common/hostile.rs"]
#[allow(dead_code)]
mod hostile;
#[path = "../../tests/common/seal.rs"]
mod seal;

libfuzzer_sys::fuzz_target!(|data: &[u8]| hostile::run(data));
