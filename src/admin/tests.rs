//! The admin listener: who may ask, and what it says.

use axum::body::Body;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

fn admin(hosts: &[&str]) -> Admin {
    Admin {
        readiness: Readiness::new(),
        metrics: Arc::new(Metrics::default()),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    }
}

async fn ask(admin: &Admin, path: &str, headers: &[(&str, &str)]) -> (u16, String, String) {
    let mut request = http::Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router(admin.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, String::from_utf8(body.to_vec()).unwrap())
}

const HOST: (&str, &str) = ("host", "127.0.0.1:9901");

#[tokio::test]
async fn readiness_names_what_is_missing_and_forgets_what_came_back() {
    let admin = admin(&[]);
    assert_eq!(ask(&admin, "/livez", &[HOST]).await.0, 200);
    assert_eq!(ask(&admin, "/startupz", &[HOST]).await.0, 503);
    assert_eq!(ask(&admin, "/readyz", &[HOST]).await.2, "starting\n");
    admin.readiness.started();
    assert!(admin.readiness.is_ready());
    assert_eq!(ask(&admin, "/startupz", &[HOST]).await.0, 200);
    assert_eq!(ask(&admin, "/readyz", &[HOST]).await.0, 200);
    let shared = admin.readiness.clone();
    shared.missing("journal", "the file's end: no space left\non device");
    shared.missing("clock", "set back");
    let (status, _, report) = ask(&admin, "/readyz", &[HOST]).await;
    assert_eq!(
        (status, report.as_str()),
        (503, "clock: set back\njournal: the file's end: no space left\\u{a}on device\n")
    );
    assert_eq!(ask(&admin, "/livez", &[HOST]).await.0, 200, "not ready is not dead");
    shared.holds("journal");
    shared.holds("clock");
    assert_eq!(
        ask(&admin, "/readyz", &[HOST]).await,
        (200, "text/plain; charset=utf-8".to_owned(), "ready\n".to_owned())
    );
    assert_eq!(ask(&admin, "/metrics/x", &[HOST]).await.0, 404);
}

#[tokio::test]
async fn metrics_are_open_metrics() {
    let (status, content_type, text) = ask(&admin(&[]), "/metrics", &[HOST]).await;
    assert_eq!((status, content_type.as_str()), (200, "application/openmetrics-text; version=1.0.0; charset=utf-8"));
    assert!(text.ends_with("# EOF\n") && text.contains("hallpass_build_info"), "{text}");
}

#[tokio::test]
async fn only_who_means_this_listener_is_answered() {
    let admin = admin(&["prometheus.internal"]);
    for host in [
        "127.0.0.1:9901",
        "[::1]:9901",
        "10.0.0.7:9901",
        "localhost",
        "LOCALHOST:9901",
        "a.localhost",
        "Prometheus.internal:80",
    ] {
        assert_eq!(ask(&admin, "/metrics", &[("host", host)]).await.0, 200, "{host}");
    }
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.nip.io:9901",
        "notlocalhost",
        "",
        "user@localhost",
        "local host",
    ] {
        assert_eq!(ask(&admin, "/metrics", &[("host", host)]).await.0, 421, "{host}");
    }
    assert_eq!(ask(&admin, "/metrics", &[]).await.0, 421, "no host at all");
    assert_eq!(ask(&admin, "/metrics", &[HOST, ("host", "localhost")]).await.0, 421, "two hosts");
    assert_eq!(ask(&admin, "http://evil.example/metrics", &[HOST]).await.0, 421, "another in the target");
    for (name, value, status) in [
        ("origin", "http://localhost:9901", 200),
        ("origin", "https://evil.example", 421),
        ("origin", "null", 421),
        ("sec-fetch-site", "none", 200),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "cross-site", 421),
        ("sec-fetch-site", "same-site", 421),
    ] {
        assert_eq!(ask(&admin, "/metrics", &[HOST, (name, value)]).await.0, status, "{name}: {value}");
    }
}
