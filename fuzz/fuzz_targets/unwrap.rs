#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| streamalert_fuzz::unwrap(data));
