//! The bucket that rules come from. Users write below `plugins/` and `conf/`; what is made of that lies below `live/`, where
//! nobody but the plugin compiler writes.
//!
//! | key | what |
//! |---|---|
//! | `plugins/NAME.wasm` | components, as they were uploaded |
//! | `conf/…` | the files of the configuration: `schemas/`, `clusters/`, `lookup_tables/`, `outputs.json` … |
//! | `live/index` | what functions use: read by each of them every few seconds |
//! | `live/components/DIGEST.wasm` | each component that was ever live, so that what the index names can always be had |
//! | `live/code/FORM/DIGEST` | the same, compiled and sealed |
//! | `live/conf/DIGEST.json.zst` | all files of a configuration as one |
//! | `live/verdicts.json` | what became of each upload, for people |

use crate::Aws;
use crate::call::failed;
use crate::objects::{Bucket, millis, status};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::BucketVersioningStatus;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::time::Millis;

pub use crate::objects::{Changed, Listed, Stored};

pub const PLUGINS: &str = "plugins/";
pub const CONF: &str = "conf/";
pub const LIVE: &str = "live/";
pub const INDEX: &str = "live/index";
pub const VERDICTS: &str = "live/verdicts.json";
pub const COMPONENTS: &str = "live/components/";
pub const CODE: &str = "live/code/";
pub const CONFS: &str = "live/conf/";
/// Components that are being compiled, with how often that was begun.
pub const ATTEMPTS_MADE: &str = "live/attempts/";

/// Effort of zstd: what is read by all functions at their start is worth some milliseconds at its making.
const COMPRESSION: i32 = 9;
/// Bytes of a configuration; lookup tables are most of it, and all of them lie in the memory of every function.
const CONF_BYTES_MAX: usize = 256 << 20;
/// The metadata of an upload that holds its SHA-256, hex.
const DIGEST_METADATA: &str = "sha256";

/// The metadata of an upload that says what becomes of its rules.
const STAGING_METADATA: &str = "rule-staging";
const SKIP: &str = "skip";

/// A digest is 64 hex digits, and so no key leads out of its prefix.
pub fn component_key(digest: &str) -> String {
    format!("{COMPONENTS}{digest}.wasm")
}

pub fn code_key(form: &str, digest: &str) -> String {
    format!("{CODE}{form}/{digest}")
}

pub fn conf_key(digest: &str) -> String {
    format!("{CONFS}{digest}.json.zst")
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Beside what every bucket can.
#[derive(Clone)]
pub struct RulesBucket(Bucket);

impl Deref for RulesBucket {
    type Target = Bucket;

    fn deref(&self) -> &Bucket {
        &self.0
    }
}

/// One version of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Version {
    pub id: String,
    pub etag: Option<String>,
    pub size: Option<u64>,
    pub modified: Option<Millis>,
    pub latest: bool,
    /// It stands for a deletion.
    pub deleted: bool,
}

impl RulesBucket {
    pub fn new(aws: &Arc<Aws>, bucket: impl Into<String>) -> Self {
        RulesBucket(Bucket::new(aws, bucket))
    }

    pub fn aws(&self) -> &Arc<Aws> {
        &self.0.aws
    }

    /// Puts a file of a user's, and says so if it was there already, the same. Returns its ETag.
    pub async fn upload(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Upload, BackendError> {
        self.upload_as(key, bytes, false).await
    }

    /// The same; with `skip_staging`, the rules of the component are to go live without a trial.
    pub async fn upload_as(
        &self,
        key: &str,
        bytes: impl Into<Bytes>,
        skip_staging: bool,
    ) -> Result<Upload, BackendError> {
        let bytes = bytes.into();
        let digest = sha256(&bytes);
        let head = self.aws.s3.head_object().bucket(&self.name).key(key).send().await;
        match head {
            Ok(head) => {
                let known = head.metadata.as_ref().and_then(|metadata| metadata.get(DIGEST_METADATA));
                if known == Some(&digest) {
                    return Ok(Upload { etag: head.e_tag.unwrap_or_default(), new: false });
                }
            }
            Err(error) if status(&error) == Some(404) => {}
            Err(error) => return Err(failed(&self.action("look at", key), error)),
        }
        let put = self.aws.s3.put_object().bucket(&self.name).key(key).metadata(DIGEST_METADATA, digest);
        let put = match skip_staging {
            true => put.metadata(STAGING_METADATA, SKIP),
            false => put,
        };
        let put = put.body(ByteStream::from(bytes)).send().await;
        let put = put.map_err(|error| failed(&self.action("put", key), error))?;
        Ok(Upload { etag: put.e_tag.unwrap_or_default(), new: true })
    }

    /// Whether this upload was told to go live without a trial. One that was replaced meanwhile was not.
    pub async fn skips_staging(&self, key: &str, digest: &str) -> Result<bool, BackendError> {
        let head = match self.aws.s3.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => head,
            Err(error) if status(&error) == Some(404) => return Ok(false),
            Err(error) => return Err(failed(&self.action("look at", key), error)),
        };
        let said = |name: &str, value: &str| {
            head.metadata.as_ref().and_then(|metadata| metadata.get(name)).is_some_and(|found| found == value)
        };
        Ok(said(DIGEST_METADATA, digest) && said(STAGING_METADATA, SKIP))
    }

