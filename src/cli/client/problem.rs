//! The portal's no (RFC 9457), told to people: what is wrong, in which part of the command, and what to do about it.

use std::io::{self, Write};

use serde::Deserialize;

use crate::cli::failure::Exit;
use crate::cli::terminal::safe;

/// A problem document, or what stands for one when the answer carried none.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Problem {
    /// `https://hallpass.dev/problems/<code>`.
    #[serde(default, rename = "type")]
    pub kind: String,
    /// Always the same for the same kind.
    #[serde(default)]
    pub title: String,
    /// The status it came with.
    #[serde(default)]
    pub status: u16,
    /// What is wrong this time.
    #[serde(default)]
    pub detail: Option<String>,
    /// Each broken rule.
    #[serde(default)]
    pub errors: Vec<Broken>,
    /// When old cases and assignments were cut out of the journal, and something is unknown.
    #[serde(default)]
    pub cut: Option<Cut>,
    /// Seconds after which to try again, from `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

/// What was cut out of the journal.
#[derive(Debug, Clone, Deserialize)]
pub struct Cut {
    /// What was over by this instant may be gone.
    #[serde(default)]
    pub until: String,
}

/// One broken rule.
#[derive(Debug, Clone, Deserialize)]
pub struct Broken {
    /// Stable code.
    #[serde(default)]
    pub code: String,
    /// The rule, with limit and given value.
    #[serde(default)]
    pub detail: String,
    /// Which member of the command it speaks of.
    #[serde(default)]
    pub pointer: Option<String>,
}

impl Problem {
    /// Reads a problem from an answer; whatever it holds, there is something to tell.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let mut problem: Self = serde_json::from_slice(body).unwrap_or_default();
        problem.status = status;
        problem
    }

    /// The stable code: the last part of the type.
    #[must_use]
    pub fn code(&self) -> &str {
        self.kind.rsplit('/').next().unwrap_or_default()
    }

    /// One line that says it.
    #[must_use]
    pub fn headline(&self) -> String {
        match (&self.detail, self.title.as_str()) {
            (Some(detail), _) if !detail.is_empty() => detail.clone(),
            (_, "") => format!("the portal answered {}", self.status),
            (_, title) => title.to_owned(),
        }
    }

    /// What the process tells its caller.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match (self.status, self.code()) {
            // waiting does not help: the store is not the one to work on
            (_, "journal_doubted") => Exit::Internal,
            // hallpass itself speaks: the portal was reached
            (503, code) if !code.is_empty() => Exit::NotNow,
            (status, _) => Self::exit_of(status),
        }
    }

    const fn exit_of(status: u16) -> Exit {
        match status {
            502..=504 => Exit::Unreachable,
            500..=599 => Exit::Internal,
            300..=399 => Exit::Unreachable,
            _ => Exit::Refused,
        }
    }

    /// Tells it.
    pub(in crate::cli) fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        let said = match (self.status, self.code()) {
            (_, "not_durable") => "half done",
            (503, code) if !code.is_empty() => "not now",
            (500.., _) => "the portal failed",
            _ => "refused",
        };
        let mut headline = self.headline();
        // of several rules the first names the problem; here all follow
        if let [first, _, ..] = self.errors.as_slice()
            && first.detail == headline
        {
            headline = format!("{} rules are broken", self.errors.len());
        }
        writeln!(err, "{said}: {}", safe(&headline))?;
        tell_broken(&self.errors, &headline, err)?;
        let codes = self.errors.iter().map(|broken| broken.code.as_str());
        let mut advice: Vec<&str> = Vec::new();
        for line in codes.chain([self.code()]).filter_map(advise) {
            if !advice.contains(&line) {
                advice.push(line);
            }
        }
        let wait = self.retry_after.filter(|_| !is_for_operators(self.code()));
        if advice.is_empty() {
            match (self.status, wait) {
                (500..=599, Some(seconds)) => {
                    writeln!(err, "what to do: try again in {seconds} s; {WHEN_IT_STAYS}")?;
                    return Ok(());
                }
                (500..=599, None) => writeln!(err, "what to do: try again; {WHEN_IT_STAYS}")?,
                (status, _) => advice.extend(advise_status(status)),
            }
        }
        for line in advice {
            writeln!(err, "what to do: {line}")?;
        }
        if let Some(cut) = &self.cut {
            let until = safe(&cut.until);
            writeln!(
                err,
                "what to do: if it was over by {until}, look in the archive: older ones were cut from the journal"
            )?;
        }
        if let Some(seconds) = wait {
            writeln!(err, "what to do: try again in {seconds} s")?;
        }
        Ok(())
    }
}

