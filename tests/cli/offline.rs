//! What the program says without any portal, as snapshots: help, mistakes, configuration, explanations.

#[test]
fn what_is_said_stays_as_it_was() {
    // whoever runs the tests may have a portal of their own
    let cases = trycmd::TestCases::new();
    for name in ["HALLPASS_PORTAL", "HALLPASS_TOKEN", "HALLPASS_TOKEN_FILE"] {
        cases.env(name, "");
    }
    cases.case("tests/cli/snapshots/*.trycmd");
}
