//! The rule set in force, and putting another one in its place: checked, its own tests run, and then a job that
//! activates it.

mod base;
mod files;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use desk::Desk;
use desk::key::Role;
use engine::hex::hex;
use parking_lot::Mutex;
use rules::diagnostic::Severity;
use rules::schema::Schema;
use rules::time::{Micros, SECOND};
use rules::typed::{Feature, Mode};
use serde::Serialize;
use stream::build::{BuildError, Built};
use stream::bundle::{Bundle, Checked};
use stream::gate::{MayFollow, NotAtOnce};
use stream::in_force::InForce;
use stream::snapshot::SnapshotError;
use utoipa::ToSchema;

use self::base::Base;
use self::files::{bad_bundle, bundle_of, complaints, files_of, is_source, placed, refused, whole};
use super::incoming::all_durable;
use super::lists::ListBody;
use super::value::Time;
use crate::app::App;
use crate::aside::aside;
use crate::clock::now;
use crate::keys::Caller;
use crate::limits::LARGE_BODY_BYTES_MAX;
use crate::metrics::Metrics;
use crate::problem::{Code, Complaint, NoRoom, Problem, Where};
use crate::request::{JsonText, Names};

/// Jobs that are remembered.
const JOBS_MAX: usize = 100;
/// Versions that are listed.
const VERSIONS_SHOWN: u64 = 20;

/// A schema and rules as they are sent.
const EXAMPLE: [&str; 2] = [
    "schema shop 1\nzone \"UTC\"\ncurrency EUR\nentity user\nevent payment\n  user:   user\n  amount: money\n",
    "use schema shop\nfeature spent = sum(payment.amount) by user over 1d\n\
     rule much \"Much in a day\" on payment when spent > 1000.00 EUR then challenge\n",
];

/// Runs the tests that a rule set has of its own.
pub trait Trial: Send + Sync + std::fmt::Debug {
    /// The tests that failed; those that passed are counted.
    ///
    /// # Errors
    /// If they cannot be run.
    fn run(&self, bundle: &Bundle, checked: &Checked) -> Result<TestResults, String>;
}

/// Puts a rule set in force.
pub trait Activation: Send + Sync + std::fmt::Debug {
    /// Puts a bundle in force, if it `may_follow` what is until then, building the state that it lacks; `tell` hears how far
    /// that is.
    ///
    /// # Errors
    /// If it cannot take over; then what was in force still is.
    fn activate(
        &self,
        bundle: &Arc<Bundle>,
        may_follow: Option<MayFollow<'_>>,
        tell: &mut dyn FnMut(Built),
    ) -> Result<(), BuildError>;
}

/// What came of the tests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TestResults {
    /// How many passed.
    pub passed: usize,
    /// What is said of each that failed.
    pub failures: Vec<String>,
}

/// The rule set in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleSet, title = "RuleSet")]
pub(crate) struct RulesBody {
    /// Its hash, in hexadecimal.
    hash: String,
    /// Counted up with each change of rules, rates or lists of values.
    number: u32,
    /// Names these rules and files: to be sent back with what is made of them.
    base: String,
    /// Of the schema.
    schema: SchemaBody,
    /// The rules, in order.
    rules: Vec<RuleBody>,
    /// The features, in order.
    features: Vec<String>,
    /// Features whose state was built from a journal that does not reach back far enough.
    warming: Vec<WarmingBody>,
    /// Lists and tables, in order.
    lists: Vec<ListBody>,
    /// Its files, by name; what lists and the rate table hold for admins and analysts only.
    files: BTreeMap<String, String>,
    /// What was sent or came into force at a start, newest first.
    versions: Vec<VersionBody>,
}

/// A schema's name, version and words.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchemaOf)]
pub(crate) struct SchemaBody {
    /// As rule files name it.
    name: String,
    /// Rises with each change.
    version: u32,
    /// Entity kinds; the first is the partition key.
    kinds: Vec<String>,
    /// Event types.
    events: Vec<String>,
}