    /// Whether the bucket keeps older versions.
    pub async fn keeps_versions(&self) -> Result<bool, BackendError> {
        let asked = self.aws.s3.get_bucket_versioning().bucket(&self.name).send().await;
        let answer = asked.map_err(|error| failed(&self.action("ask for the versioning of", ""), error))?;
        Ok(answer.status == Some(BucketVersioningStatus::Enabled))
    }

    /// All versions of one object, the newest first.
    pub async fn versions(&self, key: &str) -> Result<Vec<Version>, BackendError> {
        let mut found = Vec::new();
        let (mut key_marker, mut version_marker) = (None, None);
        loop {
            let page = self.aws.s3.list_object_versions().bucket(&self.name).prefix(key);
            let page = page.set_key_marker(key_marker).set_version_id_marker(version_marker);
            let page = page.send().await.map_err(|error| failed(&self.action("list the versions of", key), error))?;
            for version in page.versions.unwrap_or_default().into_iter().filter(|v| v.key.as_deref() == Some(key)) {
                found.push(Version {
                    id: version.version_id.unwrap_or_default(),
                    etag: version.e_tag,
                    size: version.size.and_then(|size| u64::try_from(size).ok()),
                    modified: version.last_modified.as_ref().and_then(millis),
                    latest: version.is_latest.unwrap_or(false),
                    deleted: false,
                });
            }
            let markers = page.delete_markers.unwrap_or_default();
            for marker in markers.into_iter().filter(|marker| marker.key.as_deref() == Some(key)) {
                found.push(Version {
                    id: marker.version_id.unwrap_or_default(),
                    etag: None,
                    size: None,
                    modified: marker.last_modified.as_ref().and_then(millis),
                    latest: marker.is_latest.unwrap_or(false),
                    deleted: true,
                });
            }
            (key_marker, version_marker) = (page.next_key_marker, page.next_version_id_marker);
            if !page.is_truncated.unwrap_or(false) || key_marker.is_none() {
                break;
            }
        }
        // Stable: S3 has the newest first, of versions and of deletions each.
        found.sort_by_key(|version| (!version.latest, std::cmp::Reverse(version.modified)));
        Ok(found)
    }

    /// Of one version; `None` if there is no such version, or it stands for a deletion.
    pub async fn get_version(&self, key: &str, id: &str) -> Result<Option<Bytes>, BackendError> {
        let action = self.action("get an older version of", key);
        let object = match self.aws.s3.get_object().bucket(&self.name).key(key).version_id(id).send().await {
            Ok(object) => object,
            Err(error) if matches!(status(&error), Some(400 | 404 | 405)) => return Ok(None),
            Err(error) => return Err(failed(&action, error)),
        };
        let body = object.body.collect().await.map_err(|error| BackendError::other(action, error))?;
        Ok(Some(body.into_bytes()))
    }

    /// What became of the uploads, with the ETag of the file that says it. One that cannot be read says nothing.
    pub async fn verdicts(&self) -> Result<(Verdicts, Option<String>), BackendError> {
        let Some(object) = self.get(VERDICTS).await? else { return Ok((Verdicts::default(), None)) };
        let read = serde_json::from_slice(&object.bytes).unwrap_or_else(|error| {
            tracing::warn!(bucket = self.name, %error, "{VERDICTS} cannot be read");
            Verdicts::default()
        });
        Ok((read, Some(object.etag)))
    }

    /// Keeps the files of a configuration as one object. Returns its digest.
    pub async fn put_conf(&self, files: &ConfFiles) -> Result<String, BackendError> {
        let text = conf_text(files);
        let digest = sha256(&text);
        let key = conf_key(&digest);
        let packed = zstd::bulk::compress(&text, COMPRESSION);
        let packed = packed.map_err(|error| BackendError::other(self.action("compress", &key), error))?;
        self.put(&key, packed).await?;
        Ok(digest)
    }

    /// The configuration of this digest, whole and unchanged.
    pub async fn get_conf(&self, digest: &str) -> Result<ConfFiles, BackendError> {
        let key = conf_key(digest);
        let action = || self.action("read", &key);
        let object = self.get(&key).await?.ok_or_else(|| BackendError {
            kind: BackendErrorKind::NotFound,
            action: action(),
            source: Some("it is not there; push the configuration again".into()),
        })?;
        let text = zstd::stream::Decoder::new(&object.bytes[..]).and_then(|decoder| {
            use std::io::Read;
            let mut text = Vec::new();
            decoder.take(CONF_BYTES_MAX as u64 + 1).read_to_end(&mut text)?;
            Ok(text)
        });
        let text = text.map_err(|error| BackendError::other(action(), error))?;
        if sha256(&text) != digest {
            return Err(BackendError::other(action(), "it is not what its name says; push the configuration again"));
        }
        serde_json::from_slice(&text).map_err(|error| BackendError::other(action(), error))
    }
}

