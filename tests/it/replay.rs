//! `weir replay` from outside: the same bytes again, in pieces or at once; bad input said and survived.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::data::{damage, snapshots};
use crate::program::{output, run};

/// The first rows of the wallet's simulated traffic, through the starter rules.
fn simulated(folder: &Path, users: u32, days: u32) -> Vec<String> {
    let file = folder.join("traffic.jsonl");
    let (users, days) = (users.to_string(), days.to_string());
    let out = file.to_str().unwrap();
    run(&["simulate", "--seed", "11", "--users", &users, "--days", &days, "--out", out]);
    fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

/// Replays lines; gives the decisions' and the features' text.
fn replay(folder: &Path, lines: &[String], state: Option<&Path>) -> (String, String) {
    let file = folder.join("part.jsonl");
    fs::write(&file, lines.join("\n") + "\n").unwrap();
    let [out, features, rejects] = ["out.csv", "features.csv", "rejects.csv"].map(|name| folder.join(name));
    let mut arguments = vec!["replay", file.to_str().unwrap(), "--rules", "fixtures/wallet"];
    arguments.extend(["--rejects", rejects.to_str().unwrap()]);
    arguments.extend(["--out", out.to_str().unwrap(), "--features", features.to_str().unwrap()]);
    if let Some(state) = state {
        arguments.extend(["--state", state.to_str().unwrap()]);
    }
    run(&arguments);
    (fs::read_to_string(out).unwrap(), fs::read_to_string(features).unwrap())
}

/// Text without its header line.
fn body(text: &str) -> &str {
    text.split_once('\n').unwrap().1
}

#[test]
fn the_same_replay_gives_the_same_bytes_twice_and_in_four_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let lines = simulated(folder.path(), 150, 4);
    let whole = replay(folder.path(), &lines, None);
    assert_eq!(replay(folder.path(), &lines, None), whole, "twice");
    let state = folder.path().join("state");
    let (mut out, mut features) = (String::new(), String::new());
    let cuts = [0, lines.len() / 5, lines.len() / 2, lines.len() * 9 / 10, lines.len()];
    for piece in cuts.windows(2) {
        let (more_out, more_features) = replay(folder.path(), &lines[piece[0]..piece[1]], Some(&state));
        out += body(&more_out);
        features += body(&more_features);
    }
    assert_eq!(out, body(&whole.0), "decisions in four pieces");
    assert_eq!(features, body(&whole.1), "features in four pieces");
}

/// Labels of a mapping that are not known yet when a run ends become known in a later one.
#[test]
fn pending_labels_go_on_through_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, out, features] = ["hb.csv", "hb.out.csv", "hb.features.csv"].map(path);
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n";
    let row = |day: u32| {
        let fraud = u32::from(day.is_multiple_of(3));
        format!(
            "{day},2018-{:02}-{:02}T12:00:00,{},{},10.00,{fraud}\n",
            4 + day / 28,
            1 + day % 28,
            day % 2,
            day % 3
        )
    };
    let rows: Vec<String> = (0..60).map(row).collect();
    let replay = |rows: &[String], state: Option<&str>| {
        fs::write(&file, header.to_owned() + &rows.concat()).unwrap();
        let mut arguments = [&["replay", &file, "--out", &out, "--features", &features], &MAP[..]].concat();
        arguments.extend(state.into_iter().flat_map(|dir| ["--state", dir]));
        let output = run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("not known yet"), "a label is pending at the end: {said}");
        [&out, &features].map(|it| body(&fs::read_to_string(it).unwrap()).to_owned())
    };
    let whole = replay(&rows, None);
    assert!(whole[0].contains("fraud_seen_7d"), "some fraud is known in time and decides: {}", whole[0]);
    for (nth, cuts) in [&[1][..], &[7], &[8], &[30], &[59], &[1, 8, 30], &[20, 23, 26]].iter().enumerate() {
        let state = path(&format!("state-{nth}"));
        let mut pieces = [String::new(), String::new()];
        let mut from = 0;
        for to in cuts.iter().copied().chain([rows.len()]) {
            let piece = replay(&rows[from..to], Some(&state));
            pieces.iter_mut().zip(&piece).for_each(|(all, piece)| *all += piece);
            from = to;
        }
        assert!(pieces == whole, "cut at {cuts:?}: {pieces:?}");
    }
}

