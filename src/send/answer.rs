//! What a server answers, as far as whoever sends needs it.

use anyhow::{Context as _, bail};
use hyper::StatusCode;
use serde::Deserialize;

use super::body::Sent;
use super::client::Answer;

/// A decision.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(crate) struct Decision {
    pub(crate) outcome: String,
    pub(crate) score: f64,
    pub(crate) hits: Vec<Hit>,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) flags: Vec<String>,
}

/// A rule that hit.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(crate) struct Hit {
    pub(crate) rule: String,
    pub(crate) reason: String,
    pub(crate) shadow: bool,
}

/// An alert.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub(crate) struct Alert {
    pub(crate) severity: String,
    /// None: the policy.
    pub(crate) rule: Option<String>,
}

/// What became of something that was sent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Told {
    /// It was decided.
    Decided(Decision),
    /// It became known.
    Amended,
    /// It had been known before.
    Known,
    /// It was refused, and why.
    Refused(String),
}

#[derive(Debug, Deserialize)]
struct Amended {
    repeated: bool,
}

/// A problem document.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(default)]
    errors: Vec<Complaint>,
}

#[derive(Debug, Deserialize)]
struct Complaint {
    pointer: Option<String>,
    detail: String,
}

/// Problems of what was sent, and not of how or by whom.
const OF_THE_ROW: [StatusCode; 5] = [
    StatusCode::BAD_REQUEST,
    StatusCode::NOT_FOUND,
    StatusCode::CONFLICT,
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::UNPROCESSABLE_ENTITY,
];
/// Problems of the row by their status, but not by their code.
const NOT_OF_THE_ROW: [&str; 2] = ["no_such_route", "invalid_header"];

/// What an answer says of what was sent.
///
/// # Errors
/// If it is a problem that the next event would have too.
pub(crate) fn read(answer: &Answer, sent: Sent) -> anyhow::Result<Told> {
    if answer.status == StatusCode::OK {
        return match sent {
            Sent::Event => {
                let decision = serde_json::from_slice(&answer.body);
                decision.map(Told::Decided).context("the server's answer is no decision")
            }
            Sent::Amendment => {
                let amended: Amended = serde_json::from_slice(&answer.body)
                    .context("the server's answer is not one to an amendment")?;
                Ok(if amended.repeated { Told::Known } else { Told::Amended })
            }
        };
    }
    match serde_json::from_slice::<Problem>(&answer.body) {
        Ok(it) if OF_THE_ROW.contains(&answer.status) && !NOT_OF_THE_ROW.contains(&&*it.code) => {
            Ok(Told::Refused(it.words()))
        }
        _ => bail!("the server refuses: {}", problem(answer)),
    }
}

/// An answer that is a problem, in words.
pub(crate) fn problem(answer: &Answer) -> String {
    let said = serde_json::from_slice::<Problem>(&answer.body).map(|it| it.words());
    match said {
        Ok(words) if answer.status == StatusCode::UNAUTHORIZED => {
            format!("{words}; a key stands in WEIR_API_KEY")
        }
        Ok(words) => words,
        Err(_) => format!("{}, which is no answer of Weir's", answer.status),
    }
}

impl Problem {
    fn words(self) -> String {
        let each = self.errors.iter().map(|it| match &it.pointer {
            Some(pointer) => format!("`{}`: {}", pointer.trim_start_matches('#'), it.detail),
            None => it.detail.clone(),
        });
        let each: Vec<_> = each.collect();
        if each.is_empty() { self.detail } else { each.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_refused_row_is_a_reject_and_a_refused_sender_ends_the_run() {
        let check = |status: u16, body: &str, expected: Result<&str, &str>| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                body: body.as_bytes().to_vec().into(),
                took: Duration::ZERO,
                retries: 0,
                retry_after: None,
            };
            let got = match read(&answer, Sent::Event) {
                Ok(Told::Refused(reason)) => Ok(reason),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.to_string()),
            };
            assert_eq!(got.as_deref().map_err(String::as_str), expected, "{status} {body}");
        };
        let problem =
            |code: &str, errors: &str| format!(r#"{{"code":"{code}","detail":"d","errors":[{errors}]}}"#);
        let two =
            r##"{"pointer":"#/amount/value","detail":"missing"},{"pointer":"#/x","detail":"no such field"}"##;
        check(422, &problem("invalid_fields", two), Ok("`/amount/value`: missing; `/x`: no such field"));
        check(409, &problem("event_id_reused", ""), Ok("d"));
        check(404, &problem("event_unknown", ""), Ok("d"));
        check(404, &problem("no_such_route", ""), Err("the server refuses: d"));
        check(401, &problem("unauthorized", ""), Err("the server refuses: d; a key stands in WEIR_API_KEY"));
        check(404, "<html>", Err("the server refuses: 404 Not Found, which is no answer of Weir's"));
        check(500, &problem("internal", ""), Err("the server refuses: d"));
        check(200, "{}", Err("the server's answer is no decision"));
    }
}
