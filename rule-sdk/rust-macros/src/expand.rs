//! From a function and its options to the function and an entry in the list of rules.

use crate::options::{self, Condition, Literal, Mistakes, Options, Test};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, FnArg, GenericParam, Ident, ItemFn, Lit, Meta, Result, ReturnType, Type};

/// The function is passed on even when something is wrong, lest every call of it be reported as well.
pub fn rule(options: TokenStream, function: TokenStream) -> TokenStream {
    match expand(&options, function.clone()) {
        Ok(tokens) => tokens,
        Err(error) => {
            let errors = error.to_compile_error();
            quote! { #function #errors }
        }
    }
}

fn expand(options: &TokenStream, function: TokenStream) -> Result<TokenStream> {
    let function = syn::parse2::<ItemFn>(function)
        .map_err(|error| Error::new(error.span(), format!("#[rule] belongs above a function: {error}")))?;
    let mut mistakes = Mistakes::default();
    let output = mistakes.note(check_signature(&function, &RULE));
    let description = mistakes.note(description(&function.attrs, &RULE));
    let options = mistakes.note(options::parse(options));
    let (Some(output), Some(description), Some(options)) = (output, description, options) else {
        return mistakes.none_or(TokenStream::new());
    };
    Ok(generate(&function, output, &description, &options))
}

fn generate(function: &ItemFn, output: &Type, description: &str, options: &Options) -> TokenStream {
    let ident = &function.sig.ident;
    let name = ident.unraw().to_string();
    let logs = &options.logs;
    let when = options.when.iter().map(condition);
    let rest = serde_json::Value::Object(options.rest.clone()).to_string();
    // Types that are no verdict or no record are reported where the author wrote them.
    let parameter = match function.sig.inputs.first() {
        Some(FnArg::Typed(typed)) => typed.ty.span(),
        _ => ident.span(),
    };
    let record = Ident::new("record", parameter);
    let mut callee = ident.clone();
    callee.set_span(output.span().resolved_at(ident.span()));
    let judge = quote_spanned! { output.span() =>
        |#record| ::streamalert_sdk::__private::Verdict::finding(#callee(#record))
    };
    quote! {
        #function

        ::streamalert_sdk::__private::inventory::submit! {
            ::streamalert_sdk::__private::Rule {
                name: #name,
                module: ::core::module_path!(),
                description: #description,
                logs: &[#(#logs),*],
                when: &[#(#when),*],
                options: #rest,
                judge: #judge,
            }
        }
    }
}

fn condition(condition: &Condition) -> TokenStream {
    let path = &condition.path;
    let test = match &condition.test {
        Test::Equals(values) => {
            let values = values.iter().map(|value| match value {
                Literal::Text(text) => quote! { ::streamalert_sdk::__private::Literal::Text(#text) },
                Literal::Int(int, _) => quote! { ::streamalert_sdk::__private::Literal::Int(#int) },
                Literal::Float(float, _) => quote! { ::streamalert_sdk::__private::Literal::Float(#float) },
                Literal::Bool(bool, _) => quote! { ::streamalert_sdk::__private::Literal::Bool(#bool) },
            });
            quote! { Equals(&[#(#values),*]) }
        }
        Test::Prefix(texts) => quote! { Prefix(&[#(#texts),*]) },
        Test::Suffix(texts) => quote! { Suffix(&[#(#texts),*]) },
        Test::Contains(texts) => quote! { Contains(&[#(#texts),*]) },
        Test::Exists => quote! { Exists },
    };
    quote! {
        ::streamalert_sdk::__private::Condition { path: #path, test: ::streamalert_sdk::__private::Test::#test }
    }
}

/// What an attribute makes of a function, in the words of its messages.
pub struct Kind {
    pub name: &'static str,
    pub form: &'static str,
    /// What the function takes.
    pub parameter: &'static str,
    /// Why it cannot be async.
    pub nothing_else_to_do: &'static str,
    pub returns: &'static str,
}

const RULE: Kind = Kind {
    name: "rule",
    form: "a rule is written fn name(record: &Record) -> bool",
    parameter: "the record",
    nothing_else_to_do: "it looks at a record and has nothing to wait for",
    returns: "a rule returns `bool`, `Finding`, or an `Option` of either",
};

/// The type it returns.
pub fn check_signature<'a>(function: &'a ItemFn, kind: &Kind) -> Result<&'a Type> {
    let Kind { name, form, parameter: takes, .. } = kind;
    let sig = &function.sig;
    let mut mistakes = Mistakes::default();
    let mut wrong = |span, message: &str| {
        mistakes.note::<()>(Err(Error::new(span, message)));
    };
    if let Some(token) = &sig.asyncness {
        wrong(token.span(), &format!("a {name} cannot be async: {}", kind.nothing_else_to_do));
    }
    if let Some(token) = &sig.unsafety {
        wrong(token.span(), &format!("a {name} cannot be unsafe"));
    }
    if let Some(abi) = &sig.abi {
        wrong(abi.span(), &format!("a {name} cannot be extern"));
    }
    for parameter in &sig.generics.params {
        if !matches!(parameter, GenericParam::Lifetime(_)) {
            wrong(parameter.span(), &format!("a {name} cannot be generic"));
        }
    }
    if sig.inputs.is_empty() {
        wrong(sig.paren_token.span.join(), &format!("a {name} takes {takes}: {form}"));
    }
    for (place, input) in sig.inputs.iter().enumerate() {
        match input {
            _ if place > 0 => wrong(input.span(), &format!("a {name} takes {takes} and nothing else: {form}")),
            FnArg::Receiver(receiver) => wrong(receiver.span(), &format!("a {name} is no method: {form}")),
            FnArg::Typed(typed) => match ungrouped(&typed.ty) {
                Type::Reference(reference) if reference.mutability.is_none() => {
                    if matches!(&*reference.elem, Type::ImplTrait(_)) {
                        wrong(typed.ty.span(), &format!("a {name} cannot be generic"));
                    }
                }
                other => wrong(other.span(), &format!("a {name} borrows {takes}: {form}")),
            },
        }
    }
    match &sig.output {
        ReturnType::Type(_, output) => mistakes.none_or(&**output),
        ReturnType::Default => Err(mistakes.and(Error::new(sig.ident.span(), kind.returns))),
    }
}

/// The type itself where a macro of the author's put invisible parentheses around it.
fn ungrouped(mut ty: &Type) -> &Type {
    while let Type::Group(group) = ty {
        ty = &group.elem;
    }
    ty
}

/// The doc comment without its indentation and without blank lines around it.
pub fn description(attributes: &[Attribute], kind: &Kind) -> Result<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(doc) = &attribute.meta else { continue };
        if !doc.path.is_ident("doc") {
            continue;
        }
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &doc.value else {
            let message = format!("the description of a {} must be a plain doc comment", kind.name);
            return Err(Error::new_spanned(&doc.value, message));
        };
        let text = text.value();
        let starred = text.lines().skip(1).all(|line| line.trim().is_empty() || line.trim_start().starts_with('*'));
        for (place, line) in text.split('\n').enumerate() {
            // A block comment may put a star before each line.
            let line = if place > 0 && starred { line.trim_start().trim_start_matches('*') } else { line };
            lines.push(line.trim_end().to_owned());
        }
    }
    let indentation = |line: &&String| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.is_empty()).map(|line| indentation(&line)).min().unwrap_or(0);
    let lines: Vec<_> = lines.iter().map(|line| line.get(common..).unwrap_or_default()).collect();
    Ok(lines.join("\n").trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests;
