//! What a name leads to is checked when it is resolved, and that very address is connected to.

use super::servers::{Seen, answer};
use super::*;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use streamalert_egress::{Config, HostRule, Resolve};

/// The first time one answer, afterwards another: DNS rebinding.
struct Rebinding {
    answers: Vec<Vec<&'static str>>,
    asked: AtomicUsize,
}

impl Resolve for Rebinding {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let number = self.asked.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        Ok(self.answers[number].iter().map(|address| address.parse().unwrap()).collect())
    }
}

fn resolving(answers: &[&[&'static str]]) -> (Egress, Arc<Rebinding>) {
    let answers = answers.iter().map(|addresses| addresses.to_vec()).collect();
    let resolver = Arc::new(Rebinding { answers, asked: AtomicUsize::new(0) });
    (Egress::with(Config { resolver: resolver.clone(), ..Config::default() }).unwrap(), resolver)
}

fn fine() -> Server {
    Server::new(|seen: &Seen| answer("200 OK", "", &seen.line))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn a_good_name_that_leads_into_the_house_is_refused() {
    let server = fine();
    let port = server.address.port();
    let rules = vec![HostRule::parse(&format!("http://evil.example:{port}")).unwrap()];
    let url = format!("http://evil.example:{port}/s3cret");
    for address in
        ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "192.168.0.1", "100.64.0.1", "fd00::1", "64:ff9b::7f00:1"]
    {
        let (egress, _) = resolving(&[&[address]]);
        let answer = egress.send(&Policy::new(rules.clone()), soon(), get(&url));
        failed(answer, HttpFailureKind::Forbidden, false, "private networks are not permitted");
    }
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "::",
        "fe80::1",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        let (egress, _) = resolving(&[&[address]]);
        let permitted = Policy { private_networks: true, ..Policy::new(rules.clone()) };
        failed(egress.send(&permitted, soon(), get(&url)), HttpFailureKind::Forbidden, false, "which nobody may call");
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_name_is_resolved_once_for_each_connection() {
    let server = fine();
    let port = server.address.port();
    let policy = policy(&[&format!("http://name.example:{port}")]);
    // Whoever asked twice would be led to the metadata service.
    let (egress, resolver) = resolving(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let url = format!("http://name.example:{port}/");
    for _ in 0..3 {
        assert_eq!(egress.send(&policy, soon(), get(&url)).unwrap().status, 200);
    }
    assert_eq!((server.connections(), resolver.asked.load(Ordering::Relaxed)), (1, 1));
    assert_eq!(server.seen()[0].header("host"), Some(format!("name.example:{port}").as_str()));
}

#[test]
fn of_several_addresses_the_forbidden_ones_are_left_out() {
    let server = fine();
    let port = server.address.port();
    let policy = policy(&[&format!("http://name.example:{port}")]);
    let (egress, _) = resolving(&[&["169.254.169.254", "fe80::1", "127.0.0.1"]]);
    assert_eq!(egress.send(&policy, soon(), get(format!("http://name.example:{port}/"))).unwrap().status, 200);
}

#[test]
fn where_one_address_does_not_answer_the_next_is_tried() {
    let server = fine();
    let port = server.address.port();
    let policy = policy(&[&format!("http://name.example:{port}")]);
    // Nobody listens there.
    let (egress, _) = resolving(&[&["127.0.0.2", "127.0.0.1"]]);
    assert_eq!(egress.send(&policy, soon(), get(format!("http://name.example:{port}/"))).unwrap().status, 200);
    let (egress, _) = resolving(&[&[]]);
    let nowhere = egress.send(&policy, soon(), get(format!("http://name.example:{port}/")));
    failed(nowhere, HttpFailureKind::Unreachable, false, "name.example has no address");
}

#[test]
fn a_connection_into_the_house_serves_only_who_may_go_there() {
    let server = fine();
    let url = server.url("/");
    let lan = server.policy();
    let egress = Egress::new().unwrap();
    assert_eq!(egress.send(&lan, soon(), get(&url)).unwrap().status, 200);
    let public = Policy { private_networks: false, ..lan };
    failed(
        egress.send(&public, soon(), get(&url)),
        HttpFailureKind::Forbidden,
        false,
        "private networks are not permitted",
    );

    let port = server.address.port();
    let (egress, _) = resolving(&[&["127.0.0.1"]]);
    let lan = policy(&[&format!("http://name.example:{port}")]);
    let url = format!("http://name.example:{port}/");
    assert_eq!(egress.send(&lan, soon(), get(&url)).unwrap().status, 200);
    let public = Policy { private_networks: false, ..lan };
    failed(
        egress.send(&public, soon(), get(&url)),
        HttpFailureKind::Forbidden,
        false,
        "private networks are not permitted",
    );
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_redirect_to_a_good_name_that_leads_into_the_house_is_not_followed() {
    let inner = fine();
    let port = inner.address.port();
    let outer = Server::new(move |_| {
        answer("307 Temporary Redirect", &format!("location: http://evil.example:{port}/\r\n"), "moved")
    });
    let (egress, _) = resolving(&[&["169.254.169.254"]]);
    let policy = policy(&[&format!("http://{}", outer.address), &format!("http://evil.example:{port}")]);
    let response = egress.send(&policy, soon(), get(outer.url("/"))).unwrap();
    assert_eq!((response.status, inner.connections()), (307, 0));
}

#[test]
fn a_resolver_that_hangs_costs_the_delivery_its_time_and_nobody_more() {
    struct Hanging;
    impl Resolve for Hanging {
        fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            std::thread::sleep(Duration::from_secs(5));
            Ok(vec![])
        }
    }
    let egress = Egress::with(Config { resolver: Arc::new(Hanging), ..Config::default() }).unwrap();
    let started = Instant::now();
    let answer = egress.send(
        &policy(&["name.example"]),
        started + Duration::from_millis(300),
        get("https://name.example/s3cret"),
    );
    failed(answer, HttpFailureKind::Timeout, false, "no answer from name.example");
    drop(egress);
    assert!(started.elapsed() < Duration::from_secs(3));
}
