//! The component's side of the contract. The attribute exports `parsing` from the author's own crate, by [`Adapter`] around
//! the one parser there: a second one would export the same names, which the compiler refuses.

pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "parser",
        pub_export_macro: true,
        export_macro_name: "export",
        default_bindings_module: "::streamalert_parser_sdk::__private::bindings",
    });
}

pub use bindings::export;

use crate::__private::Parser;
use crate::Part;
use bindings::exports::streamalert::plugin::parsing as wit;
pub use bindings::streamalert::plugin as host;
use std::marker::PhantomData;
use std::sync::Once;

/// Gives a parser the contract's types.
pub struct Adapter<P>(PhantomData<P>);

impl<P: Parser + 'static> wit::Guest for Adapter<P> {
    fn describe() -> wit::ParserInfo {
        report_panics();
        wit::ParserInfo {
            name: P::NAME.to_owned(),
            description: P::DESCRIPTION.to_owned(),
            schemas: P::SCHEMAS.to_owned(),
            takes: if P::WHOLE { wit::Takes::Whole } else { wit::Takes::Lines },
            sniffs: P::SNIFFS,
        }
    }

    fn sniff(head: Vec<u8>) -> bool {
        report_panics();
        P::sniff(&head)
    }

    fn parse(payload: Vec<u8>) -> Result<Vec<wit::Part>, String> {
        report_panics();
        Ok(P::parse(&payload)?.into_iter().map(wit_part).collect())
    }
}

fn wit_part(part: Part) -> wit::Part {
    // A place beyond what 32 bits can say lies outside of every payload; the host refuses it as such.
    let number = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
    wit::Part {
        offset: number(part.place.start),
        length: number(part.place.end.saturating_sub(part.place.start)),
        outcome: part.outcome.map(|record| wit::Parsed { log_type: record.log_type.into_owned(), json: record.json }),
    }
}

/// A panic ends in a trap that carries no text; this puts the text into the log first.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| crate::log::error(info.to_string()))));
}
