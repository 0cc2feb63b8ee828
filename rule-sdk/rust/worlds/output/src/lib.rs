//! The same output in every language: tests/it/worlds_by_language.rs.

#[path = "../../misbehave.rs"]
mod misbehave;

use streamalert_output_sdk::prelude::*;

struct Edge;

impl Output for Edge {
    const SERVICE: &'static str = "edge";
    const DESCRIPTION: &'static str = "Rings whoever is on call";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("url", "Where to ring"),
        Setting::secret("token", "Who we are").optional(),
        Setting::plain("team", "Whom to ring").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];
    const RATE: Option<f64> = Some(2.5);
    const IDEMPOTENT: bool = true;

    fn validate(settings: &Settings) -> Vec<Fault> {
        match settings.get("team") {
            Some(team) if !team.starts_with('#') => vec![Fault::new("team", "begins with #")],
            _ => vec![],
        }
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let title = parcel.alert.title();
        misbehave::misbehave(title);
        match title {
            "reject" => Disposition::reject("nobody is on call"),
            "not now" => {
                let done = parcel.progress.as_deref().unwrap_or_default();
                retry("nobody is awake").after(7).progress(format!("{done}+"))
            }
            "in two steps" => two_steps(parcel, http).unwrap_or_else(|other| other),
            _ => answer(http.send(request(parcel))),
        }
    }
}

fn request(parcel: &Parcel) -> Request {
    let mut shown: Vec<String> = parcel.shown().keys().cloned().collect();
    shown.sort();
    let body = json!({
        "text": shorten(parcel.alert.title(), Max::Chars(20)), "once": parcel.idempotency_key, "attempt": parcel.attempt,
        "now": parcel.now, "team": parcel.setting("team"), "magic": parcel.magic_text("text"), "shown": shown,
        "output": parcel.output(),
    });
    let token = parcel.setting("token").unwrap_or("none");
    Request::post(parcel.required("url")).query("q", "a b&ü").bearer(token).json(&body)
}

fn two_steps(parcel: &Parcel, http: &dyn Http) -> Result<Disposition, Disposition> {
    let first = accepted(http.send(request(parcel)))?;
    log::info(format!("the token is {}", parcel.setting("token").unwrap_or("none")));
    let id = first.json().map(|json| json["id"].to_string()).unwrap_or_default();
    accepted(http.send(Request::get(format!("{}/{id}", parcel.required("url"))).header("X-Step", "2")))?;
    Ok(Disposition::delivered(format!("case {id}")))
}

export_output!(Edge);
