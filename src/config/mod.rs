//! From files and environment to what the floors need: everything is read, checked and resolved at once, or refused whole.
//!
//! `source` reads files and environment into one `tree` in which every value knows where it was written. `check` holds that
//! tree against the JSON Schema that `raw` generates, so one description serves files, documentation and messages alike.
//! `resolve` then fills in what was inherited, looks up names and refuses what cannot work. No floor knows of files.

mod check;
mod effective;
mod forms;
mod load;
mod print;
mod problem;
mod raw;
mod resolve;
mod schema;
mod source;
mod tree;

pub use forms::Origin;
pub use load::load;
pub use print::print;
pub use problem::{Place, Problem, Problems, Severity};
pub use resolve::{Admin, Config, Gate, Limits, Listener, Portal, Route};
pub use schema::schema;
pub use source::{Source, Sources};
