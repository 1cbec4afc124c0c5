//! chromedriver in a process of its own, ended with every browser it started.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fantoccini::ClientBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::window::Window;

/// A running chromedriver.
pub struct Driver {
    process: Child,
    url: String,
    folder: TempDir,
}

/// How a browser is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// As it comes.
    Ordinary,
    /// Its person has switched scripts off.
    WithoutScripts,
}

impl Driver {
    /// Starts it, where it is installed.
    pub fn start() -> Option<Self> {
        let program = super::installed("TESTS_CHROMEDRIVER")?;
        let folder = tempfile::tempdir().expect("a folder");
        // it wants the port it finds for IPv4 for IPv6 as well, and gives up where that is taken
        let started = (0..5).find_map(|_| listening(&program, folder.path()));
        let (process, port) = started.expect("chromedriver says where it listens");
        Some(Self { process, url: format!("http://127.0.0.1:{port}"), folder })
    }

    /// A browser of its own, with a profile of its own: another person.
    pub async fn window(&self, setting: Setting) -> Window {
        let profile =
            tempfile::Builder::new().prefix("profile-").tempdir_in(self.folder.path()).expect("a folder").keep();
        let preferences = match setting {
            Setting::Ordinary => json!({}),
            Setting::WithoutScripts => json!({ "profile.managed_default_content_settings.javascript": 2 }),
        };
        let wishes = json!({
            "goog:chromeOptions": {
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                    "--no-proxy-server", "--window-size=1280,900", "--lang=en-GB",
                    format!("--user-data-dir={}", profile.display()),
                ],
                "prefs": preferences,
            },
            // a dialog that a story did not open is one that a stranger's script did
            "unhandledPromptBehavior": "ignore",
        });
        let Value::Object(wishes) = wishes else { panic!("wishes are an object") };
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(wishes).connect(&self.url).await;
        Window::over(client.expect("a browser"))
    }
}

/// A chromedriver that listens, and where.
fn listening(program: &str, folder: &Path) -> Option<(Child, String)> {
    let mut process = Command::new(program)
        .arg("--port=0")
        // profiles go away with the folder
        .env("TMPDIR", folder)
        .env("HOME", folder)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver starts");
    let said = BufReader::new(process.stdout.take().expect("a pipe"));
    let port = said.lines().map_while(Result::ok).find_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        Some(port.trim_end_matches('.').to_owned())
    });
    if port.is_none() {
        let _ = process.wait();
    }
    Some((process, port?))
}

impl Drop for Driver {
    /// Browsers are in the driver's process group: all of them end, also when a story breaks off.
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.process.wait();
    }
}
