//! Publishers whose names cannot be.

mod publishing;

use publishing::{Guest, PublisherInfo, info};

struct Odd;

publishing::export_publishers!(Odd with_types_in publishing);

impl Guest for Odd {
    fn describe() -> Vec<PublisherInfo> {
        ["", "no name\n", "twice", "twice"].map(info).into()
    }

    fn publish(_: u32, _: String, publication: String, _: String) -> Result<String, String> {
        Ok(publication)
    }
}
