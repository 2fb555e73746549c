//! `weir serve` and `weir keys` with `--database`: what the desk keeps is in PostgreSQL.

use crate::program::output as weir;

/// How a command fails.
fn refusal(arguments: &[&str]) -> String {
    let ended = weir(arguments);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && !said.contains("hidden"), "{said}");
    said
}

#[test]
fn a_slip_is_named_and_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    for command in [&["serve", "--data", data][..], &["keys", "list", "--data", data]] {
        let check = |url: &str, expected: &str| {
            let said = refusal(&[command, &["--database", url]].concat());
            assert!(said.contains(expected), "{said}");
        };
        check("mysql://ann:hidden@db/weir", "the URL of the database is not PostgreSQL's");
        #[cfg(not(feature = "postgres"))]
        check("postgres://ann:hidden@db/weir", "build with the feature `postgres`");
        #[cfg(feature = "postgres")]
        check("postgres://ann:hidden@127.0.0.1:1/weir", "`postgres://127.0.0.1:1/weir`: Connection refused");
    }
}

#[cfg(feature = "postgres")]
mod server {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use desk::testing::postgres;
    use serde_json::{Value, json};

    use super::{refusal, weir};
    use crate::serve::Server;

    const SCHEMA: &str = "schema s 1\nzone \"UTC\"\ncurrency CNY\nentity user\n\
                          event payment\n  payer: user\n  payee: user\n  amount: money\n";
    const RULES: &str = "use schema s\nrule big \"A big one\"\n  on payment\n  when amount > 1000.00 CNY\n  \
                         then block, alert high\n";

    fn start(folder: &Path, url: &str) -> Server {
        let rules = folder.join("rules");
        std::fs::create_dir_all(&rules).unwrap();
        std::fs::write(rules.join("s.schema.weir"), SCHEMA).unwrap();
        std::fs::write(rules.join("s.weir"), RULES).unwrap();
        let server =
            Server::start(&folder.join("data"), &["--rules", rules.to_str().unwrap(), "--database", url]);
        assert!(server.said.contains(", database postgres://localhost/test"), "{}", server.said);
        assert!(!server.said.contains(":secret@"), "{}", server.said);
        server
    }

    fn pay(server: &Server, key: &str, id: &str) {
        let amount = json!({ "value": 200_000, "currency": "CNY" });
        let event = json!({ "id": id, "type": "payment", "payer": "u1", "payee": "u2", "amount": amount });
        let (status, decision) = server.send("POST", "/v1/decisions", key, &event.to_string());
        assert_eq!((status, &decision["outcome"]), (200, &json!("block")), "{decision}");
    }

    /// The alerts, once there are so many.
    fn alerts(server: &Server, key: &str, count: usize) -> Value {
        let start = Instant::now();
        loop {
            let (status, page) = server.send("GET", "/v1/alerts", key, "");
            if status == 200 && page["alerts"].as_array().unwrap().len() == count {
                return page["alerts"].clone();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{count} alerts are told: {page}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn alerts_outlive_a_restart_and_are_told_again_into_an_empty_database() {
        let (Some(first), Some(second)) = (postgres().unwrap(), postgres().unwrap()) else { return };
        let folder = tempfile::tempdir().unwrap();
        let server = start(folder.path(), &first);
        let key = server.key().expect("the admin key is shown at the first start");
        pay(&server, &key, "p1");
        pay(&server, &key, "p2");
        let told = alerts(&server, &key, 2);
        assert_eq!((&told[0]["event_id"], &told[1]["event_id"]), (&json!("p2"), &json!("p1")));
        let parties = told[0]["entities"].as_array().unwrap();
        assert_eq!(parties.iter().map(|it| &it["id"]).collect::<Vec<_>>(), ["u2", "u1"]);
        let acts = format!("/v1/alerts/{}/acts", told[0]["id"].as_str().unwrap());
        let act = json!({ "status": "in_review", "note": "calling\0" }).to_string();
        let (status, done) = server.send("POST", &acts, &key, &act);
        assert_eq!((status, &done["acts"][0]["note"]), (200, &json!("calling␀")), "{done}");
        server.stop();
        assert!(!folder.path().join("data/weir.db").exists());

        let made = weir(&["keys", "create", "--database", &first, "--role", "analyst", "--name", "Ann"]);
        let made = String::from_utf8(made.stdout).unwrap();
        let server = start(folder.path(), &first);
        assert_eq!(server.key(), None, "shown once");
        let again = alerts(&server, made.trim(), 2);
        assert_eq!((&again[0]["id"], &again[0]["status"]), (&told[0]["id"], &json!("in_review")));
        assert_eq!(again[1], told[1]);
        pay(&server, &key, "p3");
        alerts(&server, &key, 3);
        server.stop();

        let server = start(folder.path(), &second);
        let key = server.key().expect("an empty database has no key yet");
        let anew = alerts(&server, &key, 3);
        assert_eq!([&anew[1], &anew[2]], [&told[0], &told[1]], "as they were first told");
        server.stop();

        let other = folder.path().join("other");
        let said = refusal(&[
            "serve",
            "--data",
            other.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--database",
            &first,
        ]);
        assert!(said.contains("belongs to another journal"), "{said}");
        let listed = weir(&["keys", "list", "--database", &first]);
        assert!(String::from_utf8(listed.stdout).unwrap().contains("Ann"));
    }
}