/// A run that must fail: its exit is not zero, and it says all of these.
#[track_caller]
fn refused(arguments: &[&str], says: &[&str]) {
    let output = output(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it went through: {said}");
    for word in says {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
}

const MAP: [&str; 4] = ["--map", "fixtures/handbook/map.toml", "--rules", "fixtures/handbook/rules.weir"];

#[test]
fn what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.csv");
    let path = file.to_str().unwrap();
    refused(&[&["replay", "nowhere.csv"], &MAP[..]].concat(), &["`nowhere.csv` cannot be opened"]);
    fs::write(&file, "transaction_id,when,customer_id,terminal_id,amount,fraud\n").unwrap();
    refused(&[&["replay", path], &MAP[..]].concat(), &["tx_datetime"]);
    refused(&["replay", path, "--rules", "nowhere"], &["nowhere"]);
}

#[test]
fn bad_rows_are_rejected_and_the_good_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out, rejects) =
        (folder.path().join("rows.csv"), folder.path().join("out.csv"), folder.path().join("rejects.csv"));
    let bad = ["1e3", "NaN", "123456789012345678901234567890", "ten", "", "1.005"];
    let mut text = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n".to_owned();
    for (n, amount) in bad.iter().enumerate() {
        text += &format!("{n},2018-04-01T00:00:{n:02},c,t,{amount},0\n");
    }
    text += "good,2018-04-01T00:01:00,c,t,10.00,0\n";
    text += "other,1969-04-01T00:01:00,c,t,10.00,0\n";
    text += "far,2199-04-01T00:01:00,c,t,10.00,0\n";
    text += &format!("{},2018-04-01T00:01:00,c,t,10.00,0\n", "x".repeat(10_000));
    text += "good,2018-04-01T00:01:00,c,t,10.00,0\n";
    text += "good,2018-04-01T00:01:00,c,t,11.00,0\n";
    fs::write(&file, text).unwrap();
    let arguments = [
        &[
            "replay",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
            "--rejects",
            rejects.to_str().unwrap(),
        ],
        &MAP[..],
    ]
    .concat();
    run(&arguments);
    let decided = fs::read_to_string(&out).unwrap();
    assert_eq!(decided.lines().skip(1).map(|it| it.split(',').next().unwrap()).collect::<Vec<_>>(), ["good"]);
    let rejected = fs::read_to_string(&rejects).unwrap();
    let lines: Vec<&str> = rejected.lines().skip(1).collect();
    assert_eq!(lines.len(), bad.len() + 4, "{rejected}");
    assert!(lines.last().unwrap().contains("event id `good`"), "{rejected}");
    refused(&[&arguments[..], &["--strict"]].concat(), &["row 1"]);
}

/// What was told before is told as that, an amendment like an event.
#[test]
fn a_file_replayed_again_applies_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, data] = ["rows.jsonl", "data"].map(path);
    let event = r#"{"id":"p","type":"login","time":"2026-01-05T08:00:00Z","user":"u","channel":"app"}"#;
    let label = r#"{"id":"a","event_id":"p","time":"2026-01-05T09:00:00Z","label":"fraud"}"#;
    fs::write(&file, format!("{event}\n{label}\n")).unwrap();
    for (decided, unusual) in
        [("1 event decided", " 1 amendment applied\n"), ("0 events decided", " 2 repeated\n")]
    {
        let output = run(&["replay", &file, "--rules", "fixtures/wallet", "--data", &data]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(decided) && said.contains(unusual), "{said}");
        assert_eq!(said.contains("amendment"), unusual.contains("amendment"), "{said}");
    }
}

