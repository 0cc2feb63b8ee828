//! Objects of S3: small ones as bytes, large ones as a stream that survives broken connections.

use crate::Aws;
use crate::call::failed;
use crate::limits::OBJECT_RESUMES_MAX;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use bytes::{Buf, Bytes};
use std::io::{self, Read};
use std::sync::Arc;
use streamalert_intake::Object;
use streamalert_pipeline::backend::{BackendError, BackendErrorKind};

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

    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<(), BackendError> {
        let body = ByteStream::from(bytes.into());
        let put = self.aws.s3.put_object().bucket(&self.name).key(key).body(body).send().await;
        put.map_err(|error| failed(&format!("put s3://{}/{key}", self.name), error))?;
        Ok(())
    }

    /// `None` if there is none.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let action = || format!("get s3://{}/{key}", self.name);
        // A body that breaks off is no failed call to the SDK.
        let mut resumes = 0;
        loop {
            let got = self.aws.s3.get_object().bucket(&self.name).key(key).send().await;
            let object = match got {
                Ok(object) => object,
                Err(error) => {
                    let error = failed(&action(), error);
                    return if error.kind == BackendErrorKind::NotFound { Ok(None) } else { Err(error) };
                }
            };
            match object.body.collect().await {
                Ok(bytes) => return Ok(Some(bytes.to_vec())),
                Err(error) if resumes == OBJECT_RESUMES_MAX => return Err(BackendError::other(action(), error)),
                Err(_) => resumes += 1,
            }
        }
    }

    /// No error if there is none.
    pub async fn delete(&self, key: &str) -> Result<(), BackendError> {
        let deleted = self.aws.s3.delete_object().bucket(&self.name).key(key).send().await;
        deleted.map_err(|error| failed(&format!("delete s3://{}/{key}", self.name), error))?;
        Ok(())
    }

    /// Keys below a prefix, in order.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, BackendError> {
        let mut keys = Vec::new();
        let mut next = None;
        loop {
            let page = self.aws.s3.list_objects_v2().bucket(&self.name).prefix(prefix).set_continuation_token(next);
            let page =
                page.send().await.map_err(|error| failed(&format!("list s3://{}/{prefix}", self.name), error))?;
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
            next = page.next_continuation_token;
            if next.is_none() {
                return Ok(keys);
            }
        }
    }
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
