//! Stories of the portal: real store, real writer, real tokens, a clock that stands still, no socket.

mod assignments;
mod cut;
mod cutting;
mod decisions;
mod desk;
mod document;
mod downloads;
mod events;
mod forms;
mod history;
mod journal;
mod notices;
mod pages;
mod requests;
mod schema;
mod sights;
mod world;
