//! What publishers are: functions that shape an alert for an output.

use crate::Alert;
use serde_json::{Map, Value};

/// What a publication is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub service: String,
    pub descriptor: String,
}

impl Target {
    /// From `service:descriptor`.
    pub fn new(output: &str) -> Self {
        let (service, descriptor) = output.split_once(':').unwrap_or((output, ""));
        Target { service: service.into(), descriptor: descriptor.into() }
    }

    /// The key by which a publisher speaks to an output of this service: `@service.field`.
    pub fn magic(&self, field: &str) -> String {
        format!("@{}.{field}", self.service)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}:{}", self.service, self.descriptor)
    }
}

/// What a publisher is: the alert, the publication so far and what it is for; the answer is the publication.
pub type Publish = fn(&Alert, Map<String, Value>, &Target) -> Result<Map<String, Value>, String>;

/// A publisher, as the macro wrote it down.
#[derive(Clone, Copy)]
pub struct Publisher {
    pub name: &'static str,
    pub description: &'static [&'static str],
    pub publish: Publish,
}

/// The publishers of a component.
pub trait Publishers {
    const ALL: &'static [Publisher];
}

/// Makes a component of functions
/// `fn(&Alert, Map<String, Value>, &Target) -> Result<Map<String, Value>, String>`: the alert, the publication so far and what
/// it is for; the answer is the publication. Each under the name that rules call it by, with its description as doc comment.
/// Once in a crate, which then has no [`export_output!`](crate::export_output).
///
/// ```
/// use streamalert_output_sdk::prelude::*;
///
/// fn quiet(_: &Alert, mut publication: Map<String, Value>, _: &Target) -> Result<Map<String, Value>, String> {
///     publication.remove("record");
///     Ok(publication)
/// }
///
/// export_publishers! {
///     /// Without the record.
///     "quiet" => quiet,
/// }
/// ```
#[macro_export]
macro_rules! export_publishers {
    ($($(#[doc = $description:literal])+ $name:literal => $publish:expr),+ $(,)?) => {
        const _: () = {
            struct Component;

            impl $crate::__private::Publishers for Component {
                const ALL: &'static [$crate::__private::Publisher] = &[
                    $($crate::__private::Publisher {
                        name: $name,
                        description: &[$($description),+],
                        publish: $publish,
                    }),+
                ];
            }

            #[cfg(target_family = "wasm")]
            type Adapted = $crate::__private::PublishersAdapter<Component>;
            #[cfg(target_family = "wasm")]
            $crate::__private::bindings::publisher::export!(Adapted);

            // Outside WebAssembly nobody calls them but tests; without this the compiler would say so.
            #[cfg(not(target_family = "wasm"))]
            const _: &[$crate::__private::Publisher] = <Component as $crate::__private::Publishers>::ALL;
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_service_and_a_descriptor() {
        let target = Target::new("slack:sec:ops");
        assert_eq!((target.service.as_str(), target.descriptor.as_str()), ("slack", "sec:ops"));
        assert_eq!((target.magic("text"), target.to_string()), ("@slack.text".into(), "slack:sec:ops".into()));
    }
}
