//! Alerts go to any web server as JSON, signed if there is a key.

use streamalert_output_sdk::prelude::*;

struct Webhook;

impl Output for Webhook {
    const SERVICE: &'static str = "webhook";
    const DESCRIPTION: &'static str = "Posts the publication as JSON to a URL of your choice";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("url", "Where to post to"),
        Setting::secret("token", "Sent as `Authorization: Bearer`").optional(),
        Setting::secret("signing_key", "Key of the HMAC in `X-StreamAlert-Signature`").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let body = Value::Object(parcel.shown()).to_string();
        // The time is signed too, so that a request that was overheard cannot be sent again much later.
        let signed = parcel
            .setting("signing_key")
            .map(|key| sign::hex(&sign::hmac_sha256(key.as_bytes(), format!("{}.{body}", parcel.now).as_bytes())));
        let mut request = Request::post(parcel.required("url"))
            .bytes("application/json", body)
            .header("Idempotency-Key", &parcel.idempotency_key);
        if let Some(token) = parcel.setting("token") {
            request = request.bearer(token);
        }
        if let Some(signature) = signed {
            request = request.header("X-StreamAlert-Signature", format!("t={},v1={signature}", parcel.now));
        }
        answer(http.send(request))
    }
}

export_output!(Webhook);

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel() -> Parcel {
        Parcel::sample::<Webhook>(json!({"title": "Root <logged in>"})).with("url", "https://hooks.example/T0?k=1")
    }

    #[test]
    fn the_publication_is_posted_without_what_is_said_to_other_outputs() {
        let http = FakeHttp::new().answer(204, "");
        let parcel = parcel().publish("@slack.text", "Hi").with("token", "t0ken");
        assert_eq!(Webhook::deliver(&parcel, &http), Disposition::Delivered(None));
        let request = &http.requests()[0];
        assert_eq!((request.method, request.url.as_str()), ("POST", "https://hooks.example/T0?k=1"));
        assert_eq!(request.body_json()["title"], "Root <logged in>");
        assert_eq!(request.body_json().get("@slack.text"), None);
        assert_eq!(request.header_value("authorization"), Some("Bearer t0ken"));
        assert_eq!(request.header_value("idempotency-key"), Some(parcel.idempotency_key.as_str()));
        assert_eq!(request.header_value("x-streamalert-signature"), None);
    }

    #[test]
    fn the_receiver_can_tell_who_it_is_from() {
        let http = FakeHttp::new().answer(200, "");
        Webhook::deliver(&parcel().with("signing_key", "k3y"), &http);
        let request = &http.requests()[0];
        let text = format!("1767323100.{}", request.body_text());
        let expected = format!("t=1767323100,v1={}", sign::hex(&sign::hmac_sha256(b"k3y", text.as_bytes())));
        assert_eq!(request.header_value("x-streamalert-signature"), Some(expected.as_str()));
    }

    #[test]
    fn a_url_is_needed() {
        assert_eq!(validate::<Webhook>(&Settings::new()), [Fault::new("url", "is required")]);
        assert_eq!(validate::<Webhook>(parcel().settings()), []);
    }
}
