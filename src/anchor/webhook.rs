//! The webhook: each anchor is posted, signed as Standard Webhooks say, until the other side has taken one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::json;
use zeroize::Zeroizing;

use crate::anchor::WebhookSettings;
use crate::clock::format_rfc3339;
use crate::domain::time::Timestamp;
use crate::journal::SignedCheckpoint;
use crate::private_file::{self, PrivateFileError};

/// What signs the messages.
#[derive(Clone)]
pub struct Secret(hmac::Key);

/// The secret's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read, or others may.
    #[error("the secret of the webhook cannot be used")]
    File(#[from] PrivateFileError),
    /// There is none.
    #[error("the secret of the webhook is not there: `{0}`")]
    Missing(PathBuf),
    /// It holds no secret.
    #[error("`{0}` holds no secret: one line, `whsec_` and the base64 of 24 to 64 random bytes")]
    Malformed(PathBuf),
}

impl Secret {
    /// The secret in the file at `path`.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = private_file::read(path, BYTES_MAX)?.ok_or_else(|| SecretError::Missing(path.to_owned()))?;
        let coded = text.trim_ascii().strip_prefix(b"whsec_").unwrap_or_default();
        let bytes = Zeroizing::new(BASE64.decode(coded).unwrap_or_default());
        if (24..=64).contains(&bytes.len()) {
            Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
        } else {
            Err(SecretError::Malformed(path.to_owned()))
        }
    }
}

/// Posts anchors.
pub(super) struct Webhook {
    client: Client,
    url: Url,
    secret: Secret,
}

/// Why the other side has not taken it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("it cannot be reached")]
    Unreachable,
    #[error("it does not answer in time")]
    Timeout,
    #[error("it answers {0}")]
    Status(u16),
}

impl Webhook {
    pub(super) fn new(settings: &WebhookSettings) -> anyhow::Result<Self> {
        let secret = Secret::read(&settings.secret_path)?;
        let url: Url = settings.url.parse()?;
        let client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .user_agent("hallpass")
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .build()?;
        Ok(Self { client, url, secret })
    }

    /// Posts `note`; done when the other side answers with success.
    pub(super) async fn post(&self, note: &SignedCheckpoint, now: Timestamp) -> Result<(), NotTaken> {
        let Message { id, body } = Message::of(note);
        let stamp = now.as_millis().div_euclid(1000).to_string();
        let signature = self.signature(&id, &stamp, &body);
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", stamp)
            .header("webhook-signature", signature)
            .body(body);
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(NotTaken::Status(response.status().as_u16())),
            Err(error) if error.is_timeout() => Err(NotTaken::Timeout),
            // the error itself would tell the whole url, and with it what somebody may have put there
            Err(_) => Err(NotTaken::Unreachable),
        }
    }

    fn signature(&self, id: &str, stamp: &str, body: &str) -> String {
        let signed = hmac::sign(&self.secret.0, format!("{id}.{stamp}.{body}").as_bytes());
        format!("v1,{}", BASE64.encode(signed.as_ref()))
    }
}

struct Message {
    /// The same whenever the same note is posted again.
    id: String,
    body: String,
}

impl Message {
    fn of(note: &SignedCheckpoint) -> Self {
        let said = &note.checkpoint;
        let id = format!("anchor_{}_{}_{}", said.realm, said.sequence, said.time.as_millis());
        let body = json!({
            "type": "journal.anchored",
            "timestamp": format_rfc3339(said.time),
            "data": {
                "realm": said.realm,
                "sequence": said.sequence,
                "hash": HEXLOWER.encode(&said.hash),
                "checkpoint": note.to_string(),
            },
        });
        Self { id, body: body.to_string() }
    }
}

/// No secret's file is longer.
const BYTES_MAX: usize = 1024;
const TIMEOUT: Duration = Duration::from_secs(10);
