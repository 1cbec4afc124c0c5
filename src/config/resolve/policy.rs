//! One role's settings: checked for sense, and turned into the policy the domain decides by.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use regex::{Regex, RegexBuilder};

use crate::config::effective::{self, Settings};
use crate::config::forms::{Filled, Text};
use crate::config::raw::{Extend, OwnRequest, Stage as RawStage};
use crate::config::resolve::context::Context;
use crate::config::resolve::identity::{Names, group, principal, within};
use crate::config::tree::Path;
use crate::domain::policy;
use crate::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, Need, Pattern,
    Permanence, PolicyRevision, RolePolicy, Stage, TicketRule,
};
use crate::domain::principal::Party;
use crate::domain::role::RoleId;
use crate::domain::time::Span;

/// Bytes a compiled pattern may take; larger ones are refused, and slower ones cannot be written.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Where the settings of a role may have been written, nearest first.
pub(crate) type Layers = [Path];

/// The policy of `role`.
pub(crate) fn policy(
    role: &RoleId,
    description: &str,
    settings: &Settings,
    layers: &Layers,
    names: &Names<'_>,
    context: &mut Context<'_>,
) -> RolePolicy {
    let assurance = assurance(settings, layers, context);
    let approval = approval(settings, &assurance, layers, names, context);
    RolePolicy {
        role: role.clone(),
        description: description.to_owned(),
        revision: revision(role, settings, &approval.stages, layers, context),
        activation: activation(settings, layers, context),
        justification: justification(&settings.justification, layers, &["justification"], context),
        ticket: TicketRule {
            need: need(settings.ticket.required),
            pattern: pattern(
                settings.ticket.pattern.as_ref(),
                &context.written(layers, &["ticket", "pattern"]),
                context,
            ),
        },
        assurance,
        approval,
        extension: match settings.extend {
            Extend::None => ExtensionRule::None,
            Extend::SameApproval => ExtensionRule::SameApproval,
            Extend::Free => ExtensionRule::Free,
        },
        pending_after: {
            let path = context.written(layers, &["pending_after"]);
            within(context, &path, &settings.pending_after, Span::minutes(1), Span::days(30));
            settings.pending_after.0
        },
        eligible: assignment_limits(&settings.eligible, layers, "eligible", context),
        active: assignment_limits(&settings.active, layers, "active", context),
    }
}

fn activation(settings: &Settings, layers: &Layers, context: &mut Context<'_>) -> ActivationLimits {
    let limits = &settings.activation;
    let path = |context: &Context<'_>, key| context.written(layers, &["activation", key]);
    for (key, span) in
        [("min", &limits.min), ("max", &limits.max), ("default", &limits.default), ("total_max", &limits.total_max)]
    {
        within(context, &path(context, key), span, Span::seconds(1), Span::days(365));
    }
    within(context, &path(context, "start_ahead_max"), &limits.start_ahead_max, Span::ZERO, Span::days(365));
    let (min, max, default) = (limits.min.0, limits.max.0, limits.default.0);
    if max < min {
        context
            .error(&path(context, "min"), format!("the shortest activation, {min}, is longer than the longest, {max}"));
    } else if default < min || max < default {
        context.error(&path(context, "default"), format!("the default, {default}, is not between {min} and {max}"));
    }
    if limits.total_max.0 < max {
        let total = limits.total_max.0;
        let message = format!("all extensions together may last {total}, which is less than one activation of {max}");
        context.error(&path(context, "total_max"), message);
    }
    ActivationLimits { min, max, default, total_max: limits.total_max.0, start_ahead_max: limits.start_ahead_max.0 }
}

fn assurance(settings: &Settings, layers: &Layers, context: &mut Context<'_>) -> AssuranceRule {
    let path = context.written(layers, &["mfa_amr"]);
    if settings.mfa_amr.is_empty() {
        context.error(&path, "without a value here a second factor could never be proven");
    }
    age(settings.max_age.as_ref(), layers, &["max_age"], context);
    rule(settings.mfa, settings, &settings.acr, settings.max_age.as_ref())
}

fn rule(mfa: bool, settings: &Settings, acr: &[Text<Filled>], max_age: Option<&Text<Span>>) -> AssuranceRule {
    let texts = |list: &[Text<Filled>]| list.iter().map(|text| text.0.0.clone()).collect();
    AssuranceRule {
        mfa_amr: if mfa { texts(&settings.mfa_amr) } else { Vec::new() },
        acr: texts(acr),
        max_age: max_age.map(|age| age.0),
    }
}

