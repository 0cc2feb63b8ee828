//! Every output that is shipped, as a component in the real host, over real connections, against every way that a service
//! can behave: nothing is lost, nothing is tried that was refused for good, and nothing is there twice where the service
//! takes a key.

use crate::vendors::services::{ROUTING_KEY, SIGNING_KEY, TOKEN};
use crate::vendors::{Behaviour, Kept, Vendors};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};
use streamalert_egress::{Egress, HostRule, Policy};
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::alert_processor::publication::default_publication;
use streamalert_pipeline::plugin::{
    Disposition, HttpFailure, HttpRequest, HttpResponse, OutputPlugin, Outside, Parcel, PluginSet,
};
use streamalert_plugins::{Host, HostConfig, LoadCheck, PluginFolder};

/// How long one attempt may take here: shorter than a slow service takes.
const PATIENCE: Duration = Duration::from_secs(2);
const NOW: u64 = 1_767_323_100;

static PLUGINS: LazyLock<PluginSet> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/guests/example-rules");
    assert!(folder.is_dir(), "there are no components in {}: `make guests` builds them", folder.display());
    let mut plugins = PluginFolder::new(Host::new(HostConfig::default()).unwrap());
    plugins.load(&folder, &LoadCheck::any_log()).unwrap().set
});

static EGRESS: LazyLock<Egress> = LazyLock::new(|| Egress::new().unwrap());

/// An output and the service that it is configured for.
struct Case {
    service: &'static str,
    /// Of the server in [`crate::vendors`].
    vendor: &'static str,
    settings: Vec<(String, String)>,
    /// A repeat whose first try was kept is known by its key, at once or by looking.
    once: bool,
}

fn case(vendors: &Vendors, service: &'static str, vendor: &'static str, once: bool, settings: &[(&str, &str)]) -> Case {
    let url = vendors.url(vendor);
    let settings = settings.iter().map(|(name, value)| (name.to_string(), value.replace("URL", &url))).collect();
    Case { service, vendor, settings, once }
}

fn cases(vendors: &Vendors) -> Vec<Case> {
    let case = |service, vendor, once, settings: &[(&str, &str)]| case(vendors, service, vendor, once, settings);
    let mail = |api: &'static str, more: &[(&'static str, &'static str)]| {
        let both = [("api", api), ("url", "URL"), ("from", "StreamAlert <a@example.com>"), ("to", "sec@example.com")];
        case("email", api, false, &[&both[..], more].concat())
    };
    let jira = [
        ("url", "URL"),
        ("project_key", "SEC"),
        ("issue_type", "Task"),
        ("username", "bot@example.com"),
        ("api_token", TOKEN),
    ];
    vec![
        case("slack", "slack", false, &[("url", "URL/services/T0/B0/x")]),
        case("discord", "discord", false, &[("url", "URL/webhooks/1/x")]),
        case("teams", "teams", false, &[("url", "URL/workflows/1/triggers/manual/paths/invoke?sig=x")]),
        case("pagerduty-v2", "pagerduty", true, &[("url", "URL"), ("routing_key", ROUTING_KEY)]),
        case("opsgenie", "opsgenie", true, &[("url", "URL"), ("api_key", TOKEN)]),
        case(
            "victorops",
            "victorops",
            true,
            &[("url", "URL/integrations/generic/20131114/alert/k/$routing_key"), ("routing_key", "database")],
        ),
        case("jira", "jira", true, &jira),
        case("jira", "jira", true, &[&jira[..], &[("aggregate", "yes")]].concat()),
        case("jira", "jira", true, &[&jira[..], &[("api_version", "2")]].concat()),
        case("github", "github", true, &[("url", "URL"), ("repository", "northwind/alerts"), ("access_token", TOKEN)]),
        case("demisto", "demisto", true, &[("url", "URL"), ("token", TOKEN)]),
        case("demisto", "demisto", true, &[("url", "URL"), ("token", TOKEN), ("key_id", "7")]),
        case("phantom", "phantom", true, &[("url", "URL"), ("ph_auth_token", TOKEN)]),
        case("phantom", "phantom", true, &[("url", "URL"), ("ph_auth_token", TOKEN), ("container", "rule")]),
        case("carbonblack", "carbonblack", true, &[("url", "URL"), ("token", TOKEN)]),
        case(
            "komand",
            "komand",
            false,
            &[("url", "URL/connect/v1/workflows/w/events/execute"), ("komand_auth_token", TOKEN)],
        ),
        case("webhook", "webhook", true, &[("url", "URL/hook"), ("token", TOKEN), ("signing_key", SIGNING_KEY)]),
        mail("sendgrid", &[("api_key", TOKEN)]),
        mail("postmark", &[("api_key", TOKEN)]),
        mail("mailgun", &[("api_key", TOKEN), ("domain", "mg.example.com")]),
        mail("ses", &[("access_key_id", "AKIDEXAMPLE"), ("secret_access_key", TOKEN), ("region", "eu-west-1")]),
        case("splunk", "splunk", false, &[("url", "URL"), ("token", TOKEN)]),
        case("elasticsearch", "elasticsearch", true, &[("url", "URL"), ("index", "alerts"), ("api_key", TOKEN)]),
    ]
}

