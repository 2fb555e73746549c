//! `weir demo` from outside, where there is no terminal: what it shows, what it says to try, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::output;
use crate::serve::request;

/// Asks for what a printed `curl` asks for.
#[track_caller]
fn paste(curl: &str, key: &str) -> Value {
    let asked = curl.trim().strip_prefix("curl -H \"Authorization: Bearer $WEIR_API_KEY\" http://").unwrap();
    let (address, path) = asked.split_at(asked.find('/').unwrap());
    let (status, body) = request(address, "GET", path, key, "");
    assert_eq!(status, 200, "{curl}: {body}");
    body
}

#[test]
fn a_newcomer_sees_decisions_and_an_alert_and_can_paste_what_is_said() {
    let (temporary, log) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let mut demo = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["demo", "--for", "5", "--rate", "30"])
        .env("TMPDIR", temporary.path())
        .env("WEIR_LOG", "trace")
        .stdout(Stdio::piped())
        .stderr(log.reopen().unwrap())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(demo.stdout.take().unwrap());
    let mut said = String::new();
    // The last line of what follows the first alert.
    while !said.contains("/v1/decisions/") {
        let before = said.len();
        out.read_line(&mut said).unwrap();
        assert!(before < said.len(), "it ended before an alert: {said}");
    }
    assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_some(), "its data is somewhere");
    let key = said.split("export WEIR_API_KEY=").nth(1).unwrap().lines().next().unwrap().to_owned();
    let answers: Vec<_> = said.lines().filter(|it| it.contains("curl")).map(|it| paste(it, &key)).collect();
    let [alerts, user, decision] = &answers[..] else { panic!("{said}") };
    assert!(!alerts["alerts"].as_array().unwrap().is_empty());
    assert!(0 < user["features"]["events_30d"].as_i64().unwrap(), "there was a history: {user}");
    let alert = said.lines().find(|it| it.contains("  ALERT  ")).unwrap();
    let raised_by = alert.split_whitespace().nth(4).unwrap().trim_end_matches(':');
    let hits = decision["decision"]["hits"].as_array().unwrap();
    assert!(hits.iter().any(|it| it["rule"] == raised_by), "{alert}: {decision}");

    out.read_to_string(&mut said).unwrap();
    assert!(demo.wait().unwrap().success(), "{said}");
    let log = std::fs::read_to_string(log.path()).unwrap();
    assert!(log.contains("stopping") && !log.contains(&key), "the key is shown, and stands in no log");
    for expected in ["Two days of history: ", "  payment  u", "  allow  ", "  block  ", "outcomes   allow 1"]
    {
        assert!(said.contains(expected), "`{expected}` is not in: {said}");
    }
    assert!(said.matches("  ALERT  ").count() > 1, "{said}");
    assert!(!said.contains('\u{1b}'), "no colours where there is no terminal: {said}");
    assert!(std::fs::read_dir(temporary.path()).unwrap().next().is_none(), "it leaves nothing behind");
}

#[cfg(unix)]
#[test]
fn who_ends_it_is_told_what_there_was_and_what_it_kept_can_be_proven() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data_text = data.to_str().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["demo", "--for", "600", "--rate", "100", "--data", data_text])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(demo.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("  ALERT  ") {
        let before = said.len();
        out.read_line(&mut said).unwrap();
        assert!(before < said.len(), "it ended before an alert: {said}");
    }
    assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
    out.read_to_string(&mut said).unwrap();
    assert!(demo.wait().unwrap().success());
    for expected in [" events decided in ", "`weir serve --data "] {
        assert!(said.contains(expected), "`{expected}` is not in: {said}");
    }
    let verified = output(&["journal", "verify", "--decide", "--data", data_text]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    // What is simulated never goes among what is there.
    let again = output(&["demo", "--data", data_text]);
    let error = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && error.contains("holds something already"), "{error}");
}

#[test]
fn slips_are_named() {
    let rows = [
        (&["--rate", "0"][..], "--rate"),
        (&["--for", "0"], "--for"),
        (&["--listen", "8080"], "--listen"),
        // Reserved for documentation: no machine has it.
        (&["--listen", "192.0.2.1:80"], "cannot listen on `192.0.2.1:80`"),
    ];
    for (arguments, expected) in rows {
        let ended = output(&[&["demo"], arguments].concat());
        let error = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success() && error.contains(expected), "{arguments:?}: {error}");
    }
}
