//! Secrets: `x` as text or `x_file` as the file that holds it, never both.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use zeroize::Zeroizing;

use crate::config::forms::{Filled, Hidden, Text};
use crate::config::resolve::context::Context;
use crate::config::tree::Path;
use crate::identity::Secret;

/// The secret called `key` in `table`; `None` when neither was written, or what was cannot be used and that was told.
pub(crate) fn secret(
    (table, key): (&Path, &str),
    written: Option<&Text<Hidden>>,
    file: Option<&Text<Filled>>,
    context: &mut Context<'_>,
) -> Option<Secret> {
    let file_path = table.key(&format!("{key}_file"));
    match (written, file) {
        (None, None) => None,
        (Some(Text(Hidden(secret))), None) => Some(secret.clone()),
        (Some(_), Some(_)) => {
            context.error(&file_path, format!("name only one of `{key}` and `{key}_file`"));
            None
        }
        (None, Some(file)) => {
            let place = context.file(&file.0.0, &file_path);
            match read(&place) {
                Ok(secret) => {
                    let readable = fs::metadata(&place).is_ok_and(|about| about.permissions().mode() & 0o007 != 0);
                    if readable {
                        let message = format!("everybody on this machine can read `{}`", place.display());
                        context.warning(&file_path, message);
                    }
                    Some(secret)
                }
                Err(why) => {
                    context.error(&file_path, format!("`{}` {why}", place.display()));
                    None
                }
            }
        }
    }
}

/// The line that a file holds, without the line end that editors add.
fn read(place: &std::path::Path) -> Result<Secret, String> {
    let mut text = Zeroizing::new(String::with_capacity(LENGTH_MAX));
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(place).map_err(unreadable)?;
    let limit = u64::try_from(LENGTH_MAX).unwrap_or(u64::MAX);
    file.take(limit).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() >= LENGTH_MAX {
        return Err(format!("is longer than a secret of less than {LENGTH_MAX} bytes"));
    }
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(Secret::new(secret.to_owned())) }
}

const LENGTH_MAX: usize = 8 * 1024;
