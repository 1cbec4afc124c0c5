//! Sends what a step sends, shows the exchange, and compares what came with what was told.

use std::io::Write;

use http::Method;
use serde_json::Value;

use crate::demo::stage::client;
use crate::demo::tour::Ink;

/// Somebody who speaks, with the token they speak with.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    pub(super) name: &'static str,
    pub(super) token: Option<String>,
}

/// Which of the two doors of hallpass is knocked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Gate,
    Portal,
}

/// A step came out differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct NotAsTold(pub(super) String);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Body,
    pub(super) headers: http::HeaderMap,
}

/// The body that came, read as JSON where it says so.
#[derive(Debug)]
pub(super) enum Body {
    Json(Value),
    Text(String),
}

/// Tells the story to `out`.
pub(super) struct Narrator<'o> {
    gate: String,
    portal: String,
    ink: Ink,
    client: reqwest::Client,
    out: &'o mut dyn Write,
    steps: usize,
    title: String,
}

impl<'o> Narrator<'o> {
    pub(super) fn new(gate: &str, portal: &str, ink: Ink, out: &'o mut dyn Write) -> anyhow::Result<Self> {
        let (gate, portal) = (gate.to_owned(), portal.to_owned());
        Ok(Self { gate, portal, ink, client: client()?, out, steps: 0, title: "the beginning".to_owned() })
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, title: &str) -> anyhow::Result<()> {
        self.steps += 1;
        self.title = title.to_owned();
        let number = format!("{:>2}", self.steps);
        writeln!(self.out, "\n{}  {}", self.ink.strong(&number), self.ink.strong(title))?;
        Ok(())
    }

    /// The step that was begun last, for messages.
    pub(super) fn last_step(&self) -> String {
        match self.steps {
            0 => self.title.clone(),
            steps => format!("step {steps}, `{}`", self.title),
        }
    }

    pub(super) fn say(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.out, "{text}")?;
        Ok(())
    }

    /// One fact below the exchange it belongs to.
    pub(super) fn fact(&mut self, name: &str, value: &str) -> anyhow::Result<()> {
        writeln!(self.out, "      {}{value}", self.ink.dim(&format!("{name:<22} ")))?;
        self.out.flush()?;
        Ok(())
    }

    pub(super) async fn get(&mut self, who: &Voice, door: Door, path: &str, told: u16) -> anyhow::Result<Answer> {
        self.exchange(who, Method::GET, door, path, None, told).await
    }

    pub(super) async fn post(
        &mut self,
        who: &Voice,
        door: Door,
        path: &str,
        body: Value,
        told: u16,
    ) -> anyhow::Result<Answer> {
        self.exchange(who, Method::POST, door, path, Some(body), told).await
    }

    /// Sends a request, shows it, and insists on the status that was told.
    pub(super) async fn exchange(
        &mut self,
        who: &Voice,
        method: Method,
        door: Door,
        path: &str,
        body: Option<Value>,
        told: u16,
    ) -> anyhow::Result<Answer> {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.origin(door)));
        if let Some(token) = &who.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await?;
        let answer = Answer { body: Body::read(&headers, text), headers };
        self.show(who, &format!("{method} {}{path}", door.label()), status, told, answer.code())?;
        if let Some(Value::Object(members)) = &body {
            let sent: Vec<String> = members.iter().map(|(name, value)| format!("{name}: {}", plain(value))).collect();
            self.fact("sent", &sent.join(", "))?;
        }
        if status == told {
            return Ok(answer);
        }
        let came = match &answer.body {
            Body::Json(value) => value.to_string(),
            Body::Text(text) => text.chars().take(SHOWN_CHARS_MAX).collect(),
        };
        Err(NotAsTold(format!("{method} {path} must answer {told}, and answered {status}: {came}")).into())
    }

    /// One line for one exchange: who, what, and what came.
    pub(super) fn show(
        &mut self,
        who: &Voice,
        what: &str,
        status: u16,
        told: u16,
        code: Option<&str>,
    ) -> anyhow::Result<()> {
        let came = format!("{status}{}", code.map(|code| format!(" {code}")).unwrap_or_default());
        let came = match (status == told, status < 400) {
            (false, _) => self.ink.bad(&format!("{came}, not {told}")),
            (true, true) => self.ink.good(&came),
            (true, false) => self.ink.warn(&came),
        };
        writeln!(self.out, "    {:<7}{:<60}  {came}", who.name, with_short_ids(what))?;
        self.out.flush()?;
        Ok(())
    }

    /// Shows these members of the answer; each must be there.
    pub(super) fn members(&mut self, answer: &Answer, pointers: &[&str]) -> anyhow::Result<()> {
        for pointer in pointers {
            let name = pointer.rsplit('/').next().unwrap_or(pointer);
            let value = plain(answer.member(pointer)?);
            self.fact(name, &value)?;
        }
        Ok(())
    }

    /// Where this door is.
    pub(super) fn origin(&self, door: Door) -> &str {
        match door {
            Door::Gate => &self.gate,
            Door::Portal => &self.portal,
        }
    }
}

