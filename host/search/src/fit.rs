//! Files whose columns had another type or name when they were written. What does not fit the type of today is null, and stands in the
//! record's own text; what was of several parts becomes JSON where a text is wanted.

use crate::json::{Step, find};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringBuilder, StructArray,
    new_null_array,
};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use streamalert_archive::convert::KEYS;
use streamalert_archive::table::{Entry, Keys, Kind};
use streamalert_pipeline::columns::PROVENANCE;

/// The column of whole records.
const RECORD: &str = "streamalert_record";

/// Adapts expressions over a table to one of its files.
#[derive(Debug)]
pub struct FitFactory {
    /// The table's columns of which it is known what they are for.
    pub entries: Arc<[Entry]>,
}

#[derive(Debug)]
struct Fitting {
    entries: Arc<[Entry]>,
    /// What the file says its columns are for.
    keys: Option<Arc<Keys>>,
    /// Of columns that are what they were, and of those that are missing.
    rest: Arc<dyn PhysicalExprAdapter>,
    logical: SchemaRef,
    physical: SchemaRef,
    /// Columns that have another type or name in the file, or whose name is another's there: with the name that they have.
    others: HashMap<String, Option<String>>,
}

impl PhysicalExprAdapterFactory for FitFactory {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let keys = physical.metadata().get(KEYS).and_then(|text| Keys::read(text)).map(Arc::new);
        let mut others = HashMap::new();
        for field in logical.fields() {
            let name = field.name();
            let entry = self.entries.iter().find(|entry| entry.name == *name);
            let written = match (&keys, entry) {
                (Some(keys), Some(entry)) => {
                    let mut fields = physical.fields().iter();
                    fields.find(|field| !is_ours(field.name()) && keys.key("", field.name()) == entry.key)
                }
                _ => physical.fields().iter().find(|field| field.name() == name),
            };
            let is_other = match written {
                Some(written) => {
                    let told = keys.as_deref().zip(entry);
                    written.name() != name
                        || !is_as(written.data_type(), field.data_type())
                        || told.is_some_and(|(keys, entry)| !is_named_so(written.name(), entry, keys))
                }
                None => physical.field_with_name(name).is_ok(),
            };
            if is_other {
                others.insert(name.clone(), written.map(|written| written.name().clone()));
            }
        }
        // What is fitted here is to the rest as the file has it.
        let fitted: HashSet<&String> = others.keys().chain(others.values().flatten()).collect();
        let as_written = |field: &FieldRef| match physical.field_with_name(field.name()) {
            Ok(written) if fitted.contains(field.name()) => {
                Arc::new(field.as_ref().clone().with_data_type(written.data_type().clone()))
            }
            _ => field.clone(),
        };
        let mut fields: Vec<FieldRef> = logical.fields().iter().map(as_written).collect();
        let besides = physical.fields().iter().filter(|field| fitted.contains(field.name()));
        fields.extend(besides.filter(|field| logical.index_of(field.name()).is_err()).cloned());
        let rest = DefaultPhysicalExprAdapterFactory.create(Arc::new(Schema::new(fields)), physical.clone())?;
        Ok(Arc::new(Fitting { entries: self.entries.clone(), keys, rest, logical, physical, others }))
    }
}

/// One of the columns that every log type has.
pub(crate) fn is_ours(name: &str) -> bool {
    PROVENANCE.iter().any(|(ours, _)| *ours == name)
}

/// What lies in the object there has the names that its keys have today.
fn is_named_so(place: &str, entry: &Entry, keys: &Keys) -> bool {
    let Kind::Object(entries) = &entry.kind else { return true };
    entries.iter().all(|entry| {
        keys.key(place, &entry.name) == entry.key && is_named_so(&format!("{place}.{}", entry.name), entry, keys)
    })
}

/// The types are one to a reader.
fn is_as(written: &DataType, wanted: &DataType) -> bool {
    let text = |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    written == wanted || (text(written) && text(wanted))
}

