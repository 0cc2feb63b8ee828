//! Calls of OneLogin's API, with a token made from the client's id and secret.

use streamalert_app_sdk::prelude::*;

/// Seconds to wait when nobody says how long: limits are counted by the hour.
const LIMITED: u32 = 600;

pub struct Api<'a> {
    http: &'a dyn Http,
    base: String,
    token: String,
}

impl<'a> Api<'a> {
    pub fn log_in(ask: &Ask, http: &'a dyn Http) -> Result<Self, Stop> {
        let base = ask.base("url");
        let request = Request::post(format!("{base}/auth/oauth2/v2/token"))
            .basic(ask.required("client_id"), ask.required("client_secret"))
            .json(&json!({"grant_type": "client_credentials"}));
        let mut api = Api { http, base, token: String::new() };
        let answer = api.answered(http.send(request), "make new API credentials that may `Read All`")?;
        api.token = answer_text(&answer, &["access_token"])?
            .ok_or_else(|| retry("OneLogin gave no access token, and no reason"))?;
        Ok(api)
    }

    pub fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Response, Stop> {
        let mut request = self.to(path);
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        self.answered(self.http.send(request), "the API credentials have to be of the kind `Read All`")
    }

    fn to(&self, path: &str) -> Request {
        Request::get(format!("{}{path}", self.base)).header("Authorization", format!("bearer:{}", self.token))
    }

    fn answered(&self, answer: Result<Response, Failure>, advice: &str) -> Result<Response, Stop> {
        if let Ok(answer) = &answer {
            let status = answer.json().map(|json| json["status"].clone()).unwrap_or_default();
            let said = status["message"].as_str().unwrap_or_default();
            // Some answers say only in the body what became of the request.
            let code = match status["code"].as_u64() {
                Some(code) if answer.is_success() && status["error"] == true => code as u16,
                _ => answer.status,
            };
            if code == 429 || (code == 400 && said.to_lowercase().contains("rate limit")) {
                return Err(retry("OneLogin's limit of requests is reached").after(self.wait(answer)));
            }
            if matches!(code, 401 | 403) {
                return Err(reject(format!("OneLogin refuses the credentials ({code}: {said}): {advice}")));
            }
            if code >= 500 {
                return Err(retry(format!("OneLogin answers {code}: {said}")).after(answer.retry_after()));
            }
            if code >= 400 && answer.is_success() {
                return Err(reject(format!("OneLogin answers {code}: {said}")));
            }
        }
        fetched(answer)
    }

    /// Seconds until the limit is over: by a header, or by what the service says when asked.
    fn wait(&self, limited: &Response) -> u32 {
        let seconds = |text: &str| text.trim().parse::<u32>().ok();
        if let Some(wait) = limited.header("x-ratelimit-reset").and_then(seconds).or(limited.retry_after()) {
            return wait.clamp(1, 3600);
        }
        if self.token.is_empty() {
            return LIMITED;
        }
        let told = self.http.send(self.to("/auth/rate_limit")).ok();
        let told = told.and_then(|answer| answer_text(&answer, &["data", "X-RateLimit-Reset"]).ok().flatten());
        told.as_deref().and_then(seconds).unwrap_or(LIMITED).clamp(1, 3600)
    }
}
