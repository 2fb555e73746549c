//! API keys: who may call, and as what.
//!
//! A key is 160 random bits behind `weir_`. It is shown when it is made and never again: what is kept is its BLAKE3
//! hash, which is as good as the key to compare with and of no use to whoever steals the database. (A slow hash defends
//! words that people choose. Nobody can try 2¹⁶⁰ keys.)

use engine::hex::hex;
use rules::time::Micros;
use sea_orm::{ActiveValue, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use crate::table::api_key::{ActiveModel, Column, Entity, Model};
use crate::{Desk, Error};

/// What every key begins with, so that a leaked one is recognised.
const PREFIX: &str = "weir_";
/// Random bytes of a key.
const BYTES: usize = 20;
/// Characters of a key that lists show.
const SHOWN: usize = PREFIX.len() + 6;

/// What a key's holder is. What each may do is said at the operations of the HTTP interface.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// May do everything.
    Admin,
    /// A person of the fraud desk: reads everything, works on alerts, changes lists and rules.
    Analyst,
    /// A program that moves money: sends events and amendments, and reads its decisions.
    Service,
    /// Who runs the server: metrics, rate tables.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Analyst, Self::Service, Self::Operator];

    /// The name used everywhere outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Analyst => "analyst",
            Self::Service => "service",
            Self::Operator => "operator",
        }
    }

    /// The role of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// A key, to whom it may be shown once.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The key as it travels.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn random() -> Result<Self, Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(Error::Random)?;
        Ok(Self(format!("{PREFIX}{}", hex(&bytes))))
    }

    fn shown(&self) -> &str {
        self.0.get(..SHOWN).unwrap_or_default()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({}…)", self.shown())
    }
}

/// What is kept of a key in its place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Of a key as it was sent.
    pub fn of(key: &str) -> Self {
        Self(*blake3::hash(key.as_bytes()).as_bytes())
    }

    /// In hexadecimal, as the database has it.
    fn text(self) -> String {
        hex(&self.0)
    }

    /// From hexadecimal; none if it is no hash.
    fn read(text: &str) -> Option<Self> {
        Some(Self(*blake3::Hash::from_hex(text).ok()?.as_bytes()))
    }
}

/// A key as lists show it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Counted up.
    pub id: i64,
    /// Its hash.
    pub hash: KeyHash,
    /// Its first characters, to tell it by.
    pub shown: String,
    /// What it is for, in its maker's words. Names need not be unique.
    pub name: String,
    /// What its holder is.
    pub role: Role,
    /// When it was made.
    pub created_at: Micros,
    /// Since when it is no longer valid.
    pub revoked_at: Option<Micros>,
}

impl Key {
    /// Whether this is the key of that hash.
    pub fn is(&self, hash: KeyHash) -> bool {
        self.hash == hash
    }
}

/// A role that this version does not know gives no key, nor does a hash that is none: nobody holds it here.
fn key(row: Model) -> Option<Key> {
    let Model { id, hash, shown, name, role, created_at, revoked_at, .. } = row;
    let (hash, role) = (KeyHash::read(&hash)?, Role::from_name(&role)?);
    Some(Key { id, hash, shown, name, role, created_at, revoked_at })
}

impl Desk {
    /// Makes a key. It is valid at once.
    ///
    /// # Errors
    /// If the database or the source of random bytes fails.
    pub async fn create_key(&self, role: Role, name: &str, now: Micros) -> Result<Secret, Error> {
        let secret = Secret::random()?;
        let row = ActiveModel {
            tenant: ActiveValue::Set(0),
            hash: ActiveValue::Set(KeyHash::of(&secret.0).text()),
            shown: ActiveValue::Set(secret.shown().to_owned()),
            name: ActiveValue::Set(name.to_owned()),
            role: ActiveValue::Set(role.name().to_owned()),
            created_at: ActiveValue::Set(now),
            ..ActiveModel::default()
        };
        Entity::insert(row).exec(&self.db).await?;
        Ok(secret)
    }

    /// All keys, revoked ones too, in the order in which they were made.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keys(&self) -> Result<Vec<Key>, Error> {
        let rows = Entity::find().order_by_asc(Column::Id).all(&self.db).await?;
        Ok(rows.into_iter().filter_map(key).collect())
    }

    /// The valid key of a hash.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn key_of(&self, hash: KeyHash) -> Result<Option<Key>, Error> {
        let valid = Entity::find().filter(Column::Hash.eq(hash.text())).filter(Column::RevokedAt.is_null());
        Ok(valid.one(&self.db).await?.and_then(key))
    }

    /// Revokes a key by its id; whether there was a valid one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revoke_key(&self, id: i64, now: Micros) -> Result<bool, Error> {
        let revoked = Entity::update_many()
            .col_expr(Column::RevokedAt, sea_orm::sea_query::Expr::value(now))
            .filter(Column::Id.eq(id))
            .filter(Column::RevokedAt.is_null())
            .exec(&self.db)
            .await?;
        Ok(revoked.rows_affected == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;
    use crate::testing::over_each;

    #[tokio::test]
    async fn a_key_is_valid_until_it_is_revoked() {
        over_each(async |database| {
            let desk = Desk::open(database).await.unwrap();
            let secret = desk.create_key(Role::Analyst, "Ann's", 5).await.unwrap();
            assert_eq!(secret.reveal().len(), 45);
            let hash = KeyHash::of(secret.reveal());

            // Another process sees it at once, and so does one that comes later.
            let other = Desk::open(database).await.unwrap();
            let found = other.key_of(hash).await.unwrap().unwrap();
            assert_eq!((found.role, found.name.as_str(), found.created_at), (Role::Analyst, "Ann's", 5));
            assert!(found.is(hash) && secret.reveal().starts_with(&found.shown));
            assert_eq!(other.key_of(KeyHash::of("weir_0")).await.unwrap(), None);

            assert!(other.revoke_key(found.id, 9).await.unwrap());
            assert!(!other.revoke_key(found.id, 10).await.unwrap(), "once");
            assert_eq!(desk.key_of(hash).await.unwrap(), None);
            assert_eq!(desk.keys().await.unwrap().first().unwrap().revoked_at, Some(9));
        })
        .await
        .unwrap();
    }

    /// Whatever its name looks like in a URL.
    #[tokio::test]
    async fn the_file_is_where_it_is_said_to_be() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("50%20 a?mode=ro#x");
        std::fs::create_dir(&odd).unwrap();
        let desk = Desk::open(&Database::File(odd.join("weir.db"))).await.unwrap();
        desk.create_key(Role::Analyst, "Ann's", 5).await.unwrap();
        desk.close().await;
        assert!(odd.join("weir.db").is_file());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nowhere else");
    }

    #[tokio::test]
    async fn a_key_is_kept_as_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let desk = Desk::open(&Database::File(folder.path().join("weir.db"))).await.unwrap();
        let secret = desk.create_key(Role::Analyst, "Ann's", 5).await.unwrap();
        desk.close().await;
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let secret = secret.reveal().as_bytes();
            assert!(!bytes.windows(secret.len()).any(|it| it == secret), "the key itself is nowhere");
        }
    }
}
