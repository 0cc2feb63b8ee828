//! Which partition of which table an object of the archive lies in, by its key.

use crate::columns::PARTITION;
use jiff::civil::Date;

/// Where an object lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Of the table: the last of its folders.
    pub table: String,
    /// `YYYY-MM-DD-HH`
    pub dt: String,
    /// The table's folder within the bucket, without a slash at its end.
    pub folder: String,
    /// The partition's folder within the bucket, with a slash at its end.
    pub partition: String,
}

/// Of a key as S3 knows it, decoded. `FOLDERS/TABLE/dt=YYYY-MM-DD-HH/…` is how archives lie; `FOLDERS/TABLE/YYYY/MM/DD/HH/…` is how
/// StreamAlert laid JSON. `None`: it is no object of a table.
pub fn place(key: &str) -> Option<Place> {
    // Folders that consoles and Hadoop make are no data.
    if key.ends_with('/') || key.ends_with("_$folder$") {
        return None;
    }
    let folders: Vec<&str> = key.split('/').collect();
    let (_, folders) = folders.split_last()?;
    let found = |at: usize, length: usize, dt: &str| {
        let (table, above) = folders[..at].split_last()?;
        if table.is_empty() || above.iter().any(|folder| folder.is_empty()) {
            return None;
        }
        Some(Place {
            table: table.to_lowercase(),
            dt: hour(dt)?,
            folder: folders[..at].join("/"),
            partition: format!("{}/", folders[..at + length].join("/")),
        })
    };
    // The last one counts: a table's folder may be called anything.
    for at in (1..folders.len()).rev() {
        let dated = folders[at].split_once('=').filter(|(name, _)| *name == PARTITION);
        if let Some(place) = dated.and_then(|(_, dt)| found(at, 1, dt)) {
            return Some(place);
        }
        if let Some(parts) = folders.get(at..at + 4)
            && let Some(place) = found(at, 4, &parts.join("-"))
        {
            return Some(place);
        }
    }
    None
}

/// An hour that there is, as it is written.
fn hour(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day, hour] = parts[..] else { return None };
    let is_digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(year, 4) || ![month, day, hour].iter().all(|part| is_digits(part, 2)) {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    (hour.parse::<u8>().ok()? < 24).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(key: &str) -> Option<[String; 4]> {
        place(key).map(|place| [place.table, place.dt, place.folder, place.partition])
    }

    #[test]
    fn objects_of_a_table_lie_in_their_hour() {
        let expect = |key: &str, expected: [&str; 4]| {
            assert_eq!(told(key), Some(expected.map(str::to_owned)), "{key}");
        };
        let hour = "2026-01-02-03";
        expect("a_b/dt=2026-01-02-03/f.parquet", ["a_b", hour, "a_b", "a_b/dt=2026-01-02-03/"]);
        expect("parquet/A_b/dt=2026-01-02-03/x/f", ["a_b", hour, "parquet/A_b", "parquet/A_b/dt=2026-01-02-03/"]);
        expect("a_b/2026/01/02/03/f.gz", ["a_b", hour, "a_b", "a_b/2026/01/02/03/"]);
        expect("alerts/dt=2026-01-02-03/f.json", ["alerts", hour, "alerts", "alerts/dt=2026-01-02-03/"]);
        expect("2026/01/02/03/dt=2026-01-02-03/f", ["03", hour, "2026/01/02/03", "2026/01/02/03/dt=2026-01-02-03/"]);
        expect("a/dt=2028-02-29-23/f", ["a", "2028-02-29-23", "a", "a/dt=2028-02-29-23/"]);
    }

    #[test]
    fn all_else_lies_in_no_table() {
        for key in [
            "",
            "/",
            "a_b/dt=2026-01-02-03/",
            "a_b/dt=2026-01-02-03_$folder$",
            "a_b/dt=2026-01-02-03/x_$folder$",
            "dt=2026-01-02-03/f",
            "/dt=2026-01-02-03/f",
            "a//dt=2026-01-02-03/f",
            "a/dt=2026-01-02/f",
            "a/dt=2026-13-02-03/f",
            "a/dt=2026-02-30-03/f",
            "a/dt=2026-01-02-24/f",
            "a/dt=+026-01-02-03/f",
            "a/DT=2026-01-02-03/f",
            "a/2026/01/02/f",
            "a/2026/1/2/3/f",
            "2026/01/02/03/f",
            "dead/2026-01-02/0000.jsonl.zst",
            "claims/archive/ab",
        ] {
            assert_eq!(told(key), None, "{key}");
        }
    }
}
