//! What a failed call means, and how many are made at a time.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::future::Future;
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use tokio::sync::Semaphore;

/// An error by what one does about it. `action` is what was being done.
pub fn failed<E, R>(action: &str, error: SdkError<E, R>) -> BackendError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let kind = error.code().map_or(BackendErrorKind::Other, kind_of);
    BackendError { kind, action: action.to_owned(), source: Some(chain(&error).into()) }
}

/// An error with all its causes: the text of SDKs and HTTP clients says `service error` or `dispatch failure` and no more. Not
/// what it looks like inside, which holds the whole answer: where a signature does not fit, S3 sends back what was signed, the
/// session's token included.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Of the codes that services answer with.
pub fn kind_of(code: &str) -> BackendErrorKind {
    match code.rsplit(['#', '.']).next().unwrap_or(code) {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "ProvisionedThroughputExceededException"
        | "LimitExceededException"
        | "ServiceUnavailableException"
        | "ServiceUnavailable"
        | "OverLimit"
        | "SlowDown" => BackendErrorKind::Throttled,
        "ConditionalCheckFailedException"
        | "TransactionConflictException"
        | "PreconditionFailed"
        | "ConditionalRequestConflict" => BackendErrorKind::Conflict,
        "NoSuchKey"
        | "NoSuchBucket"
        | "NoSuchVersion"
        | "NotFound"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "ParameterNotFound"
        | "NonExistentQueue"
        | "QueueDoesNotExist" => BackendErrorKind::NotFound,
        "AccessDenied"
        | "AccessDeniedException"
        | "AllAccessDisabled"
        | "DisabledException"
        | "KMSInvalidStateException"
        | "KMSAccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch" => BackendErrorKind::Denied,
        _ => BackendErrorKind::Other,
    }
}

/// Makes calls, at most `at_once` of them at a time. Answers are in the order of `items`.
pub async fn at_once<T, F, O>(at_once: usize, items: Vec<T>, call: impl Fn(T) -> F) -> Vec<O>
where
    F: Future<Output = O> + Send + 'static,
    O: Send + 'static,
{
    // One needs no task of its own.
    if items.len() == 1 {
        let mut answers = Vec::new();
        for item in items {
            answers.push(call(item).await);
        }
        return answers;
    }
    let permits = Arc::new(Semaphore::new(at_once.max(1)));
    let mut tasks = Vec::with_capacity(items.len());
    for item in items {
        let (permits, call) = (permits.clone(), call(item));
        tasks.push(tokio::spawn(async move {
            // Nobody closes the semaphore.
            let _permit = permits.acquire_owned().await;
            call.await
        }));
    }
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        match task.await {
            Ok(answer) => answers.push(answer),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_by_their_last_part() {
        assert_eq!(kind_of("com.amazonaws.dynamodb.v20120810#ThrottlingException"), BackendErrorKind::Throttled);
        assert_eq!(kind_of("AWS.SimpleQueueService.NonExistentQueue"), BackendErrorKind::NotFound);
        assert_eq!(kind_of("SlowDown"), BackendErrorKind::Throttled);
        assert_eq!(kind_of("Strange"), BackendErrorKind::Other);
    }

    #[tokio::test]
    async fn answers_keep_their_order_and_few_are_made_at_a_time() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answers = at_once(3, (0..20u64).collect(), |item| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(std::time::Duration::from_millis(20 - item)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                item * 2
            }
        })
        .await;
        assert_eq!(answers, (0..20).map(|item| item * 2).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 3);
    }
}
