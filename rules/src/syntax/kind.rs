//! The kinds of tokens and nodes that a tree is made of.
//!
//! Reserved words are tokens of their own. All other words of the language are [`SyntaxKind::Word`]s that the
//! grammar knows by their text where it expects them, so that they stay free as names.

use logos::Logos;

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// A kind of token or node.
        #[expect(missing_docs, reason = "each is named after what it holds, and the grammar is its documentation")]
        #[derive(Logos, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        pub enum SyntaxKind { $($(#[$meta])* $name,)* }

        impl SyntaxKind {
            /// All, each at the index that is its number in the tree.
            const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

kinds! {
    // Trivia: what the grammar does not see.
    #[regex(r"[\s\u{FEFF}]+", priority = 9)]
    Whitespace,
    #[regex(r"//[^\n]*", allow_greedy = true)]
    Comment,
    // Characters without meaning, already reported.
    Unknown,

    #[regex(r"[A-Za-z_][A-Za-z0-9_]*", priority = 3)]
    Word,
    // A word with letters beyond a to z; reported, then taken as a word.
    #[regex(r"[\p{XID_Start}_]\p{XID_Continue}*", priority = 1)]
    ForeignWord,
    #[regex(r"[0-9]+(\.[0-9]+)?", priority = 6)]
    Number,
    #[regex(r"[0-9]+(ms|s|m|h|d|w)", priority = 9)]
    Duration,
    #[regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", priority = 9)]
    Date,
    // A number with letters behind it that are no unit of time; reported, then taken as what it most resembles.
    #[regex(r"[0-9]+(\.[0-9]+)?[A-Za-z_][A-Za-z0-9_]*", priority = 5)]
    GluedNumber,
    #[regex(r#""([^"\n]|"")*""#, priority = 9)]
    Text,
    // Reported, then taken as a text.
    #[regex(r#""([^"\n]|"")*"#, priority = 5)]
    UnclosedText,

    // Reserved words.
    #[token("feature")]
    FeatureKw,
    #[token("rule")]
    RuleKw,
    #[token("policy")]
    PolicyKw,
    #[token("test")]
    TestKw,
    #[token("list")]
    ListKw,
    #[token("table")]
    TableKw,
    #[token("const")]
    ConstKw,
    #[token("record")]
    RecordKw,
    #[token("use")]
    UseKw,
    #[token("and")]
    AndKw,
    #[token("or")]
    OrKw,
    #[token("not")]
    NotKw,
    #[token("in")]
    InKw,
    #[token("is")]
    IsKw,
    #[token("missing")]
    MissingKw,
    #[token("where")]
    WhereKw,
    #[token("when")]
    WhenKw,
    #[token("then")]
    ThenKw,
    #[token("by")]
    ByKw,
    #[token("over")]
    OverKw,
    #[token("this")]
    ThisKw,
    #[token("any")]
    AnyKw,
    #[token("true")]
    TrueKw,
    #[token("false")]
    FalseKw,

    // Punctuation.
    #[token("(")]
    OpenParen,
    #[token(")")]
    CloseParen,
    #[token("[")]
    OpenBracket,
    #[token("]")]
    CloseBracket,
    #[token(",")]
    Comma,
    #[token(":")]
    Colon,
    #[token(".")]
    Dot,
    #[token("..")]
    DotDot,
    #[token("?")]
    Question,
    #[token("??")]
    QuestionQuestion,
    #[token("=")]
    Equals,
    #[token("==")]
    EqualsEquals,
    #[token("!=")]
    NotEquals,
    #[token("<")]
    Less,
    #[token("<=")]
    LessEquals,
    #[token(">")]
    Greater,
    #[token(">=")]
    GreaterEquals,
    #[token("+")]
    Plus,
    #[token("-")]
    Minus,
    #[token("*")]
    Star,
    #[token("/")]
    Slash,
    #[token("%")]
    Percent,
    #[token("->")]
    Arrow,
    // An operator of another language; reported, then taken as ours.
    #[token("&&")]
    #[token("||")]
    #[token("!")]
    #[token("<>")]
    #[token("=>")]
    #[token("=<")]
    #[token("===")]
    #[token("≤")]
    #[token("≥")]
    #[token("≠")]
    ForeignOperator,
    // What lies behind the last token.
    End,

    // Nodes.
    File,
    Error,
    Name,
    TypeRef,

    Schema,
    Setting,
    Entity,
    Enum,
    Event,
    Field,
    Use,
    List,
    Table,
    Const,
    Feature,
    Record,
    Rule,
    Policy,
    Test,

    Literal,
    Path,
    Lookup,
    Call,
    Arg,
    Aggregate,
    Clause,
    Set,
    Paren,
    Negate,
    Not,
    Binary,
    In,
    IsMissing,

    On,
    When,
    Then,
    Effect,
    ScoreSign,
    PolicyLine,
    Step,
    Expectation,
}

impl SyntaxKind {
    /// Whether the grammar does not see it.
    pub fn is_trivia(self) -> bool {
        matches!(self, Self::Whitespace | Self::Comment | Self::Unknown)
    }

    /// Whether it is a word of the language that cannot be a name.
    pub fn is_reserved(self) -> bool {
        Self::FeatureKw <= self && self <= Self::FalseKw
    }

    /// Whether an item begins with it wherever it stands.
    pub fn is_item_word(self) -> bool {
        Self::FeatureKw <= self && self <= Self::UseKw
    }
}

/// Our kinds in the tree's type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Weir {}

impl rowan::Language for Weir {
    type Kind = SyntaxKind;

    fn kind_from_raw(raw: rowan::SyntaxKind) -> SyntaxKind {
        SyntaxKind::ALL.get(usize::from(raw.0)).copied().unwrap_or(SyntaxKind::Unknown)
    }

    fn kind_to_raw(kind: SyntaxKind) -> rowan::SyntaxKind {
        rowan::SyntaxKind(kind as u16)
    }
}

/// A node of the lossless tree.
pub type SyntaxNode = rowan::SyntaxNode<Weir>;
/// A token of the lossless tree.
pub type SyntaxToken = rowan::SyntaxToken<Weir>;
