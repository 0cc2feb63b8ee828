//! How an alert is handed over: settings that are read alike, answers, and messages of several parts.

use streamalert_output_sdk::prelude::*;

/// A status and the setting that is to blame for it.
pub type Hint = (u16, &'static str);

/// [`accepted`], and whoever reads a refusal learns which setting to look at.
pub fn accepted_or(result: Result<Response, Failure>, hints: &[Hint]) -> Result<Response, Disposition> {
    let status = result.as_ref().map(|response| response.status).unwrap_or_default();
    accepted(result).map_err(|disposition| match disposition {
        Disposition::Reject(reason) => match hints.iter().find(|(known, _)| *known == status) {
            Some((_, setting)) => Disposition::Reject(format!("{reason}; check {setting}")),
            None => Disposition::Reject(reason),
        },
        other => other,
    })
}

/// [`answer`], and whoever reads a refusal learns which setting to look at.
pub fn answer_or(result: Result<Response, Failure>, hints: &[Hint]) -> Disposition {
    match accepted_or(result, hints) {
        Ok(_) => Disposition::Delivered(None),
        Err(other) => other,
    }
}

/// Sends what is left of a message in several parts. What did not get through goes on at its part the next time, so that no
/// part arrives twice that the service said it has.
pub fn send_parts(
    parcel: &Parcel,
    http: &dyn Http,
    parts: Vec<Request>,
    read: impl Fn(Result<Response, Failure>) -> Disposition,
) -> Disposition {
    let count = parts.len();
    let done = parcel.progress.as_deref().and_then(|done| done.parse().ok()).unwrap_or(0usize);
    let mut last = Disposition::Delivered(None);
    for (index, part) in parts.into_iter().enumerate().skip(done) {
        last = match read(http.send(part)) {
            Disposition::Delivered(place) => Disposition::Delivered(place),
            other if index == 0 => return other,
            Disposition::Reject(reason) => {
                return Disposition::Reject(format!("part {} of {count} is refused: {reason}", index + 1));
            }
            other => return other.progress(index.to_string()),
        };
    }
    last
}

/// The URL that paths are put behind: that of a setting, without slashes at its end, or the service's own.
pub fn base<'a>(parcel: &'a Parcel, setting: &str, default: &'a str) -> &'a str {
    parcel.setting(setting).unwrap_or(default).trim_end_matches('/')
}

/// Whether a setting that asks for yes or no says yes.
pub fn yes(parcel: &Parcel, setting: &str) -> bool {
    parcel.setting(setting).is_some_and(|value| ["yes", "true", "1", "on"].contains(&value.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Nothing;

    fn parts() -> Vec<Request> {
        ["a", "b", "c"].map(|part| Request::post(format!("https://x.example/{part}"))).into()
    }

    #[test]
    fn parts_go_on_where_they_stopped() {
        let mut parcel = Parcel::sample::<Nothing>(json!({}));
        let http =
            FakeHttp::new().answer(200, "").answer(503, "").answer(200, "").fail(FailureKind::Broken).answer(200, "");
        let first = send_parts(&parcel, &http, parts(), answer);
        assert_eq!(first, retry("answered 503 Service Unavailable").progress("1"));
        parcel.progress = Some("1".into());
        assert_eq!(send_parts(&parcel, &http, parts(), answer), retry("the connection broke").progress("2"));
        parcel.progress = Some("2".into());
        assert_eq!(send_parts(&parcel, &http, parts(), answer), Disposition::Delivered(None));
        let urls: String =
            http.requests().iter().map(|request| request.url.rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(urls, "abbcc");
    }

    #[test]
    fn a_refusal_says_what_to_look_at() {
        let http = FakeHttp::new().answer(401, "").answer(200, "").answer(400, "bad");
        let read = |result| answer_or(result, &[(401, "`token`")]);
        let parcel = Parcel::sample::<Nothing>(json!({}));
        let told = |disposition| match disposition {
            Disposition::Reject(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(told(send_parts(&parcel, &http, parts(), read)), "answered 401 Unauthorized; check `token`");
        assert_eq!(
            told(send_parts(&parcel, &http, parts(), read)),
            "part 2 of 3 is refused: answered 400 Bad Request: bad"
        );
    }
}