impl Case {
    fn name(&self) -> String {
        format!("{} at {}", self.service, self.vendor)
    }

    fn output(&self) -> &'static Arc<dyn OutputPlugin> {
        let found = PLUGINS.outputs.iter().find(|output| output.info().service == self.service);
        found.unwrap_or_else(|| panic!("no component delivers to {}: `make guests` builds them", self.service))
    }

    fn attempt(&self, vendors: &Vendors, alert: &Value, number: u32, progress: Option<String>) -> Disposition {
        let output = self.output();
        let info = output.info();
        assert_eq!(output.validate(&self.settings).unwrap(), [], "{}", self.name());
        let operator = HostRule::parse(&format!("http://127.0.0.1:{}", vendors.port())).unwrap();
        let hosts = Policy::intersect(&info.hosts, &self.settings, &[operator]);
        let policy = Policy { private_networks: true, ..Policy::new(hosts) };
        let is_secret = |name: &str| info.settings.iter().any(|setting| setting.secret && setting.name == name);
        let (secrets, settings) = self.settings.iter().cloned().partition(|(name, _)| is_secret(name));
        let outside: Arc<dyn Outside> = Arc::new(Door { policy, deadline: Instant::now() + PATIENCE, secrets });
        let stored: Alert = serde_json::from_value(alert.clone()).unwrap();
        let parcel = Parcel {
            descriptor: "test".into(),
            idempotency_key: "0123456789abcdef0123456789abcdef".into(),
            attempt: number,
            now: NOW + u64::from(number) * 60,
            alert: alert.to_string(),
            publication: Value::Object(default_publication(&stored)).to_string(),
            settings,
            progress,
        };
        output.deliver(&parcel, &outside).unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }

    /// Attempts until it is delivered or refused, as the pipeline makes them; what each came to.
    fn deliver(&self, vendors: &Vendors, alert: &Value) -> Vec<Disposition> {
        let mut outcomes = Vec::new();
        let mut progress = None;
        for number in 1..10 {
            let outcome = self.attempt(vendors, alert, number, progress.take());
            let is_retry = matches!(outcome, Disposition::Retry { .. });
            if let Disposition::Retry { progress: Some(done), .. } = &outcome {
                progress = Some(done.clone());
            }
            outcomes.push(outcome);
            if !is_retry {
                break;
            }
        }
        outcomes
    }
}

/// The real way out, with this case's secrets.
struct Door {
    policy: Policy,
    deadline: Instant,
    secrets: Vec<(String, String)>,
}

