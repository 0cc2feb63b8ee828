//! Apps through the real program: their logs become alerts, also where it is killed at any moment; and as operators see them.

use super::duo::{Authentication, KEY, SECRET};
use super::site::{Event, Quiet, Vendor, component};
use crate::run_world::{Dice, EVERY_ROW, Guest, PATIENCE, World, eventually, request};
use crate::vendors::{Reply, Seen};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Logs of a page, so that there are many pages.
const PAGE: usize = 10;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// What happened in the last hour, but for the two minutes that Duo needs.
fn events(count: usize) -> Vec<Event> {
    let vendor = Authentication(PAGE);
    let begin = now() - 3_000;
    let event = |number: usize| {
        let at = begin + (number * 2_000 / count) as i64;
        Event { at, stored: at, log: vendor.event(number, at) }
    };
    (0..count).map(event).collect()
}

/// Where Duo's authentications are fetched, and a rule reports each.
fn place(service: &Quiet) -> World {
    let world = World::new();
    let rule = Guest {
        rules: vec![("every_row", EVERY_ROW)],
        logs: "duo:authentication",
        options: r#"{"severity": "low", "outputs": ["file:audit"]}"#,
        ..Guest::default()
    };
    world.write("plugins/every_row.wasm", rule.build());
    world.write("plugins/duo_app.wasm", component("duo_app.wasm"));
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/../conf/schemas/duo.json");
    world.write("conf/schemas/duo.json", std::fs::read(schemas).unwrap());
    world.write("conf/clusters/c.json", r#"{"data_sources": {"streamalert_app": {"northwind": ["duo"]}}}"#);
    world.write("secret.json", json!({"secret_key": SECRET}).to_string());
    let set = [format!("api_hostname={}", service.url), format!("integration_key={KEY}")];
    let made = world.streamalert(&[
        "app",
        "new",
        "northwind",
        "--type",
        "duo_auth",
        "--schedule",
        "rate(1 minute)",
        "--start",
        "1h",
        "--set",
        &set[0],
        "--set",
        &set[1],
        "--secrets-from",
        "secret.json",
        "--host",
        service.origin(),
        "--private-networks",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    world
}

#[track_caller]
fn said(world: &World, arguments: &[&str], code: i32) -> String {
    let output = world.streamalert(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

fn status(world: &World) -> Value {
    let output = world.streamalert(&["app", "status", "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Ids of the logs that alerts are about, one for each alert.
fn alerted(world: &World) -> Vec<String> {
    let id = |alert: &streamalert_pipeline::alert::Alert| {
        serde_json::to_value(alert).unwrap()["record"]["txid"].as_str().unwrap().to_owned()
    };
    world.alerts().iter().map(id).collect()
}

#[test]
fn an_app_is_configured_tried_run_and_forgotten() {
    let events = events(35);
    let service = Quiet::start(Box::new(Authentication(PAGE)), events, now());
    let world = place(&service);
    let listed = said(&world, &["app", "list"], 0);
    assert!(
        listed.contains("northwind  duo_auth  rate(1 minute)  ready")
            && listed.contains("could be configured: duo_admin"),
        "{listed}"
    );
    assert!(!std::fs::read_to_string(world.at("conf/apps.json")).unwrap().contains(SECRET));
    assert_eq!(status(&world)["standing"], "new");
    for misspelt in [&["app", "status", "--data", "dta"][..], &["app", "reset", "northwind", "--data", "dta"]] {
        assert!(said(&world, misspelt, 2).contains("there is no data folder dta"));
        assert!(!world.at("dta").exists());
    }

    let tried = said(&world, &["app", "run", "northwind", "--dry-run"], 0);
    assert_eq!(tried.lines().filter(|line| line.contains("txid")).count(), PAGE, "{tried}");
    assert!(tried.contains("10 logs, and there is more; nothing was kept"), "{tried}");
    assert_eq!(status(&world)["pages"], 0);

    let ran = said(&world, &["app", "run", "northwind"], 0);
    assert!(ran.contains("app northwind: 35 logs on 4 pages"), "{ran}");
    assert_eq!(alerted(&world).len(), 35);
    let standing = status(&world);
    assert_eq!(
        (&standing["standing"], &standing["logs"], &standing["error"]),
        (&json!("ok"), &json!(35), &Value::Null)
    );

    // Fetched again, it is the same.
    assert!(said(&world, &["app", "reset", "northwind", "--start", "2h"], 0).contains("begins anew"));
    assert!(said(&world, &["app", "run", "northwind"], 0).contains("35 logs on 4 pages"));
    assert_eq!((alerted(&world).len(), world.dead().len()), (35, 0));

    // A wrong key is refused, told, and mended.
    world.write("secret.json", json!({"secret_key": "x".repeat(40)}).to_string());
    said(&world, &["app", "update-auth", "northwind", "--secrets-from", "secret.json"], 0);
    let refused = said(&world, &["app", "run", "northwind"], 1);
    assert!(refused.contains("is refused: answered 401") && !refused.contains(&"x".repeat(40)), "{refused}");
    assert_eq!(status(&world)["standing"], "refused");
    world.write("secret.json", json!({"secret_key": "short"}).to_string());
    assert!(
        said(&world, &["app", "update-auth", "northwind", "--secrets-from", "secret.json"], 2)
            .contains("secret_key: is 40")
    );
    world.write("secret.json", json!({"secret_key": SECRET}).to_string());
    said(&world, &["app", "update-auth", "northwind", "--secrets-from", "secret.json"], 0);
    said(&world, &["app", "run", "northwind"], 0);

    for (arguments, expected) in [
        (&["app", "run", "nobody"][..], "there is no app nobody; there are: northwind"),
        (
            &["app", "new", "x", "--type", "nothing"],
            "no component has apps of the type nothing; there are: duo_auth, duo_admin",
        ),
        (&["app", "new", "northwind", "--type", "duo_auth"], "--replace"),
        (&["app", "new", "x", "--type", "duo_auth", "--schedule", "often"], "`often` is no schedule"),
        (&["app", "new", "x", "--type", "duo_auth", "--set", "secret_key=1"], "is secret"),
        (&["app", "new", "x", "--type", "duo_auth", "--set", "colour=1"], "no setting colour"),
    ] {
        let told = said(&world, arguments, 2);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    said(&world, &["app", "delete", "northwind"], 0);
    assert_eq!(std::fs::read_to_string(world.at("conf/apps.json")).unwrap().trim(), "{}");
    assert!(!std::fs::read_to_string(world.at("data/secrets.json")).unwrap().contains(SECRET));
}

#[test]
fn a_run_that_stays_fetches_when_it_is_an_apps_turn() {
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(120), now());
    let world = place(&service);
    // Turns are at whole multiples of a rate: minutes may end in the midst of this, these days end in 2052.
    configure(&world, |app| app["schedule"] = json!("rate(9999 days)"));
    // Nobody else can be at it meanwhile.
    let run = world.start(&["run", "--apps"]);
    eventually("all are there", || alerted(&world).len() == 120);
    eventually("it is done", || status(&world)["standing"] == "ok");
    let after = service.requests();
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(service.requests(), after, "it is not its turn");
    run.end();
    // Without apps there is nothing that it would stay for.
    world.write("conf/apps.json", "{}");
    assert!(said(&world, &["run", "--apps"], 2).contains("there are no apps"));
    world.write("conf/apps.json", r#"{"a": {"type": "duo_auth", "hosts": ["https://a/b"]}}"#);
    assert!(said(&world, &["run", "--apps"], 2).contains("apps.json: a: hosts"));
}

/// Changes what `apps.json` says of the app.
fn configure(world: &World, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(world.at("conf/apps.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    change(&mut all["northwind"]);
    world.write("conf/apps.json", all.to_string());
}

#[test]
fn the_rate_holds_from_page_to_page_and_from_turn_to_turn() {
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(15), now());
    let world = place(&service);
    configure(&world, |app| app["rate"] = json!(0.4));
    let begun = Instant::now();
    assert!(said(&world, &["app", "run", "northwind"], 0).contains("15 logs on 2 pages"));
    said(&world, &["app", "run", "northwind"], 0);
    let requests = service.requests() as u32;
    assert!(begun.elapsed() >= Duration::from_millis(2_500) * (requests - 1), "{requests} in {:?}", begun.elapsed());
    assert!(requests >= 3);
}

#[test]
fn an_app_that_cannot_begin_says_so_in_its_status() {
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(15), now());
    let world = place(&service);
    said(&world, &["app", "run", "northwind"], 0);
    assert_eq!(status(&world)["standing"], "ok");

    let secrets = std::fs::read_to_string(world.at("data/secrets.json")).unwrap();
    let check = |expected: &str| {
        let ran = said(&world, &["app", "run", "northwind"], 1);
        assert!(ran.contains(expected) && !ran.contains(SECRET), "{ran}");
        let status = status(&world);
        assert_eq!(status["standing"], "refused");
        assert!(status["error"].as_str().unwrap().contains(expected), "{status}");
    };
    std::fs::remove_file(world.at("data/secrets.json")).unwrap();
    check(
        "is not ready: secret_key is missing (or the variable STREAMALERT_SECRET_STREAMALERT_APP_NORTHWIND_SECRET_KEY)",
    );
    world.write("data/secrets.json", &secrets);
    check("run chmod 600");
    #[cfg(unix)]
    {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(world.at("data/secrets.json"), private).unwrap();
    }
    let good = std::fs::read_to_string(world.at("conf/apps.json")).unwrap();
    configure(&world, |app| app["type"] = json!("nothing"));
    check("no component has apps of the type nothing");
    for (setting, value, expected) in [
        ("secret_key", SECRET, "secret_key is secret and stands in apps.json"),
        ("api_hostnam", "x", "duo_auth has no setting api_hostnam; it has"),
    ] {
        world.write("conf/apps.json", &good);
        configure(&world, |app| app["settings"][setting] = json!(value));
        let listed = said(&world, &["app", "list"], 0);
        assert!(listed.contains("not ready") && listed.contains(expected) && !listed.contains(SECRET), "{listed}");
        assert!(said(&world, &["app", "run", "northwind", "--dry-run"], 2).contains(expected));
        check(expected);
    }
    world.write("conf/apps.json", &good);
    said(&world, &["app", "run", "northwind"], 0);
    let standing = status(&world);
    assert_eq!((&standing["standing"], &standing["error"]), (&json!("ok"), &Value::Null));

    // What is refused at the first call is told before it.
    let host = service.origin().trim_start_matches("http://").to_owned();
    configure(&world, |app| app["hosts"] = json!([host]));
    let listed = said(&world, &["app", "list"], 0);
    assert!(listed.contains(&format!("`hosts` in apps.json does not permit {}", service.origin())), "{listed}");
}

#[test]
fn an_app_that_no_cluster_names_is_ready_where_its_logs_are_tried_with_all_types() {
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(15), now());
    let world = place(&service);
    world.write("conf/clusters/c.json", r#"{"data_sources": {"streamalert_app": {"other": ["duo"]}}}"#);
    let listed = said(&world, &["app", "list"], 0);
    assert!(
        listed.contains("northwind  duo_auth  rate(1 minute)  ready") && listed.contains("all log types"),
        "{listed}"
    );
    let ran = said(&world, &["app", "run", "northwind"], 0);
    assert!(ran.contains("all log types are tried") && !ran.contains("none of its logs"), "{ran}");
    assert_eq!((alerted(&world).len(), world.dead().len()), (15, 0));
}

#[test]
fn of_apps_and_outputs_that_are_made_at_the_same_time_none_is_lost() {
    const MANY: usize = 6;
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(15), now());
    let world = place(&service);
    let set = [format!("api_hostname={}", service.url), format!("integration_key={KEY}")];
    let made: Vec<_> = (0..MANY)
        .map(|number| {
            let name = format!("app{number}");
            let arguments = ["app", "new", &name, "--type", "duo_auth", "--set", &set[0], "--set", &set[1]];
            let mut command = world.command(&arguments);
            command.args(["--secrets-from", "secret.json"]).stdin(std::process::Stdio::null());
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for made in made {
        let made = made.wait_with_output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let read = |path| -> Value { serde_json::from_slice(&std::fs::read(world.at(path)).unwrap()).unwrap() };
    let (apps, secrets) = (read("conf/apps.json"), read("data/secrets.json"));
    for number in 0..MANY {
        assert!(apps[format!("app{number}")].is_object(), "{apps}");
        assert_eq!(secrets[format!("streamalert_app:app{number}")]["secret_key"], SECRET);
        // Without a word about hosts, it is permitted what its settings make it call.
        assert_eq!(apps[format!("app{number}")]["hosts"], json!([service.origin()]));
    }
}

/// A service that says when it is asked first, and answers when it may.
struct Slow {
    service: Authentication,
    asked: Option<(Sender<()>, Receiver<()>)>,
}

impl Vendor for Slow {
    fn event(&self, number: usize, at: i64) -> Value {
        self.service.event(number, at)
    }

    fn id(&self, log: &Value) -> String {
        self.service.id(log)
    }

    fn answer(&mut self, seen: &Seen, visible: &[Event], now: i64) -> Reply {
        if let Some((asked, may)) = self.asked.take() {
            asked.send(()).unwrap();
            may.recv_timeout(PATIENCE).unwrap();
        }
        self.service.answer(seen, visible, now)
    }
}

#[test]
fn a_reset_holds_also_while_the_first_turn_is_under_way() {
    let ((asked, is_asked), (lets, may)) = (channel(), channel());
    let vendor = Slow { service: Authentication(PAGE), asked: Some((asked, may)) };
    let service = Quiet::start(Box::new(vendor), events(35), now());
    let world = place(&service);
    let mut run = world.start(&["app", "run", "northwind"]);
    is_asked.recv_timeout(PATIENCE).unwrap();
    let told = said(&world, &["app", "reset", "northwind", "--start", "30d"], 0);
    lets.send(()).unwrap();
    run.wait();
    let standing = status(&world);
    let since = super::site::seconds(standing["since"].as_str().unwrap()).unwrap();
    assert!((now() - since - 30 * 86_400).abs() < 600, "{standing}\n{told}");
    assert_eq!((&standing["cursor"], &standing["pages"]), (&Value::Null, &json!(0)), "{standing}");
    // What the turn had fetched comes again, and is the same.
    assert!(said(&world, &["app", "run", "northwind"], 0).contains("35 logs on 4 pages"));
    assert_eq!((alerted(&world).len(), status(&world)["standing"].as_str()), (35, Some("ok")));
}

/// Runs it, and says when it waits for itself.
#[track_caller]
fn ends(world: &World, arguments: &[&str]) {
    let mut command = world.start(arguments);
    let status = command.wait();
    assert!(status.success(), "{arguments:?}: {}", command.said());
}

#[test]
fn credentials_may_lie_in_the_folder_of_the_configuration() {
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(15), now());
    let world = place(&service);
    let set = [format!("api_hostname={}", service.url), format!("integration_key={KEY}")];
    for (name, place) in [
        ("beside", &["--secrets", "conf/secrets.json"][..]),
        ("same", &["--data", "conf"]),
        ("around", &["--secrets", "data/../conf/secrets.json", "--data", "conf"]),
    ] {
        let new = ["app", "new", name, "--type", "duo_auth", "--set", &set[0], "--set", &set[1]];
        ends(&world, &[&new[..], &["--secrets-from", "secret.json"], place].concat());
        let secrets: Value = serde_json::from_slice(&std::fs::read(world.at("conf/secrets.json")).unwrap()).unwrap();
        assert_eq!(secrets[format!("streamalert_app:{name}")]["secret_key"], SECRET);
        let apps: Value = serde_json::from_slice(&std::fs::read(world.at("conf/apps.json")).unwrap()).unwrap();
        assert!(apps[name].is_object() && apps["northwind"].is_object(), "{apps}");
    }
    ends(&world, &["app", "delete", "same", "--data", "conf"]);
}

#[test]
fn what_the_environment_gives_is_written_nowhere() {
    let world = World::new();
    world.write("plugins/salesforce_app.wasm", component("salesforce_app.wasm"));
    world.write("secret.json", r#"{"client_secret": "of the file", "password": "first"}"#);
    let set = ["url=https://northwind.my.salesforce.com", "client_id=3MVG9", "username=ann@northwind.example"];
    let new = ["app", "new", "sf", "--type", "salesforce_login", "--secrets-from", "secret.json"];
    said(&world, &[&new[..], &["--set", set[0], "--set", set[1], "--set", set[2]]].concat(), 0);
    let kept = || -> Value {
        let all: Value = serde_json::from_slice(&std::fs::read(world.at("data/secrets.json")).unwrap()).unwrap();
        all["streamalert_app:sf"].clone()
    };
    let update = |secrets: &str| {
        world.write("secret.json", secrets);
        let mut command = world.command(&["app", "update-auth", "sf", "--secrets-from", "secret.json"]);
        command.env("STREAMALERT_SECRET_STREAMALERT_APP_SF_CLIENT_SECRET", "of the environment");
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && !told.contains("of the"), "{told}");
        told
    };
    let told = update(r#"{"password": "second"}"#);
    assert!(!told.contains("warning"), "{told}");
    assert_eq!(kept(), json!({"client_secret": "of the file", "password": "second"}));
    // What is given is kept, though something else counts.
    let told = update(r#"{"client_secret": "newer"}"#);
    let warning =
        "client_secret is kept, and the variable STREAMALERT_SECRET_STREAMALERT_APP_SF_CLIENT_SECRET counts more";
    assert!(told.contains(warning), "{told}");
    assert_eq!(kept(), json!({"client_secret": "newer", "password": "second"}));
    // What the environment alone gives is not missing.
    let path = world.at("data/secrets.json");
    std::fs::write(&path, r#"{"streamalert_app:sf": {"password": "second"}}"#).unwrap();
    update(r#"{"password": "third"}"#);
    assert_eq!(kept(), json!({"password": "third"}));
}

#[test]
fn metrics_tell_of_apps() {
    let service = Quiet::start(Box::new(Authentication(PAGE)), events(35), now());
    let world = place(&service);
    // A turn more would be a page more.
    configure(&world, |app| app["schedule"] = json!("rate(9999 days)"));
    let mut run = world.start(&["run", "--http", "127.0.0.1:0"]);
    let address = run.address();
    let metrics = || request(address, "GET", "/metrics", &[], b"").unwrap().body;
    eventually("it came to the end", || {
        metrics().contains("streamalert_app_seconds_since_success{app=\"northwind\"} ")
    });
    let told = metrics();
    for line in [
        "streamalert_app_pages_total{app=\"northwind\"} 4",
        "streamalert_app_logs_total{app=\"northwind\"} 35",
        "streamalert_app_failures_total{app=\"northwind\"} 0",
    ] {
        assert!(told.lines().any(|there| there == line), "{line}: {told}");
    }
    run.end();
}

/// Kills while pages are fetched, handed on and stored. In the end every event is one alert.
#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_repeats() {
    const KILLS: usize = 100;
    let events = events(6_000);
    let wanted: BTreeSet<String> = events.iter().map(|event| event.log["txid"].as_str().unwrap().to_owned()).collect();
    let service = Quiet::start(Box::new(Authentication(PAGE)), events, now());
    let world = place(&service);
    // Six hundred pages at Duo's own rate are ten minutes.
    configure(&world, |app| app["rate"] = json!(1_000));
    let mut dice = Dice::new();
    let mut under_way = 0;
    for _ in 0..KILLS {
        let run = world.start(&["run", "--apps"]);
        let (before, more) = (service.requests(), dice.below(4) as usize);
        eventually("it fetches", || service.requests() > before + more || status_of_file(&world) == "done");
        std::thread::sleep(Duration::from_micros(dice.below(20_000)));
        run.kill();
        under_way += usize::from(status_of_file(&world) != "done");
    }
    assert!(under_way >= KILLS * 8 / 10, "most kills fall before the end: {under_way}");
    let run = world.start(&["run", "--apps"]);
    eventually("all are there", || status_of_file(&world) == "done");
    run.end();
    let alerts = alerted(&world);
    assert_eq!(alerts.len(), wanted.len(), "each once");
    assert_eq!(alerts.into_iter().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(world.dead().len(), 0);
    println!("{} requests for {} pages", service.requests(), 6_000 / PAGE);
}

/// `done` when the app has come to the end of what there is.
fn status_of_file(world: &World) -> &'static str {
    let state = rusqlite::Connection::open(world.at("data/apps.sqlite"))
        .and_then(|table| table.query_row("SELECT state FROM apps", [], |row| row.get::<_, String>(0)));
    match state {
        Ok(state) if serde_json::from_str::<Value>(&state).unwrap()["succeeded"].is_number() => "done",
        Ok(_) => "under way",
        Err(_) => "not begun",
    }
}
