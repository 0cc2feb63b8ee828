//! Tables with a value in each row.

use super::{Page, Reading, Told, time};
use streamalert_lookup::csv::{Quotes, for_each_row};
use streamalert_pipeline::config::threat_intel::{Column, CsvConfig};

pub fn rows(reading: &Reading<'_>, bytes: &[u8]) -> Result<Page, String> {
    let Some(config) = &reading.config.csv else { return Err("its columns are not configured".into()) };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    if let Some(what) = no_table(text) {
        return Err(format!("the answer is {what}, and no table"));
    }
    let delimiter = config.delimiter.as_bytes().first().copied().unwrap_or(b',');
    let mut header: Option<Vec<String>> = (!config.header).then(Vec::new);
    let mut places: Option<Places> = None;
    let mut page = Page::default();
    let mut quotes = Quotes::new(delimiter);
    let (mut comments, mut count) = (0, 0);
    let mut body = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        // A line within a quoted cell is no comment. An empty line stands for one, so that lines keep their numbers.
        let is_comment = !config.comment.is_empty() && line.trim_start().starts_with(&config.comment);
        if is_comment && !quotes.are_open() {
            comments += 1;
        } else {
            body.push_str(line);
            quotes.read(line.as_bytes());
        }
        body.push('\n');
        quotes.read(b"\n");
    }
    for_each_row(&body, delimiter, |_, cells| {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        let Some(names) = &header else {
            header = Some(cells.iter().map(|cell| cell.trim().to_owned()).collect());
            return Ok(());
        };
        if places.is_none() {
            places = Some(Places::of(config, names)?);
        }
        count += 1;
        if let Some(places) = &places {
            row(reading, config, places, cells, &mut page);
        }
        Ok(())
    })?;
    // Columns that are not there are an error even where there are no rows.
    if let (Some(names), None) = (&header, &places) {
        Places::of(config, names)?;
    }
    if header.is_none() {
        return Err("it is empty; the first line names the columns (or say \"header\": false)".into());
    }
    if count == 0 && !config.header && comments == 0 {
        return Err("it is empty; a list of nothing has a comment at least".into());
    }
    if count > 0 && page.understood == 0 {
        let why: Vec<String> = page.left_out.iter().map(|(why, count)| format!("{why} ({count})")).collect();
        return Err(format!("none of its {count} rows is an indicator: {}", why.join(", ")));
    }
    Ok(page)
}

/// What services answer instead of a table, with a status that says that all is well.
fn no_table(text: &str) -> Option<&'static str> {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    if ["<!doctype", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag)) {
        return Some("a web page");
    }
    if start.starts_with("<?xml") {
        return Some("XML");
    }
    let is_json = start.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    is_json.then_some("JSON")
}

/// Where things stand in a row.
struct Places {
    value: usize,
    type_column: Option<usize>,
    sub_type: Option<usize>,
    confidence: Option<usize>,
    expires: Option<usize>,
    description: Option<usize>,
}

impl Places {
    fn of(config: &CsvConfig, names: &[String]) -> Result<Places, String> {
        let place = |column: &Column| match column {
            Column::Place(place) => Ok(*place),
            Column::Name(name) => names.iter().position(|own| own == name).ok_or_else(|| {
                format!(
                    "no column is called `{name}`; there are {}",
                    names.join(", ").chars().take(300).collect::<String>()
                )
            }),
        };
        let maybe = |column: &Option<Column>| column.as_ref().map(place).transpose();
        Ok(Places {
            value: place(&config.value)?,
            type_column: maybe(&config.type_column)?,
            sub_type: maybe(&config.sub_type)?,
            confidence: maybe(&config.confidence)?,
            expires: maybe(&config.expires)?,
            description: maybe(&config.description)?,
        })
    }
}

