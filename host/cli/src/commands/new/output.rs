//! The crate of a new output: one request for each alert, and unit tests with a service that answers from a script.

use super::publisher::DELIVERY;
use super::worlds::{self, Wanted, World};
use super::{Place, check_name, manifest, quoted};
use crate::Failure;
use crate::commands::run::say;
use anyhow::anyhow;
use streamalert_pipeline::config::output::NATIVE;

/// An output, with unit tests
#[derive(clap::Args)]
#[command(
    after_help = "Where it delivers to, `streamalert output new NAME DESCRIPTOR` configures, once the component is built.

Exit codes:
  0  the folder is there
  1  it could not be written
  2  a wrong argument, or the SDK is not there; nothing was written"
)]
pub struct OutputArgs {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: OutputArgs) -> Result<(), Failure> {
    check_name("output", &args.wanted.name).map_err(|message| Failure::Usage(anyhow!(message)))?;
    let service = args.wanted.name.as_str();
    if NATIVE.contains(&service) {
        return Err(Failure::Usage(anyhow!(
            "there is an output {service} already, the host's own; choose another name"
        )));
    }
    if worlds::elsewhere(args.wanted.lang) {
        return worlds::run(World::Output, &args.wanted, vec![]);
    }
    let place = Place::find(service, &args.wanted.dir, args.wanted.sdk.as_deref(), &DELIVERY)?;
    place.write(&[
        ("Cargo.toml", manifest(&place.krate, DELIVERY.krate, &place.sdk_path()?)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", source(service)),
        ("README.md", readme(&place.krate, service)),
    ])?;
    say(&format!("{}: output {service}", place.folder.display()))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say(
        "  cargo test                           # the output as plain code, against a service that answers from a script",
    )?;
    say("  streamalert build --out PLUGINS      # builds the component into the folder that a run looks at")?;
    say(&format!(
        "  streamalert output new {service} DESCRIPTOR --plugins PLUGINS    # where it delivers to; rules name {service}:DESCRIPTOR"
    ))
}

fn source(service: &str) -> String {
    format!(
        r#"use streamalert_output_sdk::prelude::*;

struct Service;

impl Output for Service {{
    const SERVICE: &'static str = "{service}";
    const DESCRIPTION: &'static str = "Say here what happens to an alert";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("url", "Where alerts are posted"),
        Setting::plain("team", "Whom they are for").optional(),
    ];
    // The host of the setting `url`, and no other.
    const HOSTS: &'static [&'static str] = &["{{url}}"];

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {{
        let alert = &parcel.alert;
        let title = shorten(alert.title(), Max::Chars(200));
        let mut body = json!({{"id": parcel.idempotency_key, "title": title, "severity": alert.severity().to_string()}});
        if let Some(team) = parcel.setting("team") {{
            body["team"] = team.into();
        }}
        // 2xx is delivered, 429 and 5xx are tried again, all else is refused and told to the operator.
        answer(http.send(Request::post(parcel.required("url")).json(&body)))
    }}
}}

export_output!(Service);

#[cfg(test)]
mod tests {{
    use super::*;

    fn parcel() -> Parcel {{
        Parcel::sample::<Service>(json!({{"title": "Root logged in", "severity": "high"}})).with("url", "https://service.example/hook")
    }}

    #[test]
    fn an_alert_is_posted_to_the_team() {{
        let http = FakeHttp::new().answer(200, "");
        assert_eq!(Service::deliver(&parcel().with("team", "soc"), &http), Disposition::Delivered(None));
        let body = http.requests()[0].body_json();
        assert_eq!((&body["title"], &body["severity"], &body["team"]), (&json!("Root logged in"), &json!("high"), &json!("soc")));
    }}

    #[test]
    fn a_busy_service_is_asked_again() {{
        let http = FakeHttp::new().answer(503, "busy").header("retry-after", "30");
        assert!(matches!(Service::deliver(&parcel(), &http), Disposition::Retry {{ .. }}));
    }}
}}
"#
    )
}

fn readme(krate: &str, service: &str) -> String {
    format!(
        "# {krate}\n\nThe output `{service}`, which hands alerts to a service. Its code is in `src/lib.rs`.\n\
         `cargo test` runs it as plain code, against a service that answers from a script.\n\
         `streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n\
         `streamalert output new {service} DESCRIPTOR --plugins DIR` says where it delivers to; rules name `{service}:DESCRIPTOR`.\n\
         `streamalert output test {service}:DESCRIPTOR` really delivers a test alert.\n"
    )
}
