//! What users have put into the rules bucket, looked at again and again: what is known is not read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use streamalert_aws::rules_bucket::{CONF, ConfFiles, Listed, PLUGINS, RulesBucket, is_conf, sha256};
use streamalert_pipeline::backend::BackendError;
use streamalert_plugins::loader::{Look, Shelf, is_component, too_large};
use streamalert_plugins::{LoadCheck, LoadError, Plugin, PluginLimits};

/// The files of the configuration.
#[derive(Default)]
pub struct ConfUploads {
    /// ETag and text, by path.
    files: BTreeMap<String, (String, String)>,
}

impl ConfUploads {
    /// ETag of each file, by path, as of now.
    pub async fn list(bucket: &RulesBucket) -> Result<BTreeMap<String, String>, BackendError> {
        let listed = bucket.list(CONF).await?.into_iter().filter(|file| is_conf(&file.name));
        Ok(listed.map(|file| (file.name, file.etag)).collect())
    }

    /// The texts of files that were listed, read where they are not known. An error of one file is a fault of it.
    pub async fn read(
        &mut self,
        bucket: &RulesBucket,
        listed: &BTreeMap<String, String>,
    ) -> Result<Result<ConfFiles, Vec<String>>, BackendError> {
        self.files.retain(|path, (etag, _)| listed.get(path) == Some(etag));
        let new: Vec<&String> = listed.keys().filter(|path| !self.files.contains_key(*path)).collect();
        let keys = new.iter().map(|path| format!("{CONF}{path}")).collect();
        let mut faults = Vec::new();
        for (path, object) in new.into_iter().zip(bucket.get_all(keys).await?) {
            // It went between the listing and the reading: the next look sees that.
            let Some(object) = object else { continue };
            match String::from_utf8(object.bytes.to_vec()) {
                Ok(text) => drop(self.files.insert(path.clone(), (object.etag, text))),
                Err(_) => faults.push(format!("{path}: it is not UTF-8 text")),
            }
        }
        Ok(match faults.is_empty() {
            true => Ok(self.files.iter().map(|(path, (_, text))| (path.clone(), text.clone())).collect()),
            false => Err(faults),
        })
    }
}

/// Makes a live component of a file.
pub trait Load {
    /// `bytes` reads the file, or hands out what was read.
    fn load(
        &mut self,
        name: &str,
        digest: &str,
        bytes: &mut dyn FnMut() -> io::Result<Vec<u8>>,
        check: &LoadCheck,
    ) -> io::Result<Result<Plugin, LoadError>>;
}

/// The components, as of one look.
pub struct PluginUploads<'a> {
    bucket: &'a RulesBucket,
    limits: PluginLimits,
    /// As they are now, by name.
    pub listed: BTreeMap<String, Listed>,
    /// ETag and digest, by name; kept from look to look.
    known: &'a mut BTreeMap<String, (String, String)>,
    /// What was read in this look, by name.
    bytes: HashMap<String, Vec<u8>>,
    load: &'a mut dyn Load,
}

impl<'a> PluginUploads<'a> {
    /// Lists the components and reads those that have changed. Blocks.
    pub fn look(
        bucket: &'a RulesBucket,
        limits: &PluginLimits,
        known: &'a mut BTreeMap<String, (String, String)>,
        load: &'a mut dyn Load,
    ) -> Result<Self, BackendError> {
        let (listed, bytes) = bucket.aws().wait(async {
            let listed = bucket.list(PLUGINS).await?.into_iter().filter(|file| is_component(&file.name));
            let listed: BTreeMap<String, Listed> = listed.map(|file| (file.name.clone(), file)).collect();
            let new = listed.values().filter(|file| {
                known.get(&file.name).is_none_or(|(etag, _)| *etag != file.etag)
                    && too_large(&file.name, file.size, limits).is_none()
            });
            let new: Vec<&str> = new.map(|file| file.name.as_str()).collect();
            let keys = new.iter().map(|name| format!("{PLUGINS}{name}")).collect();
            let mut bytes = HashMap::new();
            for (name, object) in new.into_iter().zip(bucket.get_all(keys).await?) {
                // Without an object it went meanwhile, and `look` finds that out.
                if let Some(object) = object {
                    known.insert(name.to_owned(), (object.etag, sha256(&object.bytes)));
                    bytes.insert(name.to_owned(), object.bytes.to_vec());
                }
            }
            Ok::<_, BackendError>((listed, bytes))
        })?;
        known.retain(|name, _| listed.contains_key(name));
        Ok(PluginUploads { bucket, limits: limits.clone(), listed, known, bytes, load })
    }

    /// ETag and digest of a component, if it was read in this look or an earlier one.
    pub fn known(&self, name: &str) -> Option<&(String, String)> {
        self.known.get(name)
    }
}

impl Shelf for PluginUploads<'_> {
    fn names(&mut self) -> io::Result<BTreeSet<String>> {
        Ok(self.listed.keys().cloned().collect())
    }

    fn look(&mut self, name: &str, digest: Option<&str>, check: &LoadCheck) -> io::Result<Look> {
        let size = self.listed.get(name).map_or(0, |file| file.size);
        if let Some(error) = too_large(name, size, &self.limits) {
            return Ok(Look::Other { digest: String::new(), outcome: Err(error) });
        }
        let Some((_, now)) = self.known.get(name).cloned() else { return Err(io::ErrorKind::NotFound.into()) };
        if digest == Some(&*now) {
            return Ok(Look::Same);
        }
        let mut read = || match self.bytes.get(name) {
            Some(bytes) => Ok(bytes.clone()),
            None => fetch(self.bucket, name, &now),
        };
        let outcome = self.load.load(name, &now, &mut read, check)?;
        Ok(Look::Other { digest: now, outcome })
    }
}

/// A file that was read before and has not changed since, once more.
fn fetch(bucket: &RulesBucket, name: &str, digest: &str) -> io::Result<Vec<u8>> {
    let object = bucket.aws().wait(bucket.get(&format!("{PLUGINS}{name}"))).map_err(io::Error::other)?;
    match object {
        Some(object) if sha256(&object.bytes) == digest => Ok(object.bytes.to_vec()),
        // It has changed since the listing; the next look sees that.
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}
