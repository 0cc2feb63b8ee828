//! Alerts start workflows of Rapid7 InsightConnect, which was Komand: its API trigger.

#[cfg(test)]
mod tests;

use brief::answer_or;
use streamalert_output_sdk::prelude::*;

struct Komand;

impl Output for Komand {
    const SERVICE: &'static str = "komand";
    const DESCRIPTION: &'static str = "Starts a workflow by its API trigger, with the publication as `data`";
    const SETTINGS: &'static [Setting] = &[
        Setting::secret("url", "URL of the API trigger"),
        Setting::secret("komand_auth_token", "Key for X-Api-Key; of a Komand server, what goes into `Authorization`"),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let url = parcel.required("url");
        let is_cloud = Url::parse(url).is_ok_and(|url| url.host().ends_with(".rapid7.com"));
        let request = Request::post(url)
            .header(if is_cloud { "X-Api-Key" } else { "Authorization" }, parcel.required("komand_auth_token"))
            .json(&json!({"data": parcel.shown()}));
        let hints = [(401, "`komand_auth_token`"), (403, "what `komand_auth_token` may do"), (404, "`url`")];
        answer_or(http.send(request), &hints)
    }
}

export_output!(Komand);
