//! Athena as the engine of scheduled queries. Its answers lie in S3 under their ids, so they are the same however often they are read.

use crate::athena::{Athena, Execution, State, is_refused};
use crate::{Aws, Names};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_pipeline::backend::BackendError;
use streamalert_pipeline::scheduled_queries::drive::{Engine, EngineError, Look, Page, Question};
use streamalert_pipeline::scheduled_queries::events::About;

pub struct AthenaEngine {
    aws: Arc<Aws>,
    athena: Athena,
    /// What is done, by id.
    done: Mutex<HashMap<String, Execution>>,
}

impl AthenaEngine {
    pub fn new(aws: &Arc<Aws>, names: &Names) -> Self {
        AthenaEngine { aws: aws.clone(), athena: Athena::new(aws, names), done: Mutex::default() }
    }

    fn execution(&self, id: &str) -> Result<Execution, EngineError> {
        if let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(done.clone());
        }
        let execution = self.aws.wait(self.athena.execution(id)).map_err(failed)?;
        if execution.state == State::Succeeded {
            let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            done.insert(id.to_owned(), execution.clone());
        }
        Ok(execution)
    }

    /// Where a person looks at it.
    fn link(&self, id: &str) -> String {
        let region = self.aws.region();
        let console = match crate::signed::partition(region) {
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => "console.aws.amazon.com",
        };
        format!("https://{region}.{console}/athena/home?region={region}#/query-editor/history/{id}")
    }
}

fn failed(error: BackendError) -> EngineError {
    let refused = is_refused(&error);
    let text = match error.source {
        Some(source) => format!("{}: {source}", error.action),
        None => error.action,
    };
    if refused { EngineError::Refused(text) } else { EngineError::Failed(text) }
}

impl Engine for AthenaEngine {
    fn start(&self, question: &Question<'_>) -> Result<String, EngineError> {
        self.aws.wait(self.athena.start(question.sql, question.token)).map_err(failed)
    }

    fn look(&self, id: &str) -> Result<Look, EngineError> {
        let execution = self.execution(id)?;
        let reason = execution.reason.clone();
        Ok(match execution.state {
            State::Running => Look::Running,
            State::Succeeded => Look::Done(About {
                execution: id.to_owned(),
                scanned_bytes: execution.scanned_bytes,
                millis: execution.millis,
                link: Some(self.link(id)),
                ..About::default()
            }),
            State::Failed => Look::Failed {
                error: reason.unwrap_or_else(|| "Athena does not say why".into()),
                may_pass: execution.retryable,
            },
            State::Cancelled => {
                Look::Failed { error: reason.unwrap_or_else(|| "somebody stopped it".into()), may_pass: false }
            }
        })
    }

    fn stop(&self, id: &str) -> Result<(), EngineError> {
        self.aws.wait(self.athena.stop(id)).map_err(failed)
    }

    fn page(&self, id: &str, token: Option<&str>) -> Result<Page, EngineError> {
        let execution = self.execution(id)?;
        let page = self.aws.wait(self.athena.page(&execution, token)).map_err(failed)?;
        let rows = page.rows.iter().map(|row| page.object(row)).collect();
        let headers = page.columns.iter().map(|column| column.name.clone()).collect();
        Ok(Page { headers, rows, next: page.next })
    }

    fn forget(&self, id: &str) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