impl PhysicalExprAdapter for Fitting {
    fn rewrite(&self, expression: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        if self.others.is_empty() {
            return self.rest.rewrite(expression);
        }
        let fitted = expression
            .transform_up(|expression| {
                let Some(column) = expression.downcast_ref::<Column>() else { return Ok(Transformed::no(expression)) };
                let Some(written) = self.others.get(column.name()) else { return Ok(Transformed::no(expression)) };
                let wanted = Arc::new(self.logical.field_with_name(column.name())?.clone());
                let fitted: Arc<dyn PhysicalExpr> = match written {
                    Some(written) => Arc::new(self.fit(column.name(), written, wanted)?),
                    // The column of that name is for another key there.
                    None => lit(ScalarValue::try_from(wanted.data_type())?),
                };
                Ok(Transformed::yes(fitted))
            })
            .data()?;
        self.rest.rewrite(fitted)
    }
}

impl Fitting {
    fn fit(&self, name: &str, written: &str, wanted: FieldRef) -> Result<Fit> {
        let column = |name: &str| -> Result<Arc<dyn PhysicalExpr>> {
            Ok(Arc::new(Column::new_with_schema(name, &self.physical)?))
        };
        let entry = self.entries.iter().find(|entry| entry.name == name);
        // Records are long, so they are read only where they say more.
        let kind = self.physical.field_with_name(written)?.data_type();
        let keys = self.keys.as_deref();
        let says_more = entry.is_some_and(|entry| becomes_text(kind, wanted.data_type(), inner(entry), keys, written))
            && self.physical.index_of(RECORD).is_ok();
        let records = if says_more { Some(column(RECORD)?) } else { None };
        let about = About { place: written.to_owned(), entry: entry.cloned(), keys: self.keys.clone() };
        Ok(Fit { written: column(written)?, records, about, wanted })
    }
}

/// What a column of a file is for.
#[derive(Debug, Clone, PartialEq)]
struct About {
    place: String,
    entry: Option<Entry>,
    keys: Option<Arc<Keys>>,
}

/// A column as the table has it, of a file that has another.
#[derive(Debug, Clone)]
struct Fit {
    written: Arc<dyn PhysicalExpr>,
    /// Whole records, where they say more.
    records: Option<Arc<dyn PhysicalExpr>>,
    about: About,
    wanted: FieldRef,
}

impl PartialEq for Fit {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted
            && self.written.eq(&other.written)
            && self.records == other.records
            && self.about == other.about
    }
}

impl Eq for Fit {}

impl Hash for Fit {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wanted.hash(state);
        self.written.hash(state);
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FIT({} AS {})", self.written, self.wanted.data_type())
    }
}

impl PhysicalExpr for Fit {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.wanted.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let written = self.written.evaluate(batch)?.into_array(batch.num_rows())?;
        let records = match &self.records {
            Some(records) => Some(records.evaluate(batch)?.into_array(batch.num_rows())?),
            None => None,
        };
        let entries = self.about.entry.as_slice();
        let path = entries.iter().map(|entry| Step::Key(entry.key.clone())).collect();
        let entries = entries.first().map(inner).unwrap_or_default();
        let place = self.about.place.clone();
        let from = From { records: records.as_ref(), path, entries, keys: self.about.keys.as_deref(), place };
        Ok(ColumnarValue::Array(fit_of(&written, self.wanted.data_type(), &from)?))
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.wanted.name(), self.wanted.data_type().clone(), true)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        [&self.written].into_iter().chain(&self.records).collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        let mut children = children.into_iter();
        let written = children.next().unwrap_or_else(|| self.written.clone());
        Ok(Arc::new(Fit { written, records: children.next(), about: self.about.clone(), wanted: self.wanted.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where values come from.
#[derive(Default)]
struct From<'a> {
    /// Whole records, and where in them the values are.
    records: Option<&'a ArrayRef>,
    path: Vec<Step>,
    /// Of the object there, by the names that its keys have today.
    entries: &'a [Entry],
    /// What the file's names are for, and under which name it has the values.
    keys: Option<&'a Keys>,
    place: String,
}

fn inner(entry: &Entry) -> &[Entry] {
    match &entry.kind {
        Kind::Object(entries) => entries,
        _ => &[],
    }
}

impl From<'_> {
    /// The value of a row as its record has it.
    fn value(&self, row: usize) -> Option<&str> {
        let records = self.records.filter(|records| records.is_valid(row))?;
        let record = match records.data_type() {
            DataType::Utf8 => records.as_string::<i32>().value(row),
            DataType::Utf8View => records.as_string_view().value(row),
            _ => return None,
        };
        find(record, &self.path)
    }

    /// What an entry of the object is made of.
    fn entry<'a>(&self, name: &str, object: &'a StructArray) -> Option<(&'a ArrayRef, From<'_>)> {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        let written = name_there(object.fields(), name, entry, self.keys, &self.place)?;
        let from = From {
            // Where it is not known what it is for, nothing says where it is in the record.
            records: self.records.filter(|_| entry.is_some()),
            path: self.path.iter().cloned().chain(entry.map(|entry| Step::Key(entry.key.clone()))).collect(),
            entries: entry.map(inner).unwrap_or_default(),
            keys: self.keys,
            place: format!("{}.{written}", self.place),
        };
        Some((object.column_by_name(written)?, from))
    }
}

