//! Which numbers may be dialled at all. Whoever makes Tandem dial (a rule, a client of the API, an AI, a phone's REFER) can be mistaken
//! or misled; a call to a premium-rate number that nobody meant is paid for all the same.

/// Which numbers may be dialled; the longest entry that a number starts with decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialling {
    /// Starts of numbers that are allowed; none: whatever is not denied.
    pub allow: Vec<String>,
    /// Starts of numbers that are not.
    pub deny: Vec<String>,
}

/// Premium-rate services by country, and networks of no country at prices of their own (satellites, shared-cost and premium
/// services of ITU-T E.164.1 and E.164.3). As far as it is known here: numbering plans change.
pub const PREMIUM: [&str; 50] = [
    "+1900", "+1976", "+30901", "+30909", "+3190", "+32900", "+32902", "+32903", "+32904", "+32905", "+32906",
    "+32907", "+32909", "+3389", "+34803", "+34806", "+34807", "+34905", "+35151", "+35160", "+35315", "+358600",
    "+358700", "+3989", "+41900", "+41901", "+41906", "+42090", "+43900", "+43901", "+43930", "+43931", "+449",
    "+4590", "+46900", "+46939", "+46944", "+47829", "+4870", "+49137", "+49900", "+61190", "+64900", "+81990", "+870",
    "+881", "+882", "+883", "+888", "+979",
];

impl Default for Dialling {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: PREMIUM.map(str::to_owned).to_vec() }
    }
}

impl Dialling {
    /// Whether a number (E.164 with its `+`, where it is one) is not to be dialled.
    pub fn refuses(&self, number: &str) -> bool {
        let longest = |list: &[String]| {
            list.iter().filter(|start| number.starts_with(start.as_str())).map(String::len).max().unwrap_or(0)
        };
        let (allowed, denied) = (longest(&self.allow), longest(&self.deny));
        denied > 0 && denied >= allowed || allowed == 0 && !self.allow.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(allow: &[&str], deny: &[&str], number: &str) -> bool {
        let owned = |list: &[&str]| list.iter().map(|start| (*start).to_owned()).collect();
        Dialling { allow: owned(allow), deny: owned(deny) }.refuses(number)
    }

    #[test]
    fn the_longest_start_decides_and_an_allow_list_is_all_there_is() {
        for (allow, deny, number, expected) in [
            (&[][..], &[][..], "+4930123", false),
            (&[], &["+4990"], "+4990012345", true),
            (&["+49"], &[], "+4930123", false),
            (&["+49"], &[], "+4330123", true),
            (&["+49"], &["+49900"], "+49900123", true),
            (&["+49", "+499001"], &["+49900"], "+49900123", false),
            (&["+499001"], &["+49900"], "+49900223", true),
            (&["+49900"], &["+49900"], "+49900123", true),
            (&["+49", "110"], &[], "110", false),
        ] {
            assert_eq!(refused(allow, deny, number), expected, "{allow:?} {deny:?} {number}");
        }
    }

    #[test]
    fn premium_rates_and_satellites_are_refused_by_default_and_ordinary_numbers_are_not() {
        let default = Dialling::default();
        for number in ["+19005550199", "+449061234567", "+49900123456", "+881612345678", "+8821234", "+979012345678"] {
            assert!(default.refuses(number), "{number}");
        }
        for number in [
            "+15550199",
            "+447700900123",
            "+493055512345",
            "+33612345678",
            "+390612345678",
            "+8613800000000",
            "+8801712345678",
            "+886212345678",
        ] {
            assert!(!default.refuses(number), "{number}");
        }
        assert!(PREMIUM.iter().all(|start| start[1..].bytes().all(|byte| byte.is_ascii_digit())));
        assert!(PREMIUM.windows(2).all(|pair| pair[0] < pair[1]), "in order, each once");
    }
}
