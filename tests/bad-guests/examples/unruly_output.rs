//! An output that does what the descriptor of each parcel says.

mod delivery;

use delivery::{
    Again, Disposition, Fault, Given, Guest, OutputInfo, Parcel, delivered, http, info, log, request, secrets, word,
};
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

struct Unruly;

delivery::export_output!(Unruly with_types_in delivery);

/// Counts the calls of this instance: whoever reads 1 was given a fresh one.
static CALLS: AtomicU32 = AtomicU32::new(0);
/// What it was once told in confidence.
static REMEMBERED: Mutex<String> = Mutex::new(String::new());

const URL: &str = "https://api.example.com/";

impl Guest for Unruly {
    fn describe() -> OutputInfo {
        // Asked too early, for what nobody has given yet.
        assert_eq!(secrets::get("token"), None);
        let answer = word(http::send(&request(URL, vec![])));
        assert!(answer.contains("Forbidden"), "{answer}");
        info("unruly")
    }

    fn validate(settings: Vec<Given>) -> Vec<Fault> {
        let fault = |setting: &str, message: &str| Fault { setting: setting.into(), message: message.into() };
        let token = settings.iter().find(|given| given.name == "token").map_or("", |given| &given.value);
        match settings.iter().find(|given| given.name == "channel").map_or("", |given| &given.value) {
            "trap" => panic!("no settings"),
            "loop" => spin(),
            "many" => vec![fault("channel", "is wrong"); 1000],
            "leak" => vec![fault("token", &format!("{token} is no token"))],
            "call" => vec![fault("", &word(http::send(&request(URL, vec![]))))],
            _ => vec![],
        }
    }

    fn deliver(parcel: Parcel) -> Disposition {
        let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        let token = || secrets::get("token").unwrap_or_default();
        let retry = |progress: String| {
            Disposition::Retry(Again { reason: "later".into(), after: Some(7), progress: Some(progress) })
        };
        match parcel.descriptor.as_str() {
            "good" => delivered(format!("call {calls}")),
            "trap" => panic!("on purpose, with {}", token()),
            "loop" => spin(),
            "memory" => {
                let mut hoard: Vec<Vec<u8>> = Vec::new();
                loop {
                    hoard.push(black_box(Vec::with_capacity(1 << 20)));
                }
            }
            "recursion" => delivered(deeper(u64::from(calls)).to_string()),
            "log flood" => loop {
                log::write(log::Level::Error, "\x1b[2J all is well");
            },
            "huge answer" => Disposition::Reject("x".repeat(11 << 20)),
            "huge request" => delivered(word(http::send(&request(URL, vec![0; 11 << 20])))),
            "utf-8" => {
                // SAFETY: it is not; that is the point. Nothing in this guest looks at the text.
                Disposition::Reject(unsafe { String::from_utf8_unchecked(vec![0xff]) })
            }
            "much progress" => retry("x".repeat((64 << 10) + 1)),
            "some progress" => retry(format!("{}{}", parcel.progress.unwrap_or_default(), "x".repeat(10))),
            "long reason" => Disposition::Reject("x".repeat(100_000)),
            "control" => Disposition::Reject("\x1b[2J\nall is well".into()),
            "leak" => {
                log::write(log::Level::Info, &format!("the token is {}", token()));
                println!("and {}", token());
                Disposition::Reject(format!("{}{}", "y".repeat(1020), token()))
            }
            "leak a place" => delivered(format!("https://api.example.com/?t={}", token())),
            "secrets" => {
                let get = |name| secrets::get(name).unwrap_or_else(|| "none".into());
                let given: Vec<String> =
                    parcel.settings.iter().map(|given| format!("{}={}", given.name, given.value)).collect();
                let all = ["token", "channel", "password", "", "../token"].map(|name| get(name).len().to_string());
                delivered(format!("{} {}", all.join(" "), given.join(" ")))
            }
            "remember" => {
                let token = token();
                *REMEMBERED.lock().unwrap() = token;
                delivered("thanks")
            }
            "recall" => delivered(format!("[{}]", REMEMBERED.lock().unwrap())),
            "call" => delivered(word(http::send(&request(&parcel.publication, vec![1; 1000])))),
            "call and loop" => {
                let _ = http::send(&request(URL, vec![]));
                spin()
            }
            "call often" => {
                let words: Vec<String> = (0..1000).map(|_| word(http::send(&request(URL, vec![])))).collect();
                let good = words.iter().filter(|word| word.starts_with("200")).count();
                delivered(format!("{good}, then {}", words.last().unwrap()))
            }
            other => Disposition::Reject(format!("what is {other}?")),
        }
    }
}

fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

#[inline(never)]
#[allow(unconditional_recursion)]
fn deeper(n: u64) -> u64 {
    let here = black_box([n; 16]);
    deeper(here[3].wrapping_add(1)).wrapping_add(here[7])
}
