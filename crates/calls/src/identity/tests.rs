//! Identity policies as tables: what a trunk brings, what is believed, what the next one is told.

use super::*;
use crate::{CallerId, Numbers};

const CALLED: &str = "+4930900";
const HOST: &str = "203.0.113.1";

fn incoming(from: &str, headers: &[(&str, &str)]) -> Incoming {
    let party = |uri: &str| Party { display: "Anna".into(), uri: uri.into() };
    Incoming {
        flow: signaling::Flow::udp("10.0.0.1:5060".parse().unwrap(), "10.1.1.1:5060".parse().unwrap()),
        account: None,
        gate: None,
        request_uri: "sip:+4930900@10.0.0.1".into(),
        from: party(from),
        to: party("sip:+4930900@10.0.0.1"),
        call_id: "inside-10.1.1.1".into(),
        reliable: false,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        offer: None,
        max_forwards: 70,
    }
}

fn trunk(trusted: bool) -> Trunk {
    Trunk { trusted, ..Trunk::default() }
}

/// What the called side is told, as `From display <uri>` and its headers.
fn told(incoming: &Incoming, brings: bool, takes: &Trunk) -> (String, Vec<String>) {
    let identity = Identity::read(incoming, &trunk(brings));
    tell(&identity, takes)
}

fn tell(identity: &Identity, takes: &Trunk) -> (String, Vec<String>) {
    let forwarded_to = Some("tel:+15550199");
    let passes = &takes.identity.headers_out;
    let shown = show(identity, &Whom { trunk: Some(takes), called: CALLED, host: HOST, forwarded_to, passes });
    let headers = shown.headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
    (format!("{} <{}>", shown.from.display, shown.from.uri), headers)
}

const ANNA: &str = "sip:+49301111@10.1.1.1";
const ASSERTED: (&str, &str) = ("P-Asserted-Identity", "\"Real\" <sip:+49302222@10.1.1.1>");
const NOBODY: &str = "Anonymous <sip:anonymous@anonymous.invalid>";

#[test]
fn rfc3325_an_identity_is_asserted_only_from_and_to_trusted_trunks() {
    let pai = |number: &str| vec![format!("P-Asserted-Identity: <sip:{number}@{HOST}>")];
    for (brings, takes, from, headers) in [
        (false, false, "+49301111", vec![]),
        (true, false, "+49302222", vec![]),
        // Nobody vouches for From, but it is what there is to tell.
        (false, true, "+49301111", pai("+49301111")),
        (true, true, "+49302222", pai("+49302222")),
    ] {
        let told = told(&incoming(ANNA, &[ASSERTED]), brings, &trunk(takes));
        assert_eq!(told, (format!("Anna <sip:{from}@{HOST}>"), headers), "from {brings} to {takes}");
    }
}

#[test]
fn rfc3323_a_caller_who_asked_for_privacy_is_shown_to_nobody_who_is_not_trusted() {
    let id = || "Privacy: id".to_owned();
    let asserted = format!("P-Asserted-Identity: <sip:+49302222@{HOST}>");
    for privacy in ["id", "user", "ID", " user ; header ", "header;id", "none;id", "session;id"] {
        let call = incoming(ANNA, &[ASSERTED, ("Privacy", privacy)]);
        for (brings, takes, headers) in [
            (false, false, vec![id()]),
            (true, false, vec![id()]),
            (false, true, vec![id()]),
            (true, true, vec![asserted.clone(), id()]),
        ] {
            assert_eq!(told(&call, brings, &trunk(takes)), (NOBODY.into(), headers), "{privacy} {brings} {takes}");
        }
        assert_eq!(Identity::read(&call, &trunk(true)).number, None, "the rules see no number either");
    }
    let critical = incoming(ANNA, &[("Privacy", "id;critical")]);
    assert_eq!(told(&critical, false, &trunk(false)).1, ["Privacy: id;critical"]);
}

