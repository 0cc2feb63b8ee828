//! Functions over JSON that Athena has too, so that one query text works in both worlds. JSON is a text here; numbers stay as they
//! were written.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, Int64Builder, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    use Function::*;
    let all = [Extract, ExtractScalar, Parse, Format, ArrayLength, ArrayContains, ArrayGet, Size, IsScalar];
    all.into_iter()
        .map(|function| {
            // Their arguments are told apart by `coerce_types`: any text, and what may stand in one.
            ScalarUDF::new_from_impl(Json { function, signature: Signature::user_defined(Volatility::Immutable) })
        })
        .collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Function {
    Extract,
    ExtractScalar,
    Parse,
    Format,
    ArrayLength,
    ArrayContains,
    ArrayGet,
    Size,
    IsScalar,
}

impl Function {
    fn name(self) -> &'static str {
        match self {
            Function::Extract => "json_extract",
            Function::ExtractScalar => "json_extract_scalar",
            Function::Parse => "json_parse",
            Function::Format => "json_format",
            Function::ArrayLength => "json_array_length",
            Function::ArrayContains => "json_array_contains",
            Function::ArrayGet => "json_array_get",
            Function::Size => "json_size",
            Function::IsScalar => "is_json_scalar",
        }
    }

    fn arguments(self) -> usize {
        match self {
            Function::Parse | Function::Format | Function::ArrayLength | Function::IsScalar => 1,
            _ => 2,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Json {
    function: Function,
    signature: Signature,
}

impl ScalarUDFImpl for Json {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let (name, wanted) = (self.name(), self.function.arguments());
        if given.len() != wanted {
            return plan_err!("{name} takes {wanted} arguments, not {}", given.len());
        }
        let second = match self.function {
            Function::ArrayGet => DataType::Int64,
            // A text, number or boolean is looked for as it stands in JSON.
            Function::ArrayContains => match &given[1] {
                kind if kind.is_integer() => DataType::Int64,
                kind if kind.is_floating() => DataType::Float64,
                DataType::Boolean => DataType::Boolean,
                _ => DataType::Utf8,
            },
            _ => DataType::Utf8,
        };
        Ok([DataType::Utf8, second].into_iter().take(wanted).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.function {
            Function::ArrayLength | Function::Size => DataType::Int64,
            Function::ArrayContains | Function::IsScalar => DataType::Boolean,
            _ => DataType::Utf8,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut arrays = Vec::with_capacity(args.args.len());
        for argument in &args.args {
            arrays.push(argument.to_array(rows)?);
        }
        let documents = cast(&arrays[0], &DataType::Utf8)?;
        let documents = documents.as_string::<i32>();
        let document = |row: usize| documents.is_valid(row).then(|| documents.value(row));
        let mut paths = Paths::default();
        let array: ArrayRef = match self.function {
            Function::Extract | Function::ExtractScalar => {
                let given = arrays[1].as_string::<i32>();
                let mut out = StringBuilder::new();
                for row in 0..documents.len() {
                    let found = match (document(row), given.is_valid(row)) {
                        (Some(document), true) => find(document, paths.get(given.value(row))?),
                        _ => None,
                    };
                    match (found, self.function) {
                        (Some(json), Function::Extract) => out.append_value(json),
                        (Some(json), _) => out.append_option(scalar(json)),
                        (None, _) => out.append_null(),
                    }
                }
                Arc::new(out.finish())
            }
            Function::Parse | Function::Format => {
                let mut out = StringBuilder::new();
                for row in 0..documents.len() {
                    match document(row) {
                        Some(json) if is_json(json) => out.append_value(json.trim()),
                        Some(text) if self.function == Function::Parse => {
                            let shown: String = text.chars().take(80).collect();
                            return exec_err!(
                                "json_parse: `{shown}` is no JSON; json_extract gives null for such texts"
                            );
                        }
                        _ => out.append_null(),
                    }
                }
                Arc::new(out.finish())
            }
            Function::ArrayLength => {
                let length = |row: usize| items(document(row)?).map(|items| items.len() as i64);
                let mut out = Int64Builder::new();
                (0..documents.len()).for_each(|row| out.append_option(length(row)));
                Arc::new(out.finish())
            }
            Function::Size => {
                let given = arrays[1].as_string::<i32>();
                let mut out = Int64Builder::new();
                for row in 0..documents.len() {
                    let found = match (document(row), given.is_valid(row)) {
                        (Some(document), true) => find(document, paths.get(given.value(row))?),
                        _ => None,
                    };
                    // Of what is neither list nor object, the size is nothing.
                    let size =
                        |json: &str| items(json).map_or_else(|| entries(json).map_or(0, |e| e.len()), |i| i.len());
                    out.append_option(found.map(|json| size(json) as i64));
                }
                Arc::new(out.finish())
            }
            Function::ArrayGet => {
                let at = arrays[1].as_primitive::<datafusion::arrow::datatypes::Int64Type>();
                let get = |row: usize| {
                    let items = items(document(row)?)?;
                    let at = at.is_valid(row).then(|| at.value(row))?;
                    // Negative places count from the end.
                    let at = if at < 0 { items.len() as i64 + at } else { at };
                    items.get(usize::try_from(at).ok()?).copied()
                };
                let mut out = StringBuilder::new();
                (0..documents.len()).for_each(|row| out.append_option(get(row)));
                Arc::new(out.finish())
            }
            Function::ArrayContains => {
                let wanted = cast(&arrays[1], &DataType::Utf8)?;
                let wanted = wanted.as_string::<i32>();
                let is_text = *arrays[1].data_type() == DataType::Utf8;
                let is_float = *arrays[1].data_type() == DataType::Float64;
                let contains = |row: usize| {
                    let items = items(document(row)?)?;
                    let wanted = wanted.is_valid(row).then(|| wanted.value(row))?;
                    Some(items.iter().any(|item| match (is_text, item.starts_with('"')) {
                        (true, true) => scalar(item).is_some_and(|item| item == wanted),
                        (false, false) if is_float => item.parse::<f64>().is_ok_and(|item| wanted.parse() == Ok(item)),
                        (false, false) => *item == wanted,
                        _ => false,
                    }))
                };
                let mut out = BooleanBuilder::new();
                (0..documents.len()).for_each(|row| out.append_option(contains(row)));
                Arc::new(out.finish())
            }
            Function::IsScalar => {
                let is_scalar = |json: &str| is_json(json).then(|| !json.trim_start().starts_with(['{', '[']));
                let mut out = BooleanBuilder::new();
                (0..documents.len()).for_each(|row| out.append_option(document(row).and_then(is_scalar)));
                Arc::new(out.finish())
            }
        };
        Ok(ColumnarValue::Array(array))
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Item(usize),
}

/// The path that was read last: mostly it is one and the same.
#[derive(Default)]
struct Paths {
    last: Option<(String, Vec<Step>)>,
}

impl Paths {
    fn get(&mut self, path: &str) -> Result<&[Step]> {
        if self.last.as_ref().is_none_or(|(text, _)| text != path) {
            let Some(steps) = steps(path) else {
                return exec_err!("`{path}` is no path; write it as $.key, $['odd key'] or $.list[0]");
            };
            self.last = Some((path.to_owned(), steps));
        }
        Ok(self.last.as_ref().map(|(_, steps)| steps.as_slice()).unwrap_or_default())
    }
}

/// `$.a.b[0]['odd key']["c"]`.
pub fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let (key, after) = match after.strip_prefix('"') {
                Some(quoted) => {
                    let end = quoted.find('"')?;
                    (&quoted[..end], &quoted[end + 1..])
                }
                None => after.split_at(after.find(['.', '[']).unwrap_or(after.len())),
            };
            if key.is_empty() || key == "*" {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else {
            let after = rest.strip_prefix('[')?;
            rest = match after.chars().next()? {
                quote @ ('\'' | '"') => {
                    let end = after[1..].find(quote)?;
                    steps.push(Step::Key(after[1..=end].to_owned()));
                    after[end + 2..].strip_prefix(']')?
                }
                _ => {
                    let (number, after) = after.split_once(']')?;
                    steps.push(Step::Item(number.trim().parse().ok()?));
                    after
                }
            };
        }
    }
    Some(steps)
}

/// The value at the end of a path, as it is written. What is no JSON has none.
pub fn find<'a>(json: &'a str, steps: &[Step]) -> Option<&'a str> {
    let mut at = json.trim();
    for step in steps {
        at = match step {
            Step::Key(key) => value_of(at, key)?,
            Step::Item(index) => items(at)?.get(*index).copied()?,
        };
    }
    let mut cursor = Cursor { text: at, at: 0 };
    cursor.skip_value()?;
    (cursor.at == at.len()).then_some(at)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A text without its quotes, a number or boolean as it is written; nothing else.
fn scalar(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.to_owned()),
    }
}

