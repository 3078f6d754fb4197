//! Names that may be asked for.

use std::sync::Arc;

/// The longest name in text, without the final dot (RFC 1035 section 2.3.4).
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// The name in the one form that questions have: lower case, no final dot. None when it is no host name: empty labels (`.1`),
/// labels or names too long, foreign characters, or nothing but a number at its end, which could only be a broken address
/// (RFC 1123 section 2.1).
pub(super) fn sound(name: &str) -> Option<Arc<str>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fine = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
    (name.len() <= LONGEST && name.split('.').all(fine) && !numeric).then(|| name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1123_2_1_what_is_no_host_name_is_never_asked_for() {
        for (name, asked) in [
            ("Example.COM", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("_sip._udp.example.com", Some("_sip._udp.example.com")),
            ("3com.example", Some("3com.example")),
            ("pbx", Some("pbx")),
        ] {
            assert_eq!(sound(name).as_deref(), asked, "{name}");
        }
        let label = "a".repeat(64);
        let long = format!("{}.example", "abcdefg.".repeat(31));
        for wrong in ["", ".", ".1", "1", "1.2.3", "256.1.1.1", "a..b", ".a", "a b", "a/b", "ä.example", &label, &long]
        {
            assert_eq!(sound(wrong), None, "{wrong:?}");
        }
        assert!(sound(&"a".repeat(63)).is_some());
    }
}
