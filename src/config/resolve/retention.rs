//! Retention: both keys or none, no span below what is always kept, and a folder to which nobody else writes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::config::raw::{self, Configuration};
use crate::config::resolve::Context;
use crate::config::tree;
use crate::store::{KEPT, Retention};

pub(super) fn retention(raw: &Configuration, context: &mut Context<'_>) -> Option<Retention> {
    let path = tree::Path::default().key("retention");
    let raw::Retention { keep, archive } = &raw.retention;
    let (keep, archive) = match (keep, archive) {
        (None, None) => return None,
        (Some(keep), Some(archive)) => (keep.0, archive),
        (Some(_), None) => {
            let help = "`archive` is the folder that keeps what is cut".to_owned();
            context.error_with(&path.key("keep"), "nothing is cut unless an archive holds it", Some(help));
            return None;
        }
        (None, Some(_)) => {
            let help = "`keep` is a span such as `400d`".to_owned();
            context.error_with(&path.key("archive"), "how long records are kept must be said", Some(help));
            return None;
        }
    };
    if keep < KEPT {
        context.error(&path.key("keep"), format!("records of the last {KEPT} are always kept: `{keep}` is too short"));
    }
    let archive_path = path.key("archive");
    let archive = context.file(&archive.0.0, &archive_path);
    match judged(&archive) {
        Ok(None) => {}
        Ok(Some(warning)) => context.warning(&archive_path, warning),
        Err(wrong) => context.error(&archive_path, wrong),
    }
    Some(Retention { keep, archive })
}

/// What is wrong with the folder; what somebody should look at, when nothing is.
fn judged(folder: &Path) -> Result<Option<String>, String> {
    let shown = folder.display();
    let about = fs::metadata(folder).map_err(|error| format!("the folder `{shown}` cannot be used: {error}"))?;
    if !about.is_dir() {
        return Err(format!("`{shown}` is no folder"));
    }
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(format!(
            "the folder `{shown}` has mode {mode:o}: others could take archives away or put their own there: chmod 700 '{shown}'"
        ));
    }
    Ok((mode & 0o055 != 0).then(|| {
        format!("the folder `{shown}` has mode {mode:o}; it should be 700, for its owner alone: chmod 700 '{shown}'")
    }))
}