fn is_nested(kind: &DataType) -> bool {
    matches!(kind, DataType::List(_) | DataType::Struct(_))
}

/// The name that an entry of an object has in the file, where the object lies at that place; none if it is not there.
fn name_there<'a>(
    written: &'a Fields,
    name: &str,
    entry: Option<&Entry>,
    keys: Option<&Keys>,
    place: &str,
) -> Option<&'a str> {
    let is_it = |written: &str| match (keys, entry) {
        (Some(keys), Some(entry)) => keys.key(place, written) == entry.key,
        _ => written == name,
    };
    written.iter().map(|field| field.name().as_str()).find(|written| is_it(written))
}

/// What was of several parts is a text now, here or within, where the file may have other names.
fn becomes_text(written: &DataType, wanted: &DataType, entries: &[Entry], keys: Option<&Keys>, place: &str) -> bool {
    match (written, wanted) {
        (DataType::Struct(from), DataType::Struct(to)) => to.iter().any(|field| {
            let entry = entries.iter().find(|entry| entry.name == *field.name());
            let written = name_there(from, field.name(), entry, keys, place);
            let Some((_, written)) = written.and_then(|name| from.find(name)) else { return false };
            let place = format!("{place}.{}", written.name());
            let entries = entry.map(inner).unwrap_or_default();
            becomes_text(written.data_type(), field.data_type(), entries, keys, &place)
        }),
        (kind, DataType::Utf8 | DataType::Utf8View) => is_nested(kind),
        _ => false,
    }
}

/// The values as `wanted`, where they can be.
pub fn fit(written: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    fit_of(written, wanted, &From::default())
}

fn fit_of(written: &ArrayRef, wanted: &DataType, from: &From<'_>) -> Result<ArrayRef> {
    match (written.data_type(), wanted) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let object = written.as_struct();
            let arrays = fields.iter().map(|field| match from.entry(field.name(), object) {
                Some((column, from)) => fit_of(column, field.data_type(), &from),
                None => Ok(new_null_array(field.data_type(), object.len())),
            });
            let arrays = arrays.collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, object.nulls().cloned())?))
        }
        (kind, wanted) if kind == wanted => Ok(written.clone()),
        (kind, DataType::Utf8 | DataType::Utf8View) if is_nested(kind) => {
            let begins = if matches!(kind, DataType::List(_)) { '[' } else { '{' };
            let mut out = StringBuilder::new();
            let mut json = String::new();
            for row in 0..written.len() {
                if written.is_null(row) {
                    out.append_null();
                    continue;
                }
                // The column has neither entries that are null nor keys that no schema declared.
                if let Some(told) = from.value(row).filter(|told| told.starts_with(begins)) {
                    out.append_value(told);
                    continue;
                }
                json.clear();
                write_json(written, row, from.keys.map(|keys| (keys, from.place.as_str())), &mut json)?;
                out.append_value(&json);
            }
            cast(&(Arc::new(out.finish()) as ArrayRef), wanted)
        }
        (kind, _) if is_nested(kind) || is_nested(wanted) => Ok(new_null_array(wanted, written.len())),
        _ => exactly(written, wanted),
    }
}

/// Above it, not every integer is a float.
const EXACT_MAX: i64 = 1 << 53;

