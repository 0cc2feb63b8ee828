//! Outputs and publishers that misbehave: each loses the one delivery it failed on, tells nobody what it was told in
//! confidence, and is as good as new at the next.
//!
//! The guests are `tests/bad-guests`.

use crate::bad_guests::guest;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use streamalert_pipeline::plugin::{
    Blame, Disposition, HttpFailure, HttpFailureKind, HttpRequest, HttpResponse, OutputPlugin, Outside, Parcel,
    PluginErrorKind as Kind, PublisherPlugin,
};
use streamalert_plugins::{
    Host, HostConfig, LoadCheck, OutputComponent, PluginFolder, PluginLimits, PublisherComponent,
};

const TOKEN: &str = "hunter2-hunter2";

/// Small enough that a loop ends within milliseconds, in a debug build of the host too: guests run at the same speed.
fn host() -> Host {
    let limits = PluginLimits {
        delivery_fuel: 50_000_000,
        delivery_deadline: Duration::from_millis(500),
        ..PluginLimits::default()
    };
    Host::new(HostConfig { limits, ..HostConfig::default() }).unwrap()
}

fn unruly() -> Arc<OutputComponent> {
    host().load_output("unruly_output.wasm", &guest("unruly_output"), &LoadCheck::any_log()).unwrap()
}

fn publishers() -> Arc<PublisherComponent> {
    host().load_publishers("unruly_publisher.wasm", &guest("unruly_publisher"), &LoadCheck::any_log()).unwrap()
}

/// A world of one permitted host, which takes its time.
#[derive(Default)]
struct Small {
    token: Option<&'static str>,
    takes: Duration,
    requests: AtomicUsize,
}

impl Small {
    fn new() -> Arc<Small> {
        Arc::new(Small { token: Some(TOKEN), ..Small::default() })
    }
}

impl Outside for Small {
    fn http(&self, request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(self.takes);
        match request.url.starts_with("https://api.example.com/") {
            true => Ok(HttpResponse { status: 200, headers: vec![], body: vec![b'x'; 100], truncated: false }),
            false => {
                let message = "the host is not permitted".into();
                Err(HttpFailure { kind: HttpFailureKind::Forbidden, message, sent: false })
            }
        }
    }

    fn secret(&self, name: &str) -> Option<String> {
        match name {
            "token" => self.token.map(str::to_owned),
            // Whoever asks for this is not told, though it is there.
            "password" => Some("of another".into()),
            _ => None,
        }
    }
}

fn parcel(descriptor: &str) -> Parcel {
    Parcel {
        descriptor: descriptor.into(),
        idempotency_key: "key".into(),
        attempt: 1,
        now: 1_767_323_045,
        alert: r#"{"id": "1"}"#.into(),
        publication: "https://api.example.com/".into(),
        settings: vec![("channel".into(), "#sec".into())],
        progress: None,
    }
}

fn deliver(output: &OutputComponent, descriptor: &str) -> Disposition {
    let outside: Arc<dyn Outside> = Small::new();
    output.deliver(&parcel(descriptor), &outside).unwrap()
}

#[track_caller]
fn delivered(output: &OutputComponent, descriptor: &str, text: &str) {
    assert_eq!(deliver(output, descriptor), Disposition::Delivered(Some(text.into())));
}

/// However large the machine's load: fuel ends a loop in milliseconds, and nothing may hang.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_fault_costs_one_attempt() {
    let output = unruly();
    let outside: Arc<dyn Outside> = Small::new();
    for (descriptor, kind, words) in [
        ("trap", Kind::Trap, "unreachable"),
        ("loop", Kind::OutOfFuel, "units of fuel"),
        ("call and loop", Kind::OutOfFuel, "units of fuel"),
        ("memory", Kind::OutOfMemory, "the limit is 64 MiB"),
        ("recursion", Kind::Trap, "in "),
        ("log flood", Kind::OutOfFuel, "units of fuel"),
        ("huge answer", Kind::BadAnswer, "handed over more than 10 MiB"),
        ("huge request", Kind::BadAnswer, "handed over more than 10 MiB"),
        ("utf-8", Kind::BadAnswer, "utf-8"),
        ("much progress", Kind::BadAnswer, "leaves 65537 bytes of progress; the limit is 65536"),
    ] {
        let begun = Instant::now();
        let error = output.deliver(&parcel(descriptor), &outside).expect_err(descriptor);
        assert!(begun.elapsed() < PATIENCE, "{descriptor} took {:?}", begun.elapsed());
        assert_eq!((error.kind, error.kind.blame()), (kind, Blame::Guest), "{descriptor}: {error}");
        assert!(error.message.contains(words), "{descriptor}: {error}");
        delivered(&output, "good", "call 1");
    }
}

