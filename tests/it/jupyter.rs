//! A real application behind the gate: JupyterLab, with its kernel's WebSocket working under an elevation and cut at its
//! end.
//!
//! `tests/all` installs JupyterLab and names it in `TESTS_JUPYTER_LAB`; without it this test says that it was left out.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use hallpass::demo::issuer::{ADA, GRACE};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::process::{Program, free_ports};
use crate::support::sockets::{WebSocket, until_cut};

const ROUTES: &str = r#"
[[route]]
name = "notebook"
path = "/lab/**"
mode = "signed_in"
upstream = "larder"

[[route]]
name = "kernels"
path = "/lab/api/kernels/**"
mode = "role"
role = "shop/vault-reader"
upstream = "larder"
"#;

/// The running JupyterLab.
struct Jupyter {
    process: Child,
}

impl Jupyter {
    fn start(program: &str, folder: &Path, port: u16) -> Self {
        let log = std::fs::File::create(folder.join("jupyter.log")).expect("a log");
        let process = Command::new(program)
            .args(["--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.base_url=/lab/"])
            .args(["--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=True"])
            .args(["--ServerApp.allow_remote_access=True", "--ServerApp.port_retries=0"])
            .arg(format!("--ServerApp.port={port}"))
            .arg(format!("--ServerApp.root_dir={}", folder.display()))
            .env("HOME", folder)
            .env("JUPYTER_RUNTIME_DIR", folder.join("runtime"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("JupyterLab starts");
        Self { process }
    }
}

impl Drop for Jupyter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_kernel_of_jupyterlab_works_under_an_elevation_and_is_cut_at_its_end() {
    let Some(jupyter) = installed() else {
        println!("left out: JupyterLab is not installed; tests/all installs it");
        return;
    };
    let [port] = free_ports();
    let upstream = format!("http://127.0.0.1:{port}");
    let mut program = Program::new(&upstream, ROUTES).await;
    let _jupyter = Jupyter::start(&jupyter, program.folder(), port);
    program.start(&ADA).await;
    let (ada, grace) = (program.token(&ADA), program.token(&GRACE));

    until_it_answers(&program, &ada).await;
    let kernels = format!("{}/lab/api/kernels", program.gate);
    let make = || program.http.post(&kernels).bearer_auth(&ada).json(&json!({ "name": "python3" }));
    assert_eq!(make().send().await.expect("an answer").status(), 403, "kernels need the role");

    let ask = json!({ "role": "shop/vault-reader", "duration": "10m", "justification": "to run the nightly report" });
    let (_, asked) = program.post(&ada, "/activations", &ask).await.expect("an answer");
    let id = asked["id"].as_str().expect("an id").to_owned();
    let go = json!({ "revision": asked["revision"], "justification": "go ahead, I am watching" });
    let (status, _) = program.post(&grace, &format!("/activations/{id}/approve"), &go).await.expect("an answer");
    assert_eq!(status, 200);

    let made = make().send().await.expect("an answer");
    assert_eq!(made.status(), 201, "{}", program.log());
    let kernel: Value = made.json().await.expect("a kernel");
    let kernel = kernel["id"].as_str().expect("an id").to_owned();
    let mut channels = connect(&program, &kernel, &ada).await;
    assert_eq!(compute(&mut channels, "6 * 7").await, "42");

    let (status, _) = program.post(&grace, &format!("/activations/{id}/revoke"), &json!({})).await.expect("an answer");
    assert_eq!(status, 200);
    until_cut(&mut channels).await;
    assert_eq!(make().send().await.expect("an answer").status(), 403);
}

#[expect(clippy::disallowed_methods, reason = "tests/all names the program by the environment")]
fn installed() -> Option<String> {
    std::env::var("TESTS_JUPYTER_LAB").ok().filter(|program| Path::new(program).exists())
}

async fn until_it_answers(program: &Program, token: &str) {
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    let up = tokio::time::timeout(Duration::from_secs(60), async {
        let status = format!("{}/lab/api/status", program.gate);
        loop {
            let answer = program.http.get(&status).bearer_auth(token).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            pause.tick().await;
        }
    });
    let up = up.await;
    let log = std::fs::read_to_string(program.folder().join("jupyter.log")).unwrap_or_default();
    assert!(up.is_ok(), "JupyterLab never answered: {log}");
}

async fn connect(program: &Program, kernel: &str, token: &str) -> WebSocket {
    let url = format!("{}/lab/api/kernels/{kernel}/channels", program.gate.replace("http:", "ws:"));
    let mut request = url.into_client_request().expect("a request");
    let bearer = format!("Bearer {token}").parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    tokio_tungstenite::connect_async(request).await.expect("the kernel's channels").0
}

/// Runs `code` in the kernel; the text of its result (Jupyter messaging protocol 5).
async fn compute(channels: &mut WebSocket, code: &str) -> String {
    let message = json!({
        "channel": "shell",
        "header": { "msg_id": "m1", "msg_type": "execute_request", "session": "s1", "username": "ada", "version": "5.3" },
        "parent_header": {}, "metadata": {},
        "content": { "code": code, "silent": false, "store_history": false, "user_expressions": {},
            "allow_stdin": false, "stop_on_error": true },
        "buffers": [],
    });
    channels.send(Message::text(message.to_string())).await.expect("sent");
    let result = tokio::time::timeout(Duration::from_secs(60), async {
        while let Some(Ok(message)) = channels.next().await {
            let Ok(text) = message.to_text() else { continue };
            let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
            if message["header"]["msg_type"] == "execute_result" {
                return message["content"]["data"]["text/plain"].as_str().unwrap_or_default().to_owned();
            }
        }
        String::new()
    });
    result.await.expect("the kernel answers")
}