/// Nothing is rounded, and nothing is made of a number that was none.
fn exactly(written: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    use DataType::{Boolean, Float64, Int64, Utf8, Utf8View};
    fn integer(number: f64) -> Option<i64> {
        // The next float above the largest integer is one more than that.
        let fits = number.fract() == 0.0 && (-(2f64.powi(63))..2f64.powi(63)).contains(&number);
        fits.then_some(number as i64)
    }
    fn float(number: i64) -> Option<f64> {
        let float = number as f64;
        (number.abs_diff(0) <= EXACT_MAX.unsigned_abs() || integer(float) == Some(number)).then_some(float)
    }
    Ok(match (written.data_type(), wanted) {
        (Int64, Float64) => {
            Arc::new(written.as_primitive::<Int64Type>().iter().map(|n| float(n?)).collect::<Float64Array>())
        }
        (Float64, Int64) => {
            Arc::new(written.as_primitive::<Float64Type>().iter().map(|n| integer(n?)).collect::<Int64Array>())
        }
        (Utf8 | Utf8View, Boolean | Int64 | Float64) => {
            let texts = cast(written, &Utf8)?;
            let texts = texts.as_string::<i32>();
            match wanted {
                Boolean => Arc::new(
                    texts
                        .iter()
                        .map(|text| match text? {
                            "true" => Some(true),
                            "false" => Some(false),
                            _ => None,
                        })
                        .collect::<BooleanArray>(),
                ),
                Int64 => Arc::new(texts.iter().map(|text| text?.parse().ok()).collect::<Int64Array>()),
                _ => Arc::new(
                    texts
                        .iter()
                        .map(|text| {
                            let text = text?;
                            // `nan` and the like are no numbers of a log.
                            let number = text.parse().ok().filter(|number: &f64| number.is_finite())?;
                            (!is_rounded(text, number)).then_some(number)
                        })
                        .collect::<Float64Array>(),
                ),
            }
        }
        (Boolean, Int64 | Float64) | (Int64 | Float64, Boolean) => new_null_array(wanted, written.len()),
        _ => cast(written, wanted)?,
    })
}

/// An integer is one to the last digit, however many it has; what has a fraction or an exponent is meant as a float.
fn is_rounded(text: &str, number: f64) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let digits = digits.trim_start_matches('0');
    // All digits that the float stands for.
    digits != format!("{:.0}", number.abs()).trim_start_matches('0')
}

