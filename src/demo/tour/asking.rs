//! From a refused request, over asking and approving, to the same request let through.

use serde_json::{Value, json};

use crate::demo::tour::Cast;
use crate::demo::tour::narrator::{Body, Door, Narrator, NotAsTold, Voice};

/// The case the story is about.
pub(super) struct Case {
    pub(super) id: String,
    pub(super) revision: u64,
}

impl Case {
    pub(super) fn path(&self, verb: &str) -> String {
        format!("/api/v1/activations/{}{verb}", self.id)
    }
}

pub(super) async fn refused(narrator: &mut Narrator<'_>, cast: &Cast) -> anyhow::Result<()> {
    narrator.step("A token proves who somebody is, not that they may do everything right now")?;
    let stranger = Voice { name: "nobody", token: None };
    narrator.get(&stranger, Door::Gate, "/", 200).await?;
    narrator.get(&stranger, Door::Gate, VAULT, 401).await?;
    narrator.get(&cast.ada, Door::Gate, "/account", 200).await?;
    narrator.get(&cast.vera, Door::Gate, VAULT, 403).await?;
    let answer = narrator.get(&cast.ada, Door::Gate, VAULT, 403).await?;
    narrator.members(&answer, &["/role", "/activation_url", "/request_command"])?;
    answer.must_be("/role", VAULT_READER)?;
    let portal = narrator.origin(Door::Portal).to_owned();
    let url = answer.text("/activation_url")?;
    if !url.starts_with(&portal) {
        return Err(NotAsTold(format!("the link must lead to the portal, and leads to `{url}`")).into());
    }
    Ok(())
}

pub(super) async fn tried_dry(narrator: &mut Narrator<'_>, cast: &Cast) -> anyhow::Result<()> {
    narrator.step("Trying dry tells everything that is missing at once, and stores nothing")?;
    let hasty = json!({ "role": VAULT_READER, "duration": "10d" });
    let answer = narrator.post(&cast.ada, Door::Portal, DRY, hasty, 200).await?;
    answer.must_be("/outcome", "refused")?;
    answer.must_name("duration_above_maximum")?;
    answer.must_name("justification_missing")?;
    for error in answer.member("/errors")?.as_array().into_iter().flatten() {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        narrator.fact("missing", &format!("{}: {}", text("code"), text("detail")))?;
    }
    let answer = narrator.post(&cast.ada, Door::Portal, DRY, wish(), 200).await?;
    answer.must_be("/outcome", "would_be_pending")?;
    narrator.members(&answer, &["/outcome"])
}

pub(super) async fn requested(narrator: &mut Narrator<'_>, cast: &Cast) -> anyhow::Result<Case> {
    narrator.step("Ada asks; until somebody agrees, nothing changes")?;
    let answer = narrator.post(&cast.ada, Door::Portal, ACTIVATIONS, wish(), 201).await?;
    narrator.members(&answer, &["/id", "/state"])?;
    answer.must_be("/state", "pending")?;
    let case = Case { id: answer.text("/id")?.to_owned(), revision: revision(answer.member("/revision")?)? };
    let answer = narrator.get(&cast.ada, Door::Gate, VAULT, 403).await?;
    answer.must_be("/pending", &case.id)?;
    narrator.members(&answer, &["/pending"])?;
    Ok(case)
}

pub(super) async fn not_by_oneself(narrator: &mut Narrator<'_>, cast: &Cast, case: &Case) -> anyhow::Result<()> {
    narrator.step("Nobody approves what they asked for themselves")?;
    let answer = narrator.post(&cast.ada, Door::Portal, &case.path("/approve"), word(case), 403).await?;
    Ok(answer.must_name("self_approval")?)
}

pub(super) async fn approved(narrator: &mut Narrator<'_>, cast: &Cast, case: &Case) -> anyhow::Result<()> {
    narrator.step("Grace finds it in her list, and approves what she saw")?;
    let waiting = format!("{ACTIVATIONS}?state=pending&waiting_for=me");
    let answer = narrator.get(&cast.grace, Door::Portal, &waiting, 200).await?;
    answer.must_be("/items/0/id", &case.id)?;
    narrator.members(&answer, &["/items/0/principal", "/items/0/role", "/items/0/justification"])?;
    let answer = narrator.post(&cast.grace, Door::Portal, &case.path("/approve"), word(case), 200).await?;
    answer.must_be("/state", "active")?;
    narrator.members(&answer, &["/state", "/window/ends_at"])
}

pub(super) async fn let_through(narrator: &mut Narrator<'_>, cast: &Cast, case: &Case) -> anyhow::Result<()> {
    narrator.step("The very next request passes, with the same token")?;
    let answer = narrator.get(&cast.ada, Door::Gate, VAULT, 200).await?;
    answer.must_be("/opened_by/x-hallpass-role", VAULT_READER)?;
    answer.must_be("/opened_by/x-hallpass-activation", &case.id)?;
    narrator.members(&answer, &["/keys", "/opened_by/x-hallpass-role", "/opened_by/x-hallpass-activation"])?;
    narrator.fact("until", answer.header("x-hallpass-expires")?)?;
    match answer.body {
        Body::Json(_) => Ok(()),
        Body::Text(text) => Err(NotAsTold(format!("the vault must answer JSON, and answered `{text}`")).into()),
    }
}

fn wish() -> Value {
    json!({ "role": VAULT_READER, "duration": "30m", "justification": "stock count for the cellar" })
}

fn word(case: &Case) -> Value {
    json!({ "revision": case.revision, "justification": "the count is due today" })
}

fn revision(member: &Value) -> Result<u64, NotAsTold> {
    member.as_u64().ok_or_else(|| NotAsTold(format!("`/revision` must be a number, and is {member}")))
}

pub(super) const ACTIVATIONS: &str = "/api/v1/activations";
const DRY: &str = "/api/v1/activations?dry_run=true";
pub(super) const VAULT: &str = "/vault";
const VAULT_READER: &str = "shop/vault-reader";