#[test]
fn rfc3323_what_is_granted_anyway_changes_nothing_and_none_is_passed_to_those_we_trust() {
    for privacy in ["header", "session", "nonsense", ""] {
        let call = incoming(ANNA, &[("Privacy", privacy)]);
        assert_eq!(told(&call, false, &trunk(false)), (format!("Anna <sip:+49301111@{HOST}>"), vec![]), "{privacy}");
    }
    let call = incoming(ANNA, &[("Privacy", "none")]);
    assert_eq!(told(&call, false, &trunk(false)).1, Vec::<String>::new());
    assert!(told(&call, false, &trunk(true)).1.contains(&"Privacy: none".to_owned()));
}

#[test]
fn an_anonymous_from_is_a_withheld_number_and_a_trusted_trunk_still_says_who_it_is() {
    for from in ["sip:anonymous@anonymous.invalid", "sip:Anonymous@10.1.1.1", "sip:10.1.1.1", "sip:x@anonymous.invalid"]
    {
        let call = incoming(from, &[ASSERTED]);
        assert_eq!(told(&call, false, &trunk(true)), (NOBODY.into(), vec!["Privacy: id".into()]), "{from}");
        let asserted = format!("P-Asserted-Identity: <sip:+49302222@{HOST}>");
        assert_eq!(told(&call, true, &trunk(true)), (NOBODY.into(), vec![asserted, "Privacy: id".into()]), "{from}");
    }
}

/// Fault row 11: however an identity header is written, an untrusted trunk's counts for nothing.
#[test]
fn identity_headers_of_an_untrusted_trunk_are_stripped_doubled_and_misspelt_ones_too() {
    let headers = [
        ("P-Asserted-Identity", "<sip:+491@10.1.1.1>"),
        ("p-asserted-identity", "<sip:+492@10.1.1.1>, <tel:+493>"),
        ("P-Asserted-Identity ", "<sip:+494@10.1.1.1>"),
        ("Diversion", "<sip:+495@10.1.1.1>;reason=unconditional"),
        ("DIVERSION", "<sip:+496@10.1.1.1>"),
        ("History-Info", "<sip:+497@10.1.1.1>;index=1"),
        ("Remote-Party-ID", "<sip:+498@10.1.1.1>"),
        ("X-Secret ", "inside"),
    ];
    let mut takes = trunk(true);
    takes.identity.forwarded = Forwarded::Both;
    takes.identity.headers_out = vec!["X-Secret".into(), "Remote-Party-ID".into()];
    let (from, headers) = told(&incoming(ANNA, &headers), false, &takes);
    assert_eq!(from, format!("Anna <sip:+49301111@{HOST}>"));
    assert_eq!(
        headers,
        [
            format!("P-Asserted-Identity: <sip:+49301111@{HOST}>"),
            format!("Diversion: <sip:{CALLED}@{HOST}>;reason=deflection;privacy=off;counter=1"),
            format!("History-Info: <sip:{CALLED}@{HOST}>;index=1"),
            "History-Info: <tel:+15550199>;index=1.1;mp=1".into(),
        ]
    );
}

#[test]
fn the_first_of_a_trusted_trunks_identities_counts_and_broken_ones_do_not() {
    let of = |value: &str| Identity::read(&incoming(ANNA, &[("P-Asserted-Identity", value)]), &trunk(true)).number;
    assert_eq!(of("<tel:+49303333>, <sip:+49304444@x>").as_deref(), Some("+49303333"));
    assert_eq!(of("\"a, b\" <sip:+49304444;cpc=x@x:5060;user=phone>").as_deref(), Some("+49304444"));
    for broken in ["", "<", "<sip:>", "nonsense", "<mailto:a@b>", "<sip:+49 30@x>"] {
        assert_eq!(of(broken).as_deref(), Some("+49301111"), "{broken}: From is left");
    }
}

