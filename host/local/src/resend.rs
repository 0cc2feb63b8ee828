//! Dead letters are tried again, at their old place and with their old identity: what was an alert already stays one
//! alert. A letter goes when what came of it is stored, and stays when it died again.

use crate::clock::millis;
use crate::runner::not_archived;
use std::collections::HashSet;
use std::sync::Arc;
use streamalert_archive::Keeper;
use streamalert_delivery::{address, store};
use streamalert_intel::Enricher;
use streamalert_pipeline::alert::Alert;
use streamalert_pipeline::backend::{AlertTable, BackendError, DeadLetters};
use streamalert_pipeline::classifier::Worker;
use streamalert_pipeline::config::Outputs;
use streamalert_pipeline::dead_letter::{DeadLetter, Reason};
use streamalert_pipeline::live::Live;
use streamalert_pipeline::staging::States;
use streamalert_pipeline::trials;

/// Letters stored and removed at once: a commit for each would take hours for a hundred thousand.
const LETTERS_AT_ONCE: usize = 256;

#[derive(Debug, Default)]
pub struct Resent {
    /// Ids of letters that are gone.
    pub through: Vec<String>,
    /// Letters that stay, and why.
    pub stayed: Vec<(String, String)>,
    pub new_alerts: u64,
    pub known_alerts: u64,
    /// New letters: records that were classified now and on which a rule failed.
    pub new_letters: u64,
}

pub struct Resender<'a> {
    worker: Worker,
    live: &'a Live,
    alerts: &'a dyn AlertTable,
    outputs: &'a Outputs,
    dead: &'a dyn DeadLetters,
    states: States,
    enricher: Option<Arc<Enricher>>,
    archive: Option<Arc<Keeper>>,
}

/// What came of a letter.
#[derive(Default)]
struct Again {
    alerts: Vec<Alert>,
    dead: Vec<DeadLetter>,
    /// For the archive.
    records: Vec<String>,
}

impl<'a> Resender<'a> {
    pub fn new(
        live: &'a Live,
        (alerts, outputs): (&'a dyn AlertTable, &'a Outputs),
        dead: &'a dyn DeadLetters,
        states: States,
    ) -> Self {
        Resender {
            worker: live.classifier.worker(),
            live,
            alerts,
            outputs,
            dead,
            states,
            enricher: None,
            archive: None,
        }
    }

    /// Looks records through for indicators of compromise, as a run does.
    pub fn looking(mut self, enricher: Option<Arc<Enricher>>) -> Self {
        self.enricher = enricher;
        self
    }

    /// Keeps records that are classified now, and alerts, for searching.
    pub fn kept_in(mut self, archive: Option<Arc<Keeper>>) -> Self {
        self.archive = archive;
        self
    }

    /// `print` gets new alerts once they are stored.
    pub fn resend(
        &mut self,
        letters: &[DeadLetter],
        now: impl Fn() -> String,
        mut print: impl FnMut(&[&Alert]),
    ) -> Result<Resent, BackendError> {
        let mut resent = Resent::default();
        for letters in letters.chunks(LETTERS_AT_ONCE) {
            let mut alerts = Vec::new();
            let mut records = Vec::new();
            let mut new_letters = Vec::new();
            let mut through = Vec::new();
            for letter in letters {
                match self.again(letter, &now()) {
                    Err(why) => resent.stayed.push((letter.id.clone(), why)),
                    Ok(again) => {
                        alerts.extend(again.alerts);
                        records.extend(again.records);
                        new_letters.extend(again.dead);
                        through.push(letter.id.clone());
                    }
                }
            }
            // Alerts first, the letters last: if we die in between, they are sent again and the ids make it harmless.
            if let Some(archive) = &self.archive {
                address(self.outputs, &mut alerts);
                archive.begin(&records, &alerts).map_err(not_archived)?;
            }
            let new = store(self.alerts, self.outputs, &mut alerts, millis(), |_, _| {})?;
            if let Some(archive) = &self.archive {
                let known = alerts.iter().zip(&new).filter_map(|(alert, new)| (!new).then_some(alert.id.as_str()));
                archive.end(&known.collect::<Vec<_>>()).map_err(not_archived)?;
            }
            self.dead.put(&new_letters)?;
            self.dead.remove(&through)?;
            let new: Vec<&Alert> = alerts.iter().zip(new).filter_map(|(alert, new)| new.then_some(alert)).collect();
            resent.new_alerts += new.len() as u64;
            resent.known_alerts += (alerts.len() - new.len()) as u64;
            print(&new);
            resent.new_letters += new_letters.len() as u64;
            resent.through.append(&mut through);
        }
        Ok(resent)
    }

    /// What the letter comes to now, or why it stays.
    fn again(&mut self, letter: &DeadLetter, now: &str) -> Result<Again, String> {
        letter.resendable()?;
        if letter.reason == Reason::NoObject {
            return Err("the object has to be fetched, which functions on AWS do".to_owned());
        }
        let mut classified = self.worker.resend(letter);
        if let Some(dead) = classified.dead.first() {
            return Err(format!("{}: {}", dead.reason.code(), dead.message));
        }
        if let Some(enricher) = &self.enricher {
            enricher.enrich(&mut classified.batch, millis()).map_err(|error| match &error.source {
                Some(source) => format!("{}: {source}", error.action),
                None => error.action.clone(),
            })?;
        }
        // Versions on trial beside live ones see what comes, and not what comes again.
        let only = letter.fault.as_ref().map(|fault| fault.rule.as_str());
        if let Some(only) = only
            && !self.live.rules.iter().any(|(_, rule)| rule.name == only)
        {
            return Err(format!("the rule {only} is not among the plugins"));
        }
        let detected = trials::judge(self.live, &classified.batch, now, millis(), &self.states, only);
        if only.is_none() {
            let kept = |archive: &Arc<Keeper>| archive.records(&classified.batch, millis());
            let records = self.archive.as_ref().map(kept).unwrap_or_default();
            return Ok(Again { alerts: detected.alerts, dead: detected.dead, records });
        }
        match detected.dead.iter().find(|dead| dead.id == letter.id).or(detected.dead.first()) {
            Some(dead) => Err(dead.message.clone()),
            // Its record was archived when the rule failed on it.
            None => Ok(Again { alerts: detected.alerts, ..Again::default() }),
        }
    }
}

/// The letters that a person asked for.
#[derive(Debug, Default)]
pub struct Filter {
    pub ids: Vec<String>,
    pub reason: Option<Reason>,
    /// A part of `service:resource:object`.
    pub source: Option<String>,
}

impl Filter {
    pub fn takes(&self, letter: &DeadLetter) -> bool {
        let source = || format!("{}:{}:{}", letter.source.service, letter.source.resource, letter.source.object);
        (self.ids.is_empty() || self.ids.iter().any(|id| letter.id.starts_with(id.as_str())))
            && self.reason.is_none_or(|reason| reason == letter.reason)
            && self.source.as_ref().is_none_or(|part| source().contains(part.as_str()))
    }

    /// Ids that no letter goes by, and those that more than one does.
    pub fn astray(&self, letters: &[DeadLetter]) -> Vec<String> {
        let count = |id: &str| {
            letters.iter().filter(|letter| letter.id.starts_with(id)).map(|l| &l.id).collect::<HashSet<_>>().len()
        };
        self.ids
            .iter()
            .filter_map(|id| match count(id) {
                0 => Some(format!("there is no letter {id}")),
                1 => None,
                many => Some(format!("{id} begins the ids of {many} letters; write more of it")),
            })
            .collect()
    }
}
