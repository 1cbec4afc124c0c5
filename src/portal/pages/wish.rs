//! What somebody fills in to ask for a role: from a link, from the form, and back into the form when something is wrong.

use crate::clock::parse_span;
use crate::domain::command::Command;
use crate::domain::event as told;
use crate::domain::id::ActivationId;
use crate::domain::policy::RolePolicy;
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{Fields, ONCE, url};
use crate::portal::pages::parts::time;
use crate::portal::pages::rules::presets;
use crate::portal::wire::wanted::Wanted;

/// The form as it is filled in.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    pub(super) role: String,
    /// Where to go once the role is held.
    pub(super) return_to: String,
    /// The method of the request that was denied there; empty is `GET`.
    pub(super) method: String,
    /// The chosen preset, or `other`.
    pub(super) preset: String,
    /// Any other length.
    pub(super) duration: String,
    /// As `datetime-local` in UTC.
    pub(super) starts_at: String,
    pub(super) justification: String,
    pub(super) ticket: String,
}

/// What the form asks for, as far as it could be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Read {
    pub(super) duration: Option<Span>,
    pub(super) starts_at: Option<Timestamp>,
}

/// The fields of the form.
pub(super) const FIELDS: [&str; 10] =
    ["role", "return_to", "method", "preset", "duration", "starts_at", "offset", "justification", "ticket", ONCE];
/// Those beside which faults can be told.
pub(super) const TOLD: [&str; 4] = ["duration", "starts_at", "justification", "ticket"];
/// The preset that stands for the length in the text beside it.
pub(super) const OTHER: &str = "other";

impl Wish {
    /// What a link or form holds, and what of it could not be read.
    pub(super) fn of(fields: &Fields) -> (Self, Read, Faults) {
        let mut faults = Faults::default();
        let read = Read { duration: duration(fields, &mut faults), starts_at: fields.moment("starts_at", &mut faults) };
        let starts_at = match read.starts_at {
            Some(at) => time::input_value(at),
            None => fields.text("starts_at").to_owned(),
        };
        let wish = Self {
            role: fields.text("role").trim().to_owned(),
            return_to: fields.text("return_to").to_owned(),
            method: fields.text("method").trim().to_owned(),
            preset: fields.text("preset").to_owned(),
            duration: fields.text("duration").to_owned(),
            starts_at,
            justification: fields.text("justification").to_owned(),
            ticket: fields.text("ticket").to_owned(),
        };
        (wish, read, faults)
    }

    /// Chooses the length the form shows first: the one a link names, or the role's default.
    pub(super) fn with_length_chosen(mut self, policy: &RolePolicy, read: Read) -> Self {
        if !self.preset.is_empty() {
            return self;
        }
        let limits = policy.activation;
        let wanted = read.duration.unwrap_or(limits.default).to_string();
        let readable = self.duration.trim().is_empty() || read.duration.is_some();
        if readable && presets(limits.min, limits.max, limits.default).iter().any(|preset| preset.value == wanted) {
            (self.preset, self.duration) = (wanted, String::new());
        } else {
            self.preset = OTHER.to_owned();
        }
        self
    }

    /// The page with this form filled in.
    pub(super) fn url(&self) -> String {
        let duration = if self.preset.is_empty() || self.preset == OTHER { &self.duration } else { &self.preset };
        let pairs = [
            ("role", self.role.as_str()),
            ("return_to", &self.return_to),
            ("method", &self.method),
            ("duration", duration),
            ("starts_at", &self.starts_at),
            ("justification", &self.justification),
            ("ticket", &self.ticket),
        ];
        url("/activate", &pairs)
    }

    /// The command that asks for it.
    pub(super) fn command(&self, id: ActivationId, role: RoleId, read: Read, gate_urls: &[String]) -> Command {
        let filled = |text: &str| Some(text).filter(|text| !text.trim().is_empty()).map(str::to_owned);
        Command::RequestActivation {
            id,
            role,
            duration: read.duration,
            starts_at: read.starts_at,
            justification: filled(&self.justification),
            ticket: filled(self.ticket.trim()),
            wanted: self.wanted(gate_urls),
        }
    }
}

impl Wish {
    /// The request that was denied, when a link brought it along; one that leads to no gate is nobody's.
    fn wanted(&self, gate_urls: &[String]) -> Option<told::Wanted> {
        let method = if self.method.is_empty() { "GET" } else { &self.method };
        let wanted = Wanted { method: method.to_owned(), url: self.return_to.clone() };
        wanted.read(gate_urls).ok()
    }
}

/// The length that is chosen or written. Where both are and differ it is not guessed which was meant.
fn duration(fields: &Fields, faults: &mut Faults) -> Option<Span> {
    let preset = fields.filled("preset").filter(|preset| *preset != OTHER);
    let written = fields.filled("duration");
    match (preset, written) {
        (None, None) if fields.filled("preset").is_some() => {
            faults.add("duration", "write a length such as `45m`, or choose one");
            None
        }
        (None, written) => written.and_then(|written| span(written, faults)),
        (Some(preset), None) => span(preset, faults),
        (Some(preset), Some(written)) => {
            let (one, other) = (span(preset, faults), span(written, faults));
            if one.is_some() && other.is_some() && one != other {
                faults.add("duration", format!("`{preset}` is chosen and `{written}` is written; which one is meant?"));
            }
            one.filter(|_| one == other)
        }
    }
}

fn span(text: &str, faults: &mut Faults) -> Option<Span> {
    parse_span(text).map_err(|error| faults.add("duration", error.to_string())).ok()
}
