//! Secrets: `x` as text or `x_file` as the file that holds it, never both.

use crate::config::forms::{Filled, Hidden, Text};
use crate::config::resolve::context::Context;
use crate::config::tree::Path;
use crate::identity::Secret;
use crate::private_file;

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
                Ok(secret) => Some(secret),
                Err(why) => {
                    context.error(&file_path, why);
                    None
                }
            }
        }
    }
}

/// The line that a file holds, without the line end that editors add.
fn read(place: &std::path::Path) -> Result<Secret, String> {
    let shown = place.display();
    let bytes = match private_file::read(place, BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(format!("`{shown}` cannot be read: there is no such file")),
        Err(error) => return Err(error.to_string()),
    };
    let text = str::from_utf8(&bytes).map_err(|_| format!("`{shown}` holds no text"))?;
    let secret = text.strip_suffix('\n').unwrap_or(text);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if secret.trim().is_empty() { Err(format!("`{shown}` is empty")) } else { Ok(Secret::new(secret.to_owned())) }
}

const BYTES_MAX: usize = 8 * 1024;
