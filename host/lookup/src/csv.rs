//! Rows of tables whose cells are told apart by a delimiter, with quotes around those that have one.

/// Hands over rows, each with the line that it ends on.
pub fn for_each_row(
    text: &str,
    delimiter: u8,
    mut take: impl FnMut(u64, &[String]) -> Result<(), String>,
) -> Result<(), String> {
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