fn value_of<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut cursor = Cursor { text: object, at: 0 };
    cursor.take(b'{')?;
    if cursor.peek()? == b'}' {
        return None;
    }
    loop {
        cursor.space();
        let name = cursor.skip_value().filter(|name| name.starts_with('"'))?;
        cursor.take(b':')?;
        cursor.space();
        let value = cursor.skip_value()?;
        let inner = name.get(1..name.len() - 1)?;
        let same = match inner.contains('\\') {
            false => inner == key,
            true => serde_json::from_str::<String>(name).is_ok_and(|name| name == key),
        };
        if same {
            return Some(value);
        }
        match cursor.next()? {
            b',' => {}
            _ => return None,
        }
    }
}

fn items(list: &str) -> Option<Vec<&str>> {
    let mut cursor = Cursor { text: list.trim(), at: 0 };
    cursor.take(b'[')?;
    let mut items = Vec::new();
    if cursor.peek()? == b']' {
        return Some(items);
    }
    loop {
        cursor.space();
        items.push(cursor.skip_value()?);
        match cursor.next()? {
            b',' => {}
            b']' => return Some(items),
            _ => return None,
        }
    }
}

fn entries(object: &str) -> Option<Vec<&str>> {
    let mut cursor = Cursor { text: object.trim(), at: 0 };
    cursor.take(b'{')?;
    let mut names = Vec::new();
    if cursor.peek()? == b'}' {
        return Some(names);
    }
    loop {
        cursor.space();
        names.push(cursor.skip_value()?);
        cursor.take(b':')?;
        cursor.space();
        cursor.skip_value()?;
        match cursor.next()? {
            b',' => {}
            b'}' => return Some(names),
            _ => return None,
        }
    }
}

