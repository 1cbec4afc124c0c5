//! Whose token is shown. It comes from the environment or a file, never from the command line, where others could read it.

use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;

use crate::cli::failure::Failure;

/// Where the token comes from.
#[derive(Clone)]
pub(in crate::cli) enum TokenSource {
    /// As given in the environment.
    Given(HeaderValue),
    /// A file, read anew for every request because something else keeps it fresh.
    File(PathBuf),
}

/// Says where it comes from and nothing of it.
impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl TokenSource {
    /// The file named on the command line, else what the environment names.
    pub(super) fn from_environment(file: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = file {
            return Ok(Self::File(path.to_owned()));
        }
        match (environment("HALLPASS_TOKEN")?, environment("HALLPASS_TOKEN_FILE")?) {
            (Some(_), Some(_)) => {
                Err(Failure::Usage("both HALLPASS_TOKEN and HALLPASS_TOKEN_FILE are set: unset one".to_owned()))
            }
            (Some(token), None) => Ok(Self::Given(credential(&token, "HALLPASS_TOKEN")?)),
            (None, Some(path)) => Ok(Self::File(path.into())),
            (None, None) => Err(Failure::Usage(
                "no token: set HALLPASS_TOKEN, or name a file in HALLPASS_TOKEN_FILE or with --token-file".to_owned(),
            )),
        }
    }

    /// The credential for one request.
    pub(super) fn read(&self) -> Result<HeaderValue, Failure> {
        match self {
            Self::Given(credential) => Ok(credential.clone()),
            Self::File(path) => {
                let shown = path.display().to_string();
                let token = std::fs::read_to_string(path)
                    .map_err(|error| Failure::Usage(format!("cannot read the token file `{shown}`: {error}")))?;
                credential(&token, &shown)
            }
        }
    }
}

fn credential(token: &str, source: &str) -> Result<HeaderValue, Failure> {
    let token = token.trim();
    if token.is_empty() {
        return Err(Failure::Usage(format!("the token in `{source}` is empty")));
    }
    let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| visible).ok_or_else(|| {
        Failure::Usage(format!("`{source}` does not hold a token: one line of visible ASCII is expected"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A variable; an empty one counts as absent.
fn environment(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var_os(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => {
            let text = value.into_string().map_err(|_| Failure::Usage(format!("{name} is not text")))?;
            Ok(Some(text))
        }
    }
}
