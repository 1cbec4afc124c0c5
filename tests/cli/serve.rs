//! Stories of running: started, asked how it is, reloaded, stopped.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::hallpass::{program, said};

pub(crate) const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig",
    "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

pub(crate) fn config(admin: &str, filter: &str) -> String {
    let shop = include_str!("fixtures/shop.toml");
    let moved = shop
        .replace(r#"jwks_url = "https://id.example/keys""#, r#"jwks_file = "keys.json""#)
        .replace(r#""127.0.0.1:8080""#, r#""127.0.0.1:0""#)
        .replace(r#""127.0.0.1:8081""#, r#""127.0.0.1:0""#);
    format!("{moved}\n[admin]\nlisten = \"{admin}\"\n[log]\nfilter = \"{filter}\"\n")
}

fn signal(name: &str, process: u32) {
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status().unwrap().success());
}

/// The value of `hallpass_config_last_reload_success`.
fn last_reload(admin: &str) -> String {
    let mut stream = UnixStream::connect(admin.strip_prefix("unix://").unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix("hallpass_config_last_reload_success "));
    value.unwrap().to_owned()
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hallpass.toml");
    // in a folder of its own no neighbour can take the address
    let admin = format!("unix://{}", folder.path().join("admin.sock").display());
    std::fs::write(folder.path().join("keys.json"), KEYS).unwrap();
    std::fs::write(&file, config(&admin, "info")).unwrap();
    let mut running = program().args(["serve", "--config"]).arg(&file).spawn().unwrap();
    while said(program().args(["healthcheck", "--admin", &admin])).code != 0 {
        assert_eq!(running.try_wait().unwrap(), None, "it ended early");
    }
    let mut log = BufReader::new(running.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("hallpass has started") && line.contains(&admin)));

    std::fs::write(&file, "[store]\npat = 3\n").unwrap();
    signal("HUP", running.id());
    assert!(
        log.any(|line| line.contains("not reloaded: the last good one stays") && line.contains("did you mean `path`?"))
    );
    assert_eq!(said(program().args(["healthcheck", "--admin", &admin])).code, 0, "it goes on");
    assert_eq!(last_reload(&admin), "0", "whoever watches learns of it");
    std::fs::write(&file, config(&admin, "info").replace("Open the vault", "Open the big vault")).unwrap();
    signal("HUP", running.id());
    assert!(log.any(|line| line.contains("the configuration was reloaded")));
    assert_eq!(last_reload(&admin), "1");

    signal("TERM", running.id());
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_eq!(said(program().args(["healthcheck", "--admin", &admin])).code, 69);
    let verified = said(program().args(["audit", "verify", "--store"]).arg(folder.path().join("shop.redb")));
    assert_eq!(verified.code, 0, "closed in good order: {verified:?}");
    assert!(verified.out.contains("2  configuration_applied"), "{}", verified.out);
}

#[test]
fn a_wrong_configuration_is_told_whole() {
    let wrong = said(program().args(["serve", "--config", "tests/cli/fixtures/broken.toml"]));
    assert_eq!(wrong.code, 78);
    let check = said(program().args(["config", "check", "--config", "tests/cli/fixtures/broken.toml"]));
    assert_eq!((check.code, &check.err), (78, &wrong.err));
    assert!(wrong.err.contains("did you mean `path`?"), "{}", wrong.err);
}

#[test]
fn a_printed_configuration_is_the_same_one() {
    let folder = tempfile::tempdir().unwrap();
    let digest =
        |file: &str| said(program().args(["config", "check", "--config", file])).out.lines().nth(1).map(str::to_owned);
    let printed = said(program().args(["config", "print", "--config", "tests/cli/fixtures/shop.toml"]));
    assert_eq!(printed.code, 0, "{printed:?}");
    // relative paths start where the file is
    let again = printed.out.replace("tests/cli/fixtures/", "");
    let copy = folder.path().join("shop.toml");
    std::fs::write(&copy, again).unwrap();
    let check = said(program().args(["config", "check", "--config"]).arg(&copy));
    assert_eq!(check.code, 0, "{check:?}");
    assert!(digest("tests/cli/fixtures/shop.toml").is_some_and(|digest| printed.out.contains(&digest)));
    let schema = said(program().args(["config", "schema"]));
    let schema: serde_json::Value = serde_json::from_str(&schema.out).unwrap();
    assert_eq!(schema["type"], "object");
}
