//! What becomes of a table when its schema changes: columns are added, none goes, and none changes its type, as what lies there
//! could not be read any more.

use super::Column;

/// A column that should be of another type than what lies there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "column {column} is {there} and the schema now makes it {wanted}: what lies there could not be read any more. Keep its type, or \
     give the field or the log type another name, so that a new column or table begins"
)]
pub struct TypeChange {
    pub column: String,
    pub there: String,
    pub wanted: String,
}

/// The columns a table with the columns `there` is to have for a schema that asks for `wanted`. What no schema asks for any more
/// stays, since it is reached in what lies there.
pub fn evolve(there: &[Column], wanted: &[Column]) -> Result<Vec<Column>, Vec<TypeChange>> {
    let mut columns = there.to_vec();
    let mut faults = Vec::new();
    for column in wanted {
        let Some(known) = columns.iter_mut().find(|known| known.name == column.name) else {
            columns.push(column.clone());
            continue;
        };
        known.key.clone_from(&column.key);
        match grown(&known.kind, &column.kind) {
            Some(kind) => known.kind = kind,
            None => faults.push(TypeChange {
                column: column.name.clone(),
                there: known.kind.clone(),
                wanted: column.kind.clone(),
            }),
        }
    }
    if faults.is_empty() { Ok(columns) } else { Err(faults) }
}

/// The type that holds what either holds; structs grow by their fields.
fn grown(there: &str, wanted: &str) -> Option<String> {
    if there.eq_ignore_ascii_case(wanted) {
        return Some(there.to_owned());
    }
    let (mut fields, more) = (fields(there)?, fields(wanted)?);
    for (name, kind) in more {
        match fields.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            Some((_, known)) => *known = grown(known, &kind)?,
            None => fields.push((name, kind)),
        }
    }
    let entries: Vec<String> = fields.into_iter().map(|(name, kind)| format!("{name}:{kind}")).collect();
    Some(format!("struct<{}>", entries.join(",")))
}

/// Of `struct<name:type,…>`.
fn fields(kind: &str) -> Option<Vec<(String, String)>> {
    let inner = kind.trim().strip_prefix("struct<")?.strip_suffix('>')?;
    let (mut depth, mut from, mut entries) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                entries.push(&inner[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    entries.push(&inner[from..]);
    entries.into_iter().map(|entry| entry.split_once(':').map(|(name, kind)| (name.into(), kind.into()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<Column> {
        let column = |(name, kind): &(&str, &str)| Column { name: (*name).into(), kind: (*kind).into(), key: None };
        columns.iter().map(column).collect()
    }

    #[test]
    fn columns_are_added_behind_the_others_and_none_goes() {
        let there = columns(&[("a", "string"), ("gone", "bigint"), ("s", "struct<x:bigint,y:struct<z:string>>")]);
        let wanted = columns(&[
            ("new", "double"),
            ("s", "struct<y:struct<w:array<string>,z:string>,n:boolean,x:bigint>"),
            ("a", "string"),
        ]);
        let expected = columns(&[
            ("a", "string"),
            ("gone", "bigint"),
            ("s", "struct<x:bigint,y:struct<z:string,w:array<string>>,n:boolean>"),
            ("new", "double"),
        ]);
        assert_eq!(evolve(&there, &wanted).unwrap(), expected);
        assert_eq!(evolve(&expected, &wanted).unwrap(), expected, "a second time changes nothing");
        assert_eq!(evolve(&[], &wanted).unwrap(), wanted);
    }

    #[test]
    fn another_type_is_refused_wherever_it_stands() {
        for (there, wanted) in [
            ("bigint", "string"),
            ("string", "struct<a:string>"),
            ("array<string>", "string"),
            ("struct<a:bigint>", "struct<a:double>"),
            ("struct<a:struct<b:string>>", "struct<a:struct<b:bigint>>"),
        ] {
            let faults =
                evolve(&columns(&[("c", there), ("d", "string")]), &columns(&[("c", wanted), ("e", "string")]));
            let told = faults.unwrap_err();
            assert_eq!((told.len(), told[0].column.as_str()), (1, "c"), "{there} {wanted}");
            let text = told[0].to_string();
            assert!(text.contains(there) && text.contains(wanted) && text.contains("another name"), "{text}");
        }
    }
}
