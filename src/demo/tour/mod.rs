//! The whole story in the terminal, played against a hallpass that runs as in production: from a refused request to a
//! revocation that cuts a live feed, and a journal that a stranger can check.
//!
//! It uses only what anybody could use: HTTP, a WebSocket, and the exported file. Every step says what must come; the
//! tour ends at the first that comes out differently.

mod asking;
mod cutting;
mod ink;
mod narrator;
mod proving;

use std::io::Write;

use anyhow::Context as _;

use crate::clock::awake;
use crate::demo::issuer::{ADA, GRACE, ROOT, VERA};
use crate::demo::places::Ports;
use crate::demo::stage::{Stage, client};
use crate::demo::{Interruption, Options};
use narrator::{Narrator, NotAsTold, Voice};

pub(super) use ink::Ink;

/// How the tour came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Every step came out as told.
    AsTold,
    /// One did not, and `out` says which.
    NotAsTold,
}

/// Who plays, with the token each of them keeps from the first step to the last.
struct Cast {
    ada: Voice,
    grace: Voice,
    vera: Voice,
    root: Voice,
}

/// Plays the story, on free ports whatever the options say, so that it runs beside a demo.
///
/// # Errors
/// When a part cannot start, an answer does not come at all, or `out` cannot be written.
pub async fn tour(options: Options, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let began = awake();
    let mut interruption = Interruption::watch()?;
    let stage = Stage::start(Ports::Free).await?;
    let ink = Ink::of(options.colour);
    let mut narrator = Narrator::new(&stage.gate, &stage.portal, ink, out)?;
    let told = tokio::select! {
        told = story(&stage, &mut narrator) => told,
        () = interruption.came() => Err(anyhow::anyhow!("interrupted")),
    };
    let last = narrator.last_step();
    stage.stop().await?;
    match told {
        Ok(()) => {
            let seconds = began.elapsed().as_secs_f64();
            writeln!(out, "\n{}", ink.good(&format!("Every step came out as told, in {seconds:.1} s.")))?;
            Ok(Outcome::AsTold)
        }
        Err(error) => match error.downcast_ref::<NotAsTold>() {
            Some(difference) => {
                writeln!(out, "\n{}", ink.bad(&format!("Not as told in {last}: {difference}")))?;
                Ok(Outcome::NotAsTold)
            }
            None => Err(error.context(format!("the tour broke off in {last}"))),
        },
    }
}

async fn story(stage: &Stage, narrator: &mut Narrator<'_>) -> anyhow::Result<()> {
    narrator.say(&format!(
        "hallpass at {} guards a small application; people ask for roles at the portal, {}.\n\
         Each person keeps one token from a token issuer throughout. On the right: what must come, and came.",
        stage.gate, stage.portal
    ))?;
    let cast = Cast {
        ada: voice(stage, ADA.subject).await?,
        grace: voice(stage, GRACE.subject).await?,
        vera: voice(stage, VERA.subject).await?,
        root: voice(stage, ROOT.subject).await?,
    };
    asking::refused(narrator, &cast).await?;
    asking::tried_dry(narrator, &cast).await?;
    let activation = asking::requested(narrator, &cast).await?;
    asking::not_by_oneself(narrator, &cast, &activation).await?;
    asking::approved(narrator, &cast, &activation).await?;
    asking::let_through(narrator, &cast, &activation).await?;
    cutting::revoked(narrator, &cast, &activation).await?;
    cutting::expired(narrator, &cast).await?;
    proving::exported(narrator, &cast, &activation, stage.folder()).await
}

/// A voice with a token from the issuer's own door.
async fn voice(stage: &Stage, name: &'static str) -> anyhow::Result<Voice> {
    let form = [("person", name), ("as", "text")].map(|(name, value)| format!("{name}={value}")).join("&");
    let answer = client()?
        .post(format!("{}/token", stage.issuer.url()))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await?
        .error_for_status()
        .with_context(|| format!("the issuer has no token for {name}"))?;
    Ok(Voice { name, token: Some(answer.text().await?) })
}
