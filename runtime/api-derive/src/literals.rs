//! Reading the values of attributes.

use syn::meta::ParseNestedMeta;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, Token, bracketed};

/// `name = ["a", "b"]`.
pub(crate) fn strings(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let content;
    let value = meta.value()?;
    bracketed!(content in value);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&content)?
        .into_iter()
        .collect())
}

/// `name = expression` or `name = [expression, expression]`.
pub(crate) fn expressions(meta: &ParseNestedMeta<'_>) -> syn::Result<Vec<Expr>> {
    Ok(match meta.value()?.parse()? {
        Expr::Array(array) => array.elems.into_iter().collect(),
        single => vec![single],
    })
}

/// The doc comment, its lines joined with blanks.
pub(crate) fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(doc) if doc.path.is_ident("doc") => match &doc.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
    lines
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The variant of an enum of the API that an attribute's text names in any letter case.
pub(crate) fn choice(
    text: &LitStr,
    what: &str,
    variants: &[&'static str],
) -> syn::Result<syn::Ident> {
    let found = variants
        .iter()
        .find(|variant| variant.eq_ignore_ascii_case(&text.value().replace('_', "")));
    match found {
        Some(variant) => Ok(syn::Ident::new(variant, text.span())),
        None => Err(syn::Error::new(
            text.span(),
            format!(
                "unknown {what}; it is one of {}",
                variants.join(", ").to_lowercase()
            ),
        )),
    }
}
