//! What pages are made of: one file per kind of thing that is shown or filled in.

pub(in crate::portal) mod badge;
pub(in crate::portal) mod button;
pub(in crate::portal) mod cut;
pub(in crate::portal) mod decision;
pub(in crate::portal) mod field;
pub(in crate::portal) mod list;
pub(in crate::portal) mod notice;
pub(in crate::portal) mod party;
pub(in crate::portal) mod table;
pub(in crate::portal) mod text;
pub(in crate::portal) mod time;
