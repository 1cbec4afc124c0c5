//! What is left to read: the history of the case, and an export that a stranger can check with a public key alone.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use serde_json::Value;

use crate::demo::tour::Cast;
use crate::demo::tour::asking::Case;
use crate::demo::tour::narrator::{Answer, Body, Door, Narrator, NotAsTold};
use crate::journal::PublicKey;
use crate::journal::export::read_json_lines;
use crate::journal::verify::{Anchor, Fault, Verified, verify};

/// What a checker must have: the key, and the newest record it was told of.
struct Trust {
    root: PublicKey,
    head: Anchor,
}

pub(super) async fn exported(
    narrator: &mut Narrator<'_>,
    cast: &Cast,
    case: &Case,
    folder: &Path,
) -> anyhow::Result<()> {
    narrator.step("The auditor reads what happened")?;
    let history = format!("/api/v1/audit?activation={}", case.id);
    let answer = narrator.get(&cast.vera, Door::Portal, &history, 200).await?;
    let types = types(&answer)?;
    for told in ["activation_requested", "activation_decided", "activation_started", "activation_ended"] {
        if !types.iter().any(|(_, kind)| kind == told) {
            return Err(NotAsTold(format!("the history must hold `{told}`")).into());
        }
    }
    for (sequence, kind) in types {
        narrator.fact(&format!("record {sequence}"), &kind)?;
    }

    narrator.step("The exported journal is checked with nothing but a public key")?;
    let answer = narrator.get(&cast.vera, Door::Portal, "/api/v1/audit/head", 200).await?;
    narrator.members(&answer, &["/sequence", "/hash", "/public_key"])?;
    let trust = Trust::told_by(&answer)?;
    let answer = narrator.get(&cast.vera, Door::Portal, "/api/v1/audit/export?format=jsonl", 200).await?;
    let Body::Text(lines) = answer.body else {
        return Err(NotAsTold("the export must be JSON lines".to_owned()).into());
    };
    let file = folder.join("journal.jsonl");
    std::fs::write(&file, &lines)?;
    narrator.fact("as anybody could", "hallpass audit verify journal.jsonl --public-key … --expect-head …")?;
    match trust.check(&file)? {
        Ok(verified) => {
            narrator.fact("verified", &format!("{} records, realm {}", verified.tip.sequence, verified.realm))?
        }
        Err(fault) => return Err(NotAsTold(format!("the export must verify: {fault}")).into()),
    }

    narrator.step("A copy in which somebody else approved is refused, at that record")?;
    let (forged, sequence) = forged(&lines)?;
    let file = folder.join("forged.jsonl");
    std::fs::write(&file, forged)?;
    narrator.fact("forged", &format!("record {sequence}: grace became vera"))?;
    match trust.check(&file)? {
        Err(fault) if fault.sequence == sequence => narrator.fact("refused", &fault.to_string()),
        Err(fault) => Err(NotAsTold(format!("record {sequence} must be named, not this: {fault}")).into()),
        Ok(_) => Err(NotAsTold("the forged copy must not verify".to_owned()).into()),
    }
}

/// Sequence and type of each record of the answer.
fn types(answer: &Answer) -> Result<Vec<(u64, String)>, NotAsTold> {
    let items = answer.member("/items")?.as_array();
    let of = |item: &Value| {
        let kind = item.pointer("/event/type")?.as_str()?;
        Some((item.get("sequence")?.as_u64()?, kind.to_owned()))
    };
    let types = items.and_then(|items| items.iter().map(of).collect());
    types.ok_or_else(|| NotAsTold("every record must have a sequence number and a type".to_owned()))
}

impl Trust {
    fn told_by(head: &Answer) -> anyhow::Result<Self> {
        let sequence = head.member("/sequence")?.as_u64().context("the head has no sequence number")?;
        let hash = HEXLOWER.decode(head.text("/hash")?.as_bytes())?;
        let hash = hash.try_into().ok().context("the head's hash is not 32 bytes")?;
        Ok(Self { root: head.text("/public_key")?.parse()?, head: Anchor { sequence, hash } })
    }

    /// Checks the file as `hallpass audit verify` does.
    fn check(&self, file: &Path) -> anyhow::Result<Result<Verified, Fault>> {
        let lines = BufReader::new(File::open(file)?);
        Ok(verify(read_json_lines(lines), &self.root, Some(&self.head)))
    }
}

/// The export with another approver in the record of the first decision, and that record's sequence number.
fn forged(lines: &str) -> anyhow::Result<(String, u64)> {
    let decision = lines.lines().find(|line| line.contains("activation_decided")).context("nobody decided anything")?;
    let record: Value = serde_json::from_str(decision)?;
    let sequence = record.get("sequence").and_then(Value::as_u64).context("a record has no sequence number")?;
    let forged = decision.replace("grace", "vera");
    anyhow::ensure!(forged != decision, "the record of the decision does not name who decided");
    Ok((lines.replace(decision, &forged), sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::activation::Choice;
    use crate::domain::event::{Actor, Event};
    use crate::domain::id::{ActivationId, CommandId};
    use crate::domain::principal::Principal;
    use crate::domain::time::Timestamp;
    use crate::journal::{Exported, Record, SigningKey, chain};

    /// A journal in which Grace decides with the second of three records.
    fn journal() -> (String, Trust) {
        let (key, _) = SigningKey::generate().unwrap();
        let approver = Principal { issuer: "http://id.test".into(), subject: "grace".into() };
        let activation = ActivationId::from_random([7; 16]);
        let decided =
            Event::ActivationDecided { activation, approver, stage: 0, choice: Choice::Approve, adjusted: None };
        let opened = Event::JournalOpened { realm: "5ea1".to_owned(), public_key: key.public_key().to_string() };
        let applied = Event::ConfigurationApplied { digest: String::new() };
        let (mut lines, mut previous) = (Vec::new(), [0; 32]);
        for (sequence, event) in (1..).zip([opened, decided, applied]) {
            let time = Timestamp::from_seconds(1_795_404_600);
            let command = CommandId::from_random([9; 16]);
            let actor = Actor::Configuration;
            let record = Record { version: 1, time, actor, command, event, detail: None, idempotency: None };
            let sealed = chain::seal(&key, "5ea1", sequence, previous, record.encode().unwrap());
            previous = sealed.hash;
            Exported::new(sequence, sealed, None, time).write_json_line(&mut lines).unwrap();
        }
        let trust = Trust { root: *key.public_key(), head: Anchor { sequence: 3, hash: previous } };
        (String::from_utf8(lines).unwrap(), trust)
    }

    fn checked(trust: &Trust, lines: &str) -> Result<Verified, Fault> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.jsonl");
        std::fs::write(&file, lines).unwrap();
        trust.check(&file).unwrap()
    }

    #[test]
    fn a_forged_decision_is_named_and_a_cut_tail_is_missed() {
        let (lines, trust) = journal();
        assert_eq!(checked(&trust, &lines).unwrap().tip.sequence, 3);
        let (forged, sequence) = forged(&lines).unwrap();
        assert_eq!(sequence, 2);
        assert_eq!(checked(&trust, &forged).unwrap_err().sequence, 2);
        let cut: String = lines.lines().take(2).map(|line| format!("{line}\n")).collect();
        assert_eq!(checked(&trust, &cut).unwrap_err().sequence, 3);
    }
}
