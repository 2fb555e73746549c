//! What stands between two tokens.

use super::super::kind::{SyntaxKind as K, SyntaxNode, SyntaxToken};
use super::page::Group;

/// How far in the parts of an item stand.
const PART_INDENT: usize = 2;

/// What stands between a token and the one before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// One space.
    Space,
    /// The end of a column: as many spaces as it takes, at least one.
    Column,
    /// The end of a line. The new one stands so far in, and its columns are those of its group.
    Line { indent: usize, group: Option<Group> },
}

/// What stands before a token.
pub(super) fn gap(before: Option<&SyntaxToken>, token: &SyntaxToken) -> Gap {
    let nodes = || {
        token.parent_ancestors().take_while(|node| node.text_range().start() == token.text_range().start())
    };
    if let Some(line) = nodes().find_map(|node| line(&node)) {
        return line;
    }
    let (Some(before), Some(parent)) = (before, token.parent()) else { return Gap::Space };
    if starts_column(&parent, before, token) {
        return Gap::Column;
    }
    if is_tight(&parent, before, token) { Gap::None } else { Gap::Space }
}

/// The line that a node begins, if it begins one.
fn line(node: &SyntaxNode) -> Option<Gap> {
    let parent = node.parent().map(|parent| parent.kind());
    let group = match node.kind() {
        K::Setting => Some(Group::Settings),
        K::Entity => Some(Group::Entities),
        K::List | K::Table => Some(Group::Lists),
        K::Const => Some(Group::Constants),
        K::Feature => Some(Group::Features),
        K::Field => Some(Group::Fields),
        K::Step => Some(Group::Steps),
        K::Then if parent == Some(K::Test) => Some(Group::Steps),
        _ => None,
    };
    if parent == Some(K::File) {
        return Some(Gap::Line { indent: 0, group });
    }
    let is_part = match node.kind() {
        K::Field | K::Step | K::When | K::Then | K::PolicyLine => true,
        K::On => parent == Some(K::Rule),
        _ => false,
    };
    is_part.then_some(Gap::Line { indent: PART_INDENT, group })
}

/// Whether a token is the first of its line's next column.
fn starts_column(parent: &SyntaxNode, before: &SyntaxToken, token: &SyntaxToken) -> bool {
    let Some(above) = before.parent() else { return false };
    let behind_first_word = above.text_range().start() == before.text_range().start();
    let behind = match above.kind() {
        // zone | "Asia/Shanghai", list | watched, given | payment
        K::Setting | K::List | K::Table | K::Step => behind_first_word,
        // then | block
        K::Then => behind_first_word && above.parent().is_some_and(|item| item.kind() == K::Test),
        // user: | user
        K::Field => before.kind() == K::Colon,
        _ => false,
    };
    behind
        || match token.kind() {
            // list watched | : user
            K::Colon => matches!(parent.kind(), K::List | K::Table),
            // feature x | = 1
            K::Equals => matches!(parent.kind(), K::Const | K::Feature),
            // entity card | owned
            K::Word => parent.kind() == K::Entity,
            _ => false,
        }
}

/// Whether nothing stands between two tokens of a line.
fn is_tight(parent: &SyntaxNode, before: &SyntaxToken, token: &SyntaxToken) -> bool {
    let tight_before = match token.kind() {
        K::Comma | K::CloseParen | K::CloseBracket | K::Dot | K::Percent | K::Question => true,
        K::Colon => parent.kind() == K::Field,
        K::OpenParen => matches!(parent.kind(), K::Call | K::TypeRef),
        K::OpenBracket => parent.kind() == K::Lookup,
        // km/h
        K::Slash => parent.kind() == K::Literal,
        _ => false,
    };
    let behind = before.parent().map(|node| node.kind());
    let tight_behind = match before.kind() {
        K::OpenParen | K::OpenBracket | K::Dot => true,
        K::Slash => behind == Some(K::Literal),
        K::Minus if behind == Some(K::Negate) => true,
        // score +40, but score + 40 * risk
        K::Plus | K::Minus if behind == Some(K::ScoreSign) => {
            parent.kind() == K::Literal && parent.parent().is_some_and(|above| above.kind() == K::Effect)
        }
        _ => false,
    };
    tight_before || tight_behind
}

/// Whether a line break before this token was the author's to choose: inside expressions and lists, not inside the
/// head of an item.
pub(super) fn keeps_break(token: &SyntaxToken) -> bool {
    let mut nodes = token.parent_ancestors().map(|node| node.kind());
    let inner = nodes.find(|kind| !matches!(kind, K::Name | K::Literal));
    !matches!(
        inner,
        Some(
            K::File
                | K::Schema
                | K::Setting
                | K::Entity
                | K::Event
                | K::Field
                | K::TypeRef
                | K::Use
                | K::List
                | K::Table
                | K::Const
                | K::Feature
                | K::Rule
                | K::Policy
                | K::Test
        )
    )
}