fn cast(written: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if !can_cast_types(written.data_type(), wanted) {
        return Ok(new_null_array(wanted, written.len()));
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    Ok(cast_with_options(written, wanted, &options)?)
}

/// `keys` are those of the names in an object, which lies at that place.
fn write_json(array: &ArrayRef, row: usize, keys: Option<(&Keys, &str)>, out: &mut String) -> Result<()> {
    if array.is_null(row) {
        out.push_str("null");
        return Ok(());
    }
    let text = |text: &str| serde_json::Value::from(text).to_string();
    match array.data_type() {
        DataType::Struct(fields) => {
            let mut first = true;
            out.push('{');
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                // A key that the record did not have is not told from one without a value.
                if column.is_null(row) {
                    continue;
                }
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                let name = field.name().as_str();
                out.push_str(&text(keys.map_or(name, |(keys, place)| keys.key(place, name))));
                out.push(':');
                let within = keys.map(|(keys, place)| (keys, format!("{place}.{name}")));
                write_json(column, row, within.as_ref().map(|(keys, place)| (*keys, place.as_str())), out)?;
            }
            out.push('}');
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for item in 0..items.len() {
                if item > 0 {
                    out.push(',');
                }
                write_json(&items, item, None, out)?;
            }
            out.push(']');
        }
        DataType::Utf8 => out.push_str(&text(array.as_string::<i32>().value(row))),
        DataType::Utf8View => out.push_str(&text(array.as_string_view().value(row))),
        // Numbers and booleans stand as they are.
        _ => {
            let options = FormatOptions::default();
            out.push_str(&ArrayFormatter::try_new(array.as_ref(), &options)?.value(row).to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ListArray, StringArray};

    fn texts(array: &ArrayRef) -> Vec<Option<String>> {
        let array = cast(array, &DataType::Utf8).unwrap();
        array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn what_does_not_fit_is_null_and_nothing_fails() {
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("7"), Some("seven"), None]));
        let numbers = fit(&words, &DataType::Int64).unwrap();
        assert_eq!(numbers.as_primitive::<Int64Type>(), &Int64Array::from(vec![Some(7), None, None]));
        let list: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1), None]), None]));
        assert_eq!(texts(&fit(&list, &DataType::Utf8View).unwrap()), [Some("[1,null]".to_owned()), None]);
        assert_eq!(fit(&list, &DataType::Int64).unwrap().null_count(), 2);
        assert_eq!(fit(&words, list.data_type()).unwrap().null_count(), 3);
    }

    #[test]
    fn nothing_is_rounded_and_nothing_is_made_of_what_it_was_not() {
        use DataType::{Boolean, Float64, Int64};
        let told = |written: ArrayRef, wanted: &DataType| {
            texts(&fit(&written, wanted).unwrap())
                .into_iter()
                .map(|text| text.unwrap_or("-".into()))
                .collect::<Vec<_>>()
        };
        let floats = || -> ArrayRef {
            let large = 2f64.powi(63);
            Arc::new(Float64Array::from(vec![1.5, -2.0, 1e300, large, -large, f64::NAN, 0.0]))
        };
        assert_eq!(told(floats(), &Int64), ["-", "-2", "-", "-", "-9223372036854775808", "-", "0"]);
        assert_eq!(told(floats(), &Boolean), ["-"; 7]);
        let integers = || -> ArrayRef {
            Arc::new(Int64Array::from(vec![5, (1 << 53) + 1, (1 << 53) + 2, -(1 << 53), i64::MAX, i64::MIN]))
        };
        let exact = fit(&integers(), &Float64).unwrap();
        let exact: Vec<Option<i64>> =
            exact.as_primitive::<Float64Type>().iter().map(|number| number.map(|number| number as i64)).collect();
        assert_eq!(exact, [Some(5), None, Some((1 << 53) + 2), Some(-(1 << 53)), None, Some(i64::MIN)]);
        assert_eq!(told(integers(), &Boolean), ["-"; 6]);
        let words = || -> ArrayRef {
            Arc::new(StringArray::from(vec![
                "yes",
                "true",
                "false",
                "1",
                "t",
                "9007199254740993",
                "0.5",
                "inf",
                "1e400",
                "",
            ]))
        };
        assert_eq!(told(words(), &Boolean), ["-", "true", "false", "-", "-", "-", "-", "-", "-", "-"]);
        assert_eq!(told(words(), &Int64), ["-", "-", "-", "1", "-", "9007199254740993", "-", "-", "-", "-"]);
        assert_eq!(told(words(), &Float64), ["-", "-", "-", "1.0", "-", "-", "0.5", "-", "-", "-"]);
        let long: ArrayRef = Arc::new(StringArray::from(vec![
            "12345678901234567890",
            "-12345678901234567890",
            "18446744073709551616",
            "+00018446744073709551616",
            "9223372036854775807",
            "100000000000000000000000",
            "12345678901234567890.5",
            "1e23",
            "-0",
            "000",
        ]));
        let exact = fit(&long, &Float64).unwrap();
        let exact: Vec<Option<f64>> = exact.as_primitive::<Float64Type>().iter().collect();
        let large = Some(2f64.powi(64));
        let float = Some(12345678901234567890.5);
        assert_eq!(exact, [None, None, large, large, None, None, float, Some(1e23), Some(0.0), Some(0.0)]);
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        assert_eq!(told(flags.clone(), &DataType::Utf8View), ["true", "false"]);
        assert_eq!(
            (told(flags.clone(), &Int64), told(flags, &Float64)),
            (vec!["-".into(); 2], vec!["-".to_owned(); 2])
        );
    }

    #[test]
    fn objects_keep_the_entries_they_have_and_become_json() {
        let field = |name: &str, kind: DataType| Arc::new(Field::new(name, kind, true));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("5 \"x\""), Some("5")]));
        let object: ArrayRef = Arc::new(StructArray::from(vec![
            (field("flag", DataType::Boolean), flags),
            (field("word", DataType::Utf8), words),
        ]));
        assert_eq!(
            texts(&fit(&object, &DataType::Utf8).unwrap()),
            [Some(r#"{"flag":true,"word":"5 \"x\""}"#.to_owned()), Some(r#"{"word":"5"}"#.to_owned())]
        );
        let wanted = DataType::Struct(Fields::from(vec![
            Field::new("word", DataType::Int64, true),
            Field::new("new", DataType::Utf8, true),
        ]));
        let fitted = fit(&object, &wanted).unwrap();
        let numbers = fitted.as_struct().column_by_name("word").unwrap().as_primitive::<Int64Type>();
        assert_eq!(numbers, &Int64Array::from(vec![None, Some(5)]));
    }
}
