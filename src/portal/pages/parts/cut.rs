//! That old records were cut out of the journal: where a list ends, and where something is unknown.

use maud::{Markup, html};

use crate::portal::pages::parts::time::moment;
use crate::portal::wire::cut::Cut;

/// Below a list of activations, when older ones are gone.
pub(in crate::portal) fn below_activations(cut: &Cut) -> Markup {
    html! {
        p .dim { "Older activations were cut from the journal: those that were over by " (moment(cut.until.0)) " stand in its archive." }
    }
}

/// Above a list of records, when older ones are gone.
pub(in crate::portal) fn above_records(cut: &Cut) -> Markup {
    html! {
        p .dim { "Records up to " (moment(cut.until.0)) " were cut from the journal and stand in its archive; those about the journal itself are still here." }
    }
}

/// Above the records of a case whose first ones are gone.
pub(in crate::portal) fn above_case(cut: &Cut) -> Markup {
    html! {
        p .dim { "Its beginning is missing: records up to " (moment(cut.until.0)) " were cut from the journal and stand in its archive." }
    }
}

/// Where what a link names is unknown, when old cases are gone.
pub(in crate::portal) fn unknown(cut: &Cut) -> Markup {
    html! {
        p { "Is the link an old one? On " (moment(cut.at.0)) " old records were cut from the journal: an activation or assignment that was over by " (moment(cut.until.0)) " is found in the archive only. Ask an auditor, or whoever runs hallpass." }
    }
}
