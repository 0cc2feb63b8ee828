//! Reads what stands between the parentheses of `#[rule(…)]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use serde_json::{Map, Value};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Ident, Lit, LitStr, Result, Token, bracketed, parenthesized, token};

const KNOWN: [&str; 11] = [
    "logs",
    "datatypes",
    "when",
    "outputs",
    "publishers",
    "merge",
    "context",
    "severity",
    "tags",
    "references",
    "tests",
];
const OPERATORS: [&str; 4] = ["prefix", "suffix", "contains", "exists"];
const MERGE: [&str; 6] = ["by", "minutes", "on", "first", "max", "threshold"];
const SEVERITIES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

#[derive(Debug, Default)]
pub struct Options {
    pub logs: Vec<String>,
    pub when: Vec<Condition>,
    /// Everything else, under the names of the contract.
    pub rest: Map<String, Value>,
}

#[derive(Debug)]
pub struct Condition {
    pub path: String,
    pub test: Test,
}

#[derive(Debug)]
pub enum Test {
    Equals(Vec<Literal>),
    Prefix(Vec<String>),
    Suffix(Vec<String>),
    Contains(Vec<String>),
    Exists,
}

#[derive(Debug)]
pub enum Literal {
    Text(LitStr),
    Int(i64, Span),
    Float(f64, Span),
    Bool(bool, Span),
}

impl Literal {
    fn span(&self) -> Span {
        match self {
            Literal::Text(text) => text.span(),
            Literal::Int(_, span) | Literal::Float(_, span) | Literal::Bool(_, span) => *span,
        }
    }
}

/// All options, or all mistakes at once.
pub fn parse(tokens: &TokenStream) -> Result<Options> {
    let mut options = Options::default();
    let mut mistakes = Mistakes::default();
    let mut seen = Vec::<String>::new();
    let read = |input: ParseStream| {
        each(input, &mut mistakes, |input| {
            let name = Ident::parse_any(input)?;
            let key = name.to_string();
            if !KNOWN.contains(&key.as_str()) {
                let known = KNOWN.join(", ");
                return Err(Error::new(name.span(), format!("there is no option `{key}`; the options are {known}")));
            }
            if seen.contains(&key) {
                return Err(Error::new(name.span(), format!("`{key}` is given twice")));
            }
            seen.push(key);
            option(&name, input, &mut options)
        });
        Ok(())
    };
    let all_read = read.parse2(tokens.clone());
    mistakes.note(all_read);
    if !seen.iter().any(|key| key == "logs" || key == "datatypes") {
        let message =
            "a rule needs `logs`, the log types it looks at, as in logs = [\"cloudtrail:events\"], or `datatypes`";
        mistakes.note::<()>(Err(if tokens.is_empty() {
            Error::new(Span::call_site(), message)
        } else {
            Error::new_spanned(tokens, message)
        }));
    }
    mistakes.none_or(options)
}

