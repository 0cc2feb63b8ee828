//! From a function and its options to the function and the component around it.

use crate::expand::{Kind, check_signature, description};
use crate::options::Mistakes;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, ItemFn, Lit, LitStr, Path, Result, Token};

const KNOWN: [&str; 4] = ["name", "schemas", "takes", "sniff"];

const KIND: Kind = Kind {
    name: "parser",
    form: "a parser is written fn name(payload: &[u8]) -> Result<Vec<Part>, String>",
    parameter: "the payload",
    nothing_else_to_do: "it looks at bytes and has nothing to wait for",
    returns: "a parser returns `Result<Vec<Part>, String>`",
};

#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    schemas: Option<Expr>,
    whole: bool,
    sniff: Option<Path>,
}

/// The function is passed on even when something is wrong, lest every call of it be reported as well.
pub fn parser(options: TokenStream, function: TokenStream) -> TokenStream {
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
        .map_err(|error| Error::new(error.span(), format!("#[parser] belongs above a function: {error}")))?;
    let mut mistakes = Mistakes::default();
    let output = mistakes.note(check_signature(&function, &KIND));
    let description = mistakes.note(description(&function.attrs, &KIND));
    let options = mistakes.note(read(options));
    let (Some(output), Some(description), Some(options)) = (output, description, options) else {
        return mistakes.none_or(TokenStream::new());
    };
    Ok(generate(&function, output.span(), &description, &options))
}

fn generate(function: &ItemFn, output: Span, description: &str, options: &Options) -> TokenStream {
    let ident = &function.sig.ident;
    let name = options.name.as_ref().map_or_else(|| ident.unraw().to_string(), LitStr::value);
    let Options { schemas, whole, sniff, .. } = options;
    let schemas = match schemas {
        // A file, by its place in the crate.
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) if !text.value().trim_start().starts_with('{') => {
            quote_spanned! { text.span() => ::core::include_str!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #text)) }
        }
        other => quote! { #other },
    };
    let sniffs = sniff.is_some();
    let sniff = match sniff {
        Some(path) => quote_spanned! { path.span() => #path(head) },
        None => quote! { { let _ = head; false } },
    };
    // A type that is no answer is reported where the author wrote it.
    let mut callee = ident.clone();
    callee.set_span(output.resolved_at(ident.span()));
    let parse = quote_spanned! { output => #callee(payload) };
    quote! {
        #function

        const _: () = {
            struct Component;

            impl ::streamalert_parser_sdk::__private::Parser for Component {
                const NAME: &'static str = #name;
                const DESCRIPTION: &'static str = #description;
                const SCHEMAS: &'static str = #schemas;
                const WHOLE: bool = #whole;
                const SNIFFS: bool = #sniffs;

                fn sniff(head: &[u8]) -> bool {
                    #sniff
                }

                fn parse(
                    payload: &[u8],
                ) -> ::core::result::Result<
                    ::std::vec::Vec<::streamalert_parser_sdk::Part>,
                    ::std::string::String,
                > {
                    #parse
                }
            }

            // Outside WebAssembly nobody calls it but tests; without this the compiler would say so.
            #[cfg(not(target_family = "wasm"))]
            const _: () = {
                let _ = <Component as ::streamalert_parser_sdk::__private::Parser>::parse;
                let _ = <Component as ::streamalert_parser_sdk::__private::Parser>::sniff;
            };
            #[cfg(target_family = "wasm")]
            type Adapted = ::streamalert_parser_sdk::__private::Adapter<Component>;
            #[cfg(target_family = "wasm")]
            ::streamalert_parser_sdk::__private::export!(Adapted);
        };
    }
}

/// All options, or all mistakes at once.
fn read(tokens: &TokenStream) -> Result<Options> {
    let mut options = Options::default();
    let mut mistakes = Mistakes::default();
    let mut seen = Vec::<String>::new();
    let all_read = (|input: ParseStream| {
        crate::options::each(input, &mut mistakes, |input| {
            let name = Ident::parse_any(input)?;
            let key = name.to_string();
            if !KNOWN.contains(&key.as_str()) {
                let known = KNOWN.join(", ");
                return Err(Error::new(name.span(), format!("there is no option `{key}`; the options are {known}")));
            }
            if seen.contains(&key) {
                return Err(Error::new(name.span(), format!("`{key}` is given twice")));
            }
            seen.push(key.clone());
            if !input.peek(Token![=]) {
                return Err(Error::new(name.span(), format!("`{key}` is written {key} = …")));
            }
            input.parse::<Token![=]>()?;
            option(&key, input, &mut options)
        });
        Ok(())
    })
    .parse2(tokens.clone());
    mistakes.note(all_read);
    if !seen.iter().any(|key| key == "schemas") {
        let message = "a parser needs `schemas`, the log types it makes records of, as in schemas = \"schemas.json\"";
        mistakes.note::<()>(Err(if tokens.is_empty() {
            Error::new(Span::call_site(), message)
        } else {
            Error::new_spanned(tokens, message)
        }));
    }
    mistakes.none_or(options)
}

fn option(key: &str, input: ParseStream, options: &mut Options) -> Result<()> {
    let text = |input: ParseStream| -> Result<LitStr> {
        input.parse::<LitStr>().map_err(|error| Error::new(error.span(), format!("`{key}` takes a text")))
    };
    match key {
        "name" => {
            let name = text(input)?;
            let good = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if name.value().is_empty() || !name.value().chars().all(good) || name.value().starts_with(['.', '-']) {
                return Err(Error::new(name.span(), "a name is made of letters, digits, `_`, `-` and `.`"));
            }
            options.name = Some(name);
        }
        "schemas" => options.schemas = Some(input.parse()?),
        "takes" => {
            let takes = text(input)?;
            options.whole = match takes.value().as_str() {
                "lines" => false,
                "whole" => true,
                other => {
                    return Err(Error::new(takes.span(), format!("`takes` is \"lines\" or \"whole\", not {other:?}")));
                }
            };
        }
        _ => {
            options.sniff =
                Some(input.parse::<Path>().map_err(|error| {
                    Error::new(error.span(), "`sniff` takes a function, fn name(head: &[u8]) -> bool")
                })?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
