//! An event's fields as one row of bytes: what a record of the journal and a repeat hold.
//!
//! ```text
//! event type u16 | fields u16 | map: 2 bits a field, first field lowest
//!   | fixed: number i64, or minor units i64 and currency 3 bytes, or length of a text u32, in field order
//!   | texts, in field order
//! ```
//! All little-endian. The map says what stands where (0 missing, 1 number, 2 money, 3 text), so that a row is read
//! back without knowing its types, and a reader can tell a field that it does not know. Fields count up to the last one
//! that is present: one that a later schema adds behind the others leaves the bytes of older events alone.

use engine::event::{Event, FieldValue};
use rules::schema::{Currency, EventTypeId};

/// Appends the row of an event's fields, but for those that are left `out`.
pub(crate) fn encode(event: &Event, out: impl Fn(usize) -> bool, into: &mut Vec<u8>) {
    let stands = |at: &usize| !out(*at) && event.value(*at) != FieldValue::Missing;
    let fields = (0..event.present()).rev().find(stands).map_or(0, |last| last + 1);
    into.extend_from_slice(&event.event_type.map_or(u16::MAX, |it| it.0).to_le_bytes());
    into.extend_from_slice(&u16::try_from(fields).unwrap_or(u16::MAX).to_le_bytes());
    let map = into.len();
    into.resize(map + fields.div_ceil(4), 0);
    for at in (0..fields).filter(|at| !out(*at)) {
        let kind = match event.value(at) {
            FieldValue::Missing => continue,
            FieldValue::Number(number) => {
                into.extend_from_slice(&number.to_le_bytes());
                1
            }
            FieldValue::Money { minor, currency } => {
                into.extend_from_slice(&minor.to_le_bytes());
                into.extend_from_slice(currency.code().as_bytes());
                2
            }
            FieldValue::Text(text) => {
                into.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                3
            }
        };
        if let Some(byte) = into.get_mut(map + at / 4) {
            *byte |= kind << (2 * (at % 4));
        }
    }
    for at in (0..fields).filter(|at| !out(*at)) {
        into.extend_from_slice(event.text_bytes_at(at));
    }
}

/// Fills an event's type and fields from a row; none if the bytes are not a row.
pub(crate) fn decode(bytes: &[u8], into: &mut Event) -> Option<()> {
    let mut fixed = Reader(bytes);
    let event_type = u16::from_le_bytes(fixed.take()?);
    let fields = usize::from(u16::from_le_bytes(fixed.take()?));
    let map = fixed.slice(fields.div_ceil(4))?;
    into.begin(EventTypeId(event_type), fields);
    let kind = |at: usize| map.get(at / 4).map_or(0, |byte| byte >> (2 * (at % 4)) & 3);
    let fixed_bytes: usize = (0..fields).map(|at| fixed_bytes(kind(at))).sum();
    let mut texts = Reader(fixed.0.get(fixed_bytes..)?);
    for at in 0..fields {
        match kind(at) {
            1 => into.set_number(at, i64::from_le_bytes(fixed.take()?)),
            2 => {
                let minor = i64::from_le_bytes(fixed.take()?);
                let code: [u8; 3] = fixed.take()?;
                into.set_money(at, minor, Currency::from_code(str::from_utf8(&code).ok()?)?);
            }
            3 => {
                let length = u32::from_le_bytes(fixed.take()?) as usize;
                into.set_text(at, str::from_utf8(texts.slice(length)?).ok()?);
            }
            _ => {}
        }
    }
    Some(())
}

/// How many bytes a field of this kind has in the fixed part.
fn fixed_bytes(kind: u8) -> usize {
    match kind {
        1 => 8,
        2 => 11,
        3 => 4,
        _ => 0,
    }
}

/// Bytes taken from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.slice(N)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let mut event = Event::default();
        event.begin(EventTypeId(3), 6);
        event.set_number(0, -7);
        event.set_text(2, "卡");
        event.set_money(3, 1250, Currency::from_code("CNY").unwrap());
        event.set_text(5, "");
        event
    }

    #[test]
    fn a_row_is_read_back_as_it_was_and_any_shorter_one_is_refused() {
        let (mut bytes, mut back) = (Vec::new(), Event::default());
        encode(&event(), |_| false, &mut bytes);
        assert_eq!(decode(&bytes, &mut back), Some(()));
        assert_eq!(back, event());
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length], &mut back), None, "{length} bytes");
        }
    }
}