fn row(reading: &Reading<'_>, config: &CsvConfig, places: &Places, cells: &[String], page: &mut Page) {
    let cell = |place: Option<usize>| {
        place.and_then(|place| cells.get(place)).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    };
    let Some(value) = cell(Some(places.value)) else {
        return page.leave_out("a row without a value");
    };
    let Some(ioc_type) = cell(places.type_column).or(config.ioc_type.as_deref()) else {
        return page.leave_out("a row without a type");
    };
    let expires = cell(places.expires).map(time);
    if expires == Some(None) {
        return page.leave_out("a time that is none");
    }
    let expires = expires.flatten();
    if expires.is_some_and(|at| at <= reading.now) {
        page.understood += 1;
        return page.leave_out("expired");
    }
    let told = Told {
        value,
        ioc_type,
        sub_type: cell(places.sub_type),
        confidence: cell(places.confidence),
        valid_from: None,
        expires,
        description: cell(places.description),
        reference: None,
    };
    let ioc = reading.ioc(page, told);
    page.iocs.extend(ioc);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(csv: serde_json::Value, text: &str) -> Result<Page, String> {
        let config = json!({"type": "csv", "url": "https://x", "csv": csv, "confidence_min": 50});
        let config = serde_json::from_value(config).unwrap();
        rows(&Reading { name: "s", config: &config, now: 0 }, text.as_bytes())
    }

    fn values(page: &Page) -> Vec<&str> {
        page.iocs.iter().map(|ioc| ioc.value.as_str()).collect()
    }

    #[test]
    fn an_answer_that_is_no_table_is_an_error() {
        for ioc_type in ["ip", "domain", "url", "filename", "sha256"] {
            let csv = json!({"header": false, "value": 0, "type": ioc_type});
            for text in [
                "",
                " \n\n",
                "<!DOCTYPE html>\n<html><body>Sign in</body></html>",
                "\n<HTML>\nevil.com\n",
                "<?xml version='1.0'?>\n<Error/>",
                r#"{"error": "rate limit exceeded"}"#,
                "[]",
            ] {
                assert!(read(csv.clone(), text).is_err(), "{ioc_type}: {text}");
            }
        }
        for (ioc_type, text) in [("domain", "Forbidden"), ("ip", "Access denied\n"), ("url", "rate limit\nexceeded")] {
            let told = read(json!({"header": false, "value": 0, "type": ioc_type}), text).unwrap_err();
            assert!(told.contains("rows is an indicator") && told.contains(ioc_type), "{told}");
        }
        // A list of nothing, or of nothing that is wanted, is one.
        let header = json!({"value": "v", "type": "ip", "confidence": "c"});
        for (csv, text) in [
            (json!({"header": false, "value": 0, "type": "ip"}), "# nothing today\n"),
            (header.clone(), "v,c\n"),
            (header, "v,c\n192.0.2.1,10\n"),
        ] {
            assert!(read(csv, text).unwrap().iocs.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_quote_without_an_end_is_named_by_its_line() {
        let csv = json!({"value": "v", "type": "ip", "description": "d"});
        let told = read(csv.clone(), "# one\nv,d\n# two\n192.0.2.1,\"x\n192.0.2.2,y\n").unwrap_err();
        assert!(told.contains("line 4: a quote begins"), "{told}");
        // An inch is no quote, and the line after it a comment all the same.
        let page = read(csv, "v,d\n192.0.2.1,5\" disk\n# no row\n192.0.2.2,\n").unwrap();
        assert_eq!(values(&page), ["192.0.2.1", "192.0.2.2"]);
        assert!(page.left_out.is_empty(), "{:?}", page.left_out);
    }

    #[test]
    fn confidence_and_values_are_what_they_are() {
        let csv = json!({"header": false, "value": 0, "type_column": 1, "confidence": 2});
        let text = "EVIL[.]com,domain,50\nhxxps://evil[.]com/x,url,\n300.1.1.1,domain,90\na.com,domain,12.5\n\
                    b.com,domain,low\nc.com,domain,300\nd.com,domain,99.9\nlocalhost,domain,99\nws-1,hostname,99\n";
        let page = read(csv, text).unwrap();
        assert_eq!(values(&page), ["evil.com", "https://evil.com/x", "d.com", "ws-1"]);
        assert_eq!(page.left_out["a value that is no domain"], 2);
        assert_eq!(page.left_out["confidence below 50"], 1);
        assert_eq!(page.left_out["a confidence that is no number from 0 to 100"], 2);
    }

    #[test]
    fn comments_are_lines_and_no_part_of_a_cell() {
        let config = json!({"type": "csv", "url": "https://x", "schedule": "rate(1 day)",
            "csv": {"value": "ip", "type": "ip", "description": "why"}});
        let config = serde_json::from_value(config).unwrap();
        let reading = Reading { name: "s", config: &config, now: 0 };
        let text = "# made daily\nip,why\n192.0.2.1,\"seen at\n# 4 \"\"hosts\"\"\"\n  # it's over\n192.0.2.2,\n";
        let page = rows(&reading, text.as_bytes()).unwrap();
        let told: Vec<_> = page.iocs.iter().map(|ioc| (ioc.value.as_str(), ioc.description.as_deref())).collect();
        assert_eq!(told, [("192.0.2.1", Some("seen at\n# 4 \"hosts\"")), ("192.0.2.2", None)]);
    }
}