#[test]
fn the_caller_id_of_a_trunk_is_what_its_policy_says() {
    let shown = |caller_id: CallerId, private: bool| {
        let privacy: &[(&str, &str)] = if private { &[("Privacy", "id")] } else { &[] };
        told(&incoming(ANNA, privacy), false, &Trunk { caller_id, ..trunk(false) }).0
    };
    for (policy, open, private) in [
        (CallerId::PassThrough, format!("Anna <sip:+49301111@{HOST}>"), NOBODY.to_owned()),
        (CallerId::Fixed("+4930100".into()), format!(" <sip:+4930100@{HOST}>"), format!(" <sip:+4930100@{HOST}>")),
        (CallerId::Called, format!(" <sip:{CALLED}@{HOST}>"), format!(" <sip:{CALLED}@{HOST}>")),
        (CallerId::Anonymous, NOBODY.to_owned(), NOBODY.to_owned()),
        (CallerId::Template("77{caller_digits}".into()), format!(" <sip:7749301111@{HOST}>"), NOBODY.to_owned()),
        (CallerId::Template("{called}".into()), format!(" <sip:{CALLED}@{HOST}>"), format!(" <sip:{CALLED}@{HOST}>")),
    ] {
        assert_eq!(shown(policy.clone(), false), open, "{policy:?}");
        assert_eq!(shown(policy.clone(), true), private, "{policy:?}");
    }
}

#[test]
fn numbers_are_read_and_written_as_a_trunk_writes_them() {
    let numbers =
        Numbers { country: Some("49".into()), national_prefix: "0".into(), international_prefix: "00".into() };
    for (format, home, abroad) in [
        (NumberFormat::E164, "+49301111", "+15550199"),
        (NumberFormat::Digits, "49301111", "15550199"),
        (NumberFormat::International, "0049301111", "0015550199"),
        (NumberFormat::National, "0301111", "0015550199"),
    ] {
        assert_eq!(numbers.written("+49301111", format), home);
        assert_eq!(numbers.written("+15550199", format), abroad);
        assert_eq!(numbers.written("anna", format), "anna");
    }
    for written in ["+49301111", "0301111", "0049301111"] {
        let from = format!("sip:{written}@10.1.1.1");
        let brings = Trunk { numbers: numbers.clone(), ..trunk(false) };
        assert_eq!(Identity::read(&incoming(&from, &[]), &brings).number.as_deref(), Some("+49301111"), "{written}");
    }
    let mut takes = Trunk { numbers, ..trunk(false) };
    takes.identity.format = NumberFormat::National;
    takes.identity.domain = Some("pbx.example".into());
    assert_eq!(told(&incoming(ANNA, &[]), false, &takes).0, "Anna <sip:0301111@pbx.example>");
}

#[test]
fn rfc5806_and_rfc7044_history_of_a_trusted_trunk_goes_on_to_a_trusted_trunk_alone() {
    let call = incoming(
        ANNA,
        &[
            ("Diversion", "<sip:+495@a>;reason=no-answer, <sip:+496@a>;reason=unconditional"),
            ("History-Info", "<sip:+497@a>;index=1, <sip:+4930900@a>;index=1.1;mp=1"),
        ],
    );
    let told_to = |trusted| {
        let mut takes = trunk(trusted);
        takes.identity.forwarded = Forwarded::Both;
        let headers = told(&call, true, &takes).1;
        headers.into_iter().filter(|header| !header.starts_with("P-")).collect::<Vec<_>>()
    };
    let ours = format!("Diversion: <sip:{CALLED}@{HOST}>;reason=deflection;privacy=off;counter=1");
    assert_eq!(
        told_to(true),
        [
            ours.clone(),
            "Diversion: <sip:+495@a>;reason=no-answer".into(),
            "Diversion: <sip:+496@a>;reason=unconditional".into(),
            "History-Info: <sip:+497@a>;index=1".into(),
            "History-Info: <sip:+4930900@a>;index=1.1;mp=1".into(),
            "History-Info: <tel:+15550199>;index=1.1.1;mp=1.1".into(),
        ]
    );
    assert_eq!(
        told_to(false),
        [
            ours,
            format!("History-Info: <sip:{CALLED}@{HOST}>;index=1"),
            "History-Info: <tel:+15550199>;index=1.1;mp=1".into()
        ]
    );
    let mut private = Identity::read(&call, &trunk(true));
    private.privacy.history = true;
    let mut takes = trunk(true);
    takes.identity.forwarded = Forwarded::HistoryInfo;
    assert!(!tell(&private, &takes).1.iter().any(|header| header.starts_with("History-Info")), "RFC 7044 section 7.2");
}

