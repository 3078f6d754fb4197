//! Headers that say who calls, however a peer writes them: they reach call control as the headers they are, so that what is not
//! believed can be left out there.

use crate::world::{World, request};

#[test]
fn a_space_before_the_colon_a_fold_a_tab_and_a_copy_make_no_other_header() {
    let mut world = World::alone();
    let more = "P-Asserted-Identity : <sip:+491@x>\n\
                p-ASSERTED-identity: <sip:+492@x>,\n <sip:+493@x>\n\
                Privacy\t:\n\tid\n\
                Diversion   : <sip:+494@x>\n\
                X-Inside :10.1.1.1\n";
    world.say(&request("INVITE", more));
    let (_, incoming) = world.incoming(0);
    let seen: Vec<(&str, &str)> =
        incoming.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("P-Asserted-Identity", "<sip:+491@x>"),
            ("p-ASSERTED-identity", "<sip:+492@x>, <sip:+493@x>"),
            ("Privacy", "id"),
            ("Diversion", "<sip:+494@x>"),
            ("X-Inside", "10.1.1.1"),
        ]
    );
}