/// A rule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rule)]
pub(crate) struct RuleBody {
    /// Its name.
    name: String,
    /// Its reason.
    reason: String,
    /// `live`, `shadow`, `off`.
    mode: &'static str,
    /// The event types that it looks at.
    on: Vec<String>,
    /// Some feature that it reads is complete only from this event time on; until then it knows too little of the past.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, required = false)]
    warming_until: Option<Time>,
}

/// A feature that is not complete yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Warming)]
pub(crate) struct WarmingBody {
    /// Its name.
    feature: String,
    /// It is complete for events from this time on.
    #[schema(value_type = String, format = DateTime)]
    until: Time,
}

/// A rule set that was sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleSetVersion)]
pub(crate) struct VersionBody {
    /// Counted up.
    id: i64,
    /// Its hash.
    hash: String,
    /// The name of the key that sent it.
    by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    sent: Time,
    /// When it was last put in force; null: never.
    #[schema(value_type = Option<String>, format = DateTime)]
    activated: Option<Time>,
}

impl From<&desk::rule_sets::Version> for VersionBody {
    fn from(it: &desk::rule_sets::Version) -> Self {
        Self {
            id: it.id,
            hash: it.hash.clone(),
            by: it.uploaded_by.clone(),
            sent: Time(it.uploaded_at),
            activated: it.activated_at.map(Time),
        }
    }
}

/// A rule set that was sent, with its files.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RuleSetVersionFiles, title = "RuleSetVersionFiles")]
pub(crate) struct VersionFilesBody {
    /// Which it is.
    version: VersionBody,
    /// Its files, by name: what `PUT /v1/rules` takes.
    files: BTreeMap<String, String>,
}

/// Show the rule set
#[utoipa::path(
    get, path = "/v1/rules", tag = "rules",
    operation_id = "show_rules",
    security(("key" = ["admin", "analyst", "service", "operator"])),
    responses((status = 200, description = "What is in force, and what was", body = RulesBody))
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Arc<Caller>>,
) -> Result<Json<RulesBody>, Problem> {
    let in_force = app.door.in_force();
    all_durable(&app).await?;
    let typed = &in_force.rules.typed;
    let schema = &typed.schema;
    let mut files = in_force.bundle.as_deref().map(|it| files_of(it, typed)).unwrap_or_default();
    if !matches!(caller.role, Role::Admin | Role::Analyst) {
        files.retain(|name, _| is_source(name));
    }
    let versions = app.desk.rule_sets(VERSIONS_SHOWN).await?;
    let versions = versions.iter().map(VersionBody::from);
    let clock = app.door.clock();
    let to_come = |until: Option<Micros>| until.filter(|it| clock.is_none_or(|clock| clock < *it));
    let rules = typed.rules.iter().zip(in_force.rules_complete());
    let named = || typed.feature_order.iter().filter_map(|id| Some((id.index(), typed.feature(*id)?)));
    let complete = in_force.features_complete();
    let warming = |(at, feature): (usize, &Feature)| {
        let until = to_come(complete.get(at).copied().flatten())?;
        Some(WarmingBody { feature: feature.name.clone(), until: Time(until) })
    };
    Ok(Json(RulesBody {
        hash: hex(&typed.hash),
        number: in_force.number,
        base: Base::of(&placed(&files, typed)).to_string(),
        schema: SchemaBody {
            name: schema.name.clone(),
            version: schema.version,
            kinds: schema.kinds.iter().map(|it| it.name.clone()).collect(),
            events: schema.events.iter().map(|it| it.name.clone()).collect(),
        },
        rules: rules.map(|(it, complete)| rule(it, schema, to_come(complete))).collect(),
        features: named().map(|(_, it)| it.name.clone()).collect(),
        warming: named().filter_map(warming).collect(),
        lists: ListBody::all(&in_force).collect(),
        files,
        versions: versions.collect(),
    }))
}

