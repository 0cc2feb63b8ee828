//! `aws.json`: which installation the command line talks to.

use crate::{Connection, Names};
use serde_json::{Map, Value};

/// Names of the installation, and how AWS is reached; for what is not said there, the environment counts, as with every tool
/// of AWS.
#[derive(Clone, Debug)]
pub struct Settings {
    pub names: Names,
    pub connection: Connection,
}

impl Settings {
    /// Reads the file: the names of [`Names`], and beside them `region`, `profile`, `endpoint` and `path_style`. Variables of the
    /// environment are laid over it where it says nothing.
    pub fn read(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Settings, String> {
        let mut object: Map<String, Value> = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            Ok(_) => return Err("is no JSON object; write {\"prefix\": \"…\"}".into()),
            Err(error) => return Err(format!("is no JSON: {error}")),
        };
        let mut word = |name: &str| match object.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(other) => Err(format!("{name} is {other}, and no text")),
        };
        let (region, profile, endpoint) = (word("region")?, word("profile")?, word("endpoint")?);
        let path_style = match object.remove("path_style") {
            None => None,
            Some(Value::Bool(yes)) => Some(yes),
            Some(other) => return Err(format!("path_style is {other}; write true or false")),
        };
        let names = serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())?;
        let from_env = Connection::from_env(variable);
        let connection = Connection {
            region,
            profile,
            endpoint: endpoint.or(from_env.endpoint.clone()),
            path_style: path_style.unwrap_or(from_env.path_style),
            ..from_env
        };
        Ok(Settings { names, connection })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_counts_before_the_environment() {
        let variable = |name: &str| (name == "AWS_ENDPOINT_URL").then(|| "http://127.0.0.1:1".to_owned());
        let settings = Settings::read(r#"{"prefix": "acme", "region": "eu-west-1", "path_style": true}"#, variable);
        let Settings { names, connection } = settings.unwrap();
        assert_eq!(names.rules_bucket(), "acme-streamalert-rules");
        assert_eq!(connection.region.as_deref(), Some("eu-west-1"));
        assert_eq!(connection.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        assert!(connection.path_style);
        let text = r#"{"prefix": "acme", "rules_bucket": "mine", "endpoint": "http://127.0.0.1:2"}"#;
        let Settings { names, connection } = Settings::read(text, variable).unwrap();
        assert_eq!((names.rules_bucket().as_str(), connection.path_style), ("mine", false));
        assert_eq!(connection.endpoint.as_deref(), Some("http://127.0.0.1:2"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let told = |text: &str| Settings::read(text, |_| None).unwrap_err();
        assert!(told("[").contains("no JSON"));
        assert!(told("[]").contains("no JSON object"));
        assert!(told("{}").contains("prefix"));
        assert!(told(r#"{"prefix": "a", "regoin": "x"}"#).contains("regoin"));
        assert!(told(r#"{"prefix": "a", "region": 4}"#).contains("region is 4"));
        assert!(told(r#"{"prefix": "a", "path_style": "yes"}"#).contains("write true or false"));
    }
}
