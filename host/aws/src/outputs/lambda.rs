//! `aws-lambda`: the record as the event of a function, which is not waited for.

use super::{Answers, Arn, CallError, Desk, Letter, Service, Settings, info, is_made_of, optional, required, sdk};
use crate::limits::LAMBDA_EVENT_BYTES_MAX;
use aws_sdk_lambda::config::{Builder, Region};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use streamalert_pipeline::plugin::{OutputInfo, OutputOptions, SettingFault};

pub(super) struct Lambda;

impl Service for Lambda {
    const BULK: bool = false;

    fn info() -> OutputInfo {
        let asked = [
            required("function", "name of the function, NAME:QUALIFIER, or its ARN"),
            optional("qualifier", "version or alias, if it is not in the name"),
        ];
        let options = OutputOptions { rate: Some(100.0), idempotent: false };
        info("aws-lambda", "invokes a function with each alert's record", &asked, options)
    }

    fn check(settings: &Settings<'_>, faults: &mut Vec<SettingFault>) {
        let fits = |function: &str| match function.starts_with("arn:") {
            true => Arn::parse(function, "lambda").is_some_and(|arn| {
                let name = arn.resource.strip_prefix("function:");
                name.is_some_and(|name| is_made_of(name, 1..=200, "_-:$"))
            }),
            false => is_made_of(function, 1..=200, "_-:$"),
        };
        settings.expect(
            "function",
            faults,
            fits,
            "the name of a function or its ARN, arn:aws:lambda:REGION:ACCOUNT:function:NAME",
        );
        let fits = |qualifier: &str| is_made_of(qualifier, 1..=128, "_-$");
        settings.expect("qualifier", faults, fits, "a version or an alias");
    }

    async fn send(&self, desk: &Desk, settings: &Settings<'_>, letters: &[Letter<'_>], answers: &Answers) {
        for letter in letters {
            match one(desk, settings, letter).await {
                Ok(()) => answers.delivered(letter.place, None),
                Err(error) => answers.failed(letter.place, &error),
            }
        }
    }
}

async fn one(desk: &Desk, settings: &Settings<'_>, letter: &Letter<'_>) -> Result<(), CallError> {
    let data = letter.publication.get("@aws-lambda.alert_data");
    let event = data.map_or_else(|| letter.record(), ToString::to_string);
    let event = desk.fitting(&letter.alert, event, LAMBDA_EVENT_BYTES_MAX).await?;
    let function = settings.required("function");
    let invoke = desk.aws.lambda.invoke().function_name(function).invocation_type(InvocationType::Event);
    let invoke = invoke.set_qualifier(settings.get("qualifier").map(str::to_owned)).payload(Blob::new(event));
    let region = Arn::parse(function, "lambda").map(|arn| arn.region).filter(|region| *region != desk.aws.region());
    let sent = match region {
        Some(region) => {
            let there = Builder::new().region(Region::new(region.to_owned()));
            invoke.customize().config_override(there).send().await
        }
        None => invoke.send().await,
    };
    sent.map_err(sdk)?;
    Ok(())
}