fn rule(it: &rules::typed::Rule, schema: &Schema, warming_until: Option<Micros>) -> RuleBody {
    let mode = match it.mode {
        Mode::Live => "live",
        Mode::Shadow => "shadow",
        Mode::Off => "off",
    };
    let on = it.on.iter().filter_map(|it| schema.event(*it).map(|it| it.name.clone()));
    RuleBody {
        name: it.name.clone(),
        reason: it.reason.clone(),
        mode,
        on: on.collect(),
        warming_until: warming_until.map(Time),
    }
}

/// A rule set as texts.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRuleSet)]
pub(crate) struct NewRules {
    /// Schema and rules (`*.weir`), and the list files and the rate table that they name, by name. Where they name none:
    /// what a list of plain values holds as `LIST.txt`, and the rates as `rates.csv`.
    files: BTreeMap<String, String>,
    /// What `GET /v1/rules` gave as `base` with the files that were changed to these. Rates and lists of plain values that are
    /// as they were there stay as they are now. Where others have changed since what is changed here, or the schema or the
    /// rules, these are refused.
    #[schema(required = false)]
    base: Option<String>,
}

/// A rule set on its way into force.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Job, title = "Job")]
pub(crate) struct JobBody {
    /// Its own id; no later process has a job of the same.
    id: u64,
    /// `activating`, `active`, `refused`.
    state: &'static str,
    /// The rule set's hash.
    hash: String,
    /// Tests of its own that passed.
    tests_passed: usize,
    /// What the checker thinks odd.
    warnings: Vec<Complaint>,
    /// How far it is, if state for new features is built from the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    building: Option<BuildingBody>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<crate::problem::Body>,
}

/// How far state is built.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Building)]
pub(crate) struct BuildingBody {
    /// Records of the journal that are in it.
    records: u64,
    /// Records that the journal holds.
    of: u64,
}

/// Rule sets on their way into force, the newest few.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<VecDeque<JobBody>>);

/// The id of a process's first job, the second that it is in: whoever follows one over a restart is not told of another one.
fn first_id() -> u64 {
    u64::try_from(now() / SECOND).unwrap_or_default()
}

impl Jobs {
    fn begin(&self, hash: String, tests_passed: usize, warnings: Vec<Complaint>) -> JobBody {
        let mut jobs = self.0.lock();
        let id = jobs.back().map_or_else(first_id, |it| it.id + 1);
        let job =
            JobBody { id, state: "activating", hash, tests_passed, warnings, building: None, problem: None };
        jobs.push_back(job.clone());
        // One that is under way is asked for still.
        let ended = jobs.iter().position(|it| it.state != "activating");
        if let Some(ended) = ended.filter(|_| JOBS_MAX < jobs.len()) {
            jobs.remove(ended);
        }
        job
    }

    fn tell(&self, id: u64, built: Built) {
        if let Some(job) = self.0.lock().iter_mut().find(|it| it.id == id) {
            job.building = Some(BuildingBody { records: built.records, of: built.of });
        }
    }

    fn end(&self, id: u64, outcome: Result<(), Problem>) {
        let mut jobs = self.0.lock();
        let Some(job) = jobs.iter_mut().find(|it| it.id == id) else { return };
        job.state = if outcome.is_ok() { "active" } else { "refused" };
        job.problem = outcome.err().map(|it| it.body());
    }

    fn find(&self, id: u64) -> Option<JobBody> {
        self.0.lock().iter().find(|it| it.id == id).cloned()
    }
}

