//! Lines as the daemon writes them: in order, among one another, spoiled.

use super::*;

/// Each record's serial, types and place, then each error's place.
fn told(log: &str) -> String {
    let parts = auditd(log.as_bytes()).unwrap();
    let part = |part: &Part| {
        let place = &part.place;
        match part.json() {
            Some(json) => {
                let between =
                    |from: &str, to: &str| json.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
                format!("{}[{}]@{place:?}", between("\"serial\":", ","), between("\"types\":[", "]").replace('"', ""))
            }
            None => format!("!@{place:?}"),
        }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" ")
}

fn line(kind: &str, serial: u32) -> String {
    format!("type={kind} msg=audit(1364481363.243:{serial}): a=1\n")
}

#[test]
fn lines_of_one_event_become_one_record() {
    let log = [line("SYSCALL", 1), line("CWD", 1), line("EOE", 1), line("USER_CMD", 2)].concat();
    assert_eq!(told(&log), "1[SYSCALL,CWD,EOE]@0..129 2[USER_CMD]@130..176");
    assert_eq!(told(""), "");
    assert_eq!(told("\n \n"), "");
}

#[test]
fn events_among_one_another_share_their_piece() {
    let log = [line("SYSCALL", 1), line("SYSCALL", 2), line("CWD", 1), line("CWD", 2), line("X", 3)].concat();
    assert_eq!(told(&log), "1[SYSCALL,CWD]@0..175 2[SYSCALL,CWD]@0..175 3[X]@176..215");
    // Three of them, each within the next.
    let log =
        [line("A", 1), line("A", 2), line("A", 3), line("B", 3), line("B", 2), line("B", 1), line("C", 3)].concat();
    assert_eq!(told(&log), "1[A,B]@0..279 2[A,B]@0..279 3[A,B,C]@0..279");
}

#[test]
fn what_is_no_line_of_the_daemon_ends_the_events_before_it() {
    let log = format!("{}nonsense\n{}", line("A", 1), line("B", 1));
    assert_eq!(told(&log), "!@40..48 1[A]@0..39 1[B]@49..88");
    let parts = auditd(b"type=A msg=audit(x:1): \n").unwrap();
    assert_eq!(parts[0].reason(), Some("`x:1` is no time and serial number"));
}

#[test]
fn it_knows_its_own() {
    assert!(is_audit_log(line("A", 1).as_bytes()));
    assert!(is_audit_log(format!("node=web {}", line("A", 1)).as_bytes()));
    assert!(!is_audit_log(b"") && !is_audit_log(b"{\"type\": 1}\n") && !is_audit_log(&[0, 5, 0, 1]));
}
