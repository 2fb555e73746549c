//! Random rule files: lists, constants, features, rules, policies.

use super::exprs::{Readable, Scope, Writer};
use super::schema::{self, ALL, EVENT_TYPES, Kind, LOGIN, PAYMENT, TRANSFER, Types};
use super::{Choices, Generated};
use crate::typed::Severity;

const PRELUDE: &str = "use schema demo
list watched : user
list blocked_devices : device
list risky_mcc : text(4)
table shop_limit : merchant -> money
table level : user -> int
const tiny = 2.00 CNY
const half = 0.5
";

/// A random rule set: a schema and some features, rules and policies over it.
pub fn rule_set(choices: &mut Choices) -> Generated {
    let schema = schema::write(choices);
    let mut writer = Writer { choices, features: Vec::new() };
    let mut rules = PRELUDE.to_owned();
    for at in 0..1 + writer.choices.below(7) {
        rules.push_str(&writer.feature(at));
    }
    if writer.choices.chance(30) {
        let names: Vec<_> = writer.features.iter().map(|it| it.name.as_str()).collect();
        rules.push_str(&format!("record {}\n", names.join(", ")));
    }
    for at in 0..1 + writer.choices.below(5) {
        rules.push_str(&writer.rule(at));
    }
    if writer.choices.chance(70) {
        rules.push_str(&writer.policy("policy\n", ALL));
    }
    if writer.choices.chance(40) {
        rules.push_str(&writer.policy("policy on login\n", LOGIN));
    }
    Generated { schema, rules }
}

impl Writer<'_> {
    fn feature(&mut self, at: usize) -> String {
        let name = format!("f{at}");
        if let Some(twin) = self.twin(&name) {
            let text = format!("feature {name} = {}\n", twin.text);
            self.features.push(twin);
            return text;
        }
        let types = self.some_types();
        let (text, kind) = if self.choices.chance(70) {
            let (text, kind, _) = self.aggregate(types);
            (text, kind)
        } else {
            let kinds = [Kind::Number, Kind::Flag, Kind::Money, Kind::Duration, Kind::Distance];
            let kind = self.pick(&kinds, Kind::Number);
            (self.expr(kind, Scope::current(types), 3).0, kind)
        };
        let feature = format!("feature {name} = {text}\n");
        self.features.push(Readable { name, kind, types, text });
        feature
    }

    /// Now and then what an earlier feature says, perhaps of the twins of what it reads; or that feature itself.
    fn twin(&mut self, name: &str) -> Option<Readable> {
        if !self.choices.chance(20) {
            return None;
        }
        let of = self.choices.pick(&self.features)?.clone();
        if self.choices.chance(25) {
            return Some(Readable { name: name.to_owned(), text: of.name, ..of });
        }
        let mut text = of.text;
        for twin in &self.features {
            let first = self.features.iter().find(|it| it.text == twin.text).map_or(name, |it| &it.name);
            if first != twin.name {
                // A name is a letter and a digit, and part of no other word.
                text = text.replace(first, &twin.name);
            }
        }
        Some(Readable { name: name.to_owned(), text, ..of })
    }

    /// The names of these types, as `on` lists them.
    fn type_names(types: Types) -> String {
        let names: Vec<_> = EVENT_TYPES.iter().filter(|it| it.1 & types != 0).map(|it| it.0).collect();
        names.join(", ")
    }

    fn rule(&mut self, at: usize) -> String {
        let types = self.some_types();
        let tell = self.pick(&["", " tell \"Please call us\""], "");
        let mode = self.pick(&["", " live", " shadow", "", "", " off"], "");
        let share = if self.choices.chance(15) { " to 50% of user" } else { "" };
        let from = if self.choices.chance(10) { " from 2026-01-05" } else { "" };
        let until = if self.choices.chance(10) { " until 2026-01-06" } else { "" };
        let mode = if share.is_empty() || !mode.is_empty() { mode } else { " live" };
        let when = self.present(Kind::Flag, Scope::current(types), 3);
        let mut effects = vec![self.effect(types, true)];
        while self.choices.chance(50) {
            effects.push(self.effect(types, true));
        }
        format!(
            "rule r{at} \"Reason\"{tell}{mode}{share}{from}{until}\n  on {}\n  when {when}\n  then {}\n",
            Self::type_names(types),
            effects.join(", ")
        )
    }

    fn effect(&mut self, types: Types, of_rule: bool) -> String {
        let always = self.pick(&["", "", " always"], "");
        let severity = self.pick(Severity::NAMES, "low");
        match self.choices.below(if of_rule { 16 } else { 9 }) {
            0 => format!("block{always}"),
            1 | 2 => format!("challenge{}{always}", self.factors()),
            3 => format!("alert {severity}"),
            4 => format!("alert {severity} once per user 10m"),
            5 => "tag odd".to_owned(),
            6 => "freeze user for 1d".to_owned(),
            7 => "delay 1h".to_owned(),
            8 if types & TRANSFER == types => "add payee to watched for 7d".to_owned(),
            8 => self
                .pick(&["add device to blocked_devices", "remove user from watched"], "delay 2h")
                .to_owned(),
            9 => "allow".to_owned(),
            _ => {
                let sign = self.pick(&["+", "-"], "+");
                let number = self.present(Kind::Number, Scope::current(types), 2);
                format!("score {sign} {number}")
            }
        }
    }

    fn factors(&mut self) -> &'static str {
        self.pick(&["", " with passkey", " with passkey or pay_pwd + sms_otp"], "")
    }

    fn policy(&mut self, head: &str, types: Types) -> String {
        let mut text = head.to_owned();
        for _ in 0..1 + self.choices.below(3) {
            let scope = Scope { score: true, nameless: false, ..Scope::current(types) };
            let when = if self.choices.chance(50) {
                format!("score >= {}", self.choices.below(100))
            } else {
                self.present(Kind::Flag, scope, 2)
            };
            let effect = self.effect(types, false);
            text.push_str(&format!("  {effect} when {when}\n"));
        }
        if self.choices.chance(40) {
            let outcome = self.pick(&["challenge", "block", "allow"], "challenge");
            text.push_str(&format!("  deadline 10ms else {outcome}\n"));
        }
        if self.choices.chance(40) {
            text.push_str("  valid for 60s\n");
        }
        text
    }
}

const _: () = assert!(PAYMENT | TRANSFER | LOGIN == ALL, "every type is generated");
