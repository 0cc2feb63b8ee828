//! What is in a file, for whoever is about to load it.

use crate::component::{FileKind, Host, HostConfig, HostError, LoadCheck, LoadError, Plugin, Problem, hex, kind};
use crate::{ParserComponent, PluginLimits, contract};
use serde::Serialize;
use sha2::{Digest, Sha256};
use streamalert_pipeline::plugin::{
    AppInfo, AppPlugin, OutputInfo, OutputPlugin, ParserPlugin, PublisherInfo, PublisherPlugin, RuleInfo, RulePlugin,
    Takes,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Component,
    CoreModule,
    NotWasm,
}

#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub kind: Kind,
    /// Worlds of our package that it fits; empty when it is refused.
    pub worlds: Vec<String>,
    /// Versions of `streamalert:plugin` that its exports and imports name.
    pub versions: Vec<String>,
    pub rules: Vec<RuleInfo>,
    /// If it is a parser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parser: Option<ParserInspection>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub publishers: Vec<PublisherInfo>,
    /// If it is an output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<AppInfo>,
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// Bytes of the file.
    pub size: usize,
    /// SHA-256, hex.
    pub digest: String,
    /// Why a host would refuse it, if it would.
    #[serde(serialize_with = "problems")]
    pub problems: Vec<Problem>,
}

/// What a parser says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ParserInspection {
    pub name: String,
    pub description: String,
    pub takes: Takes,
    pub sniffs: bool,
    /// In the order in which they are tried.
    pub log_types: Vec<LogTypeInspection>,
}

#[derive(Clone, Debug, Serialize)]
pub struct LogTypeInspection {
    pub name: String,
    /// How many its records have at the top.
    pub fields: usize,
}

impl ParserInspection {
    fn of(parser: &ParserComponent) -> Self {
        let info = parser.info();
        let log_types = parser.schemas().iter();
        ParserInspection {
            name: info.name.clone(),
            description: info.description.clone(),
            takes: info.takes,
            sniffs: info.sniffs,
            log_types: log_types
                .map(|log_type| LogTypeInspection { name: log_type.name.clone(), fields: log_type.fields.0.len() })
                .collect(),
        }
    }
}

fn problems<S: serde::Serializer>(problems: &[Problem], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(problems.iter().map(Problem::to_string))
}

/// Looks into a file with a host of its own, where every log type counts as known.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, HostError> {
    let limits = PluginLimits { instances: 4, ..PluginLimits::default() };
    let host = Host::new(HostConfig { limits, ..HostConfig::default() })?;
    Ok(host.inspect(bytes, &LoadCheck::any_log()))
}

impl Host {
    pub fn inspect(&self, bytes: &[u8], check: &LoadCheck) -> Inspection {
        let mut seen = Inspection {
            kind: match kind(bytes) {
                FileKind::Component => Kind::Component,
                FileKind::Module => Kind::CoreModule,
                FileKind::Other => Kind::NotWasm,
            },
            worlds: vec![],
            versions: vec![],
            rules: vec![],
            parser: None,
            publishers: vec![],
            output: None,
            apps: vec![],
            imports: vec![],
            exports: vec![],
            size: bytes.len(),
            digest: hex(&Sha256::digest(bytes)),
            problems: vec![],
        };
        match self.load_plugin("file", bytes, check) {
            Ok(plugin) => {
                let code = plugin.code();
                seen.worlds.push(format!("{}@{}", code.world(), code.version()));
                seen.imports = code.imports().to_vec();
                seen.exports = code.exports().to_vec();
                match plugin {
                    Plugin::Rules(component) => seen.rules = component.rules().to_vec(),
                    Plugin::Parser(component) => seen.parser = Some(ParserInspection::of(&component)),
                    Plugin::Publishers(component) => seen.publishers = component.publishers().to_vec(),
                    Plugin::Output(component) => seen.output = Some(component.info().clone()),
                    Plugin::Apps(component) => seen.apps = component.apps().to_vec(),
                }
            }
            Err(LoadError { problems, .. }) => {
                seen.problems = problems;
                if let Ok((component, _)) = self.compile(bytes) {
                    seen.imports = contract::imports(&self.shared.engine, &component);
                    seen.exports = contract::exports(&self.shared.engine, &component);
                }
            }
        }
        let names = seen.imports.iter().chain(&seen.exports).filter_map(|name| contract::parse(name));
        let ours = names.filter(|name| name.package == contract::PACKAGE).filter_map(|name| name.version);
        seen.versions = ours.map(str::to_owned).collect();
        seen.versions.sort();
        seen.versions.dedup();
        seen
    }
}
