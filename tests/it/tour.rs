//! The demo's guided tour, as somebody new would start it.

use std::process::Command;

#[test]
fn the_tour_tells_the_truth() {
    let output = Command::new(env!("CARGO_BIN_EXE_hallpass")).args(["demo", "--tour"]).output().expect("a process");
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
    for step in ["403", "200", "revoke"] {
        assert!(said.contains(step), "the tour shows {step}:\n{said}");
    }
}