impl Outside for Door {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        EGRESS.send(&self.policy, self.deadline, request)
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

fn alert() -> Value {
    json!({
        "id": "3f9c1e0b7a5d4826",
        "rule_name": "root_login",
        "title": "Root <logged in> without *MFA* @everyone",
        "severity": "high",
        "rule_description": "Somebody logged in as root.",
        "created": "2026-01-02T03:04:05Z",
        "event_time": "2026-01-02T03:03:59Z",
        "cluster": "prod",
        "log_source": "cloudtrail:events",
        "log_type": "json",
        "source": {"service": "s3", "resource": "logs", "object": "2026/01/02/a.json.gz"},
        "position": {"offset": 0, "length": 120, "index": 0},
        "outputs": ["test:test"],
        "publishers": null,
        "merge": null,
        "dedup_key": null,
        "tags": ["aws", "T1078"],
        "references": ["https://example.com/runbooks/root"],
        "context": {"carbonblack": {"action": "ban", "value": "7fb55f5a62e78af9b58d08aaeeaef848"}},
        "record": {"eventName": "ConsoleLogin", "sourceIPAddress": "198.51.100.7", "userIdentity": {"type": "Root"}},
        "staged": false,
        "component_digest": "",
        "host_version": "0.1.0",
        "fuel": 0,
    })
}

/// What attackers would write into a log if they knew where its alerts go, and much of it.
fn hostile() -> Value {
    let text = "<!channel> @everyone <at>all</at> [a](https://evil.example) ``` {noformat} h1. *b* #1 @octocat \r\nBcc: \
        all@evil.example\r\n\r\n=1+1 <script>x</script> & \" ' \\ \u{0}\u{1b}[2J \u{202e}gnp\u{202c} ä 日 😀";
    let record: serde_json::Map<String, Value> =
        (0..300).map(|n| (format!("{n} {text}"), json!(text.repeat(3)))).collect();
    let mut alert = alert();
    alert["title"] = text.repeat(20).into();
    alert["rule_description"] = text.repeat(200).into();
    alert["event_time"] = text.into();
    alert["tags"] = json!(vec![text; 50]);
    alert["references"] = json!([format!("https://evil.example/{}", "x".repeat(5_000)), text]);
    alert["context"]["long"] = "😀".repeat(20_000).into();
    alert["record"] = record.into();
    alert
}

/// Asks about each case. Those of one vendor go one after the other, and find nothing of each other.
fn each(check: impl Fn(&Vendors, &Case) + Sync) {
    let vendors = Vendors::start();
    let cases = cases(&vendors);
    std::thread::scope(|scope| {
        for group in cases.chunk_by(|a, b| a.vendor == b.vendor) {
            let (vendors, check) = (&vendors, &check);
            scope.spawn(move || {
                for case in group {
                    check(vendors, case);
                    assert_eq!(vendors.faults(case.vendor), [] as [String; 0], "{}", case.name());
                    vendors.clear(case.vendor);
                }
            });
        }
    });
}

/// The alert's own things, without the containers that are there for all alerts of a rule.
fn things(vendors: &Vendors, case: &Case) -> Vec<Kept> {
    let kept = vendors.kept(case.vendor);
    kept.into_iter().filter(|kept| !kept.key.starts_with("streamalert-rule-")).collect()
}

fn delivered(outcomes: &[Disposition]) -> bool {
    matches!(outcomes.last(), Some(Disposition::Delivered(_)))
}

#[test]
fn a_service_that_works_has_the_alert_once() {
    each(|vendors, case| {
        let outcomes = case.deliver(vendors, &alert());
        assert!(
            delivered(&outcomes) && outcomes.len() == 1,
            "{}: {outcomes:?} {:?}",
            case.name(),
            vendors.faults(case.vendor)
        );
        assert_eq!(things(vendors, case).len(), 1, "{}", case.name());
    });
}

#[test]
fn the_worst_alert_is_one_that_services_take() {
    each(|vendors, case| {
        let outcomes = case.deliver(vendors, &hostile());
        assert!(
            delivered(&outcomes) && outcomes.len() == 1,
            "{}: {outcomes:?} {:?}",
            case.name(),
            vendors.faults(case.vendor)
        );
    });
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    for status in [400, 401, 403, 404, 410, 413] {
        each(|vendors, case| {
            vendors.behave(case.vendor, &[Behaviour::Says(status)]);
            let outcomes = case.deliver(vendors, &alert());
            let [Disposition::Reject(reason)] = outcomes.as_slice() else {
                panic!("{} {status}: {outcomes:?}", case.name());
            };
            assert!(reason.contains(&status.to_string()), "{} {status}: {reason}", case.name());
            assert!(!reason.contains(TOKEN) && !reason.contains(SIGNING_KEY), "{} {status}: {reason}", case.name());
            if matches!(status, 401 | 403 | 404) {
                assert!(reason.contains("; check "), "{} {status}: {reason}", case.name());
            }
            assert_eq!((vendors.requests(case.vendor).len(), things(vendors, case).len()), (1, 0), "{}", case.name());
        });
    }
}

#[test]
fn what_fails_for_now_is_tried_again_and_arrives_once() {
    let failures = [Behaviour::Limited(3), Behaviour::Says(500), Behaviour::Says(503), Behaviour::Slow, Behaviour::Cut];
    each(|vendors, case| {
        vendors.behave(case.vendor, &failures);
        let outcomes = case.deliver(vendors, &alert());
        assert!(delivered(&outcomes), "{}: {outcomes:?} {:?}", case.name(), vendors.faults(case.vendor));
        assert_eq!(outcomes.len(), failures.len() + 1, "{}: {outcomes:?}", case.name());
        assert!(matches!(&outcomes[0], Disposition::Retry { after: Some(3), .. }), "{}: {outcomes:?}", case.name());
        assert_eq!(things(vendors, case).len(), 1, "{}", case.name());
    });
}

#[test]
fn an_answer_that_is_lost_makes_no_second_alert_where_there_is_a_key() {
    each(|vendors, case| {
        // What an output asks before it makes something works; the answer to what makes it is lost.
        let asks = match () {
            () if case.settings.iter().any(|(name, value)| name == "aggregate" && value == "yes") => 1,
            () if case.settings.iter().any(|(name, value)| name == "container" && value == "rule") => 2,
            () => 0,
        };
        let mut script = vec![Behaviour::Works; asks];
        script.push(Behaviour::LosesAnswer);
        vendors.behave(case.vendor, &script);
        let outcomes = case.deliver(vendors, &alert());
        assert!(
            delivered(&outcomes) && outcomes.len() == 2,
            "{}: {outcomes:?} {:?}",
            case.name(),
            vendors.faults(case.vendor)
        );
        assert_eq!(things(vendors, case).len(), if case.once { 1 } else { 2 }, "{}", case.name());
    });
}

#[test]
fn what_is_said_to_be_taken_once_is() {
    each(|vendors, case| {
        let first = case.deliver(vendors, &alert());
        // As if the host had died before it could note the outcome.
        let again = case.attempt(vendors, &alert(), 2, None);
        assert!(delivered(&first) && delivered(&[again]), "{}", case.name());
        if case.output().info().options.idempotent {
            assert!(case.once);
        }
        assert_eq!(things(vendors, case).len(), if case.once { 1 } else { 2 }, "{}", case.name());
    });
}

#[test]
fn an_answer_without_end_harms_nobody() {
    each(|vendors, case| {
        vendors.behave(case.vendor, &[Behaviour::Huge]);
        let outcomes = case.deliver(vendors, &alert());
        assert!(delivered(&outcomes), "{}: {outcomes:?} {:?}", case.name(), vendors.faults(case.vendor));
        assert!(things(vendors, case).len() <= 1 || !case.once, "{}", case.name());
    });
}

#[test]
fn nobody_is_led_to_the_credentials_of_the_machine() {
    each(|vendors, case| {
        vendors.behave(case.vendor, &[Behaviour::Redirects]);
        let outcomes = case.deliver(vendors, &alert());
        let [Disposition::Reject(_)] = outcomes.as_slice() else { panic!("{}: {outcomes:?}", case.name()) };
        assert_eq!(things(vendors, case).len(), 0, "{}", case.name());
    });
}

#[test]
fn messages_of_several_parts_go_on_where_they_stopped() {
    let record: serde_json::Map<String, Value> =
        (0..1_500).map(|n| (format!("key{n}"), json!(format!("value of {n}")))).collect();
    let mut alert = alert();
    alert["record"] = record.into();
    let vendors = Vendors::start();
    for case in cases(&vendors).into_iter().filter(|case| ["slack", "discord", "teams"].contains(&case.service)) {
        let whole = case.deliver(&vendors, &alert);
        let expected = vendors.kept(case.vendor);
        assert!(delivered(&whole) && expected.len() > 2, "{}: {whole:?}", case.name());
        vendors.clear(case.vendor);
        vendors.behave(
            case.vendor,
            &[Behaviour::Works, Behaviour::Cut, Behaviour::Limited(1), Behaviour::Works, Behaviour::Says(503)],
        );
        let outcomes = case.deliver(&vendors, &alert);
        assert!(delivered(&outcomes), "{}: {outcomes:?}", case.name());
        assert_eq!(outcomes.len(), 4, "{}: {outcomes:?}", case.name());
        assert_eq!(vendors.kept(case.vendor), expected, "{}", case.name());
    }
}
