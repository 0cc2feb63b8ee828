//! Box's events of an enterprise: logins, shares, downloads, changes of users; docs: "Get events", stream `admin_logs`.
//!
//! That stream is complete and in order, and says where to go on. When Box does not know that place any more, events are asked for by
//! time, beginning before the newest one.

use serde::{Deserialize, Serialize};
use streamalert_app_sdk::jwt::{Algorithm, Key};
use streamalert_app_sdk::prelude::*;

pub struct AdminEvents;

const API: &str = "https://api.box.com";
/// Events of a page; docs: at most 500.
const LIMIT: usize = 500;
/// How late events may be where they are asked for by time.
const OVERLAP: i64 = 6 * 3600;
/// Seconds that an assertion may be good for; docs: at most 60.
const GOOD_FOR: i64 = 45;

#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    /// Where Box says that it goes on.
    position: Option<String>,
    /// Second of the newest event.
    newest: i64,
    /// How far the host's clock was ahead at first.
    #[serde(default)]
    early: i64,
    seen: Seen,
}

/// The settings of an application with server authentication, as Box's console gives them.
struct Application {
    client_id: String,
    client_secret: String,
    key_id: String,
    enterprise: String,
    key: Key,
}

impl Application {
    fn read(keyfile: &str) -> Result<Application, String> {
        let json: Value = serde_json::from_str(keyfile)
            .map_err(|_| "is no JSON: give what is in the file of settings, not its path".to_owned())?;
        let text = |path: &[&str]| {
            let value = path.iter().fold(&json, |value, key| &value[*key]);
            let text = value.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or_else(|| {
                format!("has no {}: it is the file of settings that Box's console makes", path.join("."))
            })
        };
        let settings = "boxAppSettings";
        let passphrase = text(&[settings, "appAuth", "passphrase"]).ok();
        let pem = text(&[settings, "appAuth", "privateKey"])?;
        Ok(Application {
            client_id: text(&[settings, "clientID"])?,
            client_secret: text(&[settings, "clientSecret"])?,
            key_id: text(&[settings, "appAuth", "publicKeyID"])?,
            enterprise: text(&["enterpriseID"])?,
            key: Key::from_pem(&pem, passphrase.as_deref()).map_err(|why| format!("its privateKey {why}"))?,
        })
    }

    /// An access token for this poll: what is kept between polls is seen by operators.
    fn token(&self, ask: &Ask, http: &dyn Http) -> Result<String, Stop> {
        let request = |now: i64| {
            // No two alike: a guest has no random numbers, but a key that nobody else has.
            let about = format!("{}\n{now}\n{}\n{}\n{:?}", ask.app, ask.now, ask.attempt, ask.cursor);
            let id = sign::hex(&sign::hmac_sha256(self.client_secret.as_bytes(), about.as_bytes()));
            let claims = json!({
                "iss": self.client_id, "sub": self.enterprise, "box_sub_type": "enterprise", "aud": format!("{API}/oauth2/token"),
                "jti": id, "exp": now + GOOD_FOR,
            });
            let assertion = self.key.token(Algorithm::Rs512, &json!({"kid": self.key_id}), &claims).map_err(reject)?;
            Ok(Request::post(format!("{}/oauth2/token", api(ask))).form([
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("client_id", &self.client_id),
                ("client_secret", &self.client_secret),
                ("assertion", &assertion),
            ]))
        };
        let mut answer = http.send(request(ask.now)?);
        // An assertion is refused whose times are not those of Box's clock, which the answer tells.
        if let Ok(refused) = &answer
            && refused.status == 400
            && let Some(theirs) = time::date(refused).filter(|theirs| theirs.abs_diff(ask.now) > 10)
        {
            answer = http.send(request(theirs)?);
        }
        if let Ok(refused) = &answer
            && refused.status == 400
            && refused.text().contains("jti")
        {
            return Err(retry("Box has seen the same assertion already"));
        }
        let answer = fetched(answer)?;
        answer_text(&answer, &["access_token"])?.ok_or_else(|| retry("Box gave no access token"))
    }
}

