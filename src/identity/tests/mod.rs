//! The classes of attack on tokens and keys, each as a table or a story.

mod browser;
mod callbacks;
mod claims;
mod crowds;
mod forge;
mod identities;
mod keysets;
mod let_in;
mod mapping;
mod notices;
mod refresh;
mod renewals;
mod server;
mod sessions;
mod tokens;
