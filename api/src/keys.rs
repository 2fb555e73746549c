//! Who calls, and whether they may: keys are looked up by hash, and the roles that an operation asks for are those that
//! its description in the OpenAPI document names. What is documented is what is enforced.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::{HeaderMap, Method, header};
use desk::Desk;
use desk::key::{Key, KeyHash, Role};
use tokio::sync::Semaphore;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;

use crate::limits::{DATABASE_TIME_MAX, KEYS_REFRESH, LOOK_UPS_MAX};
use crate::operations::Operations;
use crate::problem::{Code, Problem, Where};

/// The name of the security scheme in the OpenAPI document.
pub(crate) const SCHEME: &str = "key";

/// The valid keys, in memory: a request never waits for the database because of its key, except the first of a key that
/// was made since they were last read.
#[derive(Debug)]
pub(crate) struct Keys {
    desk: Desk,
    valid: ArcSwap<HashMap<KeyHash, Arc<Caller>>>,
    /// Taken while a key is looked up that is not among them.
    look_ups: Semaphore,
}

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Caller {
    /// The key, as it is kept.
    pub(crate) key: KeyHash,
    /// The key's name.
    pub(crate) name: String,
    /// What its holder is.
    pub(crate) role: Role,
}

impl Keys {
    /// Reads the valid keys.
    ///
    /// # Errors
    /// If the database fails.
    pub(crate) async fn read(desk: Desk) -> Result<Self, desk::Error> {
        let keys = Self { desk, valid: ArcSwap::default(), look_ups: Semaphore::new(LOOK_UPS_MAX) };
        keys.refresh().await?;
        Ok(keys)
    }

    /// Reads them again, as long as somebody holds them: so a revoked key is refused soon.
    pub(crate) async fn keep_fresh(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(KEYS_REFRESH);
        loop {
            ticks.tick().await;
            match tokio::time::timeout(DATABASE_TIME_MAX, self.refresh()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the API keys cannot be read; those known stay valid");
                }
                Err(_) => tracing::warn!("the database does not answer; the API keys known stay valid"),
            }
        }
    }

    async fn refresh(&self) -> Result<(), desk::Error> {
        let keys = self.desk.keys().await?.into_iter().filter(|it| it.revoked_at.is_none());
        self.valid.store(Arc::new(keys.map(|it| (it.hash, caller(it))).collect()));
        Ok(())
    }

    /// Who holds a key; none if it is not valid.
    ///
    /// # Errors
    /// If the database fails, or too many wait for it already.
    pub(crate) async fn caller(&self, hash: KeyHash) -> Result<Option<Arc<Caller>>, Problem> {
        if let Some(known) = self.valid.load().get(&hash) {
            return Ok(Some(Arc::clone(known)));
        }
        let Ok(_one) = self.look_ups.try_acquire() else {
            let detail = "the key is not known, and too many such keys are being looked up already";
            return Err(Problem::new(Code::Unavailable, detail).retry_after_s(1));
        };
        // Rare, and too large to be carried by every request.
        Ok(Box::pin(self.desk.key_of(hash)).await?.map(caller))
    }

    /// Whether a caller's key is still valid. It is as long as nobody can say otherwise.
    pub(crate) async fn holds(&self, caller: &Caller) -> bool {
        !matches!(self.caller(caller.key).await, Ok(None))
    }
}

fn caller(key: Key) -> Arc<Caller> {
    Arc::new(Caller { key: key.hash, name: key.name, role: key.role })
}

/// Which roles each operation asks for, none if it is open to all; an operation that is not known asks for an admin.
#[derive(Clone, Debug)]
pub(crate) struct Permissions {
    keys: Arc<Keys>,
    roles: Arc<Operations<Option<Vec<Role>>>>,
}

impl Permissions {
    /// Of the operations of a document, and of pages that are open to all.
    pub(crate) fn of(document: &OpenApi, pages: &[&str], keys: Arc<Keys>) -> Self {
        let mut roles = Operations::of(document, roles_of);
        for page in pages {
            roles.page(page, None);
        }
        Self { keys, roles: Arc::new(roles) }
    }
}

/// The roles that an operation's description names; none if it names no security at all.
pub(crate) fn roles_of(operation: &Operation) -> Option<Vec<Role>> {
    let security = serde_json::to_value(operation.security.as_ref()?).unwrap_or_default();
    let named = security.as_array().into_iter().flatten().filter_map(|it| it.get(SCHEME)?.as_array());
    Some(named.flatten().filter_map(|it| Role::from_name(it.as_str()?)).collect())
}

impl Permissions {
    /// Lets a request through whose key may do what it asks for; gives whose that is, if it needs one.
    ///
    /// # Errors
    /// If there is no key, it is not valid, or not for this.
    pub(crate) async fn admit(
        &self,
        route: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Option<Arc<Caller>>, Problem> {
        let Some(roles) = self.roles_for(route, method) else { return Ok(None) };
        self.caller(KeyHash::of(key_of(headers)?), roles).await.map(Some)
    }

    /// The roles that an operation asks for; none if it is open to all.
    fn roles_for(&self, route: &str, method: &Method) -> Option<&[Role]> {
        self.roles.find(route, method).map_or(Some(&[Role::Admin]), Option::as_deref)
    }

    /// Who holds a key, if its role is one of these.
    async fn caller(&self, key: KeyHash, roles: &[Role]) -> Result<Arc<Caller>, Problem> {
        let found = self.keys.caller(key).await?;
        let caller =
            found.ok_or_else(|| unauthorized("the key is not valid: it is unknown, or was revoked"))?;
        if roles.contains(&caller.role) {
            return Ok(caller);
        }
        let names: Vec<String> = roles.iter().map(|it| format!("`{}`", it.name())).collect();
        let detail = format!(
            "a key of the role `{}` may not do this: use one of {}",
            caller.role.name(),
            names.join(", ")
        );
        Err(Problem::new(Code::Forbidden, detail))
    }
}

fn key_of(headers: &HeaderMap) -> Result<&str, Problem> {
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorized("no key: send the header `Authorization: Bearer KEY`"));
    };
    let shape = || unauthorized("the header is not of the form `Authorization: Bearer KEY`");
    let (scheme, key) = given.to_str().ok().and_then(|it| it.split_once(' ')).ok_or_else(shape)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim()) } else { Err(shape()) }
}

fn unauthorized(detail: &str) -> Problem {
    Problem::at(Code::Unauthorized, Where::Header("Authorization".to_owned()), detail)
}
