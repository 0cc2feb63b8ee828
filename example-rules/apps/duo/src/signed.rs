//! Requests signed as Duo asks for it; docs: "Admin API", "Authentication".

use streamalert_app_sdk::prelude::*;

pub const SETTINGS: &[Setting] = &[
    Setting::plain("api_hostname", "Of the Admin API application: api-xxxxxxxx.duosecurity.com"),
    Setting::plain(
        "integration_key",
        "Of the Admin API application, which needs the permission `Grant read log`: 20 characters",
    ),
    Setting::secret("secret_key", "Of the Admin API application: 40 characters"),
];
/// Seconds to wait when requests are limited: limits are counted by the minute.
const LIMITED: u32 = 60;

pub fn validate(settings: &Settings) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, length) in [("integration_key", 20), ("secret_key", 40)] {
        let value = settings.get(name).unwrap_or_default();
        if value.len() != length || !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            faults.push(Fault::new(name, format!("is {length} letters and digits")));
        }
    }
    faults
}

pub struct Duo<'a> {
    ask: &'a Ask,
    http: &'a dyn Http,
}

impl<'a> Duo<'a> {
    pub fn of(ask: &'a Ask, http: &'a dyn Http) -> Self {
        Duo { ask, http }
    }

    /// Parameters in the order of their names, as they are signed.
    pub fn get(&self, path: &str, mut parameters: Vec<(&str, String)>) -> Result<Response, Stop> {
        parameters.sort();
        let query: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", percent(name), percent(value))).collect();
        let query = query.join("&");
        let mut answer = self.http.send(self.request(path, &query, self.ask.now));
        // Duo refuses a time that is not its own; its answer says what that is.
        if let Ok(refused) = &answer
            && refused.status == 401
            && let Some(theirs) = time::date(refused).filter(|theirs| theirs.abs_diff(self.ask.now) > 30)
        {
            answer = self.http.send(self.request(path, &query, theirs));
        }
        match &answer {
            Ok(limited) if limited.status == 429 => {
                Err(retry("Duo's limit of requests is reached").after(limited.retry_after().unwrap_or(LIMITED)))
            }
            _ => fetched(answer),
        }
    }

    fn request(&self, path: &str, query: &str, now: i64) -> Request {
        let base = self.ask.base("api_hostname");
        let host = base.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default().to_lowercase();
        let date = time::to_http_date(now).replace("GMT", "-0000");
        let text = format!("{date}\nGET\n{host}\n{path}\n{query}");
        let signature = sign::hex(&sign::hmac_sha1(self.ask.required("secret_key").as_bytes(), text.as_bytes()));
        Request::get(format!("{base}{path}?{query}"))
            .header("Date", date)
            .basic(self.ask.required("integration_key"), &signature)
    }
}
