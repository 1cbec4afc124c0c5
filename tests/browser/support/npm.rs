//! The certified provider of `tests/provider`, in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::house::free_ports;

/// How the provider is set.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    /// It asks for what `acr_values` names; otherwise it signs people in as they are.
    pub heeds_acr: bool,
    /// Of ID and access tokens, in seconds.
    pub lifetime: u32,
}

/// A running provider.
pub struct CertifiedProvider {
    pub url: String,
    settings: Value,
    process: Child,
    refreshed: Arc<AtomicUsize>,
}

impl CertifiedProvider {
    /// Starts it with hallpass at `gate` and `portal` as its client, where it is installed.
    pub fn start(gate: &str, portal: &str, manner: Manner) -> Option<Self> {
        let modules = super::installed("TESTS_PROVIDER_MODULES")?;
        let [port] = free_ports();
        let people = PEOPLE.iter().map(|(account, name, group)| {
            let claims = json!({ "name": name, "email": format!("{account}@larder.example"), "groups": [group] });
            ((*account).to_owned(), claims)
        });
        let settings = json!({
            "modules": modules,
            "port": port,
            "heeds_acr": manner.heeds_acr,
            "lifetime": manner.lifetime,
            "people": people.collect::<serde_json::Map<_, _>>(),
            "clients": [{
                "client_id": "hallpass",
                "client_secret": SECRET,
                "redirect_uris": [format!("{gate}/.hallpass/callback"), format!("{portal}/callback")],
                "post_logout_redirect_uris": [format!("{gate}/.hallpass/signed-out"), format!("{portal}/signed-out")],
                "backchannel_logout_uri": format!("{portal}/backchannel-logout"),
                "backchannel_logout_session_required": true,
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
            }],
        });
        let refreshed = Arc::default();
        let process = begun(&settings, &refreshed);
        Some(Self { url: format!("http://127.0.0.1:{port}"), settings, process, refreshed })
    }

    /// Starts anew with other keys, and without memory of anybody.
    pub fn restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = begun(&self.settings, &self.refreshed);
    }

    /// How often a refresh token was redeemed.
    pub fn refreshed(&self) -> usize {
        self.refreshed.load(Ordering::Acquire)
    }

    /// The demo's configuration with this provider as `demo`; the tokens of the demo's own are good beside it, as `tokens`.
    pub fn instead_of_demo(&self, shipped: &str) -> String {
        let (before, rest) = shipped.split_once("[[issuer]]").expect("an issuer");
        let (issuer, after) = rest.split_once("[[listener]]").expect("a listener");
        let tokens = issuer.split("[issuer.sign_in]").next().unwrap_or_default();
        let tokens = tokens.replace(r#"name = "demo""#, r#"name = "tokens""#);
        let before = before.replace(r#"administrators = ["#, r#"administrators = ["tokens:root", "#);
        let url = &self.url;
        let own = format!(
            r#"[[issuer]]
name = "demo"
issuer = "{url}"
audience = ["hallpass-api"]
discovery = true

[issuer.sign_in]
client_id = "hallpass"
client_secret = "{SECRET}"
scopes = ["openid", "profile", "email", "groups"]
mfa_acr = ["{STRONG}"]
"#
        );
        format!("{before}[[issuer]]{tokens}\n{own}\n[[listener]]{after}")
    }
}

impl Drop for CertifiedProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn begun(settings: &Value, refreshed: &Arc<AtomicUsize>) -> Child {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider/server.mjs");
    let mut process =
        Command::new("node").arg(server).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
    let input = process.stdin.as_mut().expect("a pipe");
    writeln!(input, "{settings}").expect("written");
    let mut said = BufReader::new(process.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    assert!(said.any(|line| line == "ready"), "the provider never listened");
    let refreshed = Arc::clone(refreshed);
    // ends with the process, whose output it reads
    std::thread::spawn(move || {
        for _ in said.filter(|line| line == "refreshed") {
            refreshed.fetch_add(1, Ordering::AcqRel);
        }
    });
    process
}

/// Account, name and group of whoever can sign in there.
const PEOPLE: [(&str, &str, &str); 3] = [
    ("ada", "Ada Okafor", "engineers"),
    ("grace", "Grace Lindqvist", "on-call-leads"),
    ("root", "Ruth Abara", "administrators"),
];

/// Its `acr` of a sign-in with a second factor.
pub const STRONG: &str = "urn:example:strong";
const SECRET: &str = "known-to-the-tests-only-0123456789abcdef";
