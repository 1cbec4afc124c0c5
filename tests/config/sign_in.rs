//! Signing in by browser: where a secret may stand, and where people may sign in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hallpass::config::{self, Source, Sources};
use hallpass::domain::time::Span;

use crate::{MINIMAL, load, messages, with_environment};

const WITH: &str = "\n[issuer.sign_in]\nclient_id = \"browser\"\n";

/// The smallest configuration with a way to sign in below its issuer.
fn written(sign_in: &str) -> String {
    MINIMAL.replace("jwks_file = \"keys.json\"", &format!("jwks_file = \"keys.json\"{WITH}{sign_in}"))
}

fn told(text: &str) -> String {
    load(text).err().map(|problems| problems.to_string()).unwrap_or_default()
}

#[test]
fn without_the_table_nobody_signs_in() {
    let config = load(MINIMAL).unwrap();
    assert!(config.identity.issuers[0].sign_in.is_none() && config.sites().is_empty());
}

#[test]
fn what_is_left_out_has_a_default() {
    let config = load(&written("")).unwrap();
    let sign_in = config.identity.issuers[0].sign_in.clone().unwrap();
    assert_eq!((sign_in.client_id.as_str(), sign_in.client_secret.is_none()), ("browser", true));
    assert_eq!(sign_in.scopes, ["openid", "profile", "email"]);
    assert_eq!(sign_in.session_max, Span::hours(12));
    assert_eq!((sign_in.session_idle, sign_in.session_unrefreshed_max), (Span::hours(1), Span::hours(1)));
    let callbacks: Vec<String> = config.sites().iter().map(|site| site.callback()).collect();
    assert_eq!(callbacks, ["https://hallpass.example/callback", "https://shop.example/.hallpass/callback"]);
}

#[test]
fn a_secret_comes_from_text_file_or_environment_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let secret = |config: &config::Config| {
        config.identity.issuers[0].sign_in.clone().unwrap().client_secret.unwrap().reveal().to_owned()
    };
    let inline = load(&written("client_secret = \"correct horse\"\n")).unwrap();
    assert_eq!(secret(&inline), "correct horse");
    let printed = config::print(&inline);
    assert!(printed.contains("client_secret = \"<redacted>\"") && !printed.contains("horse"), "{printed}");
    assert!(!format!("{inline:?}").contains("horse"));
    let again = told(&printed);
    assert!(again.contains("only stands for a secret"), "{again}");
    let other = load(&written("client_secret = \"another\"\n")).unwrap();
    assert_eq!(inline.digest, other.digest, "the journal learns nothing of it");

    let file = folder.path().join("hallpass.toml");
    fs::write(&file, written("client_secret_file = \"secret\"\n")).unwrap();
    fs::write(folder.path().join("secret"), "correct horse\n").unwrap();
    fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let sources = Sources { sources: vec![Source::Path(file)], environment: vec![] };
    let loaded = config::load(&sources).unwrap();
    assert_eq!(secret(&loaded), "correct horse");
    for mode in [0o640, 0o644] {
        fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(mode)).unwrap();
        let refused = config::load(&sources).err().unwrap().to_string();
        assert!(refused.contains(&format!("has mode {mode:04o}")) && refused.contains("chmod 600 '"), "{refused}");
    }
    fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.path().join("secret"), "x".repeat(8 * 1024 + 1)).unwrap();
    assert!(config::load(&sources).err().unwrap().to_string().contains("longer than 8192 bytes"));
    for content in ["", "\n", "  \n"] {
        fs::write(folder.path().join("secret"), content).unwrap();
        assert!(config::load(&sources).err().unwrap().to_string().contains("is empty"), "{content:?}");
    }
    fs::remove_file(folder.path().join("secret")).unwrap();
    assert!(config::load(&sources).err().unwrap().to_string().contains("cannot be read"));

    let named = [("HALLPASS_ISSUER__0__SIGN_IN__CLIENT_SECRET", "from outside")];
    assert_eq!(secret(&with_environment(&written(""), &named).unwrap()), "from outside");
}

#[test]
fn two_secrets_or_an_empty_one_are_refused_without_showing_either() {
    let both = told(&written("client_secret = \"correct horse\"\nclient_secret_file = \"x\"\n"));
    assert!(both.contains("name only one of") && !both.contains("horse"), "{both}");
    let empty = told(&written("client_secret = \"  \"\n"));
    assert!(empty.contains("the secret is empty"), "{empty}");
}

#[test]
fn people_sign_in_over_https_or_on_this_machine() {
    for (from, to) in [
        ("https://shop.example", "http://shop.example"),
        ("https://hallpass.example", "http://hallpass.example"),
        ("https://id.example", "http://id.example"),
    ] {
        let told = told(&written("").replace(from, to));
        assert!(told.contains("https") || told.contains("plain http"), "{to}: {told}");
        assert!(load(&MINIMAL.replace(from, to)).is_ok(), "{to}: without signing in that is a warning at most");
    }
    let local = written("")
        .replace("https://shop.example", "http://127.0.0.1:8080")
        .replace("https://hallpass.example", "http://localhost:8081");
    assert!(load(&local).is_ok(), "{}", told(&local));
}

#[test]
fn an_audience_that_is_also_the_client_is_worth_a_look() {
    let config = load(&written("").replace("client_id = \"browser\"", "client_id = \"hallpass\"")).unwrap();
    assert!(messages(&config).iter().any(|told| told.contains("also an `audience`")), "{:?}", messages(&config));
    let spans = told(&written("session_max = \"31d\"\nsession_idle = \"1s\"\n"));
    assert!(spans.contains("`31d` is not between") && spans.contains("`1s` is not between"), "{spans}");
}

#[test]
fn several_issuers_without_a_secret_could_be_mixed_up() {
    let second = |secret: &str| {
        let issuer = "[[issuer]]\nname = \"second\"\nissuer = \"https://second.example\"\naudience = [\"hallpass\"]\n\
            jwks_file = \"keys.json\"\n";
        format!("{issuer}{WITH}{secret}")
    };
    let secret = "client_secret = \"correct horse\"\n";
    let warned = |text: &str| {
        let config = load(text).unwrap();
        messages(&config).iter().filter(|told| told.contains("come by its codes")).count()
    };
    assert_eq!(warned(&written("")), 0, "one issuer answers for itself");
    assert_eq!(warned(&format!("{}\n{}", written(""), second(""))), 2);
    assert_eq!(warned(&format!("{}\n{}", written(secret), second(""))), 1);
    assert_eq!(warned(&format!("{}\n{}", written(secret), second(secret))), 0);
}
