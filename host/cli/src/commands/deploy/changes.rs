//! What Terraform and OpenTofu say with `-json`, a line for each event: what would change, what is under way, what failed.
//! Format: <https://developer.hashicorp.com/terraform/internals/machine-readable-ui>

use serde_json::Value;

/// Types of resources that hold what cannot be made again.
const STORES: [&str; 6] = [
    "aws_dynamodb_table",
    "aws_s3_bucket",
    "aws_kms_key",
    "aws_kinesis_stream",
    "aws_cloudwatch_log_group",
    // Records on their way, and those that nobody could take.
    "aws_sqs_queue",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create,
    Update,
    Replace,
    Delete,
    /// Something that is there is taken over, or is no more cared for.
    Other,
}

impl Action {
    pub const ALL: [Action; 5] = [Action::Create, Action::Update, Action::Other, Action::Replace, Action::Delete];

    pub fn sign(self) -> &'static str {
        match self {
            Action::Create => "+",
            Action::Update => "~",
            Action::Replace => "±",
            Action::Delete => "-",
            Action::Other => "·",
        }
    }

    pub fn is_removal(self) -> bool {
        matches!(self, Action::Replace | Action::Delete)
    }

    /// Of `action` in a planned change; `None` if nothing is done.
    fn read(text: &str) -> Option<Action> {
        match text {
            "create" => Some(Action::Create),
            "update" => Some(Action::Update),
            "replace" => Some(Action::Replace),
            "delete" => Some(Action::Delete),
            // Data sources are read again; that changes nothing.
            "noop" | "no-op" | "read" => None,
            _ => Some(Action::Other),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub address: String,
    pub action: Action,
    pub kind: String,
}

#[derive(Debug, Default)]
pub struct Changes {
    pub list: Vec<Change>,
}

impl Changes {
    pub fn addresses(&self, action: Action) -> impl Iterator<Item = &str> {
        self.list.iter().filter(move |change| change.action == action).map(|change| change.address.as_str())
    }

    /// Addresses of what holds data and would be gone.
    pub fn lost(&self) -> Vec<&str> {
        let lost = self.list.iter().filter(|change| change.action.is_removal() && STORES.contains(&&*change.kind));
        lost.map(|change| change.address.as_str()).collect()
    }

    /// What `apply` tells of: a replacement is two.
    pub fn steps(&self) -> u64 {
        let of = |action: Action| self.addresses(action).count() as u64;
        of(Action::Create) + of(Action::Update) + of(Action::Delete) + 2 * of(Action::Replace)
    }

    pub fn counts(&self) -> String {
        let words = ["to make", "to change", "to take over or let go", "to make anew", "to remove"];
        let counts = Action::ALL.iter().zip(words).map(|(action, words)| (self.addresses(*action).count(), words));
        let told: Vec<String> = counts.filter(|(n, _)| *n > 0).map(|(n, words)| format!("{n} {words}")).collect();
        told.join(", ")
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    Planned(Change),
    /// What there is of it is being looked at.
    Reading(String),
    Begun(String),
    Done(String),
    Failed(String),
    Warning(String),
    Error(String),
}

impl Event {
    /// `None`: nothing that anybody needs to know.
    pub fn read(line: &str) -> Option<Event> {
        let value: Value = serde_json::from_str(line).ok()?;
        let address = |at: &Value| at["resource"]["addr"].as_str().unwrap_or_default().to_owned();
        match value["type"].as_str()? {
            "planned_change" => {
                let change = &value["change"];
                let action = Action::read(change["action"].as_str()?)?;
                let kind = change["resource"]["resource_type"].as_str().unwrap_or_default().to_owned();
                Some(Event::Planned(Change { address: address(change), action, kind }))
            }
            "refresh_start" => Some(Event::Reading(address(&value["hook"]))),
            // Data sources are applied too, by being read.
            "apply_start" if value["hook"]["action"] != "read" => Some(Event::Begun(address(&value["hook"]))),
            "apply_complete" if value["hook"]["action"] != "read" => Some(Event::Done(address(&value["hook"]))),
            "apply_errored" => Some(Event::Failed(address(&value["hook"]))),
            "diagnostic" => {
                let diagnostic = &value["diagnostic"];
                let text = |name: &str| diagnostic[name].as_str().unwrap_or_default().trim().to_owned();
                let mut told = text("summary");
                let (detail, address) = (text("detail"), text("address"));
                if !address.is_empty() {
                    told = format!("{address}: {told}");
                }
                if !detail.is_empty() {
                    told = format!("{told}: {detail}");
                }
                match diagnostic["severity"].as_str() {
                    Some("warning") => Some(Event::Warning(told)),
                    _ => Some(Event::Error(told)),
                }
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, action: &str) -> String {
        format!(
            r#"{{"@level":"info","type":"planned_change","change":{{"resource":{{"addr":"module.a.{kind}.x","resource_type":"{kind}"}},"action":"{action}"}}}}"#
        )
    }

    #[test]
    fn changes_are_counted_and_what_loses_data_is_named() {
        let mut changes = Changes::default();
        for (kind, action) in [
            ("aws_sqs_queue", "create"),
            ("aws_iam_role", "create"),
            ("aws_lambda_function", "update"),
            ("aws_dynamodb_table", "replace"),
            ("aws_s3_bucket", "delete"),
            ("aws_lambda_permission", "delete"),
            ("aws_s3_bucket", "import"),
            ("aws_sqs_queue", "replace"),
            ("aws_sqs_queue", "noop"),
        ] {
            match Event::read(&change(kind, action)) {
                Some(Event::Planned(change)) => changes.list.push(change),
                other => assert_eq!((other, action), (None, "noop")),
            }
        }
        assert_eq!(
            changes.lost(),
            ["module.a.aws_dynamodb_table.x", "module.a.aws_s3_bucket.x", "module.a.aws_sqs_queue.x"]
        );
        assert_eq!(changes.steps(), 2 + 1 + 2 + 2 * 2);
        assert_eq!(changes.counts(), "2 to make, 1 to change, 1 to take over or let go, 2 to make anew, 2 to remove");
    }

    #[test]
    fn errors_say_where_and_why() {
        let line = r#"{"@level":"error","type":"diagnostic","diagnostic":{"severity":"error","summary":"Invalid value","detail":"Write arm64 or x86_64.","address":"var.architecture"}}"#;
        let told = "var.architecture: Invalid value: Write arm64 or x86_64.";
        assert_eq!(Event::read(line), Some(Event::Error(told.into())));
        assert_eq!(Event::read("Terraform v1.9"), None);
        assert_eq!(Event::read(r#"{"type":"version","terraform":"1.9"}"#), None);
        let read = r#"{"type":"apply_complete","hook":{"resource":{"addr":"data.x"},"action":"read"}}"#;
        assert_eq!(Event::read(read), None);
    }
}