impl Door {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Portal => "portal",
        }
    }
}

impl Body {
    fn read(headers: &http::HeaderMap, text: String) -> Self {
        let kind = headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        match serde_json::from_str(&text) {
            Ok(value) if kind.contains("json") => Self::Json(value),
            _ => Self::Text(text),
        }
    }
}

impl Answer {
    /// The member at this JSON pointer, which must be there.
    pub(super) fn member(&self, pointer: &str) -> Result<&Value, NotAsTold> {
        let found = match &self.body {
            Body::Json(value) => value.pointer(pointer),
            Body::Text(_) => None,
        };
        found.ok_or_else(|| NotAsTold(format!("the answer must have a member `{pointer}`")))
    }

    pub(super) fn text(&self, pointer: &str) -> Result<&str, NotAsTold> {
        let member = self.member(pointer)?;
        member.as_str().ok_or_else(|| NotAsTold(format!("`{pointer}` must be text, and is {member}")))
    }

    /// Insists on a member's value.
    pub(super) fn must_be(&self, pointer: &str, told: &str) -> Result<(), NotAsTold> {
        match self.text(pointer)? {
            came if came == told => Ok(()),
            came => Err(NotAsTold(format!("`{pointer}` must be `{told}`, and is `{came}`"))),
        }
    }

    /// Insists that the refusal names this rule, whatever else it names.
    pub(super) fn must_name(&self, code: &str) -> Result<(), NotAsTold> {
        let errors = self.member("/errors")?.as_array();
        let named = errors.is_some_and(|errors| errors.iter().any(|error| error["code"] == code));
        if named { Ok(()) } else { Err(NotAsTold(format!("the refusal must name `{code}`"))) }
    }

    /// The last part of the problem's type, when it is a problem.
    pub(super) fn code(&self) -> Option<&str> {
        let kind = self.text("/type").ok()?;
        kind.strip_prefix("https://hallpass.dev/problems/")
    }

    pub(super) fn header(&self, name: &str) -> Result<&str, NotAsTold> {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| NotAsTold(format!("the answer must have a header `{name}`")))
    }
}

/// The value as people would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The path with ids cut short, so that a line fits a terminal; the id was shown whole where it first came up.
fn with_short_ids(path: &str) -> String {
    let short = |segment: &str| match segment.char_indices().nth(SHORT_ID_CHARS) {
        Some((end, _)) if segment.starts_with("act_") => format!("{}…", segment.get(..end).unwrap_or(segment)),
        _ => segment.to_owned(),
    };
    let segments: Vec<String> = path.split('/').map(short).collect();
    segments.join("/")
}

const SHOWN_CHARS_MAX: usize = 200;
const SHORT_ID_CHARS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Colour;
    use crate::demo::upstream::Upstream;

    /// Asks an application, in hallpass's place, and gives back what was shown and what came of it.
    async fn asked(path: &str, told: u16) -> (String, anyhow::Result<Answer>) {
        let upstream = Upstream::start().await.unwrap();
        let mut shown = Vec::new();
        let mut narrator =
            Narrator::new(&upstream.url(), "http://127.0.0.1:1", Ink::of(Colour::Off), &mut shown).unwrap();
        narrator.step("a step").unwrap();
        let who = Voice { name: "ada", token: None };
        let answer = narrator.get(&who, Door::Gate, path, told).await;
        assert_eq!(narrator.last_step(), "step 1, `a step`");
        (String::from_utf8(shown).unwrap(), answer)
    }

    #[tokio::test]
    async fn what_came_as_told_is_shown_and_handed_on() {
        let (shown, answer) = asked("/vault", 200).await;
        assert!(shown.starts_with("\n 1  a step\n    ada    GET gate/vault  "), "{shown}");
        assert!(shown.ends_with("  200\n"), "{shown}");
        let answer = answer.unwrap();
        assert!(answer.must_be("/keys/0", "cellar-door").is_ok());
        let difference = answer.must_be("/keys/0", "attic").unwrap_err();
        assert_eq!(difference.to_string(), "`/keys/0` must be `attic`, and is `cellar-door`");
        assert!(answer.text("/nowhere").is_err());
        assert!(answer.header("x-hallpass-expires").is_err());
        assert!(answer.must_name("self_approval").is_err());
    }

    #[tokio::test]
    async fn what_came_differently_is_shown_and_ends_the_story() {
        let (shown, answer) = asked("/records/nothing", 200).await;
        assert!(shown.ends_with("  404, not 200\n"), "{shown}");
        let error = answer.unwrap_err();
        let difference = error.downcast_ref::<NotAsTold>().unwrap();
        assert!(difference.to_string().contains("must answer 200, and answered 404: there is no such"), "{difference}");
    }
}
