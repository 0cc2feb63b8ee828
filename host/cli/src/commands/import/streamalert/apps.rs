//! Apps that fetched logs: which there were, of what type, and how often. Their credentials lay in the parameter store.

use super::report::Note;
use serde_json::{Map, Value, json};
use streamalert_pipeline::config::apps::{FILE, read};

/// Types that are called the same here.
const SAME: [&str; 13] = [
    "aliyun_actiontrail",
    "box_admin_events",
    "duo_admin",
    "duo_auth",
    "intercom_admin_activity_logs",
    "onelogin_events",
    "salesforce_console",
    "salesforce_login",
    "salesforce_loginas",
    "salesforce_report",
    "salesforce_reportexport",
    "slack_access",
    "slack_integration",
];

/// The apps of a cluster file, `file`, by the names that its data sources have, each switched off until it has its credentials.
pub fn apps(file: &str, modules: &Map<String, Value>, apps: &mut Map<String, Value>, notes: &mut Vec<Note>) {
    for (name, app) in modules.get("streamalert_apps").and_then(Value::as_object).into_iter().flatten() {
        let mut note = |message: String| notes.push(Note::new(file.to_owned(), message));
        let theirs = app["type"].as_str().unwrap_or_default();
        let (kind, settings) = match theirs.strip_prefix("gsuite_") {
            Some(application) => ("gsuite_reports", json!({"application": application})),
            None if SAME.contains(&theirs) => (theirs, json!({})),
            None => {
                note(format!(
                    "the app {name} is left out: there is no type `{theirs}`; `streamalert new app` begins one"
                ));
                continue;
            }
        };
        let schedule = app["schedule_expression"].as_str().unwrap_or("rate(5 minutes)");
        let ours = json!({"type": kind, "schedule": schedule, "enabled": false, "settings": settings});
        match read(FILE, &json!({ name: ours }).to_string()) {
            Ok(_) => {
                apps.insert(name.clone(), ours);
                note(format!(
                    "the app {name} comes along without its credentials, and switched off: `streamalert app new {name} --type {kind} --replace` asks for them"
                ));
            }
            Err(faults) => {
                let told: Vec<&str> = faults.0.iter().map(|fault| fault.message.as_str()).collect();
                note(format!("the app {name} is left out: {}", told.join("; ")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_come_along_without_their_credentials() {
        let modules = json!({"streamalert_apps": {
            "p_prod_duo_auth_x_app": {"app_name": "x", "type": "duo_auth", "schedule_expression": "rate(2 hours)", "timeout": 60},
            "p_prod_gsuite_login_y_app": {"type": "gsuite_login"},
            "p_prod_other_z_app": {"type": "other"},
            "p_prod_slack_w_app": {"type": "slack_access", "schedule_expression": "often"},
        }});
        let (mut found, mut notes) = (Map::new(), Vec::new());
        apps("conf/clusters/prod.json", modules.as_object().unwrap(), &mut found, &mut notes);
        let text = Value::Object(found.clone()).to_string();
        assert_eq!(read(FILE, &text).unwrap().len(), 2);
        assert_eq!(found["p_prod_duo_auth_x_app"]["schedule"], "rate(2 hours)");
        let gsuite = &found["p_prod_gsuite_login_y_app"];
        assert_eq!((&gsuite["type"], &gsuite["settings"]["application"]), (&json!("gsuite_reports"), &json!("login")));
        assert_eq!(notes.len(), 4);
    }
}
