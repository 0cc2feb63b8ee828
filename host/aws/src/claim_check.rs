//! What is too large to travel lies in S3, and a pointer travels instead.

use crate::objects::Bucket;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};

/// Where all of them lie; the bucket's life cycle removes them after [`crate::limits::CLAIM_DAYS`], but for those of the kind
/// `archive`, to which lines of the archive point.
pub const CLAIMS: &str = "claims/";

/// The pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub bucket: String,
    pub key: String,
    pub bytes: u64,
    /// Hex.
    pub sha256: String,
}

impl Claim {
    /// Puts `bytes` where their own digest names them: doing it twice leaves one object.
    pub async fn check_in(bucket: &Bucket, kind: &str, bytes: Vec<u8>) -> Result<Claim, BackendError> {
        let sha256 = hex(&Sha256::digest(&bytes));
        let claim = Claim {
            bucket: bucket.name.clone(),
            key: format!("{CLAIMS}{kind}/{sha256}"),
            bytes: bytes.len() as u64,
            sha256,
        };
        bucket.put(&claim.key, bytes).await?;
        Ok(claim)
    }

    /// The bytes, as they were put there. `NotFound` if they are gone, or are not what they were. Looks into `bucket` only: a
    /// pointer from outside must not lead anywhere else.
    pub async fn fetch(&self, bucket: &Bucket) -> Result<Vec<u8>, BackendError> {
        let not_ours = |message: String| BackendError {
            kind: BackendErrorKind::NotFound,
            action: format!("fetch s3://{}/{}", self.bucket, self.key),
            source: Some(message.into()),
        };
        if self.bucket != bucket.name || !self.key.starts_with(CLAIMS) {
            return Err(not_ours(format!("claims lie below s3://{}/{CLAIMS}", bucket.name)));
        }
        let bytes = bucket.get(&self.key).await?.ok_or_else(|| not_ours("it is not there any more".into()))?.bytes;
        if hex(&Sha256::digest(&bytes)) != self.sha256 {
            return Err(not_ours("it is not what was put there".into()));
        }
        Ok(bytes.into())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}
