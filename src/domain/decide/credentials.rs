//! Revoking all credentials of a principal that were issued so far: what was stolen counts no more, what is held stays held.

use crate::domain::command::Caller;
use crate::domain::decide::text::reason_refusals;
use crate::domain::decide::{Case, Decided, authority};
use crate::domain::event::Event;
use crate::domain::policy::Need;
use crate::domain::principal::Principal;
use crate::domain::refusal::Refusals;
use crate::domain::time::Timestamp;

/// Administrators may for everybody, and everybody for themselves: whoever lost a token must not have to wait for anybody.
pub(super) fn revoke(
    case: &Case,
    caller: &Caller,
    principal: &Principal,
    justification: Option<&str>,
    now: Timestamp,
) -> Decided {
    let own = caller.identity().is_some_and(|identity| identity.principal == *principal);
    let mut refusals = if own { Vec::new() } else { authority::administrator_refusals(case, caller, now) };
    if refusals.is_empty() {
        refusals = reason_refusals(if own { Need::Optional } else { Need::Required }, justification);
    }
    Refusals::none_of(refusals)?;
    // the instant never moves back
    if case.subject_credentials_since.is_some_and(|since| now <= since) {
        return Ok(Vec::new());
    }
    Ok(vec![Event::CredentialsRevoked { principal: principal.clone(), issued_before: now }])
}