/// Goes through JSON without taking it apart: of a record of a hundred keys one is wanted.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn space(&mut self) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// A value, which begins here.
    fn skip_value(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        let from = self.at;
        match bytes.get(from)? {
            b'"' => self.skip_text()?,
            b'{' | b'[' => {
                let mut depth = 0usize;
                loop {
                    match bytes.get(self.at)? {
                        b'"' => {
                            self.skip_text()?;
                            continue;
                        }
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth -= 1,
                        _ => {}
                    }
                    self.at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                while bytes.get(self.at).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')) {
                    self.at += 1;
                }
            }
            _ => return None,
        }
        self.text.get(from..self.at)
    }

    fn skip_text(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            match bytes.get(self.at)? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_athena() {
        let key = |key: &str| Step::Key(key.to_owned());
        assert_eq!(steps("$"), Some(vec![]));
        assert_eq!(steps("$.a.b[0]"), Some(vec![key("a"), key("b"), Step::Item(0)]));
        assert_eq!(
            steps("$['odd.key'][\"x y\"].\"z.z\"[12]"),
            Some(vec![key("odd.key"), key("x y"), key("z.z"), Step::Item(12)])
        );
        assert_eq!(steps("$.streamalert:ioc.été"), Some(vec![key("streamalert:ioc"), key("été")]));
        for wrong in ["", "a", "$a", "$.", "$..a", "$[", "$[x]", "$['a'", "$.*", "$[-1]"] {
            assert_eq!(steps(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_come_as_they_are_written() {
        let json = r#" {"a": {"b": [1, "x\"y", {"c": null}], "n": 123456789012345678901234567890, "é\u0041": true},
            "text": "a } ] \\", "empty": {}, "none": []} "#;
        let at = |path: &str| find(json, &steps(path).unwrap());
        assert_eq!(at("$.a.b[0]"), Some("1"));
        assert_eq!(at("$.a.b[1]"), Some(r#""x\"y""#));
        assert_eq!(at("$.a.b[2].c"), Some("null"));
        assert_eq!(at("$.a.n"), Some("123456789012345678901234567890"));
        assert_eq!(at("$.a.éA"), Some("true"));
        assert_eq!(at("$.text"), Some(r#""a } ] \\""#));
        assert_eq!(at("$.a.b"), Some(r#"[1, "x\"y", {"c": null}]"#));
        assert_eq!(at("$"), Some(json.trim()));
        for missing in ["$.b", "$.a.b[3]", "$.a[0]", "$.text.x", "$.empty.x", "$.none[0]"] {
            assert_eq!(at(missing), None, "{missing}");
        }
        for nonsense in ["", "{", "nonsense", r#"{"a"}"#, r#"{"a": "#, "[1", "{\"a\": 1} x"] {
            assert_eq!(find(nonsense, &steps("$.a.b").unwrap()), None, "{nonsense}");
        }
        assert_eq!(scalar(r#""x\"y""#).as_deref(), Some("x\"y"));
        assert_eq!(scalar("1.50").as_deref(), Some("1.50"));
        assert_eq!((scalar("null"), scalar("{}"), scalar("[1]")), (None, None, None));
    }
}
