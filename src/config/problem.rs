//! What is wrong with a configuration, told so that it can be put right: where, which key, and what instead.

use std::fmt;

use crate::config::source::Read;
use crate::config::tree::At;

/// One thing that is wrong, or merely unwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Refused, or only worth knowing.
    pub severity: Severity,
    /// The key, from the root: `role[0].activation.max`; empty when it concerns a whole file.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would help.
    pub help: Option<String>,
    /// Where it was written.
    pub place: Option<Place>,
}

/// Whether a configuration with this problem can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// A stretch of one line of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or the environment variable.
    pub source: String,
    /// The line with its number from 1; none for an environment variable.
    pub line: Option<Line>,
}

/// A line and the characters of it that are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant; at least 1.
    pub width: usize,
    /// The whole line.
    pub text: String,
}

/// Why a configuration was refused: everything that is wrong with it, in the order of its files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        sort(&mut problems);
        Self(problems)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        let line = self.place.as_ref().and_then(|place| place.line.as_ref());
        let gutter = line.map_or(1, |line| line.number.to_string().len());
        if let Some(place) = &self.place {
            write!(f, "{:gutter$}--> {}", "", place.source)?;
            if let Some(line) = line {
                write!(f, ":{}:{}", line.number, line.column)?;
            }
            if !self.key.is_empty() {
                write!(f, " {}", self.key)?;
            }
            writeln!(f)?;
        } else if !self.key.is_empty() {
            writeln!(f, "{:gutter$}--> {}", "", self.key)?;
        }
        if let Some(line) = line {
            writeln!(f, "{:gutter$} |", "")?;
            writeln!(f, "{} | {}", line.number, line.text)?;
            writeln!(f, "{:gutter$} | {:indent$}{}", "", "", "^".repeat(line.width), indent = line.column - 1)?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "{:gutter$} = {help}", "")?;
        }
        Ok(())
    }
}

impl Place {
    /// The place `at` names, by the line it begins on.
    pub(crate) fn of(at: &At, read: &[Read]) -> Option<Self> {
        let read = read.get(at.source)?;
        let Some(text) = &read.text else {
            return Some(Self { source: read.name.clone(), line: None });
        };
        let before = text.get(..at.bytes.start)?;
        let number = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text.get(start..)?.lines().next().unwrap_or_default();
        let column = before.get(start..)?.chars().count() + 1;
        let meant = text.get(at.bytes.clone())?.lines().next().unwrap_or_default().chars().count();
        // tabs would shift the mark away from what it marks
        let line = Line { number, column, width: meant.max(1), text: masked(&line.replace('\t', " ")) };
        Some(Self { source: read.name.clone(), line: Some(line) })
    }

    /// A file as a whole.
    pub(crate) fn file(path: &std::path::Path) -> Self {
        Self { source: path.display().to_string(), line: None }
    }
}

/// The line with as many stars in place of user name and password in a url: messages end up in logs.
fn masked(line: &str) -> String {
    let mut parts = line.split("://");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("://");
        let authority = part.find(['/', '"', '\'', ' ']).unwrap_or(part.len());
        match part.split_at_checked(authority).and_then(|(authority, _)| authority.rsplit_once('@')) {
            Some((secret, _)) => {
                text.extend(secret.chars().map(|_| '*'));
                text.push_str(part.get(secret.len()..).unwrap_or_default());
            }
            None => text.push_str(part),
        }
    }
    text
}

/// Files in the order they were read is the order in which people look.
pub(crate) fn sort(problems: &mut [Problem]) {
    problems.sort_by_key(|problem| {
        let line = problem.place.as_ref().and_then(|place| place.line.as_ref());
        let source = problem.place.as_ref().map(|place| place.source.clone());
        (problem.severity, source, line.map(|line| (line.number, line.column)), problem.key.clone())
    });
}
