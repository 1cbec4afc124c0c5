//! `hallpass cancel`, `deactivate`, `revoke` and `extend`: what becomes of a case one already knows.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::activation::headline;
use crate::cli::client::Options;
use crate::cli::desk::Desk;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};
use crate::cli::when::span;
use crate::cli::wire::Activation;
use crate::domain::id::ActivationId;
use crate::domain::time::Span;

/// What `cancel` and `deactivate` need
#[derive(Debug, Args)]
pub struct Arguments {
    /// The activation
    pub id: ActivationId,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

/// What `revoke` needs
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// The activation
    pub id: ActivationId,
    /// Why
    #[arg(long = "because", value_name = "TEXT")]
    pub justification: Option<String>,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

/// What `extend` needs
#[derive(Debug, Args)]
pub struct ExtendArguments {
    /// The activation
    pub id: ActivationId,
    /// For how much longer, such as 30m
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub duration: Span,
    /// Why
    #[arg(long = "because", value_name = "TEXT")]
    pub justification: Option<String>,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

pub(super) async fn cancel(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    command(&arguments.portal, streams, arguments.id, "cancel", &json!({})).await
}

pub(super) async fn deactivate(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    command(&arguments.portal, streams, arguments.id, "deactivate", &json!({})).await
}

pub(super) async fn revoke(arguments: &RevokeArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let body = arguments.justification.as_ref().map_or_else(|| json!({}), |why| json!({ "justification": why }));
    command(&arguments.portal, streams, arguments.id, "revoke", &body).await
}

pub(super) async fn extend(arguments: &ExtendArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut body = json!({ "duration": arguments.duration.to_string() });
    if let (Some(members), Some(why)) = (body.as_object_mut(), &arguments.justification) {
        members.insert("justification".to_owned(), why.as_str().into());
    }
    command(&arguments.portal, streams, arguments.id, "extend", &body).await
}

async fn command(
    options: &Options,
    streams: &mut Streams<'_>,
    id: ActivationId,
    name: &str,
    body: &Value,
) -> Result<(), Failure> {
    let mut desk = Desk::new(options, streams)?;
    let answer = desk.client.post(&format!("/activations/{id}/{name}"), &[], body).await?;
    if desk.json {
        return Ok(desk.print_raw(&answer)?);
    }
    let activation: Activation = answer.read()?;
    let line = headline(&activation, desk.now());
    Ok(writeln!(desk.streams.out, "{}  {line}", safe(&activation.id))?)
}
