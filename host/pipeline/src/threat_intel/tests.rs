use super::*;
use crate::classifier::Classifier;
use crate::config::Schemas;
use crate::log_record::{Payload, Source};
use crate::record_batch::RecordBatch;

fn ioc(value: &str, ioc_type: &str, source: &str) -> Ioc {
    let sub_type = "c2".to_owned();
    Ioc {
        value: value.into(),
        ioc_type: ioc_type.into(),
        sub_type,
        source: source.into(),
        expires: 9,
        ..Ioc::default()
    }
}

struct Stage {
    schemas: Arc<Schemas>,
    clusters: Clusters,
    intel: ThreatIntel,
}

fn stage(cluster: Value, excluded: Value) -> Stage {
    let config = json!({"normalization": {"src": ["ip"], "host": ["host"], "digest": ["file", "hash"]},
        "ecs": {"source.ip": ["other"]}, "optional_top_level_keys": ["host", "file", "other"]});
    let schema = json!({"ip": "string", "host": "string", "file": {}, "other": []});
    let types = json!({
        "t": {"parser": "json", "schema": schema, "configuration": config},
        "plain": {"parser": "json", "schema": {"n": "integer"}},
    });
    let schemas = Arc::new(Schemas::read(&[("s.json".into(), types.to_string())]).unwrap());
    let mut file = json!({"data_sources": {"file": {"f": ["t", "plain"]}}});
    file.as_object_mut().unwrap().extend(cluster.as_object().unwrap().clone());
    let clusters = Clusters::read(&[("prod.json".into(), file.to_string())], &schemas).unwrap();
    let config = json!({"enabled": true, "excluded_iocs": excluded, "normalized_ioc_types": {
        "ip": ["src", "ecs:source.ip"], "domain": ["host"], "sha256": ["digest"]}});
    let config = ThreatIntelConfig::read("threat_intel.json", &config.to_string()).unwrap();
    let intel = ThreatIntel::new(&config, &clusters).unwrap();
    Stage { schemas, clusters, intel }
}

impl Stage {
    fn batch(&self, lines: &[Value]) -> LogBatch {
        let clusters = Clusters::read(&[], &self.schemas).unwrap();
        let name = self.clusters.clusters[0].name.clone();
        let classifier = Arc::new(Classifier::new(self.schemas.clone(), Arc::new(clusters)));
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let payload = Payload::new(Arc::new(Source::new("file", "f", "")), 0, text.as_bytes());
        let classified = classifier.worker().classify(payload);
        assert_eq!(classified.dead.len(), 0, "{:?}", classified.dead);
        let mut batch = classified.batch;
        batch.cluster = name;
        batch
    }
}

fn found(iocs: &[(&str, Ioc)]) -> Found {
    let mut found = Found::default();
    for (value, ioc) in iocs {
        let mut all = found.get(*value).map(|iocs: &Arc<[Ioc]>| iocs.to_vec()).unwrap_or_default();
        all.push(ioc.clone());
        found.insert((*value).to_owned(), all.into());
    }
    found
}

