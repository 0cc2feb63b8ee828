//! Inputs as the one-machine run reads them: decompressed by content, cut where an input ends. The one place that names
//! how.

use crate::Failure;
use anyhow::{Context, anyhow};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
pub use streamalert_intake::Piece;
use streamalert_intake::Pieces;
use streamalert_local::input::{DeclaredSource, Found, Input, file_source, find, stdin_source};
use streamalert_pipeline::classifier::{Classifier, Framing};
use streamalert_pipeline::log_record::Source;

/// The inputs that arguments stand for; what is left out is told.
pub fn inputs(arguments: &[PathBuf]) -> Result<Vec<Input>, Failure> {
    let Found { inputs, ignored, .. } =
        find(arguments).map_err(|error| Failure::Usage(anyhow!("read the inputs: {error}")))?;
    for (path, why) in ignored {
        eprintln!("left out: {} ({why})", path.display());
    }
    Ok(inputs)
}

/// Hands on what is in an input, piece by piece. `classifier` says where inputs of the source end; without it, pieces are cut
/// where documents or lines do.
pub fn read(
    input: &Input,
    declared: Option<&DeclaredSource>,
    classifier: Option<&Arc<Classifier>>,
    take: impl FnMut(Piece) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match input {
        Input::Stdin => pieces(stdin_source(declared), std::io::stdin().lock(), Path::new("-"), classifier, take),
        Input::File(path) => {
            let open = || format!("read {}", path.display());
            let source = file_source(path, declared).with_context(open)?;
            pieces(source, File::open(path).with_context(open)?, path, classifier, take)
        }
    }
}

fn pieces(
    source: Source,
    reader: impl std::io::Read,
    name: &Path,
    classifier: Option<&Arc<Classifier>>,
    mut take: impl FnMut(Piece) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let classifier = classifier.cloned();
    let frames = move |source: &Source, head: &[u8]| {
        classifier.as_ref().map_or_else(Framing::default, |classifier| classifier.framing(source, head))
    };
    let mut pieces = Pieces::new(Arc::new(source), reader, Framing::default()).framed_by(frames);
    while let Some(piece) = pieces.read_piece().with_context(|| format!("read {}", name.display()))? {
        take(piece)?;
    }
    Ok(())
}
