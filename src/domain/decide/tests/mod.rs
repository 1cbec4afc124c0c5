//! Decisions as tables and short stories. Whole histories are played against an oracle in `tests/model.rs`.

mod activations;
mod assignments;
mod changes;
mod fixture;
mod requests;
