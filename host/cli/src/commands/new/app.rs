//! The crate of a new app: one list of events, page by page, and unit tests with a service that answers from a script.

use super::worlds::Wanted;
use super::{Lang, Place, Sdk, check_name, manifest, quoted};
use crate::Failure;
use crate::commands::run::say;
use anyhow::anyhow;

const APPS: Sdk = Sdk { krate: "streamalert-app-sdk", folder: "rule-sdk/rust-app" };

/// What fetches logs from a service, with unit tests
#[derive(clap::Args)]
#[command(
    after_help = "Apps are written in Rust today. Whose logs it fetches, `streamalert app new NAME` configures, once the component is built.

Exit codes:
  0  the folder is there
  1  it could not be written
  2  a wrong argument, or the SDK is not there; nothing was written"
)]
pub struct AppArgs {
    #[command(flatten)]
    wanted: Wanted,
}

pub fn run(args: AppArgs) -> Result<(), Failure> {
    check_name("app", &args.wanted.name).map_err(|message| Failure::Usage(anyhow!(message)))?;
    args.wanted.lang.among(&[Lang::Rust], "app")?;
    let name = args.wanted.name.as_str();
    let place = Place::find(name, &args.wanted.dir, args.wanted.sdk.as_deref(), &APPS)?;
    place.write(&[
        ("Cargo.toml", manifest(&place.krate, APPS.krate, &place.sdk_path()?)),
        (".gitignore", "/target\n".to_owned()),
        ("src/lib.rs", source(name)),
        ("README.md", readme(&place.krate, name)),
    ])?;
    say(&format!("{}: app {name}", place.folder.display()))?;
    say("next:")?;
    say(&format!("  cd {}", quoted(&place.folder.display().to_string())))?;
    say(
        "  cargo test                           # the app as plain code, against a service that answers from a script",
    )?;
    say("  streamalert build --out PLUGINS      # builds the component into the folder that a run looks at")?;
    say(&format!(
        "  streamalert app new {name} --type {name} --plugins PLUGINS    # whose logs it fetches, and how often"
    ))
}

fn source(name: &str) -> String {
    format!(
        r##"use streamalert_app_sdk::prelude::*;

struct Events;

impl App for Events {{
    const NAME: &'static str = "{name}";
    const DESCRIPTION: &'static str = "Say here whose logs these are";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("url", "Of your site: https://site.example"),
        Setting::secret("token", "An API token that may read events"),
    ];
    // The host of the setting `url`, and no other.
    const HOSTS: &'static [&'static str] = &["{{url}}"];
    // As a file in conf/schemas has it.
    const LOGS: &'static [&'static str] = &["{name}:events"];

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {{
        // Events that come up to five minutes late are found.
        let mut round = Round::resume(ask, Overlap::minutes(5))?;
        let mut request = Request::get(format!("{{}}/v1/events", ask.base("url")))
            .bearer(ask.required("token"))
            .query("since", &time::rfc3339(round.from()))
            .query("until", &time::rfc3339(round.until()));
        if let Some(token) = round.token() {{
            request = request.query("page", token);
        }}
        // 429 and 5xx are tried again, all else but 2xx is refused and told to the operator.
        let answer = fetched(http.send(request))?;
        round.heard(&answer);
        let events = logs_in(&answer, &["events"])?;
        let events = round.fresh(events, |event| event.text("id"));
        Ok(round.next(events, answer_text(&answer, &["next"])?))
    }}
}}

export_apps!(Events);

#[cfg(test)]
mod tests {{
    use super::*;

    fn poller() -> Poller<Events> {{
        Poller::new().with("url", "https://site.example").with("token", "t0ken")
    }}

    #[test]
    fn all_pages_come_and_what_comes_twice_is_told_once() {{
        let http = FakeHttp::new()
            .json(200, json!({{"events": [{{"id": "1"}}, {{"id": "2"}}], "next": "p2"}}))
            .json(200, json!({{"events": [{{"id": "2"}}, {{"id": "3"}}]}}));
        let mut poller = poller();
        assert_eq!(poller.poll_all(&http).unwrap(), [r#"{{"id":"1"}}"#, r#"{{"id":"2"}}"#, r#"{{"id":"3"}}"#]);
        assert!(http.requests()[1].url.contains("page=p2"));
        // Five minutes later, with one that came late.
        poller.pass(300);
        let http = FakeHttp::new().json(200, json!({{"events": [{{"id": "3"}}, {{"id": "late"}}, {{"id": "4"}}]}}));
        assert_eq!(poller.poll_all(&http).unwrap(), [r#"{{"id":"late"}}"#, r#"{{"id":"4"}}"#]);
    }}

    #[test]
    fn a_busy_service_is_asked_again_and_nothing_is_lost() {{
        let mut poller = poller();
        let busy = FakeHttp::new().answer(429, "").header("retry-after", "30");
        assert_eq!(poller.poll(&busy), Err(retry("answered 429 Too Many Requests").after(30)));
        let http = FakeHttp::new().json(200, json!({{"events": [{{"id": "1"}}]}}));
        assert_eq!(poller.poll(&http).unwrap(), [r#"{{"id":"1"}}"#]);
    }}

    #[test]
    fn a_token_that_is_refused_is_told() {{
        let http = FakeHttp::new().answer(401, "");
        assert!(matches!(poller().poll(&http), Err(Stop::Reject(_))));
    }}
}}
"##
    )
}

fn readme(krate: &str, name: &str) -> String {
    format!(
        "# {krate}\n\nThe app `{name}`, which fetches logs from a service. Its code is in `src/lib.rs`.\n\
         `cargo test` runs it as plain code, against a service that answers from a script.\n\
         `streamalert build --out DIR` puts the component where `streamalert run --plugins DIR` finds it, also while that runs.\n\
         `streamalert app new NAME --type {name} --plugins DIR` says whose logs it fetches; a cluster's `data_sources.streamalert_app` which log types they are.\n\
         `streamalert app run NAME --dry-run --plugins DIR` polls once and prints what comes.\n"
    )
}
