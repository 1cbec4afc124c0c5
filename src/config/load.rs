//! Reads, checks and resolves: a configuration that works, or everything that is wrong with it.

use crate::config::check::{self, Kind};
use crate::config::problem::{Place, Problem, Problems, Severity};
use crate::config::raw::Configuration;
use crate::config::resolve::{Config, Context, resolve};
use crate::config::schema::{Shape, schema};
use crate::config::source::{Gathered, Sources, gather};
use crate::config::tree::{Path, Step};

/// The configuration these sources describe.
///
/// # Errors
/// Everything that is wrong with them; nothing of them is used then.
pub fn load(sources: &Sources) -> Result<Config, Problems> {
    let schema = schema();
    let shape = Shape::new(&schema);
    let Gathered { mut root, read, mut problems } = gather(sources, shape);
    // what stands in a file that could not be read may be what others miss
    let whole = problems.is_empty();
    let misfits = check::check(&mut root, shape);
    let unjudged: Vec<Path> =
        misfits.iter().filter(|misfit| misfit.kind != Kind::Unknown).map(|misfit| around(&misfit.path)).collect();
    for misfit in misfits.into_iter().filter(|misfit| whole || misfit.kind != Kind::Missing) {
        // what is missing from the root is missing everywhere
        let nowhere = misfit.kind == Kind::Missing && misfit.path.parent().steps().is_empty();
        let place = if nowhere { None } else { Place::of(&misfit.at, &read) };
        let key = misfit.path.to_string();
        problems.push(Problem { severity: Severity::Error, key, message: misfit.message, help: misfit.help, place });
    }
    if !whole {
        return Err(Problems::new(problems));
    }
    let mut context = Context::new(&root, &read, unjudged);
    let config = match serde_path_to_error::deserialize::<_, Configuration>(root.to_json()) {
        Ok(raw) => resolve(raw, &mut context),
        Err(error) => {
            context.error(&path_of(error.path()), error.inner().to_string());
            None
        }
    };
    let (found, mut warnings): (Vec<_>, Vec<_>) =
        context.into_problems().into_iter().partition(|problem| problem.severity == Severity::Error);
    problems.extend(found);
    match config {
        Some(mut config) if problems.is_empty() => {
            crate::config::problem::sort(&mut warnings);
            config.warnings = warnings;
            config.files = read.into_iter().filter_map(|read| read.file).collect();
            Ok(config)
        }
        _ => Err(Problems::new(problems)),
    }
}

/// The table that is judged no further because of `path`; never the whole configuration.
fn around(path: &Path) -> Path {
    let parent = path.parent();
    if parent.steps().is_empty() { path.clone() } else { parent }
}

fn path_of(path: &serde_path_to_error::Path) -> Path {
    use serde_path_to_error::Segment;
    path.iter().fold(Path::default(), |path, segment| match segment {
        Segment::Seq { index } => path.step(Step::Index(*index)),
        Segment::Map { key } => path.step(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}
