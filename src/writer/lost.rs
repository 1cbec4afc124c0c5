//! Ends of rights that are in force in memory only: told when they begin to be, so that a log knows of them whatever becomes
//! of the process, and told again when it stops with them.

use std::fmt;

use crate::clock::format_rfc3339;
use crate::domain::command::{Caller, Command};
use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::writer::{Submission, SubmitError};

/// An end that was answered `not_durable`, and is lost with the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostEnd {
    /// Who gave the command, `issuer:subject`.
    pub principal: String,
    /// What they ended.
    pub what: String,
    /// When it took effect.
    pub ended_at: Timestamp,
}

impl LostEnd {
    pub(super) fn of(submission: &Submission, ended_at: Timestamp) -> Self {
        let principal = match &submission.caller {
            Caller::Identity(identity) => identity.principal.to_string(),
            Caller::Configuration | Caller::Hallpass => "hallpass".to_owned(),
        };
        // what was typed stays out of the log
        let what = match &submission.command {
            Command::Deactivate { id } => format!("deactivate {id}"),
            Command::Revoke { id, .. } => format!("revoke {id}"),
            Command::Cancel { id } => format!("cancel {id}"),
            Command::RemoveAssignment { id, .. } => format!("remove {id}"),
            Command::Lock { principal, .. } => format!("lock {principal}"),
            Command::RevokeCredentials { principal, .. } => format!("revoke the credentials of {principal}"),
            _ => "end a right".to_owned(),
        };
        Self { principal, what, ended_at }
    }

    /// It is in force, and not yet in the journal; `lost_by` says why it is not kept aside either.
    pub(super) fn tell_owed(&self, lost_by: Option<&StoreError>) {
        let Self { principal, what, ended_at } = self;
        let ended_at = format_rfc3339(*ended_at);
        match lost_by {
            None => tracing::warn!(
                %principal,
                what,
                ended_at,
                "in force, and not in the journal before the store is back; kept aside, so it stays in force also when \
                 hallpass stops"
            ),
            Some(error) => tracing::warn!(
                %principal,
                what,
                ended_at,
                %error,
                "in force in memory, and not in the journal before the store is back: lost if hallpass stops until then"
            ),
        }
    }

    /// The store is back, and the journal refuses it.
    pub(super) fn tell_refused(&self, error: &SubmitError) {
        let Self { principal, what, ended_at } = self;
        let ended_at = format_rfc3339(*ended_at);
        tracing::error!(
            %principal,
            what,
            ended_at,
            %error,
            "the journal refuses an end that is in force: it stays in force; give the command again, by somebody who may"
        );
    }

    /// Another command that was carried out since ended the same, or lifted it.
    pub(super) fn tell_settled(&self, by: &Submission) {
        let Self { principal, what, ended_at } = self;
        let (by, ended_at) = (Self::of(by, self.ended_at).principal, format_rfc3339(*ended_at));
        tracing::warn!(%principal, what, ended_at, by, "what the journal had refused is owed no more: a later command says how it is");
    }

    /// hallpass stops, and the journal does not hold it.
    pub(super) fn tell_lost(&self) {
        let Self { principal, what, ended_at } = self;
        let ended_at = format_rfc3339(*ended_at);
        tracing::error!(
            %principal,
            what,
            ended_at,
            "LOST: this end was in force in memory only, and hallpass stops: the right is held again after the next start. \
             Give the command again then"
        );
    }
}

impl fmt::Display for LostEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, by {}", self.what, self.principal)
    }
}
