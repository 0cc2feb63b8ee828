//! What is live, as the plugin compiler writes it and all functions read it: one small object, sealed.

use serde::{Deserialize, Serialize};
use std::io::Read;
use streamalert_pipeline::staging::Fleet;
use streamalert_plugins::lazy::Description;
use streamalert_plugins::{CodeKey, SealError};

/// Of what is written here. A function that finds another one does without an index.
const VERSION: u32 = 1;
/// What the seal says it is.
const LABEL: &str = "index";
/// Bytes of an index: a thousand components of a hundred rules have a tenth of it.
const BYTES_MAX: u64 = 1 << 30;
/// Effort of zstd: all functions read it at their start.
const COMPRESSION: i32 = 9;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    pub version: u32,
    /// Greater than that of every index before.
    pub serial: u64,
    /// Version of the compiler's program.
    pub host: String,
    /// Digest of the configuration.
    pub conf: String,
    /// In the order of their names.
    pub plugins: Vec<Entry>,
    /// Older versions that stay live while newer ones are on trial beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older: Vec<Entry>,
}

/// A component that is live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Of its file.
    pub name: String,
    /// SHA-256 of it, hex.
    pub digest: String,
    pub size: u64,
    pub description: Description,
    /// See [`Description::digest`].
    pub described: String,
}

#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(
        "it is of version {0}, and this program knows {VERSION}: deploy functions and plugin compiler of one release"
    )]
    Version(u32),
    #[error("unpack it")]
    Unpack(#[source] std::io::Error),
    #[error("it is damaged")]
    Json(#[from] serde_json::Error),
}

impl Index {
    pub fn new(serial: u64, conf: String, plugins: Vec<Entry>) -> Self {
        Index { version: VERSION, serial, host: env!("CARGO_PKG_VERSION").to_owned(), conf, plugins, older: Vec::new() }
    }

    /// Whether functions would do the same with both.
    pub fn is_like(&self, other: &Index) -> bool {
        (&self.host, &self.conf, &self.plugins, &self.older) == (&other.host, &other.conf, &other.plugins, &other.older)
    }

    /// Digest of the component of each rule.
    pub fn fleet(&self) -> Fleet {
        fleet(&self.plugins)
    }

    pub fn write(&self, key: &CodeKey) -> Result<Vec<u8>, IndexError> {
        let text = serde_json::to_vec(self)?;
        Ok(key.seal(LABEL, &zstd::bulk::compress(&text, COMPRESSION).map_err(IndexError::Unpack)?))
    }

    pub fn read(sealed: &[u8], key: &CodeKey) -> Result<Self, IndexError> {
        /// Newer ones may look otherwise altogether.
        #[derive(Deserialize)]
        struct Any {
            version: u32,
        }
        let packed = key.open(LABEL, sealed)?;
        let mut text = Vec::new();
        let decoder = zstd::stream::Decoder::with_buffer(packed).map_err(IndexError::Unpack)?;
        decoder.take(BYTES_MAX).read_to_end(&mut text).map_err(IndexError::Unpack)?;
        match serde_json::from_slice::<Index>(&text) {
            Ok(index) if index.version == VERSION => Ok(index),
            Ok(index) => Err(IndexError::Version(index.version)),
            Err(error) => match serde_json::from_slice::<Any>(&text) {
                Ok(any) if any.version != VERSION => Err(IndexError::Version(any.version)),
                _ => Err(error.into()),
            },
        }
    }
}

/// Digest of the component of each rule.
pub fn fleet(entries: &[Entry]) -> Fleet {
    let mut fleet = Fleet::new();
    for entry in entries {
        if let Description::Rules(rules) = &entry.description {
            fleet.extend(rules.iter().map(|rule| (rule.name.clone(), entry.digest.clone())));
        }
    }
    fleet
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamalert_pipeline::plugin::{OutputInfo, PublisherInfo};

    fn key(digits: &str) -> CodeKey {
        CodeKey::read(&digits.repeat(32)).unwrap()
    }

    fn entry(name: &str, description: Description) -> Entry {
        let described = description.digest();
        Entry { name: name.into(), digest: "d".repeat(64), size: 7, description, described }
    }

    #[test]
    fn an_index_is_read_as_it_was_written_and_only_with_its_key() {
        let publisher = PublisherInfo { name: "short".into(), description: "…".into() };
        let output = OutputInfo { service: "pager".into(), ..OutputInfo::default() };
        let plugins = vec![
            entry("a.wasm", Description::Publishers(vec![publisher])),
            entry("b.wasm", Description::Output(output)),
        ];
        let index = Index::new(7, "c".repeat(64), plugins);
        let sealed = index.write(&key("0a")).unwrap();
        assert_eq!(Index::read(&sealed, &key("0a")).unwrap(), index);
        assert!(matches!(Index::read(&sealed, &key("0b")), Err(IndexError::Seal(_))));
        let mut changed = sealed.clone();
        changed[60] ^= 1;
        assert!(matches!(Index::read(&changed, &key("0a")), Err(IndexError::Seal(_))));
        assert!(matches!(Index::read(b"", &key("0a")), Err(IndexError::Seal(_))));

        assert!(index.is_like(&Index { serial: 8, ..index.clone() }));
        assert!(!index.is_like(&Index { conf: "other".into(), ..index.clone() }));
        let beside = Index { older: vec![index.plugins[0].clone()], ..index.clone() };
        assert!(!index.is_like(&beside), "what is on trial has begun or ended");
        assert_eq!(Index::read(&beside.write(&key("0a")).unwrap(), &key("0a")).unwrap(), beside);
    }

    #[test]
    fn an_index_of_another_release_is_known_for_one() {
        let text = br#"{"version": 2, "everything": "is otherwise"}"#;
        let sealed = key("0a").seal(LABEL, &zstd::bulk::compress(text, 1).unwrap());
        let error = Index::read(&sealed, &key("0a")).unwrap_err();
        assert!(matches!(error, IndexError::Version(2)), "{error}");
        assert!(error.to_string().contains("of one release"), "{error}");
    }
}