/// The text of each file of a configuration, by its path below `conf/`.
pub type ConfFiles = BTreeMap<String, String>;

/// Why a configuration cannot be kept as one object, if it cannot: functions would not read it.
pub fn oversize(files: &ConfFiles) -> Option<String> {
    above(files, CONF_BYTES_MAX)
}

fn above(files: &ConfFiles, most: usize) -> Option<String> {
    let bytes = conf_text(files).len();
    let (largest, text) = files.iter().max_by_key(|(_, text)| text.len())?;
    (bytes > most).then(|| {
        format!(
            "{largest}: all files of the configuration have {bytes} bytes together, and {most} are the most; this one has {}",
            text.len()
        )
    })
}

/// What a configuration's digest is of.
fn conf_text(files: &ConfFiles) -> Vec<u8> {
    // Texts by texts can always be written.
    serde_json::to_vec(files).unwrap_or_default()
}

/// Files of a configuration beside its folders.
pub const CONF_FILES: [&str; 6] = [
    "apps.json",
    "outputs.json",
    "lookup_tables.json",
    "threat_intel.json",
    "rule_staging.json",
    "scheduled_queries.json",
];

/// Whether a file is part of the configuration: notes, and what tools leave behind, are not.
pub fn is_conf(path: &str) -> bool {
    match path.split_once('/') {
        None => CONF_FILES.contains(&path),
        Some(("schemas" | "clusters" | "lookup_tables", file)) => {
            !file.contains('/') && !file.starts_with('.') && file.ends_with(".json")
        }
        Some(("scheduled_queries", file)) => !file.contains('/') && !file.starts_with('.') && file.ends_with(".sql"),
        Some(_) => false,
    }
}

/// What an upload came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    pub etag: String,
    /// It was not there before, or was another.
    pub new: bool,
}

/// What became of all uploads. For people; functions do not read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdicts {
    /// Version of the compiler's program.
    pub host: String,
    /// Of the index that goes with it.
    pub serial: u64,
    pub conf: ConfVerdict,
    /// By file name.
    pub plugins: BTreeMap<String, Verdict>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Live,
    Refused,
    /// Not looked at yet.
    #[default]
    Waiting,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Refused => "refused",
            State::Waiting => "waiting",
        }
    }
}

/// Of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    pub state: State,
    /// Of the upload this is about.
    pub etag: String,
    /// SHA-256, hex.
    pub digest: String,
    pub size: u64,
    /// RFC 3339.
    pub uploaded: Option<String>,
    /// When this became so; RFC 3339.
    pub since: Option<String>,
    /// Why it is refused.
    pub problems: Vec<String>,
    /// What is worth knowing, though it is live.
    pub warnings: Vec<String>,
    /// Digest of the version that functions use, where it is not this one.
    pub serving: Option<String>,
    /// `rule`, `parser`, `publisher` or `output`.
    pub world: Option<String>,
    /// Names of its rules, or what else there is in it.
    pub names: Vec<String>,
    /// By form.
    pub code: BTreeMap<String, CodeVerdict>,
}

/// Of what was compiled for one kind of processor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CodeVerdict {
    pub bytes: u64,
    /// What compiling took.
    pub milliseconds: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfVerdict {
    pub state: State,
    /// ETags of the files this is about, by path.
    pub files: BTreeMap<String, String>,
    /// Of the configuration that functions use.
    pub digest: Option<String>,
    /// When this became so; RFC 3339.
    pub since: Option<String>,
    pub problems: Vec<String>,
    pub warnings: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_no_function_would_read_is_told_of() {
        let files = [("lookup_tables/a.json", "\"x\"\n"), ("schemas/b.json", "{}")];
        let files: ConfFiles = files.map(|(path, text)| (path.to_owned(), text.to_owned())).into();
        let bytes = conf_text(&files).len();
        assert_eq!(above(&files, bytes), None);
        let told = above(&files, bytes - 1).unwrap();
        assert!(told.starts_with("lookup_tables/a.json: ") && told.ends_with("this one has 4"), "{told}");
        assert_eq!(oversize(&ConfFiles::new()), None);
    }

    #[test]
    fn only_what_is_configuration_counts_as_such() {
        for path in
            ["outputs.json", "threat_intel.json", "schemas/aws.json", "clusters/prod.json", "lookup_tables/vips.json"]
        {
            assert!(is_conf(path), "{path}");
        }
        for path in ["aws.json", "README.md", "schemas/README.md", "schemas/.x.json", "schemas/old/a.json", "x/a.json"]
        {
            assert!(!is_conf(path), "{path}");
        }
    }
}