fn option(name: &Ident, input: ParseStream, options: &mut Options) -> Result<()> {
    let key = name.to_string();
    if key == "when" || key == "merge" {
        if !input.peek(token::Paren) {
            let form = if key == "when" { "when(path = value, …)" } else { "merge(by = [\"path\"], minutes = 30)" };
            return Err(Error::new(name.span(), format!("`{key}` is written {form}")));
        }
        let content;
        parenthesized!(content in input);
        if key == "when" {
            options.when = when(&content)?;
        } else {
            options.rest.insert(key, merge(name.span(), &content)?);
        }
        return Ok(());
    }
    if !input.peek(Token![=]) {
        return Err(Error::new(name.span(), format!("`{key}` is written {key} = …")));
    }
    input.parse::<Token![=]>()?;
    let given = Given::parse(input)?;
    let value = match key.as_str() {
        "logs" => {
            options.logs = plain(&given.some_texts(&key)?);
            for text in given.texts(&key)? {
                if text.value().trim().is_empty() {
                    return Err(Error::new(text.span(), "a log type is not empty"));
                }
            }
            return Ok(());
        }
        "datatypes" => {
            let texts = given.some_texts(&key)?;
            match texts.iter().find(|text| text.value().trim().is_empty()) {
                Some(text) => return Err(Error::new(text.span(), "a datatype is not empty")),
                None => plain(&texts).into(),
            }
        }
        "outputs" => {
            let outputs = given.texts(&key)?;
            let mut mistakes = Mistakes::default();
            for output in &outputs {
                let text = output.value();
                if !text.split_once(':').is_some_and(|(service, name)| !service.is_empty() && !name.is_empty()) {
                    let message =
                        format!("an output is written service:descriptor, as in \"slack:security\", not {text:?}");
                    mistakes.note::<()>(Err(Error::new(output.span(), message)));
                }
            }
            mistakes.none_or(plain(&outputs).into())?
        }
        "publishers" => publishers(&given)?,
        "context" => json_object(&given.text(&key)?, "`context`")?,
        "severity" => {
            let text = given.text(&key)?;
            if !SEVERITIES.contains(&text.value().as_str()) {
                let message =
                    format!("there is no severity {:?}; it is one of {}", text.value(), SEVERITIES.join(", "));
                return Err(Error::new(text.span(), message));
            }
            text.value().into()
        }
        _ => plain(&given.texts(&key)?).into(),
    };
    options.rest.insert(key, value);
    Ok(())
}

/// A name, a list of names, or the text of a JSON object by output.
fn publishers(given: &Given) -> Result<Value> {
    match given {
        Given::One(Literal::Text(text)) if text.value().trim_start().starts_with('{') => {
            json_object(text, "`publishers`")
        }
        Given::One(Literal::Text(text)) => Ok(text.value().into()),
        Given::One(other) => Err(Error::new(other.span(), "`publishers` takes a text or a list of texts")),
        Given::List(..) => Ok(plain(&given.texts("publishers")?).into()),
    }
}

fn json_object(text: &LitStr, what: &str) -> Result<Value> {
    match serde_json::from_str(&text.value()) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => {
            Err(Error::new(text.span(), format!("{what} must be a JSON object, as in r#\"{{\"team\": \"cloud\"}}\"#")))
        }
        Err(error) => Err(Error::new(text.span(), format!("{what} must be a JSON object: {error}"))),
    }
}

fn merge(span: Span, input: ParseStream) -> Result<Value> {
    let mut merge = Map::new();
    let mut mistakes = Mistakes::default();
    each(input, &mut mistakes, |input| {
        let name = Ident::parse_any(input)?;
        let key = name.to_string();
        if !MERGE.contains(&key.as_str()) {
            let message = format!("`merge` has no `{key}`; it takes {}", MERGE.join(", "));
            return Err(Error::new(name.span(), message));
        }
        if merge.contains_key(&key) {
            return Err(Error::new(name.span(), format!("`{key}` is given twice")));
        }
        // Noted before it is read, so that a wrong value is not reported as a missing one as well.
        merge.insert(key.clone(), Value::Null);
        input.parse::<Token![=]>()?;
        let given = Given::parse(input)?;
        let number = |least: i64, most: i64, what: &str| match &given {
            Given::One(Literal::Int(number, _)) if (least..=most).contains(number) => Ok(Value::from(*number)),
            other => Err(Error::new(other.span(), format!("`{key}` takes a whole number of {what}"))),
        };
        let word = |words: &[&str]| match &given {
            Given::One(Literal::Text(text)) if words.contains(&text.value().as_str()) => Ok(Value::from(text.value())),
            other => Err(Error::new(other.span(), format!("`{key}` is one of {}", words.join(", ")))),
        };
        let value = match key.as_str() {
            "by" => plain(&given.some_texts(&key)?).into(),
            "minutes" => number(1, i64::from(u32::MAX), "minutes from 1 on")?,
            "max" => number(2, 1000, "alerts from 2 to 1000")?,
            "threshold" => number(2, 1000, "alerts from 2 to 1000")?,
            "on" => word(&["arrival", "event"])?,
            _ => word(&["wait", "send"])?,
        };
        merge.insert(key, value);
        Ok(())
    });
    // Without `by`, the findings' dedup keys say what belongs together.
    if !merge.contains_key("minutes") {
        let message = "`merge` needs `minutes`, as in merge(by = [\"userIdentity.arn\"], minutes = 30)";
        mistakes.note::<()>(Err(Error::new(span, message)));
    }
    mistakes.none_or(merge.into())
}

