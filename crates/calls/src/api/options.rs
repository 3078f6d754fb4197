//! What a transfer request says in more than one way.

use crate::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `accept` of a transfer request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AcceptBody {
    /// Ask for a digit.
    Press(policy::Accept),
    /// Ask for nothing, whatever the destination says.
    Word(AcceptWord),
}

/// `introduce` of a transfer request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntroduceBody {
    /// The AI introduces the caller.
    Within(policy::Introduce),
    /// It does not, whatever the destination says.
    Word(AcceptWord),
}

/// The one word `accept` and `introduce` know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AcceptWord {
    /// Nothing is asked for, nobody introduces anybody.
    None,
}

/// `context` of a transfer request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContextBody {
    /// Only these keys travel.
    Keys(Vec<String>),
    /// Merged into the call's context first.
    Values(BTreeMap<String, serde_json::Value>),
}

/// `on_failure` of a transfer request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OnFailureBody {
    /// Whatever the cause.
    Always(Vec<policy::Step>),
    /// By cause, and `else`.
    ByCause(BTreeMap<String, Vec<policy::Step>>),
}

impl OnFailureBody {
    pub(super) fn options(&self) -> Result<policy::OnFailure, Problem> {
        match self {
            Self::Always(steps) => Ok(policy::OnFailure::always(steps.clone())),
            Self::ByCause(lists) => {
                let mut on_failure = policy::OnFailure::default();
                for (name, steps) in lists {
                    if name == "else" {
                        on_failure.otherwise = Some(steps.clone());
                    } else if let Ok(cause) = name.parse() {
                        on_failure.by_cause.insert(cause, steps.clone());
                    } else {
                        let known = policy::Cause::ALL.map(policy::Cause::name).join(", ");
                        let detail = format!("there is no such cause; there are {known} and else");
                        return Err(Problem::invalid(format!("on_failure.{name}"), detail));
                    }
                }
                Ok(on_failure)
            }
        }
    }
}
