//! What the demo says when it is ready: where to go, who is there, what to click, and lines to copy into another terminal.

use std::io::Write;

use crate::demo::issuer::PEOPLE;
use crate::demo::places::Part;
use crate::demo::stage::Stage;
use crate::demo::{Colour, tour::Ink};

pub(super) fn write(stage: &Stage, colour: Colour, out: &mut dyn Write) -> anyhow::Result<()> {
    let ink = Ink::of(colour);
    let Stage { gate, portal, admin, .. } = stage;
    let (issuer, upstream) = (stage.issuer.url(), stage.upstream.url());
    writeln!(out, "{}", ink.strong("hallpass demo"))?;
    writeln!(out, "Everything below runs on this machine and is gone when you press Ctrl-C.\n")?;
    let admin = format!("{admin}/metrics");
    let places = [
        (Part::Gate, gate.as_str()),
        (Part::Portal, portal.as_str()),
        (Part::Admin, admin.as_str()),
        (Part::Issuer, issuer),
        (Part::Upstream, upstream.as_str()),
    ];
    for (part, url) in places {
        writeln!(out, "  {:<36}{url}", part.title())?;
    }
    writeln!(out, "  {:<36}{}", "store, key and configuration", stage.folder().display())?;
    for (part, port) in &stage.moved {
        writeln!(out, "  {}", ink.warn(&format!("port {port} is taken; another one was found for {}", part.title())))?;
    }

    writeln!(
        out,
        "\nPeople (the demo's identity provider believes whoever asks; a real one would want to see a password)\n"
    )?;
    for person in PEOPLE {
        writeln!(out, "  {:<36}{}", format!("{}, {}", person.subject, person.name), person.about)?;
    }

    writeln!(
        out,
        "\n{}",
        ink.strong("Click through it: two people, so two browser windows, the second a private one")
    )?;
    for (number, (told, url)) in clicks(gate, portal, issuer).into_iter().enumerate() {
        writeln!(out, "\n  {}. {told}", number.saturating_add(1))?;
        if let Some(url) = url {
            writeln!(out, "     {url}")?;
        }
    }

    writeln!(out, "\n{}", ink.strong("Or try it by hand: copy line by line into another terminal"))?;
    for (told, line) in lines(gate, portal, issuer) {
        writeln!(out, "\n  {}\n  {line}", ink.dim(&format!("# {told}")))?;
    }
    let told = "the same with the command line: Ada asks and waits, Grace agrees, and Ada's command returns";
    writeln!(out, "\n  {}", ink.dim(&format!("# {told}")))?;
    for line in commands(portal) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\nOr watch all of it play by itself, beside this one: the same command with --tour")?;
    Ok(())
}

/// What to click, in order: what happens, and where it begins.
fn clicks(gate: &str, portal: &str, issuer: &str) -> Vec<(&'static str, Option<String>)> {
    vec![
        (
            "Open the vault, and sign in as Ada. It is refused; activate the role, say why, and leave the page open:",
            Some(format!("{gate}/vault")),
        ),
        (
            "In the private window sign in as Grace, and approve. Ada's window goes back to the vault by itself:",
            Some(format!("{portal}/approvals")),
        ),
        (
            "Ada's page shows what goes on in the vault. As Grace follow the link to the activation she approved, and revoke \
             it: the events on Ada's page stop at once, and loading it is refused.",
            None,
        ),
        (
            "Sign Ada out at her identity provider: hallpass is told, and her sessions are over:",
            Some(format!("{issuer}/")),
        ),
        (
            "Vera reads the history, Ruth (root) assigns roles. Close the private windows and sign in as they do in a new one:",
            Some(format!("{portal}/history")),
        ),
    ]
}

/// The same story for the command line, which is this very program.
fn commands(portal: &str) -> Vec<String> {
    let program = std::env::current_exe().ok();
    let folder = program.as_deref().and_then(std::path::Path::parent);
    let because = "stock count for the cellar";
    let request = format!("hallpass request shop/vault-reader --for 30m --because '{because}' --wait");
    let find = "$(HALLPASS_TOKEN=$GRACE hallpass list --waiting --json | grep -o 'act_[0-9a-z]*' | head -1)";
    let mut lines: Vec<String> =
        folder.map(|folder| format!("PATH=$PATH:'{}'", folder.display())).into_iter().collect();
    lines.push(format!("export HALLPASS_PORTAL={portal}"));
    lines.push(format!("HALLPASS_TOKEN=$ADA {request} &"));
    lines.push("HALLPASS_TOKEN=$GRACE hallpass list --waiting".to_owned());
    lines.push(format!("HALLPASS_TOKEN=$GRACE hallpass approve {find} --because 'the count is due today' --yes"));
    lines.push("HALLPASS_TOKEN=$ADA hallpass list".to_owned());
    lines
}

/// What to try, in order: what it shows, and the line.
fn lines(gate: &str, portal: &str, issuer: &str) -> Vec<(&'static str, String)> {
    let token = |name: &str, person: &str| format!("{name}=$(curl -s -d person={person} -d as=text {issuer}/token)");
    let get = |who: &str, url: &str| format!("curl -s -w '\\n' -H \"Authorization: Bearer ${who}\" \"{url}\"");
    let post = |who: &str, path: &str, body: &str| {
        let url = format!("{portal}/api/v1/activations{path}");
        format!("{} -H 'Content-Type: application/json' -d '{body}'", get(who, &url))
    };
    let vault = get("ADA", &format!("{gate}/vault")).replacen("-s", "-si", 1);
    let request = r#"{"role":"shop/vault-reader","duration":"30m","justification":"stock count for the cellar"}"#;
    vec![
        ("a token for each", [token("ADA", "ada"), token("GRACE", "grace"), token("ROOT", "root")].join("\n  ")),
        ("Ada may not see the vault: 403, and where to ask", vault.clone()),
        ("what would a request need? nothing is stored", post("ADA", "?dry_run=true", request)),
        (
            "Ada asks; the id of her request is kept for the next lines",
            format!("ID=$({} | grep -o 'act_[0-9a-z]*' | head -1); echo $ID", post("ADA", "", request)),
        ),
        (
            "Grace sees what waits for her",
            get("GRACE", &format!("{portal}/api/v1/activations?state=pending&waiting_for=me")),
        ),
        (
            "and approves; the revision names what she saw",
            post("GRACE", "/$ID/approve", r#"{"revision":1,"justification":"the count is due today"}"#),
        ),
        ("the same token now opens the vault", vault.clone()),
        (
            "a stream from the vault, in the background",
            format!(
                "({}; echo 'the stream was cut') &",
                get("ADA", &format!("{gate}/vault/events?every_ms=2000")).replacen("-s", "-sN", 1)
            ),
        ),
        (
            "Root revokes: the stream is cut at once",
            post("ROOT", "/$ID/revoke", r#"{"justification":"the count is over"}"#),
        ),
        ("and the same token is refused again", vault),
    ]
}
