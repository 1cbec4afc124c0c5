//! Configuration: shipped files load, the reference is complete and true, bad files are told what is wrong with them.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test that asked for it")]

mod problems;
mod reference;
mod retention;
mod sign_in;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use hallpass::config::{self, Config, Problems, Severity, Source, Sources};
use hallpass::domain::policy::{AssuranceRule, Need};
use hallpass::domain::role::RoleId;
use hallpass::domain::rule::Demand;
use hallpass::domain::time::Span;
use hallpass::identity::KeySource;
use hallpass::server::Bind;

const MINIMAL: &str = r#"
[portal]
public_url = "https://hallpass.example"
[hallpass]
administrators = ["corp:ada"]
[[issuer]]
name = "corp"
issuer = "https://id.example"
audience = ["hallpass"]
jwks_file = "keys.json"
[[listener]]
listen = "127.0.0.1:8080"
public_url = "https://shop.example"
[[upstream]]
name = "shop"
url = "http://127.0.0.1:9000"
[[route]]
name = "shop"
path = "/**"
mode = "signed_in"
upstream = "shop"
"#;

fn text(text: &str) -> Sources {
    Sources { sources: vec![Source::Text { name: "test.toml".to_owned(), text: text.to_owned() }], environment: vec![] }
}

fn load(written: &str) -> Result<Config, Problems> {
    config::load(&text(written))
}