fn api(ask: &Ask) -> &str {
    ask.setting("url").map_or(API, |url| url.trim_end_matches('/'))
}

impl App for AdminEvents {
    const NAME: &'static str = "box_admin_events";
    const DESCRIPTION: &'static str =
        "Events of an enterprise at Box: logins, shares, downloads, changes of users and policies";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret(
            "keyfile",
            "The JSON file of settings of an application with server authentication (JWT), its content",
        ),
        Setting::plain("url", "Of a proxy, instead of Box's own host").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["api.box.com", "{url}"];
    const LOGS: &'static [&'static str] = &["box:admin_events"];

    fn validate(settings: &Settings) -> Vec<Fault> {
        match Application::read(settings.get("keyfile").unwrap_or_default()) {
            Ok(_) => vec![],
            Err(why) => vec![Fault::new("keyfile", why)],
        }
    }

    fn poll(ask: &Ask, http: &dyn Http) -> Result<Page, Stop> {
        let mut cursor: Cursor = ask.cursor()?.unwrap_or_default();
        let application = Application::read(ask.required("keyfile")).map_err(|why| reject(format!("keyfile {why}")))?;
        let token = application.token(ask, http)?;
        let from = (cursor.newest - OVERLAP).max(ask.since - cursor.early);
        let mut request = Request::get(format!("{}/2.0/events", api(ask)))
            .bearer(&token)
            .query("stream_type", "admin_logs")
            .query("limit", &LIMIT.to_string());
        request = match &cursor.position {
            Some(position) => request.query("stream_position", position),
            None => request.query("created_after", &time::rfc3339(from)),
        };
        let answer = http.send(request);
        if let Ok(refused) = &answer
            && refused.status == 400
            && cursor.position.is_some()
        {
            log::warn("Box does not know the place any more where its events went on; they are asked for by time");
            cursor.position = None;
            return Ok(page([]).cursor(&cursor).more(true));
        }
        let answer = fetched(answer)?;
        // The host's clock is ahead, and with it the second from which on logs are wanted: they are asked for from an earlier one.
        let ahead = time::ahead(&answer, ask.now);
        if ask.cursor.is_none() && ahead > 0 {
            cursor.newest = (ask.since - ahead + OVERLAP).max(1);
            cursor.early = ahead;
            return Ok(page([]).cursor(&cursor).more(true));
        }
        let mut events = logs_in(&answer, &["entries"])?;
        let came = !events.is_empty();
        let newest = events.iter().filter_map(|event| time::seconds(&event.text("created_at"))).max();
        cursor.newest = cursor.newest.max(newest.unwrap_or(0));
        events.retain(|event| {
            let id = event.text("event_id");
            id.is_empty() || cursor.seen.is_new(&id, cursor.newest)
        });
        cursor.seen.forget(cursor.newest - 2 * OVERLAP);
        let next = answer_text(&answer, &["next_stream_position"])?;
        // Where nothing comes, there is no more; the place stays as it is.
        let more = came && next.is_some() && next != cursor.position;
        if next.is_some() {
            cursor.position = next;
        }
        Ok(page(events).cursor(&cursor).more(more))
    }
}

export_apps!(AdminEvents);

#[cfg(test)]
mod tests {
    use super::*;

    const ENCRYPTED: &str = include_str!("../../../../rule-sdk/rust-app/testdata/des.pem");

    fn keyfile() -> Value {
        json!({
            "boxAppSettings": {
                "clientID": "c1ient", "clientSecret": "s3cret",
                "appAuth": {"publicKeyID": "k1", "privateKey": ENCRYPTED, "passphrase": "hunter2"}
            },
            "enterpriseID": "801234"
        })
    }

    fn poller() -> Poller<AdminEvents> {
        Poller::new().with("keyfile", keyfile().to_string())
    }

    fn event(id: &str) -> Value {
        json!({"event_id": id, "event_type": "LOGIN", "created_at": "2026-01-02T03:30:00-08:00", "type": "event"})
    }