#[test]
fn hits_are_attached_and_nothing_else_changes() {
    let stage = stage(json!({}), json!({}));
    let lines = [
        json!({"ip": "::ffff:192.0.2.7", "host": "Evil.COM.", "file": {"hash": ["A".repeat(64), "no"]}}),
        json!({"ip": "10.0.0.1", "other": ["192.0.2.7", "192.0.2.7", 5]}),
        json!({"n": 123456789012345678_u64}),
        json!({"ip": "10.0.0.2"}),
    ];
    let mut batch = stage.batch(&lines);
    let before: Vec<(String, [u8; 32])> =
        (0..4).map(|row| (batch.fields(row).to_json(), batch.identity(row))).collect();
    let candidates = stage.intel.candidates(&batch);
    let mut values = candidates.values.clone();
    values.sort();
    assert_eq!(values, ["10.0.0.1", "10.0.0.2", "192.0.2.7", &"a".repeat(64), "evil.com"]);
    // Nothing is known: nothing changes.
    assert_eq!(stage.intel.attach(&mut batch, &candidates, &Found::default()), Attached::default());
    let network = Ioc { confidence: Some(80), ..ioc("192.0.2.0/24", "ip", "zed") };
    let known = found(&[
        ("192.0.2.7", ioc("192.0.2.7", "ip", "b")),
        ("192.0.2.7", network),
        ("192.0.2.7", ioc("192.0.2.7", "ip", "a")),
        ("evil.com", ioc("evil.com", "domain", "b")),
        // What is known of another kind says nothing.
        ("10.0.0.2", ioc("10.0.0.2", "domain", "b")),
    ]);
    assert_eq!(stage.intel.attach(&mut batch, &candidates, &known), Attached { records: 2, too_large: 0 });
    let after: Vec<Value> = (0..4).map(|row| batch.fields(row).to_value()).collect();
    let of = |source: &str| json!({"value": "192.0.2.7", "sub_type": "c2", "source": source});
    let mut wide = of("zed");
    wide["network"] = "192.0.2.0/24".into();
    wide["confidence"] = 80.into();
    let ip = json!([of("a"), of("b"), wide]);
    let domain = json!([{"value": "evil.com", "sub_type": "c2", "source": "b"}]);
    assert_eq!(after[0][IOC_KEY], json!({"domain": domain, "ip": ip}));
    assert_eq!(after[1][IOC_KEY], json!({"ip": ip}));
    for row in 0..4 {
        let mut after = after[row].clone();
        after.as_object_mut().unwrap().shift_remove(IOC_KEY);
        assert_eq!(after.to_string(), before[row].0, "all else is the same");
        assert_eq!(batch.identity(row), before[row].1);
    }
    let path = |path: &str| batch.fields(0).get(path).and_then(|node| node.as_str().map(str::to_owned));
    assert_eq!(path("streamalert:ioc.ip.0.value").as_deref(), Some("192.0.2.7"));
    // It travels with the record, and is not looked for again.
    let carried = RecordBatch::of(&batch, 0).into_iter().find(|batch| batch.log_type == "t").unwrap();
    let (again, dead) = crate::classifier::log_batch(carried, &stage.schemas);
    assert!(dead.is_empty());
    assert_eq!(again.fields(0).to_value()[IOC_KEY]["ip"], ip);
    assert_eq!(stage.intel.candidates(&again).values, ["10.0.0.2"]);
}

#[test]
fn exclusions_are_networks_values_and_patterns() {
    let excluded = json!({
        "ip": {"10.0.0.0/8": {}, "2001:DB8::1": {}, "192.0.2.*": {}}, "domain": ["Example.com", "*.example.ORG"],
        "sha256": ["B".repeat(64)],
    });
    let stage = stage(json!({}), excluded);
    let line = |ip: &str, host: &str| json!({"ip": ip, "host": host, "file": {"hash": "b".repeat(64)}});
    let lines = [
        line("10.255.1.1", "EXAMPLE.com"),
        line("::ffff:10.1.1.1", "a.b.example.org"),
        line("2001:db8:0::1", "example.org"),
        line("192.0.2.200", "notexample.com"),
        line("11.0.0.1", "x"),
    ];
    let mut values = stage.intel.candidates(&stage.batch(&lines)).values;
    values.sort();
    assert_eq!(values, ["11.0.0.1", "example.org", "notexample.com", "x"]);
}

#[test]
fn a_log_cannot_say_that_it_has_a_hit() {
    let stage = stage(json!({}), json!({}));
    let line = json!({"ip": "10.0.0.1", IOC_KEY: {"ip": [{"value": "10.0.0.1"}]}});
    let batch = stage.batch(&[line]);
    assert!(batch.fields(0).root().get(IOC_KEY).is_none(), "{}", batch.fields(0).to_json());
    assert_eq!(stage.intel.candidates(&batch).values, ["10.0.0.1"]);
}

#[test]
fn clusters_say_whether_they_want_it() {
    for (cluster, looked) in [
        (json!({}), true),
        (json!({"enable_threat_intel": true}), true),
        (json!({"enable_threat_intel": false}), false),
    ] {
        let stage = stage(cluster.clone(), json!({}));
        let batch = stage.batch(&[json!({"ip": "192.0.2.7"})]);
        assert_eq!(!stage.intel.candidates(&batch).is_empty(), looked, "{cluster}");
        // Records of no cluster: only where no cluster says anything.
        let mut elsewhere = stage.batch(&[json!({"ip": "192.0.2.7"})]);
        elsewhere.cluster = "".into();
        assert_eq!(!stage.intel.candidates(&elsewhere).is_empty(), cluster == json!({}), "{cluster}");
    }
}
