//! The description is true: every described call answers as described, with the examples it gives.

use crate::support::{Api, CALLBACK, LIVE, MESSAGE, TRANSFER};
use hyper::Method;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn every_described_route_answers_its_own_example_with_a_described_status() {
    let api = Api::start();
    let answer = api.get("/openapi.json").await;
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{}", document["openapi"]);
    let mut asked = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let example = &operation["requestBody"]["content"]["application/json"]["example"];
            let (headers, body): (&[(&str, &str)], String) = match example {
                Value::Null => (&[], String::new()),
                example => (&[("content-type", "application/json")], example.to_string()),
            };
            let method: Method = method.to_uppercase().parse().unwrap();
            let id = match path.as_str() {
                path if path.starts_with("/v1/voicemails") => "v_01JD0000000000000000000001",
                path if path.starts_with("/v1/callbacks") => CALLBACK,
                path if path.starts_with("/v1/messages") => MESSAGE,
                _ => LIVE,
            };
            let path = path.replace("{id}", id).replace("{tid}", TRANSFER).replace("{name}", "frontdesk");
            let path = path.replace("{supervisor}", "supervisor-1");
            let answer = api.send(method.clone(), &path, headers, &body).await;
            let described = operation["responses"].as_object().unwrap();
            assert!(described.contains_key(answer.status.as_str()), "{method} {path}: {answer:?}");
            if path == "/v1/events" {
                answer.problem(426, "websocket-only");
            } else {
                assert!(answer.status.is_success(), "{method} {path}: {answer:?}");
            }
            asked.insert((method.to_string(), path));
        }
    }
    assert_eq!(asked.len(), control::described_routes().len());
}

#[tokio::test]
async fn the_shapes_name_the_fields_that_answers_have() {
    let api = Api::start();
    let document = api.get("/openapi.json").await.json();
    let shape = |name: &str| -> BTreeSet<String> {
        document["components"]["schemas"][name]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let fields = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let calls = api.get("/v1/calls").await.json();
    assert_eq!(fields(&calls["calls"][0]), shape("CallSummary"));
    assert_eq!(fields(&api.get("/v1/rules").await.json()), shape("Rules"));
    assert_eq!(fields(&api.get("/readyz").await.json()), shape("Readiness"));
    let transfer = fields(&api.get(&format!("/v1/transfers/{TRANSFER}")).await.json());
    let described = shape("TransferReply");
    assert!(transfer.is_subset(&described), "{:?}", transfer.difference(&described));
    let reloaded = api.send(Method::POST, "/v1/rules/reload", &[], "").await.json();
    assert_eq!(fields(&reloaded), shape("Reloaded"));
    let problem = fields(&api.get("/v1/calls/x").await.json());
    assert!(problem.is_subset(&shape("Problem")), "{problem:?}");
    let text = document["components"]["schemas"]["Event"].to_string();
    for name in policy::TYPES {
        assert!(text.contains(&format!("\"{name}\"")), "the event {name} is not described");
    }
}

#[test]
fn the_page_of_the_api_shows_every_call_by_curl() {
    let page = include_str!("../../../../docs/api.md");
    for (method, path) in control::described_routes() {
        assert!(page.contains(&format!("`{method} {path}`")), "docs/api.md does not describe {method} {path}");
        let id = match path {
            path if path.starts_with("/v1/agents") => "anna",
            path if path.starts_with("/v1/callbacks") => "$CALLBACK",
            path if path.starts_with("/v1/voicemails") || path.starts_with("/v1/messages") => "$MESSAGE",
            _ => "$CALL",
        };
        let end = path.replace("{id}", id).replace("{tid}", "$TRANSFER").replace("{name}", "fraud");
        let end = end.replace("{supervisor}", "supervisor-1");
        assert!(
            page.contains(&format!("http://tandem{end}")) || page.contains(&format!("ws://tandem{end}")),
            "no example of {method} {path}"
        );
    }
    for name in policy::TYPES {
        assert!(page.contains(&format!("`{name}`")), "docs/api.md does not describe the event {name}");
    }
    let vocabulary = include_str!("../../../calls/src/happening.rs");
    let mut told = 0;
    for name in vocabulary.split("#[serde(rename = \"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(page.contains(&format!("| `{name}` |")), "docs/api.md does not describe the event out {name}");
        told += 1;
    }
    assert!(told > 20, "{told}");
}
