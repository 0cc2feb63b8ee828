//! What a rule says a record must hold.

use crate::mapping::{Mapping, Source};
use crate::pattern;
use crate::rule::{Expr, Field, Reference, Test};
use rsigma_ir::LowerOptions;
use rsigma_parser::fieldpath::unescape_brackets;
use rsigma_parser::{
    ConditionExpr, Detection, DetectionItem, Detections, Modifier, Quantifier, SelectorPattern, SigmaString,
    SigmaValue, parse_sigma_yaml,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub struct Made {
    pub expr: Expr,
    /// Fields whose path begins with what no log type has, and that path.
    pub unknown: Vec<(String, String)>,
}

pub fn expr(detections: &Detections, source: &Source, mapping: &Mapping) -> Result<Made, String> {
    let mut maker = Maker { source: Some(source), placeholders: &mapping.placeholders, unknown: Vec::new() };
    let expr = maker.all(detections)?;
    Ok(Made { expr, unknown: maker.unknown })
}

/// Of a mapping's `where`: as in a rule, but for paths.
pub fn of_paths(holds: &Map<String, Value>) -> Result<Expr, String> {
    // JSON is YAML.
    let rule = json!({"title": "where", "detection": {"where": holds, "condition": "where"}});
    let collection = parse_sigma_yaml(&rule.to_string()).map_err(|error| format!("`where`: {error}"))?;
    let Some(rule) = collection.rules.first() else {
        return Err(format!("`where`: {}", collection.errors.join("; ")));
    };
    let none = BTreeMap::new();
    let mut maker = Maker { source: None, placeholders: &none, unknown: Vec::new() };
    maker.all(&rule.detection).map_err(|why| format!("`where`: {why}"))
}

struct Maker<'a> {
    /// `None`: names are paths.
    source: Option<&'a Source>,
    placeholders: &'a BTreeMap<String, Vec<String>>,
    unknown: Vec<(String, String)>,
}

impl Maker<'_> {
    fn all(&mut self, detections: &Detections) -> Result<Expr, String> {
        let mut named = BTreeMap::new();
        for (name, detection) in &detections.named {
            named.insert(name.as_str(), self.detection(detection).map_err(|why| format!("`{name}`: {why}"))?);
        }
        let conditions = detections.conditions.iter().map(|condition| combine(condition, &named));
        any(conditions.collect::<Result<_, _>>()?).ok_or_else(|| "it has no condition".to_owned())
    }

    fn detection(&mut self, detection: &Detection) -> Result<Expr, String> {
        match detection {
            Detection::AllOf(items) => {
                all(items.iter().map(|item| self.item(item)).collect::<Result<_, _>>()?).ok_or_else(empty)
            }
            Detection::AnyOf(detections) => {
                any(detections.iter().map(|one| self.detection(one)).collect::<Result<_, _>>()?).ok_or_else(empty)
            }
            Detection::And(detections) => {
                all(detections.iter().map(|one| self.detection(one)).collect::<Result<_, _>>()?).ok_or_else(empty)
            }
            Detection::Keywords(values) => {
                let item =
                    DetectionItem { field: rsigma_parser::FieldSpec::new(None, Vec::new()), values: values.clone() };
                self.item(&item)
            }
            Detection::ArrayMatch { .. } | Detection::Conditional { .. } => {
                Err("conditions on the items of a list (`[any]`, `[all]`) are not supported".to_owned())
            }
        }
    }

    fn item(&mut self, item: &DetectionItem) -> Result<Expr, String> {
        let name = item.field.name.as_deref().map(unescape_brackets);
        let of = |why: String| match &name {
            Some(name) => format!("`{name}`: {why}"),
            None => why,
        };
        // Taken for a field it would hold for nothing.
        if name.as_deref() == Some("<<") {
            return Err("merge keys of YAML (`<<`) are not supported: write out what they bring".to_owned());
        }
        let item = self.expanded(item).map_err(of)?;
        // The library knows which modifiers go together.
        rsigma_ir::lower::lower_detection_item(&item, &LowerOptions::default())
            .map_err(|error| of(error.to_string()))?;
        let test = self.test(&item).map_err(of)?;
        let Some(name) = &name else { return Ok(Expr::Keyword(test)) };
        let (path, filled) = self.place(name);
        Ok(Expr::Field(Field { path, filled, test }))
    }

    fn place(&mut self, name: &str) -> (String, bool) {
        let Some(source) = self.source else { return (name.to_owned(), false) };
        let place = source.place(name);
        if place.unknown {
            self.unknown.push((name.to_owned(), place.path.clone()));
        }
        (place.path, place.filled)
    }

    /// With its placeholders' values.
    fn expanded(&self, item: &DetectionItem) -> Result<DetectionItem, String> {
        let mut item = item.clone();
        if !item.field.has_modifier(Modifier::Expand) {
            return Ok(item);
        }
        item.field.modifiers.retain(|modifier| *modifier != Modifier::Expand);
        let mut values = Vec::new();
        for value in &item.values {
            let SigmaValue::String(text) = value else {
                values.push(value.clone());
                continue;
            };
            for text in self.expand(&text.original)? {
                values.push(SigmaValue::String(SigmaString::new(&text)));
            }
        }
        item.values = values;
        Ok(item)
    }

    fn expand(&self, text: &str) -> Result<Vec<String>, String> {
        let Some((before, rest)) = text.split_once('%') else { return Ok(vec![text.to_owned()]) };
        let Some((name, after)) = rest.split_once('%') else { return Ok(vec![text.to_owned()]) };
        let values = self.placeholders.get(name).ok_or_else(|| {
            format!("nothing says what %{name}% stands for; give its values under `placeholders` with --mapping")
        })?;
        let after = self.expand(after)?;
        let escaped = |value: &String| value.replace('\\', r"\\").replace('*', r"\*").replace('?', r"\?");
        let with = |value: String| after.iter().map(move |after| format!("{before}{value}{after}"));
        Ok(values.iter().map(escaped).flat_map(with).collect())
    }

    fn test(&mut self, item: &DetectionItem) -> Result<Test, String> {
        let modifiers = &item.field.modifiers;
        let has = |modifier: Modifier| modifiers.contains(&modifier);
        if item.values.is_empty() {
            return Err("it has no values".to_owned());
        }
        let mut tests = Vec::new();
        for value in &item.values {
            tests.push(if has(Modifier::FieldRef) {
                let (path, _) = self.place(&plain(value)?);
                Test::Reference(Reference { path, how: pattern::how(modifiers), cased: has(Modifier::Cased) })
            } else {
                pattern::test(value, modifiers, item.field.is_keyword())?
            });
        }
        let test = match has(Modifier::All) {
            true if tests.len() > 1 => Test::All(tests),
            _ => pattern::any(tests),
        };
        Ok(if has(Modifier::Neq) { Test::Not(Box::new(test)) } else { test })
    }
}

