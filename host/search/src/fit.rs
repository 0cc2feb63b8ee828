//! Files whose columns had another type when they were written. What does not fit the type of today is null, and stands in the
//! record's own text; what was of several parts becomes JSON where a text is wanted.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringBuilder, StructArray, new_null_array};
use datafusion::arrow::compute::{CastOptions, can_cast_types, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Adapts expressions over a table to one of its files.
#[derive(Debug)]
pub struct FitFactory;

#[derive(Debug)]
struct Fitting {
    /// Of columns that have the type they had, and of those that are missing.
    rest: Arc<dyn PhysicalExprAdapter>,
    logical: SchemaRef,
    physical: SchemaRef,
    others: Vec<String>,
}

impl PhysicalExprAdapterFactory for FitFactory {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let mut others = Vec::new();
        let mut fields = Vec::with_capacity(logical.fields().len());
        for field in logical.fields() {
            match physical.field_with_name(field.name()) {
                Ok(written) if !is_as(written.data_type(), field.data_type()) => {
                    others.push(field.name().clone());
                    fields.push(Arc::new(field.as_ref().clone().with_data_type(written.data_type().clone())));
                }
                _ => fields.push(field.clone()),
            }
        }
        let rest = Arc::new(Schema::new(fields));
        let rest = DefaultPhysicalExprAdapterFactory.create(rest, physical.clone())?;
        Ok(Arc::new(Fitting { rest, logical, physical, others }))
    }
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
                if !self.others.iter().any(|name| name == column.name()) {
                    return Ok(Transformed::no(expression));
                }
                let wanted = Arc::new(self.logical.field_with_name(column.name())?.clone());
                let written = Arc::new(Column::new_with_schema(column.name(), &self.physical)?);
                Ok(Transformed::yes(Arc::new(Fit { written, wanted }) as Arc<dyn PhysicalExpr>))
            })
            .data()?;
        self.rest.rewrite(fitted)
    }
}

/// A column as the table has it, of a file that has another type.
#[derive(Debug, Clone)]
struct Fit {
    written: Arc<dyn PhysicalExpr>,
    wanted: FieldRef,
}

impl PartialEq for Fit {
    fn eq(&self, other: &Self) -> bool {
        self.wanted == other.wanted && self.written.eq(&other.written)
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
        Ok(ColumnarValue::Array(fit(&written, self.wanted.data_type())?))
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.wanted.name(), self.wanted.data_type().clone(), true)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.written]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Fit { written: children.remove(0), wanted: self.wanted.clone() }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The values as `wanted`, where they can be.
pub fn fit(written: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if written.data_type() == wanted {
        return Ok(written.clone());
    }
    let nested = |kind: &DataType| matches!(kind, DataType::List(_) | DataType::Struct(_));
    match (written.data_type(), wanted) {
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let from = written.as_struct();
            let arrays = fields.iter().map(|field| match from.column_by_name(field.name()) {
                Some(column) => fit(column, field.data_type()),
                None => Ok(new_null_array(field.data_type(), from.len())),
            });
            let arrays = arrays.collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), arrays, from.nulls().cloned())?))
        }
        (kind, DataType::Utf8 | DataType::Utf8View) if nested(kind) => {
            let mut out = StringBuilder::new();
            let mut json = String::new();
            for row in 0..written.len() {
                if written.is_null(row) {
                    out.append_null();
                    continue;
                }
                json.clear();
                write_json(written, row, &mut json)?;
                out.append_value(&json);
            }
            cast(&(Arc::new(out.finish()) as ArrayRef), wanted)
        }
        (kind, _) if nested(kind) || nested(wanted) => Ok(new_null_array(wanted, written.len())),
        _ => cast(written, wanted),
    }
}

fn cast(written: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if !can_cast_types(written.data_type(), wanted) {
        return Ok(new_null_array(wanted, written.len()));
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    Ok(cast_with_options(written, wanted, &options)?)
}

fn write_json(array: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
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
                out.push_str(&text(field.name()));
                out.push(':');
                write_json(column, row, out)?;
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
                write_json(&items, item, out)?;
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
    use datafusion::arrow::array::{BooleanArray, Int64Array, ListArray, StringArray};
    use datafusion::arrow::datatypes::{Fields, Int64Type};

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