/// Whether the row comes again in the run or in the next.
#[test]
fn a_label_that_comes_again_waits_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, later, state] = ["rows.csv", "later.csv", "state"].map(path);
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n";
    fs::write(&file, format!("{header}p,2018-04-01T00:00:00,c,t,10.00,1\n")).unwrap();
    fs::write(&later, format!("{header}q,2018-04-09T00:00:00,c,t,10.00,0\n")).unwrap();
    let replay = |files: &[&str], says: &str| {
        let output = run(&[&["replay"], files, &["--state", &state], &MAP[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(says), "{files:?}: {said}");
        said
    };
    replay(&[&file, &file], " 1 label not known yet");
    replay(&[&file], " 1 label not known yet");
    let said = replay(&[&later], " 1 amendment applied");
    assert!(!said.contains("repeated"), "{said}");
}

/// The label of a row that is refused is of no event: not of the one whose id it bears, nor a second reject.
#[test]
fn a_refused_row_takes_its_label_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, rejects] = ["rows.csv", "rejects.csv"].map(path);
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n";
    let first = "p,2018-04-01T00:00:00,c,t,10.00,0\np,2018-04-01T00:00:01,c,t,11.00,1\n";
    let later = "q,2018-04-09T00:00:00,c,t,10.00,0\n";
    let check = |rows: &str, kept: &[&str], rejected: &str| {
        fs::write(&file, format!("{header}{rows}")).unwrap();
        let output = run(&[&["replay", &file, "--rejects", &rejects], kept, &MAP[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said.contains(" rejected: see"), !rejected.is_empty(), "{said}");
        assert!(said.contains(rejected) && !said.contains("label") && !said.contains("amendment"), "{said}");
    };
    check(&format!("{first}{later}"), &[], "1 rejected");
    for kept in ["--data", "--state"] {
        let kept = [kept, &path(kept)];
        check(first, &kept, "1 rejected");
        check(later, &kept, "");
    }
}

/// An id may be used again after a day, and before the label of the first event with it is known.
#[test]
fn a_label_goes_to_the_event_of_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, features, rejects] = ["rows.csv", "features.csv", "rejects.csv"].map(path);
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n";
    // Terminal `s` has seen a fraud seven days later, `t` has not, though its event has the id.
    let rows = [
        "x,2018-04-01T00:00:00,c,s,1.00,1\n",
        "w,2018-04-02T12:00:00,d,u,1.00,0\n",
        "x,2018-04-03T00:00:00,c,t,20.00,0\n",
        "y,2018-04-08T00:00:00,c,s,3.00,0\n",
        "z,2018-04-10T00:00:00,c,t,3.00,0\n",
    ];
    for (kept, cuts) in [("", vec![0, 5]), ("--state", vec![0, 3, 5]), ("--data", vec![0, 1, 3, 5])] {
        let mut frauds = Vec::new();
        for piece in cuts.windows(2) {
            fs::write(&file, header.to_owned() + &rows[piece[0]..piece[1]].concat()).unwrap();
            let dir = path("kept") + kept;
            let keeping = if kept.is_empty() { vec![] } else { vec![kept, &dir] };
            let wanted = ["replay", &file, "--features", &features, "--rejects", &rejects, "--strict"];
            run(&[&wanted[..], &keeping, &MAP].concat());
            let text = fs::read_to_string(&features).unwrap();
            let column =
                text.lines().next().unwrap().split(',').position(|it| it == "term_fraud_1d").unwrap();
            frauds.extend(body(&text).lines().map(|it| it.split(',').nth(column).unwrap().to_owned()));
        }
        assert_eq!(frauds, ["0", "0", "0", "1", "0"], "{kept}");
        if kept == "--data" {
            let proof = output(&["journal", "verify", "--decide", "--data", &(path("kept") + kept)]);
            assert!(proof.status.success(), "{proof:?}");
        }
    }
}