fn when(input: ParseStream) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    let mut mistakes = Mistakes::default();
    each(input, &mut mistakes, |input| {
        if !(input.peek(Ident::peek_any) && input.peek2(token::Paren)) {
            let path = path(input)?;
            input.parse::<Token![=]>().map_err(|error| {
                Error::new(error.span(), format!("expected `=` and what {path:?} must equal, or exists({path})"))
            })?;
            conditions.push(Condition { path, test: Test::Equals(Given::parse(input)?.some()?) });
            return Ok(());
        }
        let operator = Ident::parse_any(input)?;
        let name = operator.to_string();
        if !OPERATORS.contains(&name.as_str()) {
            let message = format!(
                "there is no test `{name}`; write path = value, or one of {} with parentheses",
                OPERATORS.join(", ")
            );
            return Err(Error::new(operator.span(), message));
        }
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return Err(Error::new(operator.span(), format!("`{name}` needs a path")));
        }
        let mut wrong = Mistakes::default();
        each(&content, &mut wrong, |content| {
            let path = path(content)?;
            let test = if name == "exists" {
                Test::Exists
            } else {
                content.parse::<Token![=]>()?;
                let texts = plain(&Given::parse(content)?.some_texts(&name)?);
                match name.as_str() {
                    "prefix" => Test::Prefix(texts),
                    "suffix" => Test::Suffix(texts),
                    _ => Test::Contains(texts),
                }
            };
            conditions.push(Condition { path, test });
            Ok(())
        });
        wrong.none_or(())
    });
    mistakes.none_or(conditions)
}

/// Dotted names and numbers, or a text for keys that Rust cannot spell.
fn path(input: ParseStream) -> Result<String> {
    if input.peek(LitStr) {
        let text = input.parse::<LitStr>()?;
        return if text.value().is_empty() {
            Err(Error::new(text.span(), "a path is not empty"))
        } else {
            Ok(text.value())
        };
    }
    const FORM: &str = "expected a path: dotted names, or a text such as \"user-agent\"";
    let mut path = String::new();
    loop {
        if input.peek(Ident::peek_any) {
            path.push_str(&Ident::parse_any(input)?.unraw().to_string());
        } else if !path.is_empty() && input.peek(Lit) {
            // `a.0.1` comes as the name `a` and the number `0.1`.
            let number = input.parse::<Lit>()?;
            let digits = match &number {
                Lit::Int(int) => int.to_string(),
                Lit::Float(float) => float.to_string(),
                other => return Err(Error::new(other.span(), FORM)),
            };
            if !digits.split('.').all(|step| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit())) {
                return Err(Error::new(number.span(), FORM));
            }
            path.push_str(&digits);
        } else {
            return Err(input.error(FORM));
        }
        if !input.peek(Token![.]) {
            return Ok(path);
        }
        input.parse::<Token![.]>()?;
        path.push('.');
    }
}

/// What stands behind `=`.
enum Given {
    One(Literal),
    List(Vec<Literal>, Span),
}

impl Given {
    fn parse(input: ParseStream) -> Result<Self> {
        if !input.peek(token::Bracket) {
            return literal(input).map(Given::One);
        }
        let content;
        let span = bracketed!(content in input).span.join();
        let mut items = Vec::new();
        let mut mistakes = Mistakes::default();
        each(&content, &mut mistakes, |content| {
            items.push(literal(content)?);
            Ok(())
        });
        mistakes.none_or(Given::List(items, span))
    }

    fn span(&self) -> Span {
        match self {
            Given::One(literal) => literal.span(),
            Given::List(_, span) => *span,
        }
    }

