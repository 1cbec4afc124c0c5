//! The classes of attack on tokens and keys, each as a table or a story.

mod claims;
mod forge;
mod identities;
mod keysets;
mod mapping;
mod refresh;
mod server;
mod tokens;
