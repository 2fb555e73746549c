//! Text files, or where they are no text.

use std::io::{self, Read};
use std::path::Path;

use rules::diagnostic::line_column;

/// A whole file as text.
///
/// # Errors
/// If it cannot be read; where it is not UTF-8, with line and column.
pub fn read(path: &Path) -> io::Result<String> {
    of(std::fs::read(path)?)
}

/// What is left of a stream as text.
///
/// # Errors
/// As [`read`].
pub fn read_from(mut stream: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    of(bytes)
}

fn of(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let bytes = error.into_bytes();
        let before = bytes.get(..sound).and_then(|it| str::from_utf8(it).ok()).unwrap_or_default();
        let place = line_column(before, u32::try_from(sound).unwrap_or(u32::MAX));
        let byte = bytes.get(sound).copied().unwrap_or_default();
        let message = format!(
            "line {}, column {}: the byte 0x{byte:02x} is not UTF-8: save the file as UTF-8",
            place.line, place.column
        );
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        #[rustfmt::skip]
        let rows: [(&[u8], Result<&str, &str>); 5] = [
            (b"",                  Ok("")),
            ("z\u{fc}ge\n".as_bytes(), Ok("z\u{fc}ge\n")),
            (b"\xfcber",           Err("line 1, column 1: the byte 0xfc is not UTF-8: save the file as UTF-8")),
            (b"a\nb\n\xc3\xbcb\xfc", Err("line 3, column 3: the byte 0xfc is not UTF-8: save the file as UTF-8")),
            (b"a\r\n\xe2\x82",     Err("line 2, column 1: the byte 0xe2 is not UTF-8: save the file as UTF-8")),
        ];
        for (bytes, expected) in rows {
            let told = of(bytes.to_vec()).map_err(|it| it.to_string());
            assert_eq!(told, expected.map(str::to_owned).map_err(str::to_owned), "{bytes:?}");
        }
    }
}
