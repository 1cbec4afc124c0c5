//! What hallpass knows, pure: no I/O, no clock, no async, no configuration.
//!
//! A [`command`] is decided against a [`case`](decide::Case) and becomes [`event`]s or a [`refusal`]; events fold into
//! [`activation`]s, [`assignment`]s and, seen per party, [`standing`]s; [`authorize`] turns a rule, an identity and a
//! standing into a permit or a denial. Everything here names only std, serde and thiserror.

pub mod activation;
pub mod assignment;
pub mod authorize;
pub mod command;
pub mod decide;
pub mod event;
pub mod id;
pub mod identity;
pub mod pace;
pub mod policy;
pub mod principal;
pub mod refusal;
pub mod role;
pub mod rule;
pub mod standing;
pub mod time;
