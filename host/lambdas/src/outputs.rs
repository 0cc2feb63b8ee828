//! Where alerts go on AWS: what outputs.json says, and the archive that every alert goes to.

use crate::environment::Environment;
use streamalert_pipeline::config::Outputs;
use streamalert_pipeline::config::output::Place;

/// The output that every alert goes to, where the installation has a stream for it.
pub const ARCHIVE: &str = "aws-firehose:alerts";
/// Names that stream.
const STREAM: &str = "STREAMALERT_ALERTS_STREAM";

/// Name of the stream that alerts are archived by; none if they are not.
pub fn archive_stream(environment: &Environment) -> Option<String> {
    environment.get(STREAM)
}

/// For the log of whoever delivers, once.
pub fn tell_of_archive(environment: &Environment) {
    if archive_stream(environment).is_none() {
        tracing::warn!("{STREAM} is not set: alerts are kept in the alerts table only, and by no stream");
    }
}

/// The operator's outputs as they are on AWS. What the operator says of the archive counts, but for a stream that is not named.
pub fn on_aws(outputs: &Outputs, stream: Option<&str>) -> Outputs {
    let mut outputs = Outputs { place: Place::Aws, ..outputs.clone() };
    if let Some(stream) = stream {
        let archive = outputs.configured.entry(ARCHIVE.to_owned()).or_default();
        archive.settings.entry("stream").or_insert_with(|| stream.into());
        outputs.archive = Some(ARCHIVE.to_owned());
    }
    outputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_pipeline::alert::Severity;

    #[test]
    fn every_alert_goes_to_the_archive_if_there_is_one() {
        let read = |text| Outputs::read("outputs.json", text).unwrap();
        let plain = read(r#"{"slack": ["soc"], "defaults": [{"outputs": ["slack:soc"]}]}"#);
        assert_eq!(on_aws(&plain, None).of(&[], "c", Severity::Low), ["slack:soc"]);
        let archived = on_aws(&plain, Some("p_alerts"));
        assert_eq!(archived.of(&[], "c", Severity::Low), [ARCHIVE, "slack:soc"]);
        assert!(archived.knows(ARCHIVE) && !archived.knows("file:x"));
        assert_eq!(archived.get(ARCHIVE).settings(), [("stream".to_owned(), "p_alerts".to_owned())]);
        let own =
            on_aws(&read(r#"{"aws-firehose": {"alerts": {"settings": {"stream": "own"}, "attempts": 9}}}"#), Some("x"));
        assert_eq!((own.get(ARCHIVE).attempts, &own.get(ARCHIVE).settings["stream"]), (Some(9), &"own".into()));
    }
}