    fn token() -> Value {
        json!({"access_token": "t0ken", "expires_in": 4000, "token_type": "bearer"})
    }

    fn entries(events: &[&str], next: Value) -> Value {
        json!({"chunk_size": events.len(), "next_stream_position": next, "entries": events.iter().map(|id| event(id)).collect::<Vec<_>>()})
    }

    fn ids(logs: &[String]) -> Vec<String> {
        logs.iter().map(|log| Log::parse(log).unwrap().text("event_id")).collect()
    }

    #[test]
    fn it_goes_on_where_box_says() {
        let http = FakeHttp::new()
            .json(200, token())
            .json(200, entries(&["a", "b"], json!("1152922976252290886")))
            .json(200, token())
            .json(200, entries(&[], json!("1152922976252290886")))
            .json(200, token())
            .json(200, entries(&["b", "c"], json!(1152922976252290999i64)))
            .json(200, token())
            .json(200, entries(&[], json!(1152922976252290999i64)));
        let mut poller = poller();
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["a", "b"]);
        assert_eq!(ids(&poller.poll_all(&http).unwrap()), ["c"]);
        let requests = http.requests();
        assert!(requests[1].url.ends_with("&created_after=2026-01-02T11%3A00%3A00Z"), "{}", requests[1].url);
        assert!(requests[7].url.ends_with("&stream_position=1152922976252290999"), "{}", requests[7].url);
        let form = requests[0].body_form();
        assert_eq!((form[1].1.as_str(), form[2].1.as_str()), ("c1ient", "s3cret"));
        let parts: Vec<Value> = form[3]
            .1
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&sign::unbase64_url(part).unwrap()).unwrap())
            .collect();
        assert_eq!(
            (&parts[0]["alg"], &parts[0]["kid"], &parts[1]["sub"]),
            (&json!("RS512"), &json!("k1"), &json!("801234"))
        );
        assert!(
            requests
                .iter()
                .filter(|request| request.method == "POST")
                .map(|r| r.body_text().into_owned())
                .collect::<std::collections::BTreeSet<_>>()
                .len()
                >= 3,
            "no two assertions alike"
        );
    }

    #[test]
    fn a_place_that_is_gone_costs_nothing() {
        let http = FakeHttp::new()
            .json(200, token())
            .json(200, entries(&["a"], json!("old")))
            .json(200, token())
            .json(400, json!({"code": "bad_request"}))
            .json(200, token())
            .json(200, entries(&["a", "b"], json!("new")))
            .json(200, token())
            .json(200, entries(&[], json!("new")));
        assert_eq!(ids(&poller().poll_all(&http).unwrap()), ["a", "b"]);
    }

    #[test]
    fn a_clock_that_is_wrong_is_set_by_boxs() {
        let http = FakeHttp::new()
            .json(400, json!({"error": "invalid_grant", "error_description": "Please check the 'exp' claim."}))
            .header("Date", "Fri, 02 Jan 2026 11:00:00 GMT")
            .json(200, token())
            .json(429, json!({}))
            .header("Retry-After", "20");
        let stop = poller().poll(&http).unwrap_err();
        assert!(matches!(stop, Stop::Retry { after: Some(20), .. }), "{stop:?}");
    }

    #[test]
    fn settings_are_checked_without_showing_them() {
        let check = |keyfile: String, expected: &str| {
            let faults = validate::<AdminEvents>(&Settings::new().with("keyfile", keyfile));
            assert!(faults.len() == 1 && faults[0].message.contains(expected), "{faults:?}");
            assert!(!faults[0].message.contains("hunter"), "{faults:?}");
        };
        check("/home/me/box.json".into(), "not its path");
        check("{}".into(), "has no boxAppSettings.appAuth.privateKey");
        let mut wrong = keyfile();
        wrong["boxAppSettings"]["appAuth"]["passphrase"] = "hunter3".into();
        check(wrong.to_string(), "cannot be decrypted");
        assert_eq!(validate::<AdminEvents>(poller().settings()), []);
    }
}