/// Files that would be written over, each by an argument of its own.
#[test]
fn no_file_is_written_over_that_is_read_or_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\ngood,2018-04-01T00:01:00,c,t,10.00,0\n";
    let file = folder.path().join("in.csv");
    fs::write(&file, text).unwrap();
    let [input, other] = ["in.csv", "other.csv"].map(|it| folder.path().join(it).display().to_string());
    let around = folder.path().join(".").join("in.csv").display().to_string();
    let read = "would write over what is read from";
    for (arguments, says) in [
        (["--out", &input, "--rejects", &other], ["--out", read]),
        (["--out", &around, "--rejects", &other], ["--out", read]),
        (["--features", &input, "--rejects", &other], ["--features", read]),
        (["--rejects", &input, "--out", &other], ["--rejects", read]),
        (["--out", &other, "--rejects", &other], ["--rejects", "would write over what `--out` writes"]),
        (["--out", &other, "--features", &other], ["--features", "would write over what `--out` writes"]),
    ] {
        refused(&[&["replay", &input], &MAP[..], &arguments[..]].concat(), &says);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
}

/// Runs `weir` in a folder with bytes on standard input: what it writes, and what it says at the end.
fn piped(folder: &Path, arguments: &[&str], input: Vec<u8>) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut stdin = running.stdin.take().unwrap();
    // A run that refuses its arguments reads nothing.
    let sender = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = running.wait_with_output().unwrap();
    sender.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn standard_input_and_output_are_files_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let lines = simulated(folder.path(), 60, 1).join("\n");
    let rules = format!("{}/fixtures/wallet", env!("CARGO_MANIFEST_DIR"));
    let file = folder.path().join("traffic.jsonl");
    let arguments = |read, out| ["replay", read, "--rules", &rules, "--out", out];
    let (done, _, said) = piped(folder.path(), &arguments(file.to_str().unwrap(), "out.csv"), Vec::new());
    assert!(done, "{said}");
    let expected = fs::read_to_string(folder.path().join("out.csv")).unwrap();
    let packed = zstd::encode_all(lines.as_bytes(), 1).unwrap();
    for (read, out, input) in [
        ("-", "-", lines.clone().into_bytes()),
        ("-", "/dev/stdout", packed.clone()),
        ("/dev/stdin", "-", packed),
    ] {
        let (done, written, said) = piped(folder.path(), &arguments(read, out), input);
        assert!(done && written == expected, "{read} {out}: {said}");
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let [map, rules] = ["map.toml", "rules.weir"].map(|it| format!("{root}/fixtures/handbook/{it}"));
    let parquet = ["replay", "-", "--map", &map, "--rules", &rules, "--out", "-"];
    let (done, written, said) = piped(folder.path(), &parquet, b"PAR1".to_vec());
    assert!(!done && written.is_empty() && said.contains("Parquet"), "{said}");
    let twice = [&arguments("-", "-")[..], &["--features", "/dev/stdout"]].concat();
    let (done, _, said) = piped(folder.path(), &twice, Vec::new());
    assert!(!done && said.contains("would write over what `--out` writes"), "{said}");
}

#[test]
fn standard_input_is_not_read_twice() {
    let folder = tempfile::tempdir().unwrap();
    let rules = format!("{}/fixtures/wallet", env!("CARGO_MANIFEST_DIR"));
    for (command, files, says) in [
        ("replay", &["-", "-"][..], "`-` and `-` are both standard input"),
        ("replay", &["no.csv", "-", "/dev/stdin"], "`-` and `/dev/stdin` are both standard input"),
        ("replay", &["-", "--map", "/dev/stdin"], "`-` and `/dev/stdin` are both standard input"),
        ("send", &["-", "-"], "`-` and `-` are both standard input"),
    ] {
        let arguments = [&[command, "--rules", &rules][..], files].concat();
        let (done, _, said) = piped(folder.path(), &arguments, b"no line that is read".to_vec());
        assert!(!done && said.contains(says), "{command} {files:?}: {said}");
    }
}

