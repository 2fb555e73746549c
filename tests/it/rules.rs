//! `weir rules`, as an analyst uses it.

mod check;
mod cost;
mod test;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use expect_test::Expect;
use tempfile::TempDir;

const SCHEMA: &str = r#"schema shop 1
zone     "Asia/Shanghai"
currency CNY
lateness 10m
keep     400d
rates    "rates.csv"

entity user
entity device shared

event payment
  user:   user
  device: device?
  amount: money
  mcc:    text(4)?
event login
  user:   user
  device: device?
"#;

const RULES: &str = r#"use schema shop
list  blocked : device from "blocked.txt"
list  risky   : text(4)
table limits  : user -> money

feature n_1m  = count(payment) by user over 1m
feature spent = sum(payment.amount) by user over 24h before where accepted
feature known = count(payment) by user over 30d before where label == fraud

rule often "Several within a minute"
  on payment
  when n_1m >= 3
  then score +60
rule listed "Device on the list"
  on payment, login
  when device in blocked
  then block
rule dear "More than this user may spend"
  on payment
  when spent + amount > limits[user] ?? 1000.00 CNY
  then challenge with passkey
rule branch "A risky branch" shadow
  on payment
  when mcc in risky
  then score +10
rule reported "Fraud before"
  on payment
  when known >= 1
  then block

policy
  challenge with passkey when score >= 50
"#;

/// Two errors.
const FAULTY: &str = "use schema shop\nfeature n = count(paymnt) by user over 1m\n\
                      rule r \"R\" on payment when amount > 5 then block\n";

/// A rule set in a folder of its own.
struct Folder(TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// The schema, its rate table, a list, and rules.
    fn of(rules: &str) -> Self {
        Self::with(&[
            ("shop.schema.weir", SCHEMA),
            ("shop.weir", rules),
            ("rates.csv", "currency,rate\nUSD,7.1\n"),
            ("blocked.txt", "# stolen\nd-1\n\nd-2   # twice\n"),
        ])
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Standard output, standard error behind a line, and how it ended.
    fn weir(&self, arguments: &[&str]) -> String {
        self.weir_reading(arguments, "")
    }

    fn weir_reading(&self, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
        command.args(arguments).current_dir(self.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = running.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let errors: String = text(&output.stderr)
            .lines()
            .filter(|it| !it.starts_with("finished in "))
            .map(|it| format!("stderr: {it}\n"))
            .collect();
        format!("{}{errors}exit {}\n", text(&output.stdout), output.status.code().unwrap())
    }
}

#[track_caller]
fn check(rules: &str, arguments: &[&str], expected: Expect) {
    expected.assert_eq(&Folder::of(rules).weir(arguments));
}
