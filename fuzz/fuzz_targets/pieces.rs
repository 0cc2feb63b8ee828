#![no_main]

use std::panic::{set_hook, take_hook};

// Panics of the Parquet reader on damaged files are caught where it is called; the hook of libFuzzer would end the process
// before. A panic that nobody catches still ends it.
libfuzzer_sys::fuzz_target!(
    init: {
        drop(take_hook());
        let report = take_hook();
        set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|location| location.file().contains("/parquet-")) {
                report(panic);
                std::process::abort();
            }
        }));
    },
    |data: &[u8]| streamalert_fuzz::pieces(data)
);
