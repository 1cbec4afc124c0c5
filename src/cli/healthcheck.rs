//! `hallpass healthcheck`: asks a running hallpass whether it is ready, for containers without curl.

use std::time::Duration;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};

/// Ask a hallpass on this machine whether it is ready
#[derive(Debug, Args)]
pub struct Arguments {
    /// Its admin listener, as in `[admin] listen`
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub admin: String,
    /// Ask only whether it runs
    #[arg(long)]
    pub live: bool,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let internal = |error: reqwest::Error| Failure::Internal(anyhow::Error::new(error));
    // no certificates: the admin listener speaks plainly, and a bare container has none
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([])
        .timeout(TIMEOUT);
    let path = if arguments.live { "/livez" } else { "/readyz" };
    let mut authority = arguments.admin.as_str();
    if let Some(socket) = arguments.admin.strip_prefix("unix://") {
        builder = builder.unix_socket(socket.to_owned());
        authority = "localhost";
    }
    let url = reqwest::Url::parse(&format!("http://{authority}{path}"))
        .ok()
        .filter(|url| url.path() == path && url.username().is_empty())
        .ok_or_else(|| Failure::Usage(format!("`{}` is not an address like 127.0.0.1:8082", arguments.admin)))?;
    let client = builder.build().map_err(internal)?;
    let unreachable = |error: reqwest::Error| {
        let why = if error.is_timeout() { "it does not answer" } else { "nobody listens there" };
        Failure::Unreachable(format!("cannot reach the admin listener at {}: {why}", arguments.admin))
    };
    let mut response = client.get(url).send().await.map_err(unreachable)?;
    let status = response.status();
    // its first words are enough to know why
    let body = response.chunk().await.map_err(unreachable)?.unwrap_or_default();
    let said = String::from_utf8_lossy(&body);
    if status.is_success() {
        return Ok(writeln!(streams.out, "{}", safe(said.trim()))?);
    }
    Err(Failure::False(format!("not healthy ({}): {}", status.as_u16(), said.trim())))
}

const TIMEOUT: Duration = Duration::from_secs(3);
