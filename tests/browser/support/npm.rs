//! The certified provider of `tests/provider`, in a process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::house::free_ports;

/// A running provider.
pub struct CertifiedProvider {
    pub url: String,
    settings: Value,
    process: Child,
}

impl CertifiedProvider {
    /// Starts it with hallpass at `gate` and `portal` as its client, where it is installed.
    pub async fn start(gate: &str, portal: &str, heeds_acr: bool) -> Option<Self> {
        let modules = super::installed("TESTS_PROVIDER_MODULES")?;
        let [port] = free_ports();
        let settings = json!({
            "modules": modules,
            "port": port,
            "heeds_acr": heeds_acr,
            "people": PEOPLE_OF_NPM.iter().map(|(account, name, group)| {
                let claims = json!({ "name": name, "email": format!("{account}@larder.example"), "groups": [group] });
                ((*account).to_owned(), claims)
            }).collect::<serde_json::Map<_, _>>(),
            "clients": [{
                "client_id": "hallpass",
                "client_secret": SECRET,
                "redirect_uris": [format!("{gate}/.hallpass/callback"), format!("{portal}/callback")],
                "post_logout_redirect_uris": [format!("{gate}/.hallpass/sign-out"), format!("{portal}/signed-out")],
                "backchannel_logout_uri": format!("{portal}/backchannel-logout"),
                "backchannel_logout_session_required": true,
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
            }],
        });
        let process = begun(&settings);
        Some(Self { url: format!("http://127.0.0.1:{port}"), settings, process })
    }

    /// Starts anew with other keys, and without memory of anybody.
    pub fn restart(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.process = begun(&self.settings);
    }

    /// The demo's configuration with this provider instead of the demo's as `demo`, whose tokens are good beside it.
    pub fn instead_of_demo(&self, shipped: &str) -> String {
        let (before, rest) = shipped.split_once("[[issuer]]").expect("an issuer");
        let (issuer, after) = rest.split_once("[[listener]]").expect("a listener");
        let tokens = issuer.split("[issuer.sign_in]").next().unwrap_or_default();
        let tokens = tokens.replace(r#"name = "demo""#, r#"name = "tokens""#);
        let before = before.replace(r#"auditors = ["#, r#"auditors = ["tokens:vera", "#);
        let before = before.replace(r#"administrators = ["#, r#"administrators = ["tokens:root", "#);
        let url = &self.url;
        let own = format!(
            "name = \"demo\"\nissuer = \"{url}\"\naudience = [\"hallpass-api\"]\ndiscovery = true\n\n[issuer.sign_in]\nclient_id = \"hallpass\"\nclient_secret = \"{SECRET}\"\nscopes = [\"openid\", \"profile\", \"email\", \"groups\"]\nmfa_acr = [\"{STRONG}\"]\n"
        );
        format!("{before}[[issuer]]{tokens}\n[[issuer]]\n{own}\n[[listener]]{after}")
    }
}

impl Drop for CertifiedProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn begun(settings: &Value) -> Child {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider/server.mjs");
    let mut process =
        Command::new("node").arg(server).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
    let input = process.stdin.as_mut().expect("a pipe");
    writeln!(input, "{settings}").expect("written");
    let said = BufReader::new(process.stdout.take().expect("a pipe"));
    let ready = said.lines().map_while(Result::ok).any(|line| line == "ready");
    assert!(ready, "the provider never listened");
    process
}

/// Account, name and group of whoever can sign in there.
pub const PEOPLE_OF_NPM: [(&str, &str, &str); 3] = [
    ("ada", "Ada Okafor", "engineers"),
    ("grace", "Grace Lindqvist", "on-call-leads"),
    ("root", "Ruth Abara", "administrators"),
];

/// Its `acr` of a sign-in with a second factor.
pub const STRONG: &str = "urn:example:strong";
const SECRET: &str = "known-to-the-tests-only-0123456789abcdef";
