//! What the tests of all outputs ask.

use streamalert_output_sdk::prelude::*;

/// An output without anything, for tests of what outputs share.
pub struct Nothing;

impl Output for Nothing {
    const SERVICE: &'static str = "nothing";
    const DESCRIPTION: &'static str = "";
    const SETTINGS: &'static [Setting] = &[];
    const HOSTS: &'static [&'static str] = &[];

    fn deliver(_: &Parcel, _: &dyn Http) -> Disposition {
        Disposition::Delivered(None)
    }
}

/// What attackers would write into a log if they knew where its alerts go: markup, mentions, links, quotes, ends of fences,
/// formulas, line breaks, letters that turn text around, of each length that UTF-8 has.
pub const HOSTILE: &str = "<!channel> <@U012AB3CD> @everyone @here <at>all</at> [log in](https://evil.example) ``` ~~~ \
    {code}{noformat} h1. *b* _i_ | table | #1 @octocat !x.png! \r\nBcc: all@evil.example\r\n\r\n=HYPERLINK(\"x\") \
    <script>alert('x')</script> </pre> & \" ' \\ \u{0}\u{1b}[2J \u{202e}gnp.exe\u{202c} ä 日 😀 👩\u{200d}👩\u{200d}👧";

/// An alert that holds nothing but [`HOSTILE`] text, much of it.
pub fn hostile() -> Value {
    let many: Map<String, Value> = (0..400).map(|n| (format!("{n}{HOSTILE}"), json!(HOSTILE.repeat(3)))).collect();
    json!({
        "title": HOSTILE.repeat(20),
        "rule_description": HOSTILE.repeat(300),
        "event_time": HOSTILE,
        "references": [format!("https://evil.example/{}", "x".repeat(5000)), HOSTILE],
        "tags": vec![HOSTILE; 60],
        "context": {"a": HOSTILE, "long": "😀".repeat(20_000)},
        "record": many,
    })
}

/// Reads what became of one request in each way that an answer can be wrong: tried again or refused, and a refusal for want of
/// rights names a setting.
#[track_caller]
pub fn errors<O: Output>(parcel: &Parcel) {
    let status = |status: u16| {
        let http = FakeHttp::new().answer(status, "told why");
        let is_final = (400..500).contains(&status) && !matches!(status, 408 | 425 | 429);
        O::deliver(parcel, &if is_final { http } else { http.header("Retry-After", "7") })
    };
    for code in [400, 413, 422] {
        let outcome = status(code);
        assert!(
            matches!(&outcome, Disposition::Reject(reason) if reason.contains(&code.to_string())),
            "{code} {outcome:?}"
        );
    }
    for code in [401, 403, 404] {
        let outcome = status(code);
        let names = |reason: &str| O::SETTINGS.iter().any(|setting| reason.contains(&format!("`{}`", setting.name)));
        assert!(matches!(&outcome, Disposition::Reject(reason) if names(reason)), "{code} {outcome:?}");
    }
    for code in [408, 429, 500, 502, 503, 504] {
        let outcome = status(code);
        assert!(matches!(&outcome, Disposition::Retry { after: Some(7), .. }), "{code} {outcome:?}");
    }
    for kind in [FailureKind::Unreachable, FailureKind::Tls, FailureKind::Timeout, FailureKind::Broken] {
        let outcome = O::deliver(parcel, &FakeHttp::new().fail(kind));
        assert!(matches!(outcome, Disposition::Retry { .. }), "{kind:?} {outcome:?}");
    }
    let outcome = O::deliver(parcel, &FakeHttp::new().fail(FailureKind::Forbidden));
    assert!(matches!(outcome, Disposition::Reject(_)), "{outcome:?}");
}