#[test]
fn a_name_that_says_no_form_is_refused_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let [txt, parquet, gz] = ["o.txt", "o.parquet", "o.gz"].map(|it| folder.path().join(it));
    let [txt, parquet, gz] = [&txt, &parquet, &gz].map(|it| it.to_str().unwrap());
    let csv = "`.csv`, `.csv.gz` or `.csv.zst`";
    for (arguments, says) in [
        (["--out", txt], ".csv.zst` or `.parquet`, or `-`"),
        (["--features", gz], ".csv.zst` or `.parquet`, or `-`"),
        (["--rejects", parquet], csv),
    ] {
        refused(&[&["replay", "nowhere.csv"], &MAP[..], &arguments[..]].concat(), &[says]);
    }
    refused(&["send", "nowhere.csv", "--rejects", txt], &[csv]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_strict_run_ends_at_the_first_bad_row_with_what_was_good_before() {
    let folder = tempfile::tempdir().unwrap();
    let [file, out, rejects] = ["rows.csv", "out.csv", "rejects.csv"].map(|it| folder.path().join(it));
    let row = |n: u32, amount: &str| format!("p{n},2018-04-01T00:00:{n:02},c,t,{amount},0\n");
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n";
    let rows =
        |last: &str| [header, &row(0, "1.00"), &row(1, "1.00"), &row(2, last), &row(3, "1.00")].concat();
    let [path, out_path, rejects_path] = [&file, &out, &rejects].map(|it| it.to_str().unwrap());
    let arguments = ["replay", path, "--out", out_path, "--rejects", rejects_path];
    fs::write(&file, rows("1e3")).unwrap();
    refused(&[&arguments[..], &MAP[..], &["--strict"]].concat(), &["2 events decided", "row 3"]);
    let ids = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().skip(1).map(|it| it.split(',').next().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&out), ["p0", "p1"]);
    assert_eq!(ids(&rejects), [path]);
    // A clean run leaves no rejects of another.
    fs::write(&file, rows("1.00")).unwrap();
    run(&[&arguments[..], &MAP[..], &["--strict"]].concat());
    assert_eq!(ids(&out).len(), 4);
    assert!(!rejects.exists());
}

