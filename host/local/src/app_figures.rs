//! What `GET /metrics` tells of apps: what each fetched in this run, and how long ago it came to the end of what there was.

use crate::app_table::SqliteApps;
use crate::apps::TurnError;
use crate::clock::millis;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_delivery::metrics::escaped;
use streamalert_pipeline::apps::{Ended, Turned};
use streamalert_pipeline::backend::AppTable;
use streamalert_pipeline::time::Millis;

pub struct AppFigures {
    table: Arc<SqliteApps>,
    apps: Mutex<BTreeMap<String, Figures>>,
}

#[derive(Clone, Copy, Default)]
struct Figures {
    pages: u64,
    logs: u64,
    failures: u64,
}

impl AppFigures {
    pub fn new<'a>(table: Arc<SqliteApps>, apps: impl Iterator<Item = &'a String>) -> Self {
        AppFigures { table, apps: Mutex::new(apps.map(|app| (app.clone(), Figures::default())).collect()) }
    }

    /// Counts as the function on AWS does: what is refused and what cannot begin are failures, too.
    pub fn count(&self, app: &str, turned: &Result<Turned, TurnError>) {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let figures = apps.entry(app.to_owned()).or_default();
        let failed = match turned {
            Ok(turned) => {
                figures.pages += turned.pages;
                figures.logs += turned.logs;
                matches!(turned.ended, Ended::Failed { .. } | Ended::Rejected { .. })
            }
            Err(_) => true,
        };
        figures.failures += u64::from(failed);
    }

    pub fn text(&self) -> String {
        // What cannot be read is not told; a run says so where it has its turns.
        let states = self.table.all().unwrap_or_default();
        let apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let succeeded = |app: &String| states.get(app).and_then(|state| state.succeeded);
        text(&apps, |app| succeeded(app).map(|at| (millis() - at).max(0)))
    }
}

fn text(apps: &BTreeMap<String, Figures>, age: impl Fn(&String) -> Option<Millis>) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&String, &Figures) -> Option<String>| {
        let _ = writeln!(text, "# HELP streamalert_app_{name} {help}\n# TYPE streamalert_app_{name} {kind}");
        for (app, figures) in apps {
            if let Some(value) = value(app, figures) {
                let _ = writeln!(text, "streamalert_app_{name}{{app=\"{}\"}} {value}", escaped(app));
            }
        }
    };
    family("pages_total", "counter", "Pages that an app fetched.", &|_, app| Some(app.pages.to_string()));
    family("logs_total", "counter", "Logs that an app fetched.", &|_, app| Some(app.logs.to_string()));
    family("failures_total", "counter", "Turns of an app that failed, were refused or could not begin.", &|_, app| {
        Some(app.failures.to_string())
    });
    family("seconds_since_success", "gauge", "Since an app came to the end of what there was.", &|app, _| {
        age(app).map(|age| format!("{}", age as f64 / 1e3))
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_has_its_figures() {
        let folder = tempfile::tempdir().unwrap();
        let table = Arc::new(SqliteApps::open(&folder.path().join("apps.sqlite")).unwrap());
        let figures = AppFigures::new(table, [&"okta".to_owned(), &"quiet".to_owned()].into_iter());
        let turned = |ended| Ok(Turned { pages: 2, logs: 30, ended });
        figures.count("okta", &turned(Ended::Done));
        figures.count("okta", &turned(Ended::Rejected { reason: "401".into() }));
        figures.count("okta", &Err(TurnError::NotReady("no token".into())));
        let apps = figures.apps.lock().unwrap().clone();
        let text = text(&apps, |app| (app == "okta").then_some(1_500));
        for line in [
            "streamalert_app_pages_total{app=\"okta\"} 4",
            "streamalert_app_logs_total{app=\"okta\"} 60",
            "streamalert_app_failures_total{app=\"okta\"} 2",
            "streamalert_app_failures_total{app=\"quiet\"} 0",
            "streamalert_app_seconds_since_success{app=\"okta\"} 1.5",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}: {text}");
        }
        assert!(!text.contains("since_success{app=\"quiet\"}"), "it never came to an end");
    }
}
