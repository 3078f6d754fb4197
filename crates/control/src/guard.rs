//! Keeps browsers out. A page that a person happens to visit must not steer calls through a proxy or a rebound name:
//! such a request names a foreign `Host` or carries a foreign `Origin`.

use axum::http::{HeaderMap, Uri, header};
use calls::Problem;

/// What programs on this host call us; a browser sent by a foreign page calls us by that page's names.
const OWN_NAMES: &[&str] = &["localhost", "tandem", "unix", "127.0.0.1", "[::1]"];

/// Refuses (403) a request of a foreign page.
pub(crate) fn check(headers: &HeaderMap, uri: &Uri, more_names: &[String]) -> Result<(), Problem> {
    let mut hosts = Vec::new();
    for value in headers.get_all(header::HOST) {
        hosts.push(value.to_str().map_err(|_| foreign("Host", "text that is not ASCII"))?);
    }
    if let Some(authority) = uri.authority() {
        hosts.push(authority.as_str());
    }
    for host in &hosts {
        if !is_own(host, more_names) {
            return Err(foreign("Host", host));
        }
    }
    for value in headers.get_all(header::ORIGIN) {
        let origin = value.to_str().map_err(|_| foreign("Origin", "text that is not ASCII"))?;
        let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !site.is_some_and(|site| hosts.iter().any(|host| host.eq_ignore_ascii_case(site))) {
            return Err(foreign("Origin", origin));
        }
    }
    match headers.get("sec-fetch-site").map(|site| site.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(foreign("Sec-Fetch-Site", "another site's request")),
    }
}

fn is_own(host: &str, more_names: &[String]) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    };
    name.is_empty()
        || OWN_NAMES
            .iter()
            .copied()
            .chain(more_names.iter().map(String::as_str))
            .any(|own| own.eq_ignore_ascii_case(name))
}

fn foreign(field: &str, found: &str) -> Problem {
    Problem::new(403, "foreign-origin", "requests of foreign pages are refused")
        .detail(format!("found {found:?}; this socket is called {}", OWN_NAMES.join(", ")))
        .field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(headers: &[(&'static str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(&map, &Uri::from_static("/v1/calls"), &["pbx.example.net".to_owned()])
            .map_or_else(|it| it.status, |()| 200)
    }

    #[test]
    fn own_names_pass_with_and_without_a_port() {
        for host in [
            "localhost",
            "LOCALHOST",
            "tandem",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "",
            "pbx.example.net",
        ] {
            assert_eq!(verdict(&[("host", host)]), 200, "{host:?}");
        }
        assert_eq!(verdict(&[]), 200, "HTTP/1.0 has no Host");
    }

    #[test]
    fn foreign_names_are_refused() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "tandem:x",
            "[::2]",
            "10.0.0.1",
            "evil.example:80",
        ] {
            assert_eq!(verdict(&[("host", host)]), 403, "{host:?}");
        }
        assert_eq!(verdict(&[("host", "localhost"), ("host", "evil.example")]), 403, "a second Host");
    }

    #[test]
    fn a_foreign_origin_is_refused_even_with_an_own_host() {
        for origin in [
            "http://evil.example",
            "https://localhost.evil.example",
            "null",
            "http://localhost:3000",
            "file://",
            "localhost",
        ] {
            assert_eq!(verdict(&[("host", "localhost"), ("origin", origin)]), 403, "{origin:?}");
        }
        assert_eq!(verdict(&[("host", "localhost"), ("origin", "http://localhost")]), 200);
        assert_eq!(verdict(&[("origin", "http://localhost")]), 403, "nothing to be the same as");
    }

    #[test]
    fn a_browser_that_says_it_comes_from_elsewhere_is_refused() {
        assert_eq!(verdict(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]), 403);
        assert_eq!(verdict(&[("host", "localhost"), ("sec-fetch-site", "same-site")]), 403);
        assert_eq!(verdict(&[("host", "localhost"), ("sec-fetch-site", "same-origin")]), 200);
    }
}