#[test]
fn headers_cross_only_when_both_lists_name_them() {
    let call = incoming(
        ANNA,
        &[("x-account", "42"), ("X-Inside", "10.1.1.1"), ("Subject", "my illness"), ("X-Long", &"x".repeat(300))],
    );
    let mut brings = trunk(false);
    brings.identity.headers_in = ["X-Account", "Subject", "X-Long"].map(str::to_owned).to_vec();
    let identity = Identity::read(&call, &brings);
    let mut takes = trunk(false);
    assert_eq!(tell(&identity, &takes).1, Vec::<String>::new());
    takes.identity.headers_out = ["X-ACCOUNT", "X-Inside", "Subject", "X-Long"].map(str::to_owned).to_vec();
    assert_eq!(tell(&identity, &takes).1, ["X-Account: 42", "Subject: my illness"]);
    let private = Privacy { withheld: true, personal: true, ..Privacy::default() };
    let identity = Identity { privacy: private, ..identity };
    assert_eq!(tell(&identity, &takes).1, ["X-Account: 42"].map(str::to_owned).to_vec());
}

/// Fault row 13.
#[test]
fn nothing_of_the_callers_side_crosses_unless_configured() {
    let headers = [
        ("X-Inside", "10.1.1.1"),
        ("User-Agent", "pbx/10.1.1.1"),
        ("Call-Info", "<http://10.1.1.1/>"),
        ("P-Asserted-Identity", "<sip:+49302222@10.1.1.1>"),
        ("Diversion", "<sip:+495@10.1.1.1>"),
        ("History-Info", "<sip:+495@10.1.1.1>;index=1"),
        ("User-to-User", "3130"),
    ];
    for brings in [false, true] {
        for takes in [false, true] {
            let told = format!("{:?}", told(&incoming(ANNA, &headers), brings, &trunk(takes)));
            assert!(!told.contains("10.1.1.1") && !told.contains("10.0.0.1"), "{told}");
            assert!(!told.contains("inside") && !told.contains("pbx/"), "{told}");
        }
    }
}

/// Fault row 10.
#[test]
fn control_characters_of_a_caller_reach_no_header() {
    let mut call = incoming("sip:+49%0D%0A30%003@10.1.1.1", &[("X-Account", "a\u{1}b"), ("X-Account", "4\r\nEvil: 2")]);
    call.from.display = "An\r\nna\u{0}\u{7f}".into();
    let mut brings = trunk(true);
    brings.identity.headers_in = vec!["X-Account".into()];
    let mut takes = trunk(true);
    takes.identity.headers_out = vec!["X-Account".into()];
    let (from, headers) = tell(&Identity::read(&call, &brings), &takes);
    assert_eq!(from, format!("Anna <sip:+49%250D%250A30%25003@{HOST}>"));
    assert!(
        headers.iter().all(|header| !header.chars().any(char::is_control) && !header.starts_with("X-")),
        "{headers:?}"
    );
}

#[test]
fn an_ai_is_told_the_number_as_it_is_and_nothing_for_carriers() {
    let identity = Identity::read(&incoming(ANNA, &[ASSERTED, ("Privacy", "id")]), &trunk(true));
    let shown = show(&identity, &Whom { trunk: None, called: CALLED, host: HOST, forwarded_to: None, passes: &[] });
    assert_eq!((shown.from.uri.as_str(), shown.headers), ("sip:anonymous@anonymous.invalid", vec![]));
}
