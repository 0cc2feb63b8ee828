//! The way out for outputs, with the operator's own authorities.

use crate::Failure;
use anyhow::{Context, anyhow};
use std::path::Path;
use std::sync::Arc;
use streamalert_egress::Egress;
use streamalert_egress::world::Network;
use streamalert_pipeline::plugin::World;

/// With certificates of the operator's own authorities, if a file of them is named.
pub fn open(ca: Option<&Path>) -> Result<Arc<dyn World>, Failure> {
    Ok(Arc::new(Network::new(egress(ca)?)))
}

/// The same, for whatever is no output.
pub fn egress(ca: Option<&Path>) -> Result<Egress, Failure> {
    let egress = match ca {
        None => Egress::new(),
        Some(path) => {
            let pem = std::fs::read(path)
                .map_err(|error| Failure::Usage(anyhow!("read the certificates in {}: {error}", path.display())))?;
            Egress::with_ca(&pem)
        }
    };
    Ok(egress.context("prepare for requests")?)
}
