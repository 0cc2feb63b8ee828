//! Alerts go out as mails, by the HTTP API of a mail service.

mod mail;
mod service;
mod sigv4;
#[cfg(test)]
mod tests;

use mail::Mail;
use streamalert_output_sdk::prelude::*;

struct Email;

impl Output for Email {
    const SERVICE: &'static str = "email";
    const DESCRIPTION: &'static str = "Sends a mail by SendGrid, Mailgun, Postmark or Amazon SES";
    const SETTINGS: &'static [Setting] = &[
        Setting::plain("api", "sendgrid, mailgun, postmark or ses"),
        Setting::plain("from", "Sender: streamalert@example.com, or StreamAlert <streamalert@example.com>"),
        Setting::plain("to", "Recipients, with commas between"),
        Setting::plain(
            "url",
            "https://api.sendgrid.com, https://api.mailgun.net, https://api.postmarkapp.com, or those of other regions: \
             https://api.eu.sendgrid.com, https://api.eu.mailgun.net, https://email.eu-west-1.amazonaws.com",
        ),
        Setting::secret("api_key", "API key; of Postmark the token of the server").optional(),
        Setting::plain("domain", "Of Mailgun: the domain that sends").optional(),
        Setting::plain("message_stream", "Of Postmark: the stream [default: outbound]").optional(),
        Setting::secret("access_key_id", "Of SES: access key of a user that may ses:SendEmail").optional(),
        Setting::secret("secret_access_key", "Of SES: what belongs to the access key").optional(),
        Setting::secret("session_token", "Of SES: for temporary keys").optional(),
        Setting::plain("region", "Of SES: if the host of `url` does not name it").optional(),
    ];
    const HOSTS: &'static [&'static str] = &["{url}"];

    fn validate(settings: &Settings) -> Vec<Fault> {
        let mut faults = Vec::new();
        let needed: &[&str] = match settings.get("api").unwrap_or_default() {
            "sendgrid" | "postmark" => &["api_key"],
            "mailgun" => &["api_key", "domain"],
            "ses" => &["access_key_id", "secret_access_key"],
            _ => {
                faults.push(Fault::new("api", "is sendgrid, mailgun, postmark or ses"));
                &[]
            }
        };
        let missing = needed.iter().filter(|name| settings.get(name).is_none());
        faults.extend(missing.map(|name| Fault::new(*name, "is required for this `api`")));
        if settings.get("api") == Some("ses") && service::region(settings).is_none() {
            faults.push(Fault::new("region", "is required, since the host of `url` names none"));
        }
        if settings
            .get("domain")
            .is_some_and(|domain| !domain.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
        {
            faults.push(Fault::new("domain", "is the name of a domain"));
        }
        let is_address = |text: &str| {
            let address = mail::Address::of(text);
            address.email.split_once('@').is_some_and(|(user, domain)| !user.is_empty() && domain.contains('.'))
                && !address.email.chars().any(|c| c.is_whitespace() || c.is_control() || "<>,;\"".contains(c))
                && !address.name.chars().any(|c| c.is_control() || "<>\"".contains(c))
        };
        for (setting, several) in [("from", false), ("to", true)] {
            let value = settings.get(setting).unwrap_or_default();
            let parts: Vec<&str> = if several { value.split(',').collect() } else { vec![value] };
            if let Some(bad) = parts.iter().find(|part| !is_address(part)) {
                faults.push(Fault::new(setting, format!("`{}` is no address", plain(bad.trim()))));
            }
        }
        if settings.get("to").is_some_and(|to| to.split(',').count() > service::RECIPIENTS_MAX) {
            faults.push(Fault::new(
                "to",
                format!("has more than {} recipients; name a list instead", service::RECIPIENTS_MAX),
            ));
        }
        faults
    }

    fn deliver(parcel: &Parcel, http: &dyn Http) -> Disposition {
        let mail = Mail::of(parcel);
        let request = match service::request(parcel, &mail) {
            Ok(request) => request,
            Err(reason) => return Disposition::reject(reason),
        };
        service::read(parcel, http.send(request))
    }
}

export_output!(Email);