fn with_environment(written: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let environment = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    config::load(&Sources { environment, ..text(written) })
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn load_file(path: PathBuf) -> Result<Config, Problems> {
    config::load(&Sources { sources: vec![Source::Path(path)], environment: vec![] })
}

fn messages(config: &Config) -> Vec<&str> {
    config.warnings.iter().map(|problem| problem.message.as_str()).collect()
}

fn role(name: &str) -> RoleId {
    name.parse().unwrap()
}

#[test]
fn every_shipped_file_loads() {
    let mut count = 0;
    for entry in fs::read_dir(shipped("")).unwrap() {
        let path = entry.unwrap().path();
        let loaded = load_file(path.clone()).unwrap_or_else(|problems| panic!("{}:\n{problems}", path.display()));
        assert_eq!(loaded.files, [path]);
        count += 1;
    }
    assert!(count >= 3, "hallpass.toml, sidecar.toml and demo.toml");
}

#[test]
fn printing_and_reading_again_changes_nothing() {
    for name in ["hallpass.toml", "sidecar.toml", "demo.toml"] {
        let first = load_file(shipped(name)).unwrap();
        let printed = config::print(&first);
        let second = load(&printed).unwrap_or_else(|problems| panic!("{name}:\n{problems}\n{printed}"));
        assert_eq!(first.digest, second.digest, "{name}");
        assert_eq!(config::print(&second), printed, "{name}");
        let revisions = |config: &Config| {
            config.policies.iter().map(|policy| (policy.role.clone(), policy.revision.clone())).collect::<Vec<_>>()
        };
        assert_eq!(revisions(&first), revisions(&second), "{name}");
    }
}

#[test]
fn settings_are_inherited_from_defaults_and_application() {
    let config = load(&format!(
        r#"{MINIMAL}
[defaults]
justification = {{ min = 20 }}
[defaults.activation]
max = "4h"
[[app]]
name = "shop"
activation = {{ max = "30m" }}
[[role]]
name = "shop/plain"
[[role]]
name = "shop/short"
mfa = false
activation = {{ max = "1m" }}
justification = {{ pattern = "INC-\\d+ .*" }}
[[role]]
name = "other/role"
"#
    ))
    .unwrap();
    let policy = |name: &str| config.policies.role(&role(name)).unwrap();
    let lengths = |name: &str| (policy(name).activation.max, policy(name).activation.default);
    assert_eq!(lengths("other/role"), (Span::hours(4), Span::hours(1)));
    assert_eq!(lengths("shop/plain"), (Span::minutes(30), Span::minutes(30)), "an inherited default gives way");
    assert_eq!(lengths("shop/short"), (Span::minutes(1), Span::minutes(1)));
    assert_eq!(policy("shop/short").justification.characters_min, 20);
    assert_eq!(policy("shop/short").assurance, AssuranceRule::default());
    assert_eq!(policy("shop/plain").assurance.mfa_amr, ["mfa"]);
    assert_eq!(policy("shop/plain").approval.assurance.mfa_amr, ["mfa"], "the approver as the requester");
    let pattern = policy("shop/short").justification.pattern.as_ref().unwrap();
    assert!(pattern.matches("INC-7 the till is\nstuck"));
    assert!(!pattern.matches("see INC-7 for more"), "the whole text must match");
    assert_ne!(policy("shop/plain").revision, policy("shop/short").revision);
}

#[test]
fn a_lax_default_does_not_open_hallpass_itself() {
    let config = load(&format!(
        "{MINIMAL}\n[defaults]\nmfa = false\njustification = {{ required = false }}\nactivation = {{ max = \"30d\", total_max = \"30d\" }}"
    ))
    .unwrap();
    for own in [RoleId::administrator(), RoleId::auditor()] {
        let policy = config.policies.role(&own).unwrap();
        assert_eq!(policy.assurance.mfa_amr, ["mfa"], "{own}");
        assert_eq!(policy.justification.need, Need::Required, "{own}");
        assert_eq!(policy.activation.max, Span::hours(4), "{own}");
    }
    let opened = load(&format!("{MINIMAL}\n[[role]]\nname = \"hallpass/auditor\"\nmfa = false")).unwrap();
    assert!(opened.policies.role(&RoleId::auditor()).unwrap().assurance.mfa_amr.is_empty(), "only by its own name");
}

#[test]
fn a_policy_has_another_revision_exactly_when_it_says_something_else() {
    let revision = |settings: &str| {
        let config = load(&format!("{MINIMAL}\n[[role]]\nname = \"shop/a\"\n{settings}")).unwrap();
        config.policies.role(&role("shop/a")).unwrap().revision.clone()
    };
    let plain = revision("");
    assert_eq!(plain, revision("description = \"words\"\neligible_assignments = [{ group = \"corp:g\" }]"));
    assert_eq!(plain, revision("activation = { max = \"480m\" }"), "the same length, spelled otherwise");
    assert_ne!(plain, revision("activation = { max = \"7h\" }"));
    assert_ne!(plain, revision("approval = { stages = [{ groups = [\"corp:g\"] }] }"));
}

#[test]
fn later_files_override_and_extend() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("10-base.toml"), MINIMAL).unwrap();
    let over = "[portal]\nlisten = \"[::1]:9\"\n[hallpass]\nadministrators = [\"corp:eve\"]\n[[issuer]]\nname = \"b\"\nissuer = \"https://b.example\"\naudience = [\"h\"]\ndiscovery = true\n";
    fs::write(folder.path().join("20-over.toml"), over).unwrap();
    fs::write(folder.path().join("notes.txt"), "no configuration").unwrap();
    let config = load_file(folder.path().to_owned()).unwrap();
    assert_eq!(config.files, [folder.path().join("10-base.toml"), folder.path().join("20-over.toml")]);
    assert_eq!(config.portal.listen, Bind::Tcp("[::1]:9".parse().unwrap()));
    assert_eq!(config.portal.public_url.to_string(), "https://hallpass.example", "what is not said again stays");
    let issuers: Vec<&str> = config.identity.issuers.iter().map(|issuer| &*issuer.name).collect();
    assert_eq!(issuers, ["corp", "b"], "arrays of tables grow");
    let administrators: Vec<String> =
        config.declared.iter().map(|declared| config.names.of_party(&declared.party)).collect();
    assert_eq!(administrators, ["corp:eve"], "a list is replaced");
    assert_eq!(
        config.identity.issuers[0].keys,
        KeySource::File(folder.path().join("keys.json")),
        "beside the file that names it"
    );
}

