//! The journal of a store that no hallpass runs on.

use std::io::{Seek, Write};
use std::path::Path;

use crate::cli::audit::verify::{Found, Root};
use crate::cli::failure::Failure;
use crate::journal::verify::Anchor;
use crate::store::{self, StoreError};

/// Verifies it as an export, so that both are judged by the same lines.
pub(super) fn verify(path: &Path, root: Root, expected: Option<Anchor>) -> Result<Found, Failure> {
    let mut export = std::io::BufWriter::new(tempfile::tempfile()?);
    let mut written = Ok(());
    let read = store::each_record(path, |record| {
        if written.is_ok() {
            written = record.write_json_line(&mut export);
        }
    });
    written?;
    read.map_err(|error| {
        let what_to_do = match error {
            StoreError::Locked => "; stop that hallpass first, or verify through its portal: leave out --store",
            _ => "",
        };
        let why = anyhow::Error::new(error);
        Failure::Usage(format!("cannot read the store `{}`: {why:#}{what_to_do}", path.display()))
    })?;
    let mut file = export.into_inner().map_err(|error| error.into_error())?;
    file.flush()?;
    file.rewind()?;
    Found::in_export(file, root, expected)
}
