//! Uses as a gate records them, in a file of their own.

use std::path::Path;
use std::time::Duration;

use hallpass::domain::id::ActivationId;
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp};
use hallpass::telemetry::Metrics;
use hallpass::uses::{self, Use, UseReader};

/// Records three uses of `activation` by `subject`, a second apart from `at` on, in the file at `path`: a block of them, behind
/// those that are there.
pub(crate) fn three_uses(path: &Path, activation: ActivationId, subject: &str, at: Timestamp) -> UseReader {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // one block, however long it takes
    let settings = uses::Settings { gather_for: Duration::from_hours(1) };
    let (recorder, reader, running) = uses::start(path, settings, &Metrics::default()).unwrap();
    for number in 0..3 {
        let used = Use {
            activation,
            principal: Principal::new("https://id.example", subject),
            at: at.plus(Span::seconds(number)),
            request_id: number.to_string().into(),
            method: "GET".into(),
            host: "shop.example".into(),
            path: format!("/vault/{number}").into(),
            route: "vault".into(),
        };
        runtime.block_on(recorder.record(&used)).unwrap();
    }
    drop(recorder);
    running.join();
    reader
}