/// Put a rule set in force
///
/// It is checked and its own tests are run before the answer; then a job activates it, which `Location` leads to. What
/// needs no new state (thresholds, texts, rules over existing features, going back within a day) takes over at once; for
/// other features state is built from the journal first, while decisions go on. Rates, and what lists of plain values hold,
/// stay as they are where the new files say nothing of them; entity lists always do. Whoever changes files of `GET /v1/rules`
/// sends its `base` with them: then nothing is undone that others did meanwhile.
#[utoipa::path(
    put, path = "/v1/rules", tag = "rules", security(("key" = ["admin", "analyst"])),
    operation_id = "put_rules",
    request_body(content = NewRules, example = json!({ "files": { "shop.schema.weir": EXAMPLE[0], "shop.weir": EXAMPLE[1] } })),
    responses((
        status = 202, description = "It is good, and a job activates it", body = JobBody,
        headers(("Location" = String, description = "The path of the job")),
    )),
    extensions(("x-problems" = json!(["invalid_fields", "invalid_rules", "not_activated", "rules_changed"])))
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Arc<Caller>>,
    body: JsonText<LARGE_BODY_BYTES_MAX>,
) -> Result<Response, Problem> {
    let new = body.read(&["base", "files"], |it| {
        let base = it.text("base").map(Cow::into_owned);
        let file = |name: &str, text: Cow<'_, str>| Ok((name.to_owned(), text.into_owned()));
        let files = it.object("files", |it| it.texts(file))?;
        Some(NewRules { files: files.into_iter().collect(), base })
    })?;
    app.traffic.check_memory()?;
    let here = Arc::clone(&app);
    let Examined { bundle, base, hash, files, tests_passed, warnings } =
        aside(move || examine(&new, &here)).await?;
    let files = serde_json::to_string(&files).map_err(|it| Problem::internal(&it))?;
    let version = app.desk.keep_rule_set(&hash, &files, &caller.name, now()).await?;
    let job = app.jobs.begin(hash, tests_passed, warnings);
    let id = job.id;
    tokio::spawn(async move {
        let here = Arc::clone(&app);
        // In a task of its own, so that the job ends however that one does.
        let activated = tokio::spawn(async move { activate(&here, bundle, base, (version, id)).await }).await;
        app.jobs.end(id, activated.unwrap_or_else(|broke_off| Err(Problem::internal(&broke_off))));
    });
    let location = [(header::LOCATION, format!("/v1/rules/jobs/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(job)).into_response())
}

/// Show a version of the rule set
///
/// What was sent, or came into force at a start. Sent again, its files are gone back to.
#[utoipa::path(
    get, path = "/v1/rules/versions/{id}", tag = "rules", security(("key" = ["admin", "analyst"])),
    operation_id = "show_rules_version",
    params(("id" = u64, Path, description = "The version's id", example = 1)),
    responses((status = 200, description = "The version", body = VersionFilesBody)),
    extensions(("x-problems" = json!(["version_unknown"])))
)]
pub(crate) async fn version(
    State(app): State<Arc<App>>,
    mut names: Names,
) -> Result<Json<VersionFilesBody>, Problem> {
    let id = names.number("id")?;
    let found = match i64::try_from(id) {
        Ok(id) => app.desk.rule_set_version(id).await?,
        Err(_) => None,
    };
    let unknown = || {
        let detail = format!("there is no version {id}");
        Problem::at(Code::VersionUnknown, Where::Parameter("id".to_owned()), detail)
    };
    let found = found.ok_or_else(unknown)?;
    let files = serde_json::from_str(&found.files).map_err(|it| Problem::internal(&it))?;
    Ok(Json(VersionFilesBody { version: VersionBody::from(&found), files }))
}

/// Show a job
#[utoipa::path(
    get, path = "/v1/rules/jobs/{id}", tag = "rules", security(("key" = ["admin", "analyst"])),
    operation_id = "show_rules_job",
    params(("id" = u64, Path, description = "The job's id", example = 1)),
    responses((status = 200, description = "How far it is", body = JobBody)),
    extensions(("x-problems" = json!(["job_unknown"])))
)]
pub(crate) async fn job(State(app): State<Arc<App>>, mut names: Names) -> Result<Json<JobBody>, Problem> {
    let id = names.number("id")?;
    let unknown =
        || Problem::at(Code::JobUnknown, Where::Parameter("id".to_owned()), format!("there is no job {id}"));
    app.jobs.find(id).map(Json).ok_or_else(unknown)
}