fn plain(value: &SigmaValue) -> Result<String, String> {
    match value {
        SigmaValue::String(text) => text.as_plain().ok_or_else(|| "a field's name has no wildcards".to_owned()),
        other => Ok(other.to_string()),
    }
}

fn empty() -> String {
    "it is empty".to_owned()
}

fn all(mut exprs: Vec<Expr>) -> Option<Expr> {
    match exprs.len() {
        0 => None,
        1 => exprs.pop(),
        _ => Some(Expr::All(exprs)),
    }
}

fn any(mut exprs: Vec<Expr>) -> Option<Expr> {
    match exprs.len() {
        0 => None,
        1 => exprs.pop(),
        _ => Some(Expr::Any(exprs)),
    }
}

fn combine(condition: &ConditionExpr, named: &BTreeMap<&str, Expr>) -> Result<Expr, String> {
    let each = |conditions: &[ConditionExpr]| {
        conditions.iter().map(|condition| combine(condition, named)).collect::<Result<Vec<_>, _>>()
    };
    match condition {
        ConditionExpr::And(conditions) => all(each(conditions)?).ok_or_else(empty),
        ConditionExpr::Or(conditions) => any(each(conditions)?).ok_or_else(empty),
        ConditionExpr::Not(condition) => Ok(Expr::Not(Box::new(combine(condition, named)?))),
        ConditionExpr::Identifier(name) => {
            named.get(name.as_str()).cloned().ok_or_else(|| format!("its condition names `{name}`, which is not there"))
        }
        ConditionExpr::Selector { quantifier, pattern } => {
            let chosen = named.iter().filter(|(name, _)| pattern.matches_detection_name(name));
            let chosen: Vec<Expr> = chosen.map(|(_, expr)| expr.clone()).collect();
            let shown = match pattern {
                SelectorPattern::Them => "them",
                SelectorPattern::Pattern(pattern) => pattern,
            };
            if chosen.is_empty() {
                return Err(format!("its condition asks for `{shown}`, and nothing is called so"));
            }
            match quantifier {
                Quantifier::Any | Quantifier::Count(1) => any(chosen).ok_or_else(empty),
                Quantifier::All => all(chosen).ok_or_else(empty),
                Quantifier::Count(count) => match usize::try_from(*count) {
                    Ok(count) if (1..=chosen.len()).contains(&count) => Ok(Expr::AtLeast(count, chosen)),
                    _ => {
                        Err(format!("its condition asks for {count} of `{shown}`, of which there are {}", chosen.len()))
                    }
                },
            }
        }
    }
}
