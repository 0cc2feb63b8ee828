//! Dead letters in S3: an object for the letters of one invocation, lines of JSON packed by zstd.

use crate::Aws;
use crate::call::at_once;
use crate::claim_check::hex;
use crate::limits::{CALLS_AT_ONCE, ZSTD_LEVEL};
use crate::objects::{Bucket, Stored};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind, DeadLetters};
use streamalert_pipeline::dead_letter::DeadLetter;

/// Where they lie.
const DEAD: &str = "dead/";
/// Times an object is read again because somebody else changed it meanwhile.
const CONFLICTS_MAX: u32 = 10;

pub struct S3DeadLetters {
    bucket: Bucket,
}

/// All letters there were, and where they lay.
pub struct Pile {
    /// The oldest first.
    pub letters: Vec<DeadLetter>,
    keys: Vec<String>,
}

/// One object, as it was read.
struct Sheet {
    key: String,
    etag: String,
    letters: Vec<DeadLetter>,
    /// Lines that a newer version may have written: they stay.
    unreadable: Vec<String>,
}

impl S3DeadLetters {
    pub fn new(aws: &Arc<Aws>, bucket: impl Into<String>) -> Self {
        S3DeadLetters { bucket: Bucket::new(aws, bucket) }
    }

    async fn put_all(&self, letters: &[DeadLetter]) -> Result<(), BackendError> {
        let now = jiff::Timestamp::now();
        let stamped = letters.iter().map(|letter| DeadLetter { first_seen: format!("{now:.3}"), ..letter.clone() });
        let bytes = pack(stamped, &[])?;
        let mut digest = Sha256::new();
        letters.iter().for_each(|letter| digest.update(&letter.id));
        // Names sort by time. The same letters at another time are another object: each time counts.
        let digest = hex(&digest.finalize()[..12]);
        let key = format!("{DEAD}{}/{:013}-{digest}.jsonl.zst", now.strftime("%Y-%m-%d"), now.as_millisecond());
        self.bucket.put(&key, bytes).await
    }

    /// `None` if somebody has removed it since it was listed, or it is damaged.
    async fn sheet(bucket: Bucket, key: String) -> Result<Option<Sheet>, BackendError> {
        let Some(Stored { bytes, etag }) = bucket.get(&key).await? else { return Ok(None) };
        let text = match zstd::stream::decode_all(&bytes[..]) {
            Ok(text) => text,
            // It hides no other, and stays where it is.
            Err(error) => {
                tracing::error!(bucket = bucket.name, key, %error, "dead letters that cannot be unpacked");
                return Ok(None);
            }
        };
        let mut sheet = Sheet { key, etag, letters: Vec::new(), unreadable: Vec::new() };
        for line in String::from_utf8_lossy(&text).lines() {
            match serde_json::from_str(line) {
                Ok(letter) => sheet.letters.push(letter),
                Err(error) => {
                    tracing::error!(bucket = bucket.name, key = sheet.key, %error, "a dead letter that cannot be read");
                    sheet.unreadable.push(line.to_owned());
                }
            }
        }
        Ok(Some(sheet))
    }

    async fn sheets(&self, keys: Vec<String>) -> Result<Vec<Sheet>, BackendError> {
        let bucket = self.bucket.clone();
        let sheets = at_once(CALLS_AT_ONCE, keys, move |key| Self::sheet(bucket.clone(), key)).await;
        sheets.into_iter().filter_map(Result::transpose).collect()
    }

    async fn remove_all(&self, ids: &HashSet<&str>, keys: Vec<String>) -> Result<(), BackendError> {
        let gone = |letter: &DeadLetter| ids.contains(letter.id.as_str());
        for sheet in self.sheets(keys).await?.into_iter().filter(|sheet| sheet.letters.iter().any(gone)) {
            let mut sheet = Some(sheet);
            let mut conflicts = 0;
            while let Some(now) = sheet.take() {
                let rest: Vec<DeadLetter> = now.letters.iter().filter(|letter| !gone(letter)).cloned().collect();
                match self.replace(&now, rest).await {
                    Ok(()) => {}
                    Err(error) if error.kind == BackendErrorKind::Conflict && conflicts < CONFLICTS_MAX => {
                        conflicts += 1;
                        sheet = Self::sheet(self.bucket.clone(), now.key).await?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// All letters as of now.
    pub fn pile(&self) -> Result<Pile, BackendError> {
        let aws = &self.bucket.aws;
        let keys = aws.wait(self.bucket.keys(DEAD))?;
        let sheets = aws.wait(self.sheets(keys.clone()))?;
        let mut by_id: BTreeMap<String, DeadLetter> = BTreeMap::new();
        for letter in sheets.into_iter().flat_map(|sheet| sheet.letters) {
            match by_id.get_mut(&letter.id) {
                Some(known) => {
                    known.count += letter.count;
                    if letter.first_seen < known.first_seen {
                        known.first_seen = letter.first_seen;
                    }
                }
                None => drop(by_id.insert(letter.id.clone(), letter)),
            }
        }
        let mut letters: Vec<DeadLetter> = by_id.into_values().collect();
        letters.sort_by(|a, b| (&a.first_seen, &a.id).cmp(&(&b.first_seen, &b.id)));
        Ok(Pile { letters, keys })
    }

    /// Forgets these letters of the pile. One of the same id that came since stays: what was sent again may have been lost again,
    /// faster than this is done.
    pub fn remove_from(&self, pile: &Pile, ids: &[String]) -> Result<(), BackendError> {
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.bucket.aws.wait(self.remove_all(&ids, pile.keys.clone()))
    }

    /// Only if nobody else has changed it.
    async fn replace(&self, sheet: &Sheet, rest: Vec<DeadLetter>) -> Result<(), BackendError> {
        match rest.is_empty() && sheet.unreadable.is_empty() {
            true => self.bucket.delete_unchanged(&sheet.key, &sheet.etag).await,
            false => {
                let bytes = pack(rest.into_iter(), &sheet.unreadable)?;
                self.bucket.replace(&sheet.key, Some(&sheet.etag), bytes).await
            }
        }
    }
}

fn pack(letters: impl Iterator<Item = DeadLetter>, others: &[String]) -> Result<Vec<u8>, BackendError> {
    let mut text = Vec::new();
    for letter in letters {
        serde_json::to_writer(&mut text, &letter).map_err(|error| BackendError::other("write a dead letter", error))?;
        text.push(b'\n');
    }
    for line in others {
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    zstd::bulk::compress(&text, ZSTD_LEVEL).map_err(|error| BackendError::other("compress dead letters", error))
}

impl DeadLetters for S3DeadLetters {
    fn put(&self, letters: &[DeadLetter]) -> Result<(), BackendError> {
        if letters.is_empty() {
            return Ok(());
        }
        self.bucket.aws.wait(self.put_all(letters))
    }

    fn list(&self) -> Result<Vec<DeadLetter>, BackendError> {
        Ok(self.pile()?.letters)
    }

    fn remove(&self, ids: &[String]) -> Result<(), BackendError> {
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.bucket.aws.wait(async { self.remove_all(&ids, self.bucket.keys(DEAD).await?).await })
    }
}