/// The label of a row that stands there twice is an amendment whose id nobody wrote.
#[test]
fn a_row_again_with_another_label_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, rejects, map] = ["rows.csv", "rejects.csv", "map.toml"].map(path);
    let handbook = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/handbook");
    let both = fs::read_to_string(handbook.join("map.toml")).unwrap();
    let both = both.replace("\"fraud\" }", "\"fraud\", \"0\" = \"legitimate\" }");
    let schema = handbook.join("handbook.schema.weir");
    fs::write(&map, both.replace("handbook.schema.weir", schema.to_str().unwrap())).unwrap();
    let row = "p,2018-04-01T00:00:00,c,t,10.00";
    let later = "q,2018-04-09T00:00:00,c,t,10.00,0";
    let header = "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud";
    fs::write(&file, format!("{header}\n{row},1\n{row},0\n{later}\n")).unwrap();
    let output = run(&[&["replay", &file, "--rejects", &rejects, "--map", &map], &MAP[2..]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "row 2: an earlier row of the event `p` has another label\n";
    assert!(said.contains(expected) && !said.contains("label_"), "{said}");
}

/// Nothing decided may be what a wrong file comes to.
#[test]
fn a_run_that_read_no_row_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    for rows in ["", "transaction_id,tx_datetime,customer_id,terminal_id,amount,fraud\n"] {
        fs::write(&file, rows).unwrap();
        let output = run(&[&["replay", file.to_str().unwrap()], &MAP[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("note: no row was read"), "{said}");
    }
}

/// Weir's own lines have labels as amendments: those whose events nobody knows any more tell nothing, which is said.
#[test]
fn labels_that_find_no_event_are_not_passed_over_in_the_figures() {
    let folder = tempfile::tempdir().unwrap();
    let lines = simulated(folder.path(), 150, 10);
    assert!(lines.iter().any(|it| it.contains("label")), "there are labels");
    let file = folder.path().join("traffic.jsonl");
    let rejects = folder.path().join("rejects.csv");
    let said = |more: &[&str]| {
        let arguments = ["replay", file.to_str().unwrap(), "--rules", "fixtures/wallet", "--rejects"];
        let output = output(&[&arguments[..], &[rejects.to_str().unwrap()], more].concat());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let lost = "rejected label";
    let without = said(&[]);
    assert!(without.contains(lost) && without.contains("use `--data`"), "{without}");
    let data = folder.path().join("data");
    let with = said(&["--data", data.to_str().unwrap()]);
    assert!(with.contains("detection") && !with.contains(lost), "{with}");
}

/// A folder with the wallet's rules, of whose schema something is another.
fn rules_with(folder: &Path, name: &str, changes: &[(&str, &str)]) -> String {
    let mut schema = fs::read_to_string("fixtures/wallet/wallet.schema.weir").unwrap();
    for (from, to) in changes {
        assert!(schema.contains(from), "{from}");
        schema = schema.replacen(from, to, 1);
    }
    let rules = folder.join(name);
    fs::create_dir(&rules).unwrap();
    fs::write(rules.join("wallet.schema.weir"), schema).unwrap();
    fs::copy("fixtures/wallet/wallet.weir", rules.join("wallet.weir")).unwrap();
    rules.to_str().unwrap().to_owned()
}

#[test]
fn a_state_goes_on_under_a_changed_schema_only_if_its_version_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let lines = simulated(folder.path(), 50, 1);
    let state = folder.path().join("state");
    replay(folder.path(), &lines, Some(&state));
    let file = folder.path().join("part.jsonl");
    let [file, state] = [&file, &state].map(|it| it.to_str().unwrap());
    let (zone, later) = (("Asia/Shanghai", "UTC"), ("lateness 10m", "lateness 5m"));
    let version = ("schema wallet 1", "schema wallet 2");
    for (name, changes, says) in [
        ("zone", &[zone][..], "other zone under version 1: a changed schema has a version above 1"),
        ("same", &[later], "other lateness under version 1"),
        ("late", &[later, version], ", for `lateness` was 10m and is 5m: go back"),
    ] {
        let rules = rules_with(folder.path(), name, changes);
        refused(&["replay", file, "--rules", &rules, "--state", state], &[says]);
    }
}

/// A list that a state knows nothing of is as its file has it; who is on one that it knows stays.
#[test]
fn a_state_goes_on_with_a_list_that_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [file, out, state, rules] = ["rows.jsonl", "out.csv", "state", "rules"].map(path);
    fs::create_dir(&rules).unwrap();
    let schema = "schema s 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent login\n  user: user\n";
    fs::write(path("rules/s.schema.weir"), schema).unwrap();
    fs::write(path("rules/old.txt"), "u1\n").unwrap();
    let replay = |user: &str, lists: &str, rule: &str| {
        fs::write(
            path("rules/s.weir"),
            format!("use schema s\n{lists}rule r \"R\" on login when {rule} then block\n"),
        )
        .unwrap();
        let id = format!("{user}-{}", lists.len());
        let row = format!(r#"{{"id":"{id}","type":"login","time":"2026-01-05T08:00:00Z","user":"{user}"}}"#);
        fs::write(&file, row + "\n").unwrap();
        run(&["replay", &file, "--rules", &rules, "--state", &state, "--out", &out]);
        body(&fs::read_to_string(&out).unwrap()).split(',').nth(3).unwrap().to_owned()
    };
    let old = "list old : user from \"old.txt\"\n";
    assert_eq!(replay("u1", old, "user in old"), "block");
    fs::write(path("rules/old.txt"), "u2\n").unwrap();
    fs::write(path("rules/new.txt"), "u3\n").unwrap();
    let both = format!("list new : user from \"new.txt\"\n{old}");
    for (user, outcome) in [("u1", "block"), ("u2", "allow"), ("u3", "block")] {
        assert_eq!(replay(user, &both, "user in old or user in new"), outcome, "{user}");
    }
}

/// Without a journal the state before a damaged one lacks what the last run did.
#[test]
fn a_damaged_state_is_no_place_to_go_on_from_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let lines = simulated(folder.path(), 50, 1);
    let state = folder.path().join("state");
    replay(folder.path(), &lines[..100], Some(&state));
    replay(folder.path(), &lines[100..200], Some(&state));
    damage(snapshots(&state).last().unwrap(), 1);
    let file = folder.path().join("part.jsonl");
    let arguments = ["replay", file.to_str().unwrap(), "--rules", "fixtures/wallet"];
    let says = ["damaged", "the last run, which is lost: replay its files again"];
    refused(&[&arguments[..], &["--state", state.to_str().unwrap()]].concat(), &says);
    let lost = replay(folder.path(), &lines[100..200], Some(&state));
    let again = folder.path().join("again");
    replay(folder.path(), &lines[..100], Some(&again));
    assert_eq!(lost, replay(folder.path(), &lines[100..200], Some(&again)));
}

/// What was decided until then is whole, and what was to be kept is not begun.
#[cfg(unix)]
#[test]
fn who_is_told_to_stop_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let lines = simulated(folder.path(), 60, 1);
    let [out, rejects, state] = ["out.csv.gz", "bad.csv", "state"].map(|name| folder.path().join(name));
    let [out, rejects_name, state] = [&out, &rejects, &state].map(|it| it.to_str().unwrap());
    let arguments = [
        "replay",
        "-",
        "--rules",
        "fixtures/wallet",
        "--out",
        out,
        "--rejects",
        rejects_name,
        "--state",
        state,
    ];
    let mut replay = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = replay.stdin.take().unwrap();
    let text = lines.join("\n") + "\n{}\n";
    // Without end, until nobody reads any more.
    let feeding = thread::spawn(move || while input.write_all(text.as_bytes()).is_ok() {});
    // It shows when it has begun: the first bad row is in the file once its batch is done.
    while fs::metadata(&rejects).map_or(0, |it| it.len()) == 0 {
        assert!(replay.try_wait().unwrap().is_none(), "it has ended by itself");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-INT", &replay.id().to_string()]).status().unwrap().success());
    let ended = replay.wait_with_output().unwrap();
    feeding.join().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success(), "{said}");
    let nothing_saved = format!("error: nothing was saved to `{state}`: stopped by a signal");
    assert!(said.contains(&nothing_saved) && said.contains(" events decided in "), "{said}");
    let bad = fs::read_to_string(&rejects).unwrap();
    assert!(bad.lines().skip(1).all(|it| it.starts_with("-,")) && bad.ends_with('\n'), "{bad}");
    let unpacked = Command::new("gzip").args(["-t", out]).status().unwrap();
    assert!(unpacked.success(), "it can be unpacked to its end");
    assert!(snapshots(Path::new(state)).is_empty());
}

