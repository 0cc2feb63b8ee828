//! Rows of tables whose cells are told apart by a delimiter, with quotes around those that have one.

/// Whether a text is within quotes, as it is gone through.
#[derive(Clone, Copy, Debug)]
pub struct Quotes {
    delimiter: u8,
    state: State,
    line: u64,
    opened: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    CellBegins,
    Plain,
    Quoted,
    /// After a quote within quotes: another one stands for itself, anything else follows them.
    Closing,
}

impl Quotes {
    pub fn new(delimiter: u8) -> Quotes {
        Quotes { delimiter, state: State::CellBegins, line: 1, opened: 0 }
    }

    pub fn read(&mut self, text: &[u8]) {
        for byte in text {
            self.line += u64::from(*byte == b'\n');
            self.state = match (self.state, *byte) {
                (State::Quoted, b'"') => State::Closing,
                (State::Quoted, _) => State::Quoted,
                (State::Closing, b'"') => State::Quoted,
                (_, b'\n' | b'\r') => State::CellBegins,
                (_, byte) if byte == self.delimiter => State::CellBegins,
                (State::CellBegins, b'"') => {
                    self.opened = self.line;
                    State::Quoted
                }
                _ => State::Plain,
            };
        }
    }

    pub fn are_open(&self) -> bool {
        self.state == State::Quoted
    }
}

/// Hands over rows, each with the line that it ends on. Quotes that never end would have all that follows: an error, before any
/// row is handed over.
pub fn for_each_row(
    text: &str,
    delimiter: u8,
    mut take: impl FnMut(u64, &[String]) -> Result<(), String>,
) -> Result<(), String> {
    let mut quotes = Quotes::new(delimiter);
    quotes.read(text.as_bytes());
    if quotes.are_open() {
        return Err(format!("line {}: a quote begins here and never ends", quotes.opened));
    }
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let mut input = text.as_bytes();
    let (mut out, mut ends) = (vec![0; 4096], vec![0; 64]);
    let (mut written, mut ended) = (0, 0);
    loop {
        let (result, read, wrote, fields) = reader.read_record(input, &mut out[written..], &mut ends[ended..]);
        input = &input[read..];
        (written, ended) = (written + wrote, ended + fields);
        match result {
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::OutputFull => out.resize(out.len() * 2, 0),
            csv_core::ReadRecordResult::OutputEndsFull => ends.resize(ends.len() * 2, 0),
            csv_core::ReadRecordResult::Record => {
                let mut start = 0;
                let cells: Vec<String> = ends[..ended]
                    .iter()
                    .map(|end| {
                        let cell = String::from_utf8_lossy(&out[start..*end]).into_owned();
                        start = *end;
                        cell
                    })
                    .collect();
                take(reader.line().saturating_sub(1), &cells)?;
                (written, ended) = (0, 0);
            }
            csv_core::ReadRecordResult::End => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<(u64, Vec<String>)>, String> {
        let mut rows = Vec::new();
        for_each_row(text, b',', |line, cells| {
            rows.push((line, cells.to_vec()));
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn a_quote_that_never_ends_is_named_and_takes_nothing_along() {
        for (text, line) in
            [("a,b\n1,\"x\n2,y\n3,z\n", 2), ("\"a", 1), ("a\r\n\"x\r\ny\"\r\nb,\"\"\"\r\n", 4), ("a,\"x\"\nb,\"", 2)]
        {
            let told = rows(text).unwrap_err();
            assert!(told.starts_with(&format!("line {line}: a quote begins")), "{text}: {told}");
        }
        for (text, cells) in [
            ("a,\"x\ny\"\n", vec!["a", "x\ny"]),
            ("a,\"x\"\"y\"", vec!["a", "x\"y"]),
            ("5\" disk,b\n", vec!["5\" disk", "b"]),
            ("a,\"\"\n", vec!["a", ""]),
        ] {
            let found = rows(text).unwrap();
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].1, cells, "{text}");
        }
    }
}