/// A rule set that may be put in force.
struct Examined {
    bundle: Bundle,
    /// Where its files came from, if that was said.
    base: Option<Base>,
    hash: String,
    files: BTreeMap<String, String>,
    tests_passed: usize,
    warnings: Vec<Complaint>,
}

fn examine(new: &NewRules, app: &App) -> Result<Examined, Problem> {
    let unread =
        || Problem::field("/base", "is not what `GET /v1/rules` gives as `base`: send that as it is");
    let base = new.base.as_deref().map(|it| Base::read(it).ok_or_else(unread)).transpose()?;
    let bundle = bundle_of(&new.files)?;
    let checked = bundle.check_new().map_err(|it| bad_bundle(&it, &bundle))?;
    let changed = base.as_ref().map(|it| it.changed(&bundle, &checked.rules.lists));
    if let (Some(base), Some(changed)) = (&base, &changed)
        && let Some(undone) = base.undone(changed, &app.door.in_force())
    {
        // It is looked at again when it comes into force.
        return Err(undone.problem());
    }
    let TestResults { passed, failures } =
        app.trial.run(&bundle, &checked).map_err(|it| Problem::at(Code::InvalidRules, whole(), it))?;
    if !failures.is_empty() {
        let detail = format!("{} of {} tests of its own failed", failures.len(), failures.len() + passed);
        let errors = failures.into_iter().map(|it| {
            let place =
                it.lines().find_map(|it| it.trim().strip_prefix("--> ")).unwrap_or_default().to_owned();
            Complaint { place: Where::File(place), detail: it.trim_end().to_owned() }
        });
        return Err(refused(detail, errors.collect()));
    }
    let warnings = complaints(&checked.warnings, &bundle, Severity::Warning);
    let (files, hash) = (files_of(&bundle, &checked.rules), hex(&checked.rules.hash));
    let bundle = changed.unwrap_or(bundle);
    Ok(Examined { bundle, base, hash, files, tests_passed: passed, warnings })
}