/// One line per broken rule, beginning with the option to change. A single rule that the headline already told is left out.
pub(in crate::cli) fn tell_broken(errors: &[Broken], headline: &str, err: &mut dyn Write) -> io::Result<()> {
    if let [only] = errors
        && only.detail == headline
    {
        return Ok(());
    }
    let options: Vec<String> = errors.iter().map(|broken| option_for(broken.pointer.as_deref())).collect();
    let width = options.iter().map(|option| option.chars().count()).max().unwrap_or(0);
    for (broken, option) in errors.iter().zip(options) {
        writeln!(err, "  {option:width$}  {} ({})", safe(&broken.detail), safe(&broken.code))?;
    }
    Ok(())
}

/// The option of the command line that gives a member of the command.
fn option_for(pointer: Option<&str>) -> String {
    match pointer.unwrap_or_default() {
        "" => "-".to_owned(),
        "/duration" | "/ends_at" => "--for".to_owned(),
        "/starts_at" => "--at".to_owned(),
        "/justification" => "--because".to_owned(),
        "/ticket" => "--ticket".to_owned(),
        "/role" => "ROLE".to_owned(),
        other => safe(other).into_owned(),
    }
}

fn advise(code: &str) -> Option<&'static str> {
    Some(match code {
        "not_administrator" => "ask one of the administrators; the configuration names them",
        "forbidden" => {
            "check that --portal names the portal, not the application behind the gate, and that you may do this"
        }
        "last_administrator" => "name another administrator first",
        "declared_in_configuration" => "change it in the configuration, and reload",
        "permanent_forbidden" => "name an end",
        "not_holder" => "only whoever holds it hands it back; an administrator can revoke it",
        "already_decided" => "you have decided on this already; somebody else has to",
        "not_eligible" => "see what you may activate, and until when: hallpass list",
        "role_unknown" => "see which roles there are for you: hallpass list --roles",
        "principal_locked" => "talk to an administrator; nothing can be asked for while locked",
        "credential_revoked" => "sign in again, and take the new token",
        "justification_missing" | "justification_too_short" | "justification_too_long" | "justification_pattern" => {
            "say why with --because \"...\""
        }
        "ticket_missing" | "ticket_pattern" => "name the ticket with --ticket",
        "duration_below_minimum" | "duration_above_maximum" | "total_exceeded" => "choose another length with --for",
        "start_in_past" | "start_too_far" => "choose another start with --at",
        "mfa_required" => "sign in with a second factor, take the new token, and repeat the command",
        "acr_required" | "sign_in_too_old" | "insufficient_user_authentication" => {
            "sign in again as demanded, take the new token, and repeat the command"
        }
        "already_pending" => "see it, and cancel it if it is not what you want: hallpass list --pending",
        "too_many_pending" => "cancel what you no longer need: hallpass list --pending, hallpass cancel ID",
        "already_ended" | "not_pending" | "not_active" => "see how things stand: hallpass list",
        "not_an_approver" | "stage_not_open" => "see what waits for you: hallpass list --waiting",
        "self_approval" => "somebody else has to decide; see who in hallpass list --pending",
        "revision_changed" => "repeat the command to see what is asked now",
        "extension_forbidden" => "ask for the role again when it has ended",
        "policy_changed" => "the request has to be made anew",
        "unknown" | "not_found" => {
            "check the id or name; things you may not see look the same as things that are not there"
        }
        "journal_doubted" => {
            "trying again does not help: whoever runs hallpass stops it and restores the right store, or, when this one is to go \
             on, says so with `hallpass anchor confirm`"
        }
        "not_durable" => {
            "nothing: it holds, and hallpass writes it down as soon as the store can be written. Tell whoever runs hallpass, to \
             look at its log and its disk"
        }
        "disk_full" => {
            "make room on the volume of the store, or tell whoever runs hallpass; it goes on by itself within seconds. Rights can \
             be ended meanwhile"
        }
        "clock_behind" => {
            "correct the clock of the machine that hallpass runs on, or tell whoever runs it. Rights can be ended meanwhile"
        }
        "invalid_token" | "not_signed_in" => "take a new token and put it into HALLPASS_TOKEN or HALLPASS_TOKEN_FILE",
        _ => return None,
    })
}