#[test]
fn what_an_output_says_is_cut_and_cannot_move_a_cursor() {
    let output = unruly();
    assert_eq!(deliver(&output, "long reason"), Disposition::Reject("x".repeat(1024)));
    assert_eq!(deliver(&output, "control"), Disposition::Reject(r"\u{1b}[2J\nall is well".into()));
    let again = parcel("some progress");
    let outside: Arc<dyn Outside> = Small::new();
    let again = Parcel { progress: Some("before ".into()), ..again };
    let progress = Some(format!("before {}", "x".repeat(10)));
    let expected = Disposition::Retry { reason: "later".into(), after: Some(7), progress };
    assert_eq!(output.deliver(&again, &outside).unwrap(), expected);
}

#[test]
fn an_output_is_told_the_secrets_of_its_descriptor_and_no_other() {
    let output = unruly();
    // `token` is a secret of 15 letters; `none` stands for what is not secret, of another, or nothing.
    delivered(&output, "secrets", "15 4 4 4 4 channel=#sec");
    let nothing: Arc<dyn Outside> = Arc::new(Small::default());
    let answer = output.deliver(&parcel("secrets"), &nothing).unwrap();
    assert_eq!(answer, Disposition::Delivered(Some("4 4 4 4 4 channel=#sec".into())));
}

#[test]
fn an_instance_that_was_told_a_secret_is_nobody_elses() {
    let output = unruly();
    delivered(&output, "remember", "thanks");
    delivered(&output, "recall", "[]");
}

#[test]
fn secrets_are_taken_out_of_what_people_read() {
    let output = unruly();
    let outside: Arc<dyn Outside> = Small::new();
    let observed = output.observe(&parcel("leak"), &outside);
    // Hidden before it is cut: otherwise half of it would stand at the end.
    assert_eq!(observed.disposition.unwrap(), Disposition::Reject(format!("{}***", "y".repeat(1020))));
    let lines: Vec<&str> = observed.logs.iter().map(|line| line.message.as_str()).collect();
    assert_eq!(lines, ["the token is ***"]);
    delivered(&output, "leak a place", "https://api.example.com/?t=***");
    let observed = output.observe(&parcel("trap"), &outside);
    assert!(!format!("{observed:?}").contains("hunter2"), "{observed:?}");

    let settings = [("token".to_owned(), TOKEN.to_owned()), ("channel".to_owned(), "leak".to_owned())];
    let faults = output.validate(&settings).unwrap();
    assert_eq!((faults[0].setting.as_str(), faults[0].message.as_str()), ("token", "*** is no token"));
}

#[test]
fn validating_is_as_bounded_as_delivering_and_calls_nobody() {
    let output = unruly();
    let validate = |channel: &str| output.validate(&[("channel".into(), channel.into())]);
    assert_eq!(validate("#sec").unwrap(), []);
    assert_eq!(validate("trap").unwrap_err().kind, Kind::Trap);
    assert_eq!(validate("loop").unwrap_err().kind, Kind::OutOfFuel);
    assert_eq!(validate("many").unwrap_err().kind, Kind::BadAnswer);
    let fault = &validate("call").unwrap()[0];
    assert!(
        fault.message.contains("requests are made while an alert is delivered or an app polled, and at no other time"),
        "{fault:?}"
    );
}

