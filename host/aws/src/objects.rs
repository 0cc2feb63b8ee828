//! Objects of S3: small ones as bytes, large ones as a stream that survives broken connections.

use crate::Aws;
use crate::call::{at_once, failed};
use crate::limits::{CALLS_AT_ONCE, OBJECT_RESUMES_MAX};
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::{Buf, Bytes};
use std::io::{self, Read};
use std::sync::Arc;
use streamalert_intake::Object;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};
use streamalert_pipeline::time::Millis;

/// An object as a listing tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Without the prefix that was listed.
    pub name: String,
    pub etag: String,
    pub size: u64,
    pub modified: Option<Millis>,
}

/// An object as it is now.
#[derive(Clone, Debug)]
pub struct Stored {
    pub bytes: Bytes,
    pub etag: String,
}

/// What a conditional request came to.
#[derive(Debug)]
pub enum Changed {
    Same,
    Gone,
    Now(Stored),
}

/// A bucket of ours.
#[derive(Clone)]
pub struct Bucket {
    pub aws: Arc<Aws>,
    pub name: String,
}

impl Bucket {
    pub fn new(aws: &Arc<Aws>, name: impl Into<String>) -> Self {
        Bucket { aws: aws.clone(), name: name.into() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn action(&self, verb: &str, key: &str) -> String {
        format!("{verb} s3://{}/{key}", self.name)
    }

    /// Storeds below a prefix, in order.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BackendError> {
        let mut listed = Vec::new();
        let mut next = None;
        loop {
            let page = self.aws.s3.list_objects_v2().bucket(&self.name).prefix(prefix).set_continuation_token(next);
            let page = page.send().await.map_err(|error| failed(&self.action("list", prefix), error))?;
            for object in page.contents.unwrap_or_default() {
                let (Some(key), Some(etag)) = (object.key, object.e_tag) else { continue };
                let Some(name) = key.strip_prefix(prefix) else { continue };
                listed.push(Listed {
                    name: name.to_owned(),
                    etag,
                    size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                    modified: object.last_modified.as_ref().and_then(millis),
                });
            }
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(listed);
            }
        }
    }

    /// `None` if there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, BackendError> {
        match self.get_unless(key, None).await? {
            Changed::Now(object) => Ok(Some(object)),
            Changed::Same | Changed::Gone => Ok(None),
        }
    }

    /// Many, some at a time, in the order of `keys`.
    pub async fn get_all(&self, keys: Vec<String>) -> Result<Vec<Option<Stored>>, BackendError> {
        let call = |key: String| {
            let bucket = self.clone();
            async move { bucket.get(&key).await }
        };
        at_once(CALLS_AT_ONCE, keys, call).await.into_iter().collect()
    }

    /// Unless it still has this ETag.
    pub async fn get_unless(&self, key: &str, etag: Option<&str>) -> Result<Changed, BackendError> {
        // A body that breaks off is no failed call to the SDK.
        let mut resumes = 0;
        loop {
            let get = self.aws.s3.get_object().bucket(&self.name).key(key);
            let object = match get.set_if_none_match(etag.map(str::to_owned)).send().await {
                Ok(object) => object,
                Err(error) if etag.is_some() && status(&error) == Some(304) => return Ok(Changed::Same),
                Err(error) => {
                    let error = failed(&self.action("get", key), error);
                    return if error.kind == BackendErrorKind::NotFound { Ok(Changed::Gone) } else { Err(error) };
                }
            };
            let etag = object.e_tag.unwrap_or_default();
            match object.body.collect().await {
                Ok(body) => return Ok(Changed::Now(Stored { bytes: body.into_bytes(), etag })),
                Err(error) if resumes == OBJECT_RESUMES_MAX => {
                    return Err(BackendError::other(self.action("get", key), error));
                }
                Err(_) => resumes += 1,
            }
        }
    }

    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<(), BackendError> {
        let put = self.aws.s3.put_object().bucket(&self.name).key(key).body(ByteStream::from(bytes.into()));
        put.send().await.map_err(|error| failed(&self.action("put", key), error))?;
        Ok(())
    }

    /// Only if the object still has this ETag, or still is not there; else the error is a conflict.
    pub async fn replace(&self, key: &str, etag: Option<&str>, bytes: impl Into<Bytes>) -> Result<(), BackendError> {
        self.exchange(key, etag, bytes).await.map(drop)
    }

    /// The same; says which ETag it has then.
    pub async fn exchange(
        &self,
        key: &str,
        etag: Option<&str>,
        bytes: impl Into<Bytes>,
    ) -> Result<String, BackendError> {
        let put = self.aws.s3.put_object().bucket(&self.name).key(key).body(ByteStream::from(bytes.into()));
        let put = match etag {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        let done = put.send().await.map_err(|error| self.in_conflict("put", key, error))?;
        Ok(done.e_tag.unwrap_or_default())
    }

    /// Of what was deleted meanwhile, S3 says that it is not there.
    fn in_conflict<E>(&self, verb: &str, key: &str, error: SdkError<E>) -> BackendError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let conflict = matches!(status(&error), Some(404 | 409 | 412));
        let mut error = failed(&self.action(verb, key), error);
        if conflict {
            error.kind = BackendErrorKind::Conflict;
        }
        error
    }

    /// Only if the object still has this ETag, as of [`Bucket::replace`].
    pub async fn delete_unchanged(&self, key: &str, etag: &str) -> Result<(), BackendError> {
        let delete = self.aws.s3.delete_object().bucket(&self.name).key(key).if_match(etag);
        delete.send().await.map(drop).map_err(|error| self.in_conflict("delete", key, error))
    }

    /// No error if there is none.
    pub async fn delete(&self, key: &str) -> Result<(), BackendError> {
        let deleted = self.aws.s3.delete_object().bucket(&self.name).key(key).send().await;
        deleted.map_err(|error| failed(&self.action("delete", key), error))?;
        Ok(())
    }

    /// Folders right below a prefix that ends with a slash, by their names without one.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>, BackendError> {
        let (mut folders, mut next) = (Vec::new(), None);
        loop {
            let page = self.aws.s3.list_objects_v2().bucket(&self.name).prefix(prefix).delimiter("/");
            let page = page.set_continuation_token(next).send().await;
            let page = page.map_err(|error| failed(&self.action("list", prefix), error))?;
            let found = page.common_prefixes.unwrap_or_default().into_iter().filter_map(|folder| folder.prefix);
            folders.extend(found.filter_map(|folder| Some(folder.strip_prefix(prefix)?.strip_suffix('/')?.to_owned())));
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(folders);
            }
        }
    }

    /// Keys below a prefix, in order.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, BackendError> {
        Ok(self.list(prefix).await?.into_iter().map(|listed| format!("{prefix}{}", listed.name)).collect())
    }
}

pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

pub(crate) fn millis(time: &DateTime) -> Option<Millis> {
    time.to_millis().ok()
}

/// Somebody's object, read as it comes. Blocks.
pub struct ObjectReader {
    aws: Arc<Aws>,
    bucket: String,
    key: String,
    version: Option<String>,
    /// Of what was begun: what comes after a break must be the same.
    etag: Option<String>,
    body: Option<ByteStream>,
    chunk: Bytes,
    read: u64,
    length: Option<u64>,
    resumes: u32,
}

impl ObjectReader {
    /// [`BackendErrorKind::NotFound`] also for an object that is there and cannot be read until somebody restores it, and for what
    /// can be no object.
    pub fn open(aws: &Arc<Aws>, object: &Object) -> Result<Self, BackendError> {
        let mut reader = ObjectReader {
            aws: aws.clone(),
            bucket: object.bucket.clone(),
            key: object.key.clone(),
            version: object.version.clone().filter(|version| version != "null"),
            etag: None,
            body: None,
            chunk: Bytes::new(),
            read: 0,
            length: None,
            resumes: 0,
        };
        reader.connect()?;
        Ok(reader)
    }

    /// Of the object as it is read.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    fn connect(&mut self) -> Result<(), BackendError> {
        let action = format!("read s3://{}/{}", self.bucket, self.key);
        let range = (self.read > 0).then(|| format!("bytes={}-", self.read));
        let get = self.aws.s3.get_object().bucket(&self.bucket).key(&self.key);
        let get = get.set_version_id(self.version.clone()).set_if_match(self.etag.clone()).set_range(range);
        let object: GetObjectOutput = self.aws.wait(get.send()).map_err(|error| meant(&action, error))?;
        if self.etag.is_none() {
            self.etag = object.e_tag;
            self.length = object.content_length.and_then(|length| u64::try_from(length).ok());
        }
        self.body = Some(object.body);
        Ok(())
    }

    fn broke(&mut self, error: io::Error) -> io::Result<()> {
        self.body = None;
        self.resumes += 1;
        if self.resumes > OBJECT_RESUMES_MAX {
            return Err(error);
        }
        self.connect().map_err(io::Error::other)
    }
}

fn meant(action: &str, error: SdkError<GetObjectError>) -> BackendError {
    let archived = error.code() == Some("InvalidObjectState");
    // Of a bucket, key or version that nothing can be called.
    let never = matches!(
        error.code(),
        Some("InvalidArgument" | "InvalidBucketName" | "InvalidURI" | "KeyTooLongError" | "InvalidVersionId")
    );
    let mut error = failed(action, error);
    if never {
        error.kind = BackendErrorKind::NotFound;
    }
    if archived {
        error.kind = BackendErrorKind::NotFound;
        error.action.push_str(" (it is archived: restore it, then send this again)");
    }
    error
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            let Some(body) = &mut self.body else { return Ok(0) };
            match self.aws.wait(body.next()) {
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => self.broke(io::Error::other(error))?,
                None => match self.length {
                    Some(length) if self.read < length => {
                        let message = format!("the object ended after {} of {length} bytes", self.read);
                        self.broke(io::Error::new(io::ErrorKind::UnexpectedEof, message))?;
                    }
                    _ => return Ok(0),
                },
            }
        }
        let count = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        self.read += count as u64;
        Ok(count)
    }
}