fn age(max_age: Option<&Text<Span>>, layers: &Layers, keys: &[&str], context: &mut Context<'_>) {
    if let Some(age) = max_age {
        let path = context.written(layers, keys);
        within(context, &path, age, Span::seconds(1), Span::days(365));
    }
}

fn approval(
    settings: &Settings,
    requester: &AssuranceRule,
    layers: &Layers,
    names: &Names<'_>,
    context: &mut Context<'_>,
) -> ApprovalRule {
    let approval = &settings.approval;
    let at = context.written(layers, &["approval", "stages"]);
    let stages = approval.stages.iter().enumerate();
    let stages: Vec<Stage> = stages.map(|(index, raw)| stage(raw, &at.index(index), names, context)).collect();
    if !enough_people(&stages) {
        context
            .error(&at, "nobody may approve in two stages, and these name too few people: every request would lapse");
    }
    age(approval.max_age.as_ref(), layers, &["approval", "max_age"], context);
    let mfa = approval.mfa.unwrap_or(!requester.mfa_amr.is_empty());
    ApprovalRule {
        stages,
        justification: justification(&approval.justification, layers, &["approval", "justification"], context),
        assurance: rule(mfa, settings, &approval.acr, approval.max_age.as_ref()),
        own_request: match approval.own_request {
            OwnRequest::Forbidden => policy::OwnRequest::Forbidden,
            OwnRequest::Allowed => policy::OwnRequest::Allowed,
        },
    }
}

/// Whether the stages that name people alone can all reach their quorum with nobody counted twice. A stage that could not
/// even by itself is told of elsewhere.
fn enough_people(stages: &[Stage]) -> bool {
    let closed: Vec<&Stage> = stages
        .iter()
        .filter(|stage| stage.approvers.iter().all(|party| party.group().is_none()))
        .filter(|stage| usize::try_from(stage.quorum).is_ok_and(|quorum| quorum <= stage.approvers.len()))
        .collect();
    let mut seats = BTreeMap::new();
    closed
        .iter()
        .enumerate()
        .all(|(index, stage)| (0..stage.quorum).all(|_| seat(&closed, index, &mut seats, &mut BTreeSet::new())))
}

/// Finds one more person for `stage`, moving others to stages where they are as good (a bipartite matching).
fn seat<'s>(
    stages: &[&'s Stage],
    stage: usize,
    seats: &mut BTreeMap<&'s Party, usize>,
    asked: &mut BTreeSet<&'s Party>,
) -> bool {
    let Some(approvers) = stages.get(stage).map(|stage| &stage.approvers) else { return false };
    approvers.iter().any(|person| {
        let free = asked.insert(person)
            && match seats.get(person) {
                None => true,
                Some(other) if *other == stage => false,
                Some(other) => seat(stages, *other, seats, asked),
            };
        if free {
            seats.insert(person, stage);
        }
        free
    })
}

fn stage(raw: &RawStage, path: &Path, names: &Names<'_>, context: &mut Context<'_>) -> Stage {
    let mut approvers: Vec<Party> = Vec::new();
    for (index, user) in raw.users.iter().enumerate() {
        approvers.extend(principal(user, names, &path.key("users").index(index), context).map(Party::from));
    }
    for (index, name) in raw.groups.iter().enumerate() {
        approvers.extend(group(name, names, &path.key("groups").index(index), context).map(Party::from));
    }
    approvers.sort();
    approvers.dedup();
    if raw.users.is_empty() && raw.groups.is_empty() {
        context.error(path, "this stage names no approver: every request would lapse");
    }
    let users: BTreeSet<_> = raw.users.iter().collect();
    for (key, number, what) in [("quorum", raw.quorum, "agree"), ("deny_threshold", raw.deny_threshold, "refuse")] {
        let path = path.key(key);
        if number == 0 {
            context.error(&path, format!("at least 1 approver must {what}"));
        } else if raw.groups.is_empty() && !users.is_empty() && number > u32::try_from(users.len()).unwrap_or(u32::MAX)
        {
            context.error(&path, format!("{number} approvers must {what}, but the stage names only {}", users.len()));
        }
    }
    Stage { approvers, quorum: raw.quorum, deny_threshold: raw.deny_threshold }
}