#[test]
fn the_environment_overrides_files() {
    let config = with_environment(
        MINIMAL,
        &[
            ("HALLPASS_PORTAL__PUBLIC_URL", "https://other.example"),
            ("HALLPASS_LIMITS__CONNECTIONS_MAX", "7"),
            ("HALLPASS_TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
            ("HALLPASS_ISSUER__0__LEEWAY", "5s"),
            ("HALLPASS_UPSTREAM__1__NAME", "second"),
            ("HALLPASS_UPSTREAM__1__URL", "http://127.0.0.1:9001"),
            ("HALLPASS_TOKEN", "the command line's own"),
            ("OTHER", "nobody's"),
        ],
    )
    .unwrap();
    assert_eq!(config.portal.public_url.to_string(), "https://other.example");
    assert_eq!(config.limits.connection.connections_max, 7);
    assert_eq!(config.trusted_proxies, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(config.identity.issuers[0].leeway, Span::seconds(5));
    assert_eq!(config.upstreams[1].url.to_string(), "http://127.0.0.1:9001");
}

#[test]
fn unknown_variables_are_errors_and_values_are_never_shown() {
    let secret = "hunter2-hunter2";
    let problems = with_environment(
        MINIMAL,
        &[
            ("HALLPASS_PORTAL__PUBLIC_ULR", secret),
            ("HALLPASS_LIMITS__TOKENS_MAX", secret),
            ("HALLPASS_ROUTE__7__NAME", secret),
        ],
    )
    .unwrap_err();
    let told = problems.to_string();
    assert!(told.contains("did you mean `HALLPASS_PORTAL__PUBLIC_URL`?"), "{told}");
    assert!(told.contains("the value of `HALLPASS_LIMITS__TOKENS_MAX` is not a whole number"), "{told}");
    assert!(told.contains("there are 1 of these: the next has the number 1, not 7"), "{told}");
    assert!(!told.contains(secret), "{told}");
    assert_eq!(problems.iter().count(), 3, "{told}");
}

#[test]
fn unreadable_files_are_told_without_guesses_about_what_they_hold() {
    let missing = load_file(PathBuf::from("/nowhere/hallpass.toml")).unwrap_err().to_string();
    assert!(missing.contains("/nowhere/hallpass.toml") && missing.contains("cannot be read"), "{missing}");
    assert!(!missing.contains("portal"), "{missing}");
    let empty = tempfile::tempdir().unwrap();
    let told = load_file(empty.path().to_owned()).unwrap_err().to_string();
    assert!(told.contains("holds no file that ends in `.toml`"), "{told}");
}

#[test]
fn declared_assignments_get_ids_that_never_repeat() {
    let ids = |config: &Config| config.declared.iter().map(|declared| declared.id).collect::<BTreeSet<_>>();
    let (first, second) = (load_file(shipped("hallpass.toml")).unwrap(), load_file(shipped("hallpass.toml")).unwrap());
    assert_eq!(ids(&first).len(), first.declared.len());
    assert!(ids(&first).is_disjoint(&ids(&second)));
    assert_eq!(first.digest, second.digest, "ids are no part of the configuration");
}

#[test]
fn a_route_demands_what_it_says() {
    let config = load_file(shipped("hallpass.toml")).unwrap();
    let demands: Vec<&Demand> = config.routes.iter().map(|route| &route.rule.demand).collect();
    let (vault, editor) = (role("shop/vault-reader"), role("shop/records-editor"));
    assert_eq!(
        demands,
        [&Demand::SignedIn, &Demand::AnyRole(vec![vault.clone()]), &Demand::AnyRole(vec![vault, editor])]
    );
    let strict =
        load(&MINIMAL.replace("mode = \"signed_in\"", "mode = \"signed_in\"\nmfa = true\nmax_age = \"5m\"")).unwrap();
    let assurance = &strict.routes[0].rule.assurance;
    assert_eq!(
        (assurance.mfa_amr.as_slice(), assurance.max_age),
        (["mfa".to_owned()].as_slice(), Some(Span::minutes(5)))
    );
}

#[test]
fn nothing_unwise_is_said_about_the_smallest_real_configuration() {
    let config = load_file(shipped("sidecar.toml")).unwrap();
    assert!(messages(&config).is_empty(), "{:?}", messages(&config));
    assert!(config.warnings.iter().all(|problem| problem.severity == Severity::Warning));
}
