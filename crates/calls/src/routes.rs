//! Which called numbers are whose: an AI's, or a trunk's straight away.

/// Which called numbers stand for which line.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// A number, a prefix with `*` at its end, or `*`.
    pub called: String,
    /// Only calls of these trunks; empty: of all.
    pub trunks: Vec<String>,
    /// The line's name, as rules know it.
    pub line: String,
    /// Which AI answers; empty where calls go straight to a trunk.
    pub ai: String,
    /// The trunks that take the calls on with no AI in between, in the order they are tried; empty: an AI answers.
    pub bypass: Vec<String>,
}

/// Numbers that reach help somewhere, and stand for nothing else in their countries.
const EMERGENCY: &[&str] = &[
    "000", "110", "111", "112", "113", "115", "117", "118", "119", "120", "122", "133", "144", "15", "17", "18", "190",
    "191", "192", "193", "911", "995", "997", "998", "999",
];

impl Route {
    /// In place of a number: the numbers that reach help, and `urn:service:sos` (RFC 5031) with whatever follows it.
    pub const EMERGENCY: &str = "emergency";

    /// Whether this text is a number that reaches help.
    pub fn is_emergency(called: &str) -> bool {
        let service = called.to_ascii_lowercase();
        EMERGENCY.contains(&called) || service == "urn:service:sos" || service.starts_with("urn:service:sos.")
    }

    /// Whether `called` (user part of the request URI, with or without `+`) is this route's; `written` is it as it was dialled.
    pub fn matches(&self, called: &str, written: &str, trunk: &str) -> bool {
        if !self.trunks.is_empty() && !self.trunks.iter().any(|wanted| wanted == trunk) {
            return false;
        }
        if self.called == Self::EMERGENCY {
            return Self::is_emergency(written);
        }
        let (pattern, called) = (self.called.trim_start_matches('+'), called.trim_start_matches('+'));
        match pattern.strip_suffix('*') {
            Some(prefix) => called.starts_with(prefix),
            None => called == pattern,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_takes_a_number_a_prefix_or_everything() {
        let route = |called: &str| Route { called: called.into(), ..Route::default() };
        assert!(route("+4930123").matches("4930123", "4930123", "a"));
        assert!(!route("+4930123").matches("49301234", "49301234", "a"));
        assert!(route("+4930*").matches("+49301234", "+49301234", "a"));
        assert!(route("*").matches("anything", "anything", "a"));
        let bound = Route { called: "*".into(), trunks: vec!["b".into()], ..Route::default() };
        assert!(!bound.matches("1", "1", "a"));
        assert!(bound.matches("1", "1", "b"));
    }
}