/// Puts a rule set in force and waits until that is durable.
async fn activate(
    app: &Arc<App>,
    bundle: Bundle,
    base: Option<Base>,
    (version, job): (i64, u64),
) -> Result<(), Problem> {
    let here = Arc::clone(app);
    let activate = move || {
        let bundle = Arc::new(bundle);
        let undoes_nothing = |now: &InForce| base.as_ref().is_none_or(|it| it.undone(&bundle, now).is_none());
        let may_follow = base.as_ref().map(|_| &undoes_nothing as MayFollow<'_>);
        here.activation.activate(&bundle, may_follow, &mut |it| here.jobs.tell(job, it))
    };
    let activated = tokio::task::spawn_blocking(activate).await;
    activated.map_err(|it| Problem::internal(&it))?.map_err(|it| not_activated(it, &app.metrics))?;
    all_durable(app).await?;
    // It is in force, whether or not the database can be told.
    if let Err(error) = app.desk.note_activation(version, now()).await {
        tracing::error!(%error, version, "the database does not know that this version is in force; the next start tells it");
    }
    Ok(())
}

/// Who put in force what nobody sent: the first rule set, that of a replay, one that a start activated.
const SERVER: &str = "weir serve";

/// Notes at a start what is in force, if it is not what was last put in force here.
///
/// # Errors
/// If the database fails.
pub(crate) async fn note_in_force(desk: &Desk, in_force: &InForce) -> Result<(), desk::Error> {
    let hash = hex(&in_force.rules.typed.hash);
    let Some(bundle) = &in_force.bundle else { return Ok(()) };
    if desk.rule_set_activated().await?.is_some_and(|it| it.hash == hash) {
        return Ok(());
    }
    let version = match desk.rule_set(&hash).await? {
        Some(known) => known.id,
        None => {
            // Texts by name are always JSON.
            let files = serde_json::to_string(&files_of(bundle, &in_force.rules.typed)).unwrap_or_default();
            desk.keep_rule_set(&hash, &files, SERVER, now()).await?
        }
    };
    desk.note_activation(version, now()).await
}

fn not_activated(why: BuildError, metrics: &Metrics) -> Problem {
    match why {
        BuildError::NotAtOnce(NotAtOnce::Overtaken) => Problem::new(Code::RulesChanged, why.to_string()),
        BuildError::NotAtOnce(NotAtOnce::Refused(why)) => super::incoming::refused("", why, metrics),
        BuildError::Poisoned(why) => super::incoming::refused("", why.into(), metrics),
        BuildError::Snapshot(why) if !is_of_rules(&why) => Problem::internal(&why),
        BuildError::Journal(_) | BuildError::Fold(_) | BuildError::Thread(_) => Problem::internal(&why),
        BuildError::Memory { needed, in_use, limit } => Problem {
            memory: Some(NoRoom { needed_bytes: needed, in_use_bytes: in_use, limit_bytes: limit }),
            ..Problem::new(Code::NotActivated, why.to_string())
        },
        other => Problem::new(Code::NotActivated, other.to_string()),
    }
}

/// Whether what is wrong is the rule set that was sent, beside the state to build upon, and not that state or its disk.
fn is_of_rules(why: &SnapshotError) -> bool {
    matches!(
        why,
        SnapshotError::OtherSchema { .. } | SnapshotError::SameVersion { .. } | SnapshotError::Lacking { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Who sent a rule set that does not fit the state is told so; what is wrong with the state itself is nobody's who sends.
    #[test]
    fn a_rule_set_that_does_not_fit_the_state_is_told_so() {
        let file = || PathBuf::from("base.snapshot");
        let metrics = Metrics::new().unwrap();
        let check = |why: SnapshotError, code: Code| {
            let shown = why.to_string();
            let problem = not_activated(why.into(), &metrics);
            assert_eq!(problem.code, code, "{shown}");
            assert_eq!(problem.detail == shown, code == Code::NotActivated, "{shown}");
        };
        let (theirs, ours, what) = ("`s` 2".to_owned(), "`t` 1".to_owned(), "another name".to_owned());
        check(SnapshotError::OtherSchema { file: file(), theirs, ours, what }, Code::NotActivated);
        let name = "s".to_owned();
        check(
            SnapshotError::SameVersion { file: file(), name, theirs: 1, ours: 1, what: "enums" },
            Code::NotActivated,
        );
        let features = vec!["n".to_owned()];
        check(SnapshotError::Lacking { file: file(), features, times: None }, Code::NotActivated);
        check(SnapshotError::OtherKey { file: file() }, Code::Internal);
        check(
            SnapshotError::Damaged { file: file(), block: 1, offset: 2, what: "its checksum" },
            Code::Internal,
        );
    }

    #[test]
    fn the_example_is_a_rule_set() {
        let [schema, rules] = EXAMPLE;
        Bundle::of(&[("shop.schema.weir", schema), ("shop.weir", rules)]).check_new().unwrap();
    }

    #[test]
    fn a_job_that_is_under_way_is_not_forgotten() {
        let jobs = Jobs::default();
        let begin = || jobs.begin("h".to_owned(), 0, Vec::new()).id;
        let ids: Vec<u64> = (0..2 * JOBS_MAX).map(|_| begin()).collect();
        let known = || ids.iter().copied().filter(|it| jobs.find(*it).is_some()).collect::<Vec<_>>();
        assert_eq!(known(), ids);
        ids[1..4].iter().for_each(|it| jobs.end(*it, Ok(())));
        assert_eq!((begin(), begin()), (ids[0] + 200, ids[0] + 201));
        assert_eq!(known(), [&ids[..1], &ids[3..]].concat(), "the oldest that ended makes room");
    }
}
