//! Calls of CrowdStrike's API, with a token made from the client's id and secret.

use streamalert_app_sdk::prelude::*;

/// Seconds to wait when nobody says how long: limits are counted by the minute.
const LIMITED: u32 = 60;

pub struct Api<'a> {
    ask: &'a Ask,
    http: &'a dyn Http,
    token: String,
    /// What the API client has to have.
    scope: &'static str,
}

pub enum Answer {
    Good(Response),
    /// The request is no good, for this reason.
    Wrong(String),
}

impl<'a> Api<'a> {
    pub fn log_in(ask: &'a Ask, http: &'a dyn Http, scope: &'static str) -> Result<Self, Stop> {
        let mut form = vec![("client_id", ask.required("client_id")), ("client_secret", ask.required("client_secret"))];
        if let Some(member) = ask.setting("member_cid") {
            form.push(("member_cid", member));
        }
        let mut api = Api { ask, http, token: String::new(), scope };
        let answer = http.send(Request::post(format!("{}/oauth2/token", ask.base("url"))).form(form));
        match api.answered(answer)? {
            Answer::Good(answer) => {
                api.token = answer_text(&answer, &["access_token"])?
                    .ok_or_else(|| retry("CrowdStrike gave no access token, and no reason"))?;
                Ok(api)
            }
            Answer::Wrong(reason) => {
                Err(reject(format!("{reason}: are `client_id` and `client_secret` those of an API client?")))
            }
        }
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, Stop> {
        let url = format!("{}{path}", self.ask.base("url"));
        self.answered(self.http.send(Request::post(url).bearer(&self.token).json(body)))
    }

    pub fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<Answer, Stop> {
        let request = Request::get(format!("{}{path}", self.ask.base("url"))).bearer(&self.token);
        let request = parameters.iter().fold(request, |request, (name, value)| request.query(name, value));
        self.answered(self.http.send(request))
    }

    fn answered(&self, answer: Result<Response, Failure>) -> Result<Answer, Stop> {
        let Ok(told) = &answer else { return fetched(answer).map(Answer::Good) };
        let said = |error: &Value| {
            let code = error["code"].as_u64().unwrap_or(u64::from(told.status));
            (code, format!("CrowdStrike answers {code}: {}", error["message"].as_str().unwrap_or_default()))
        };
        let error = told.json().map(|json| json["errors"][0].clone()).unwrap_or_default();
        match told.status {
            429 => {
                let wait = time::wait_until(told, "x-ratelimit-retryafter", self.ask.now).or(told.retry_after());
                Err(retry("CrowdStrike's limit of requests is reached").after(wait.unwrap_or(LIMITED)))
            }
            301 | 302 | 307 | 308 => Err(reject(format!(
                "the customer is in another cloud: set `url` to that of {}",
                told.header("x-cs-region").unwrap_or("the address of its Falcon console")
            ))),
            401 | 403 => {
                let advice = match self.token.is_empty() {
                    true => "is `url` that of the customer's cloud, and the API client still there?".to_owned(),
                    false => format!("the API client needs the scope `{}`", self.scope),
                };
                Err(reject(format!("{}: {advice}", said(&error).1)))
            }
            400 | 404 | 410 | 422 => Ok(Answer::Wrong(said(&error).1)),
            // Some failures come with what there is and status 200.
            200..=299 if !error.is_null() => match said(&error) {
                (400 | 404 | 410 | 422, reason) => Ok(Answer::Wrong(reason)),
                (401 | 403, reason) => Err(reject(reason)),
                (_, reason) => Err(retry(reason)),
            },
            _ => fetched(answer).map(Answer::Good),
        }
    }
}
