//! An output of which nothing makes sense.

mod delivery;

use delivery::{Disposition, Fault, Given, Guest, OutputInfo, Parcel, Setting, delivered, info};

struct Odd;

delivery::export_output!(Odd with_types_in delivery);

impl Guest for Odd {
    fn describe() -> OutputInfo {
        let setting = Setting { name: "The URL".into(), description: String::new(), secret: true, required: true };
        OutputInfo {
            settings: vec![setting.clone(), setting],
            hosts: ["{url}", "https://api.example.com/", "*.com", "*"].map(str::to_owned).into(),
            options: r#"{"rate": -1, "retries": 5}"#.into(),
            ..info("Odd Service\x1b[2J")
        }
    }

    fn validate(_: Vec<Given>) -> Vec<Fault> {
        vec![]
    }

    fn deliver(_: Parcel) -> Disposition {
        delivered("no")
    }
}
