//! Tables with a value in each row.

use super::{Page, Reading, Told, time};
use streamalert_lookup::csv::for_each_row;
use streamalert_pipeline::config::threat_intel::{Column, CsvConfig};

pub fn rows(reading: &Reading<'_>, bytes: &[u8]) -> Result<Page, String> {
    let Some(config) = &reading.config.csv else { return Err("its columns are not configured".into()) };
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let mut header: Option<Vec<String>> = (!config.header).then(Vec::new);
    let mut places: Option<Places> = None;
    let mut page = Page::default();
    // A line within a quoted cell is none.
    let mut is_quoted = false;
    let mut body = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        if !is_quoted && !config.comment.is_empty() && line.trim_start().starts_with(&config.comment) {
            continue;
        }
        is_quoted ^= line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        body.push_str(line);
        body.push('\n');
    }
    for_each_row(&body, config.delimiter.as_bytes().first().copied().unwrap_or(b','), |_, cells| {
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
    Ok(page)
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
        return page.leave_out("expired");
    }
    let told = Told {
        value,
        ioc_type,
        sub_type: cell(places.sub_type),
        confidence: cell(places.confidence).and_then(|text| text.parse().ok()),
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
