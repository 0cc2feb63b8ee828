//! Imports like a rule, and exports nothing.

wit_bindgen::generate!({
    inline: "
        package bad:guests;
        world mute { import streamalert:plugin/records@0.1.0; }
    ",
    path: "../../wit",
    world: "bad:guests/mute",
    generate_all,
});

#[unsafe(no_mangle)]
pub extern "C" fn unused() -> u32 {
    streamalert::plugin::records::json(0).len() as u32
}
