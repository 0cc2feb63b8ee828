//! An output that never gets to say what it is.

mod delivery;

use delivery::{Disposition, Fault, Given, Guest, OutputInfo, Parcel, delivered};

struct Silent;

delivery::export_output!(Silent with_types_in delivery);

impl Guest for Silent {
    fn describe() -> OutputInfo {
        let mut n = 0u64;
        loop {
            n = std::hint::black_box(n.wrapping_add(1));
        }
    }

    fn validate(_: Vec<Given>) -> Vec<Fault> {
        vec![]
    }

    fn deliver(_: Parcel) -> Disposition {
        delivered("never")
    }
}
