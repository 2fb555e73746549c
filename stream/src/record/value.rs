//! A feature's value in bytes.

use rules::value::Value;

/// A value in bytes: its form (0 missing, 1 flag, 2 exact, 3 real), then 0, 1, 16 or 8 bytes little-endian.
pub(super) fn put_value(value: Value, into: &mut Vec<u8>) {
    match value {
        Value::Missing => into.push(0),
        Value::Flag(flag) => into.extend_from_slice(&[1, u8::from(flag)]),
        Value::Exact(exact) => {
            into.push(2);
            into.extend_from_slice(&exact.to_le_bytes());
        }
        Value::Real(real) => {
            into.push(3);
            into.extend_from_slice(&real.to_bits().to_le_bytes());
        }
    }
}

/// How many bytes [`put_value`] writes.
pub(super) fn value_bytes(value: Value) -> usize {
    1 + match value {
        Value::Missing => 0,
        Value::Flag(_) => 1,
        Value::Exact(_) => 16,
        Value::Real(_) => 8,
    }
}

/// The value at the front, and what follows it; none if the bytes are damaged.
pub(super) fn take_value(bytes: &[u8]) -> Option<(Value, &[u8])> {
    let (form, rest) = bytes.split_first()?;
    Some(match form {
        0 => (Value::Missing, rest),
        1 => rest.split_first().map(|(flag, rest)| (Value::Flag(*flag != 0), rest))?,
        2 => {
            rest.split_first_chunk().map(|(bytes, rest)| (Value::Exact(i128::from_le_bytes(*bytes)), rest))?
        }
        3 => rest
            .split_first_chunk()
            .map(|(bytes, rest)| (Value::Real(f64::from_bits(u64::from_le_bytes(*bytes))), rest))?,
        _ => return None,
    })
}