fn justification(
    raw: &effective::Justification,
    layers: &Layers,
    keys: &[&str],
    context: &mut Context<'_>,
) -> JustificationRule {
    let path = |context: &Context<'_>, key| context.written(layers, &[keys, &[key]].concat());
    let longest = JustificationRule::CHARACTERS_MAX;
    if raw.max == 0 || usize::try_from(raw.max).is_ok_and(|max| max > longest) {
        context.error(&path(context, "max"), format!("`{}` is not between 1 and {longest} characters", raw.max));
    } else if raw.max < raw.min {
        let message = format!("at least {} characters, but at most {}: nothing could be written", raw.min, raw.max);
        context.error(&path(context, "min"), message);
    }
    JustificationRule {
        need: need(raw.required),
        characters_min: usize::try_from(raw.min).unwrap_or(usize::MAX),
        characters_max: usize::try_from(raw.max).unwrap_or(usize::MAX),
        pattern: pattern(raw.pattern.as_ref(), &path(context, "pattern"), context),
    }
}

/// Compiles a pattern for the whole of a text; a dot matches line ends as well, because people write several lines.
fn pattern(source: Option<&Text<Filled>>, path: &Path, context: &mut Context<'_>) -> Option<Pattern> {
    let source = &source?.0.0;
    let compile = |text: &str| {
        let mut builder = RegexBuilder::new(text);
        builder.dot_matches_new_line(true).nest_limit(50);
        builder.size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build()
    };
    // alone first: `a)(b` is no pattern, but would become one between the anchors
    let compiled: Result<Regex, _> = compile(source).and_then(|_| compile(&format!(r"\A(?:{source})\z")));
    match compiled {
        Ok(regex) => Some(Pattern::new(source, move |text| regex.is_match(text))),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            context.error(path, format!("`{source}` is not a pattern: {why}"));
            None
        }
    }
}

fn assignment_limits(
    raw: &effective::Eligibility,
    layers: &Layers,
    key: &str,
    context: &mut Context<'_>,
) -> AssignmentLimits {
    let path = context.written(layers, &[key, "max"]);
    within(context, &path, &raw.max, Span::seconds(1), Span::days(3650));
    let permanent = if raw.permanent { Permanence::Allowed } else { Permanence::Forbidden };
    AssignmentLimits { permanent, max: raw.max.0 }
}

const fn need(required: bool) -> Need {
    if required { Need::Required } else { Need::Optional }
}

/// Names the settings by what they say, with the approvers in full: a short name may come to mean another issuer.
fn revision(
    role: &RoleId,
    settings: &Settings,
    stages: &[Stage],
    layers: &Layers,
    context: &mut Context<'_>,
) -> PolicyRevision {
    let said = serde_json::json!({ "role": role, "settings": settings, "stages": stages });
    match fingerprint(&said) {
        Ok(digest) => PolicyRevision::new(&digest),
        Err(error) => {
            context.error(&context.written(layers, &[]), format!("the settings cannot be written down: {error}"));
            PolicyRevision::new("")
        }
    }
}

/// SHA-256 over the canonical JSON (RFC 8785), in hexadecimal.
pub(crate) fn fingerprint(value: &impl serde::Serialize) -> Result<String, serde_json::Error> {
    let canonical = serde_json_canonicalizer::to_vec(value)?;
    Ok(HEXLOWER.encode(digest(&SHA256, &canonical).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::{Group, Principal};

    fn stage(people: &str, quorum: u32) -> Stage {
        let approvers = people.split_whitespace().map(|name| match name.strip_prefix('@') {
            Some(group) => Party::Group(Group::new("i", group)),
            None => Party::Principal(Principal::new("i", name)),
        });
        Stage { approvers: approvers.collect(), quorum, deny_threshold: 1 }
    }

    #[test]
    fn nobody_sits_in_two_stages() {
        let table: [(&[(&str, u32)], bool); 8] = [
            (&[], true),
            (&[("ada", 1)], true),
            (&[("ada", 1), ("ada", 1)], false),
            (&[("ada", 1), ("ada ben", 1)], true),
            (&[("ada ben", 1), ("ada", 1)], true),
            (&[("ada ben", 2), ("ben cleo", 1), ("cleo", 1)], false),
            (&[("ada ben cleo", 2), ("ada dora", 1), ("ben", 1)], true),
            (&[("ada", 1), ("ada @leads", 1)], true),
        ];
        for (stages, enough) in table {
            let named: Vec<Stage> = stages.iter().map(|(people, quorum)| stage(people, *quorum)).collect();
            assert_eq!(enough_people(&named), enough, "{stages:?}");
        }
    }
}
