//! A page that somebody happens to visit must not steer calls: foreign `Host` and `Origin` are refused on every path.

use crate::support::{Api, LIVE};
use hyper::Method;

#[tokio::test]
async fn foreign_pages_are_refused_on_every_path_and_nothing_reaches_the_engine() {
    let api = Api::start();
    let foreign: [&[(&str, &str)]; 5] = [
        &[("host", "evil.example")],
        &[("host", "tandem"), ("origin", "http://evil.example")],
        &[("host", "tandem"), ("origin", "null")],
        &[("host", "tandem.evil.example"), ("origin", "http://tandem.evil.example")],
        &[("host", "tandem"), ("sec-fetch-site", "cross-site")],
    ];
    for headers in foreign {
        for path in ["/v1/calls", "/v1/events", "/metrics", "/healthz", "/openapi.json", "/nowhere"] {
            let answer = api.send(Method::GET, path, headers, "").await;
            let detail = answer.problem(403, "foreign-origin");
            assert!(detail.starts_with("found "), "{detail}");
        }
        let hangup = format!("/v1/calls/{LIVE}/hangup");
        api.send(Method::POST, &hangup, headers, "").await.problem(403, "foreign-origin");
    }
    api.engine.nothing_taken();
}

#[tokio::test]
async fn programs_of_this_host_pass() {
    let api = Api::start();
    for host in ["tandem", "localhost", "localhost:80", "unix", "127.0.0.1"] {
        assert_eq!(api.send(Method::GET, "/healthz", &[("host", host)], "").await.status, 200, "{host}");
    }
    let own_page = [("host", "localhost"), ("origin", "http://localhost")];
    assert_eq!(api.send(Method::GET, "/healthz", &own_page, "").await.status, 200);
}

#[tokio::test]
async fn an_operator_may_add_a_name() {
    let config = control::Config { hosts: vec!["pbx.example.net".into()], ..Default::default() };
    let api = Api::with(config, 10);
    assert_eq!(api.send(Method::GET, "/healthz", &[("host", "pbx.example.net")], "").await.status, 200);
    api.send(Method::GET, "/healthz", &[("host", "x.pbx.example.net")], "").await.problem(403, "foreign-origin");
}
