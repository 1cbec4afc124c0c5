//! Anchors: files found, senseless numbers and open wires refused.

use crate::anchor::{Settings, WebhookSettings};
use crate::config::forms::{Form as _, Origin};
use crate::config::raw::{self, Configuration};
use crate::config::resolve::Context;
use crate::config::tree::Path;
use crate::domain::time::Span;

pub(super) fn anchor(raw: &Configuration, context: &mut Context<'_>) -> Settings {
    let path = Path::default().key("anchor");
    let raw::Anchor { file, interval, records_max, webhook } = &raw.anchor;
    if interval.0 < Span::seconds(1) {
        context.error(&path.key("interval"), "an interval of less than a second would do nothing else");
    }
    if *records_max == 0 {
        context.error(&path.key("records_max"), "at least one record must come between two anchors");
    }
    let file = file.as_ref().map(|file| context.file(&file.0.0, &path.key("file")));
    let store = Path::default().key("store");
    let taken = [("path", &raw.store.path), ("key_file", &raw.store.key_file)];
    for (key, name) in taken {
        if file.as_ref() == Some(&context.file(&name.0.0, &store.key(key))) {
            context.error(&path.key("file"), format!("this file is `store.{key}` already"));
        }
    }
    let webhook = webhook.as_ref().map(|webhook| {
        let path = path.key("webhook");
        over_tls(&webhook.url.0.0, &path.key("url"), context);
        WebhookSettings {
            url: webhook.url.0.0.clone(),
            secret_path: context.file(&webhook.secret_file.0.0, &path.key("secret_file")),
        }
    });
    Settings { file, webhook, interval: interval.0, records_max: *records_max }
}

/// Whoever stands between could swallow anchors and answer that they were taken.
fn over_tls(url: &str, path: &Path, context: &mut Context<'_>) {
    let Some(rest) = url.strip_prefix("http://") else { return };
    let host = rest.split('/').next().unwrap_or_default();
    if !Origin::read(&format!("http://{host}")).is_ok_and(|origin| origin.is_loopback()) {
        context.error(path, format!("anchors are not sent over plain http to another machine: `{url}`"));
    }
}