#[cfg(unix)]
#[test]
fn nothing_that_is_read_or_is_something_else_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(path("rules")).unwrap();
    for file in ["wallet.schema.weir", "wallet.weir"] {
        fs::copy(format!("fixtures/wallet/{file}"), path(&format!("rules/{file}"))).unwrap();
    }
    fs::write(path("rows.jsonl"), "{}\n").unwrap();
    fs::write(path("mine.csv"), "a,b\n1,2\n").unwrap();
    fs::write(path("bad.csv"), "file,row,reason\n").unwrap();
    // A rule file is not called as a table is, and a link to it may be.
    std::os::unix::fs::symlink(path("rules/wallet.weir"), path("link.csv")).unwrap();
    let check = |more: [&str; 2], expected: &str| {
        let (rows, rules) = (path("rows.jsonl"), path("rules"));
        let ended = output(&["replay", &rows, "--rules", &rules, more[0], more[1]]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.success(), expected.is_empty(), "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check(["--rejects", &path("mine.csv")], "which holds something else: name another file by `--rejects`");
    check(["--rejects", &path("link.csv")], "would write over what is read from");
    check(["--rejects", &path("bad.csv")], "");
    assert_eq!(fs::read_to_string(path("mine.csv")).unwrap(), "a,b\n1,2\n");
}