    /// One value or a list of at least one.
    fn some(self) -> Result<Vec<Literal>> {
        match self {
            Given::One(literal) => Ok(vec![literal]),
            Given::List(items, span) if items.is_empty() => Err(Error::new(span, "an empty list never matches")),
            Given::List(items, _) => Ok(items),
        }
    }

    fn text(&self, option: &str) -> Result<LitStr> {
        match self {
            Given::One(Literal::Text(text)) => Ok(text.clone()),
            other => Err(Error::new(other.span(), format!("`{option}` takes a text"))),
        }
    }

    /// A text counts as a list of one.
    fn texts(&self, option: &str) -> Result<Vec<LitStr>> {
        let items = match self {
            Given::One(literal) => std::slice::from_ref(literal),
            Given::List(items, _) => items,
        };
        let mut mistakes = Mistakes::default();
        let mut texts = Vec::new();
        for item in items {
            match item {
                Literal::Text(text) => texts.push(text.clone()),
                other => {
                    mistakes.note::<()>(Err(Error::new(other.span(), format!("`{option}` takes a list of texts"))));
                }
            }
        }
        mistakes.none_or(texts)
    }

    fn some_texts(&self, option: &str) -> Result<Vec<LitStr>> {
        let texts = self.texts(option)?;
        if texts.is_empty() {
            return Err(Error::new(self.span(), format!("`{option}` needs at least one text")));
        }
        Ok(texts)
    }
}

fn literal(input: ParseStream) -> Result<Literal> {
    const FORM: &str = "expected a text, a number, true or false, or a list of them";
    let minus = input.parse::<Option<Token![-]>>()?;
    if !input.peek(Lit) {
        return Err(input.error(FORM));
    }
    let number = |digits: &str| if minus.is_some() { format!("-{digits}") } else { digits.to_owned() };
    match input.parse::<Lit>()? {
        Lit::Int(int) if int.suffix().is_empty() => match number(int.base10_digits()).parse() {
            Ok(value) => Ok(Literal::Int(value, int.span())),
            Err(_) => Err(Error::new(int.span(), "this integer does not fit 64 bits with a sign")),
        },
        Lit::Float(float) if float.suffix().is_empty() => match number(float.base10_digits()).parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Literal::Float(value, float.span())),
            _ => Err(Error::new(float.span(), "this number does not fit a double")),
        },
        Lit::Str(text) if minus.is_none() => Ok(Literal::Text(text)),
        Lit::Bool(bool) if minus.is_none() => Ok(Literal::Bool(bool.value, bool.span)),
        other => Err(Error::new(other.span(), FORM)),
    }
}

fn plain(texts: &[LitStr]) -> Vec<String> {
    texts.iter().map(LitStr::value).collect()
}

/// Entries between commas. One that is wrong is noted, and reading goes on behind its comma.
pub fn each(input: ParseStream, mistakes: &mut Mistakes, mut entry: impl FnMut(ParseStream) -> Result<()>) {
    while !input.is_empty() {
        let mut result = entry(input);
        if result.is_ok() && !input.is_empty() && !input.peek(Token![,]) {
            result = Err(input.error("expected `,`"));
        }
        mistakes.note(result);
        while !input.is_empty() && !input.peek(Token![,]) {
            mistakes.note(input.parse::<TokenTree>());
        }
        if !input.is_empty() {
            mistakes.note(input.parse::<Token![,]>());
        }
    }
}

/// Collects mistakes, so that the author sees all of them at once.
#[derive(Default)]
pub struct Mistakes(Option<Error>);

impl Mistakes {
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(error) => match &mut self.0 {
                Some(earlier) => earlier.combine(error),
                none => *none = Some(error),
            },
        }
        None
    }

    /// All of them, with this as the last.
    pub fn and(mut self, last: Error) -> Error {
        self.note::<()>(Err(last.clone()));
        self.0.unwrap_or(last)
    }

    pub fn none_or<T>(self, value: T) -> Result<T> {
        self.0.map_or(Ok(value), Err)
    }
}