#[test]
fn the_world_is_what_the_host_lets_through() {
    let output = unruly();
    delivered(&output, "call", "200 with 100 bytes");
    let outside: Arc<dyn Outside> = Small::new();
    let elsewhere = Parcel { publication: "https://evil.example/".into(), ..parcel("call") };
    match output.deliver(&elsewhere, &outside).unwrap() {
        Disposition::Delivered(Some(text)) => assert!(text.contains("Forbidden: the host is not permitted"), "{text}"),
        other => panic!("{other:?}"),
    }
    let small = Small::new();
    let outside: Arc<dyn Outside> = small.clone();
    match output.deliver(&parcel("call often"), &outside).unwrap() {
        Disposition::Delivered(Some(text)) => {
            assert!(text.starts_with("100, then ") && text.contains("has made 100 requests already"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(small.requests.load(Ordering::Relaxed), 100);
}

#[test]
fn waiting_for_the_network_is_not_running() {
    let output = unruly();
    // Longer than the guest may run.
    let slow: Arc<dyn Outside> = Arc::new(Small { takes: Duration::from_secs(2), ..Small::default() });
    let answer = output.deliver(&parcel("call"), &slow).unwrap();
    assert_eq!(answer, Disposition::Delivered(Some("200 with 100 bytes".into())));
    let error = output.deliver(&parcel("call and loop"), &slow).unwrap_err();
    assert!(matches!(error.kind, Kind::OutOfFuel | Kind::Timeout), "{error}");
}

#[test]
fn a_host_that_fails_is_not_the_guests_fault() {
    struct Broken;
    impl Outside for Broken {
        fn http(&self, _: HttpRequest) -> Result<HttpResponse, HttpFailure> {
            panic!("a fault of ours");
        }
        fn secret(&self, _: &str) -> Option<String> {
            None
        }
    }
    let output = unruly();
    let outside: Arc<dyn Outside> = Arc::new(Broken);
    let error = output.deliver(&parcel("call"), &outside).unwrap_err();
    assert_eq!((error.kind, error.kind.blame()), (Kind::HostCall, Blame::Host));
    delivered(&output, "good", "call 1");
}

#[test]
fn many_threads_deliver_at_a_time() {
    let output = unruly();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let output = output.clone();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    delivered(&output, "good", "call 1");
                    delivered(&output, "recall", "[]");
                    delivered(&output, "remember", "thanks");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_publisher_that_breaks_costs_one_publication() {
    let component = publishers();
    let named = |name: &str| component.publishers().iter().position(|publisher| publisher.name == name).unwrap();
    let publish = |name: &str| component.publish(named(name), r#"{"id": "1"}"#, r#"{"a": 1}"#, "slack:sec");
    let calls = || publish("good").unwrap().unwrap()["calls"].as_u64().unwrap();
    assert_eq!((calls(), calls()), (1, 2));
    assert_eq!(publish("good").unwrap().unwrap()["output"], "slack:sec");
    assert_eq!(publish("same").unwrap().unwrap()["a"], 1);
    for (name, kind, words, fresh) in [
        ("trap", Kind::Trap, "unreachable", true),
        ("loop", Kind::OutOfFuel, "units of fuel", true),
        ("memory", Kind::OutOfMemory, "the limit is 64 MiB", true),
        ("log_flood", Kind::OutOfFuel, "units of fuel", true),
        ("huge", Kind::BadAnswer, "handed over more than 10 MiB", true),
        ("utf_8", Kind::BadAnswer, "utf-8", true),
        ("no_json", Kind::BadAnswer, "the publication is no JSON object", false),
        ("no_object", Kind::BadAnswer, "the publication is no JSON object", false),
    ] {
        calls();
        let error = publish(name).expect_err(name);
        assert_eq!(error.kind, kind, "{name}: {error}");
        assert!(error.message.contains(words), "{name}: {error}");
        assert_eq!(calls() == 1, fresh, "{name}");
    }
    let reason = publish("refuse").unwrap().unwrap_err();
    assert!(reason.starts_with(r"\u{1b}[2Jxxx") && reason.len() < 1100, "{} bytes", reason.len());
}

#[track_caller]
fn refused(name: &str, says: &[&str]) {
    let error = host().load_plugin(name, &guest(name), &LoadCheck::any_log()).expect_err("it was loaded").to_string();
    says.iter().for_each(|part| assert!(error.contains(part), "no {part:?} in: {error}"));
}

#[test]
fn what_makes_no_sense_is_refused_with_all_its_faults() {
    refused(
        "output_bad_info",
        &[
            r"service: `Odd Service\u{1b}[2J` is no name of a service (use lower-case letters",
            "settings[0]: `The URL` is no name of a setting",
            "settings[0]: says nothing of itself",
            "settings[1]: has the same name as settings[0]",
            "hosts[0]: `{url}` stands for no setting",
            "hosts[1]: `https://api.example.com/` is no host",
            "hosts[2]: `*.com` is half of the internet",
            "hosts[3]: `*` is no host",
            "options.retries: unknown field `retries`",
        ],
    );
    refused("output_other_types", &["`deliver` is of another type than in wit/delivery.wit"]);
    refused("output_describe_loops", &["describe: the component does not start: out_of_fuel"]);
    refused(
        "publisher_bad_info",
        &[
            "3 problems",
            "publisher number 0, name: is empty",
            r"publisher no name\n, name: `no name\n` has characters",
            "publisher twice, name: publishers 2 and 3 have the same name",
        ],
    );
    refused(
        "publisher_calls_out",
        &[
            "imports streamalert:plugin/http@0.1.0, which world `publisher` does not have (a publisher may import log)",
            "imports streamalert:plugin/secrets@0.1.0, which world `publisher` does not have",
        ],
    );
    let error = host().load("x", &guest("unruly_output"), &LoadCheck::any_log()).unwrap_err().to_string();
    assert!(error.contains("is an output and holds no rules"), "{error}");
    let error = host().load_output("x", &guest("unruly_publisher"), &LoadCheck::any_log()).unwrap_err().to_string();
    assert!(error.contains("holds publishers and is no output"), "{error}");
}

#[test]
fn a_service_that_the_host_has_itself_is_taken() {
    let check = LoadCheck { native_services: &["unruly"], ..LoadCheck::any_log() };
    let error = host().load_output("x", &guest("unruly_output"), &check).unwrap_err().to_string();
    assert!(error.contains("service: the host has an output `unruly` itself"), "{error}");
}

#[test]
fn of_two_files_with_one_service_the_first_stays() {
    let at = tempfile::tempdir().unwrap();
    let mut plugins = PluginFolder::new(host());
    let put = |file: &str, bytes: &[u8]| std::fs::write(at.path().join(file), bytes).unwrap();
    put("m.wasm", &guest("unruly_output"));
    put("n.wasm", &guest("unruly_publisher"));
    let report = plugins.load(at.path(), &LoadCheck::any_log()).unwrap();
    assert_eq!(report.loaded, ["m.wasm", "n.wasm"]);
    assert_eq!(report.set.outputs[0].info().service, "unruly");
    assert_eq!(report.set.publishers[0].publishers().len(), 11);
    put("a.wasm", &guest("unruly_output"));
    put("b.wasm", &guest("unruly_publisher"));
    let report = plugins.load(at.path(), &LoadCheck::any_log()).unwrap();
    assert_eq!(report.kept, ["m.wasm", "n.wasm"]);
    assert_eq!(
        report.refused[0].error.to_string(),
        "a.wasm: service unruly: m.wasm has a service of this name already (rename the service, or remove it from m.wasm)"
    );
    let error = report.refused[1].error.to_string();
    assert!(error.contains("b.wasm: 11 problems") && error.contains("n.wasm has a publisher of this name"), "{error}");
    // A bad upload leaves the last good version in place.
    put("m.wasm", b"half");
    let report = plugins.load(at.path(), &LoadCheck::any_log()).unwrap();
    assert_eq!(report.set.outputs.len(), 1);
}
