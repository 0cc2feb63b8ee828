//! The outputs of one machine: `file:NAME` and `stdout:NAME`.

use crate::file_output::append;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use streamalert_pipeline::config::output::{MACHINE, is_name};
use streamalert_pipeline::plugin::{Disposition, OutputInfo, OutputPlugin, Outside, Parcel, PluginError, SettingFault};

/// Both; files are kept in this folder.
pub fn native_outputs(files: PathBuf) -> Vec<Arc<dyn OutputPlugin>> {
    vec![Arc::new(FileDelivery::new(files)), Arc::new(StdoutDelivery::default())]
}

/// Publications as JSON lines at the end of `NAME.jsonl` in one folder.
pub struct FileDelivery {
    folder: PathBuf,
    info: OutputInfo,
    /// Lines do not mix.
    writing: Mutex<()>,
}

impl FileDelivery {
    pub fn new(folder: PathBuf) -> Self {
        let description = "appends alerts to a file of the data folder, a JSON line each".to_owned();
        let info = OutputInfo { service: MACHINE[0].into(), description, ..OutputInfo::default() };
        FileDelivery { folder, info, writing: Mutex::new(()) }
    }
}

impl OutputPlugin for FileDelivery {
    fn name(&self) -> &str {
        "streamalert"
    }

    fn digest(&self) -> &str {
        ""
    }

    fn info(&self) -> &OutputInfo {
        &self.info
    }

    fn validate(&self, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(Vec::new())
    }

    fn deliver(&self, parcel: &Parcel, outside: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        self.deliver_all(std::slice::from_ref(parcel), outside).remove(0)
    }

    fn in_bulk(&self) -> bool {
        true
    }

    /// One write and one sync for all.
    fn deliver_all(&self, parcels: &[Parcel], _: &Arc<dyn Outside>) -> Vec<Result<Disposition, PluginError>> {
        let Some(first) = parcels.first() else { return Vec::new() };
        // All are of one descriptor, and a rule may choose a name, never a place.
        let outcome = if is_name(&first.descriptor) {
            let path = self.folder.join(format!("{}.jsonl", first.descriptor));
            let lines: String = parcels.iter().map(|parcel| format!("{}\n", parcel.publication)).collect();
            let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            match append(&path, &lines) {
                Ok(()) => Disposition::Delivered(None),
                Err(error) => {
                    let cause = error.source.map(|source| format!(": {source}")).unwrap_or_default();
                    Disposition::Retry { reason: format!("{}{cause}", error.action), after: None, progress: None }
                }
            }
        } else {
            Disposition::Reject("the name after `file:` is letters, digits, `-` and `_`".into())
        };
        parcels.iter().map(|_| Ok(outcome.clone())).collect()
    }
}

/// Publications as JSON lines on stdout.
pub struct StdoutDelivery {
    info: OutputInfo,
}

impl Default for StdoutDelivery {
    fn default() -> Self {
        let description = "writes alerts to stdout, a JSON line each".to_owned();
        StdoutDelivery { info: OutputInfo { service: MACHINE[1].into(), description, ..OutputInfo::default() } }
    }
}

impl OutputPlugin for StdoutDelivery {
    fn name(&self) -> &str {
        "streamalert"
    }

    fn digest(&self) -> &str {
        ""
    }

    fn info(&self) -> &OutputInfo {
        &self.info
    }

    fn validate(&self, _: &[(String, String)]) -> Result<Vec<SettingFault>, PluginError> {
        Ok(Vec::new())
    }

    fn deliver(&self, parcel: &Parcel, _: &Arc<dyn Outside>) -> Result<Disposition, PluginError> {
        let mut stdout = std::io::stdout().lock();
        match writeln!(stdout, "{}", parcel.publication).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(Disposition::Delivered(None)),
            Err(error) => {
                Ok(Disposition::Retry { reason: format!("write to stdout: {error}"), after: None, progress: None })
            }
        }
    }
}