/// Trying again helps nobody before whoever runs hallpass has done something; what ends a right works all the same.
fn is_for_operators(code: &str) -> bool {
    matches!(code, "journal_doubted" | "not_durable" | "disk_full" | "clock_behind")
}

const WHEN_IT_STAYS: &str = "when it stays so, look at the portal's log and its readiness";

fn advise_status(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "take a new token and put it into HALLPASS_TOKEN or HALLPASS_TOKEN_FILE",
        404 => "check the id or name, and that --portal names a hallpass portal",
        300..=399 => "give the portal's own address as --portal; redirects are not followed with a token",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> String {
        let mut text = Vec::new();
        Problem::read(status, body.as_bytes()).tell(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_broken_rule_is_told_with_its_option() {
        let body = r#"{"type":"https://hallpass.dev/problems/duration_above_maximum","title":"Too long","status":422,
            "detail":"the request breaks 2 rules","errors":[
            {"code":"duration_above_maximum","detail":"the duration is 12h; the longest is 8h","pointer":"/duration"},
            {"code":"justification_missing","detail":"a justification is required","pointer":"/justification"}]}"#;
        insta::assert_snapshot!(told(422, body), @r#"
        refused: the request breaks 2 rules
          --for      the duration is 12h; the longest is 8h (duration_above_maximum)
          --because  a justification is required (justification_missing)
        what to do: choose another length with --for
        what to do: say why with --because "..."
        "#);
    }

    #[test]
    fn an_old_id_leads_to_the_archive_when_the_journal_was_cut() {
        let body = r#"{"type":"https://hallpass.dev/problems/unknown","title":"Not found","status":404,
            "detail":"there is no such object","errors":[{"code":"unknown","detail":"there is no such object"}],
            "cut":{"until":"2020-08-01T00:00:07.000Z","at":"2026-11-23T03:30:00.000Z","record":44}}"#;
        insta::assert_snapshot!(told(404, body), @r"
        refused: there is no such object
        what to do: check the id or name; things you may not see look the same as things that are not there
        what to do: if it was over by 2020-08-01T00:00:07.000Z, look in the archive: older ones were cut from the journal
        ");
    }

    #[test]
    fn an_answer_without_a_problem_is_told_too() {
        insta::assert_snapshot!(told(502, "<html>bad gateway</html>"), @"
        the portal failed: the portal answered 502
        what to do: try again; when it stays so, look at the portal's log and its readiness
        ");
    }

    #[test]
    fn what_the_portal_cannot_do_now_is_told_once_and_by_its_own_remedy() {
        let problem = |code: &str| {
            let body =
                format!(r#"{{"type":"https://hallpass.dev/problems/{code}","title":"t","detail":"why","status":503}}"#);
            let problem = Problem { retry_after: Some(2), ..Problem::read(503, body.as_bytes()) };
            let mut text = Vec::new();
            problem.tell(&mut text).unwrap();
            (problem.exit(), String::from_utf8(text).unwrap())
        };
        for (code, exit, said, remedy) in [
            ("journal_doubted", Exit::Internal, "not now: why", "`hallpass anchor confirm`"),
            ("not_durable", Exit::NotNow, "half done: why", "nothing: it holds"),
            ("disk_full", Exit::NotNow, "not now: why", "make room"),
            ("clock_behind", Exit::NotNow, "not now: why", "correct the clock"),
            ("busy", Exit::NotNow, "not now: why", "try again in 2 s; when it stays so"),
        ] {
            let (told_exit, told) = problem(code);
            assert_eq!(told_exit, exit, "{code}");
            assert!(told.starts_with(said) && told.contains(remedy), "{code}: {told}");
            assert_eq!(told.matches("what to do:").count(), 1, "{code}: {told}");
            assert_eq!(told.contains("try again in"), code == "busy", "{code}: {told}");
        }
    }

    #[test]
    fn every_refusal_of_the_domain_that_a_person_can_cure_has_advice() {
        for code in ["not_eligible", "justification_missing", "ticket_missing", "mfa_required", "revision_changed"] {
            assert!(advise(code).is_some(), "{code}");
        }
    }

    #[test]
    fn the_exit_code_tells_whose_fault_it_is() {
        for (status, exit) in
            [(422, Exit::Refused), (401, Exit::Refused), (503, Exit::Unreachable), (500, Exit::Internal)]
        {
            assert_eq!(Problem::read(status, b"").exit(), exit, "{status}");
        }
    }
}
