//! `#[derive(ConfigEnum)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Variant};

use crate::literals::{choice, strings};

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        return Err(Error::new_spanned(
            input,
            "ConfigEnum can be derived for enums only",
        ));
    };
    let mut case = None;
    let mut problem = None;
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("config"))
    {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("case") {
                case = Some(choice(
                    &meta.value()?.parse()?,
                    "case",
                    &["Exact", "Insensitive", "LowerOrUpper"],
                )?);
            } else if meta.path.is_ident("problem") {
                problem = Some(meta.value()?.parse::<LitStr>()?);
            } else {
                return Err(meta.error("unknown attribute; known on an enum: case, problem"));
            }
            Ok(())
        })?;
    }
    let case = case.unwrap_or_else(|| syn::Ident::new("Exact", proc_macro2::Span::call_site()));
    let problem = problem.map(|text| quote!(const PROBLEM: ::core::option::Option<&'static str> = ::core::option::Option::Some(#text);));

    let names = data
        .variants
        .iter()
        .map(variant)
        .collect::<syn::Result<Vec<_>>>()?;
    let (literals, others): (Vec<_>, Vec<_>) = names.into_iter().unzip();
    let others = others.iter().map(|others| quote!(&[#(#others),*]));
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let indices: Vec<_> = (0..variants.len()).collect();
    let name = &input.ident;

    Ok(quote! {
        #[automatically_derived]
        impl ::millrace_api::config::ConfigEnum for #name {
            const VARIANTS: &'static [(&'static str, &'static [&'static str])] = &[#((#literals, #others)),*];
            const CASE: ::millrace_api::config::LetterCase = ::millrace_api::config::LetterCase::#case;
            #problem

            fn at(index: usize) -> ::core::option::Option<Self> {
                match index {
                    #(#indices => ::core::option::Option::Some(Self::#variants),)*
                    _ => ::core::option::Option::None,
                }
            }

            fn index(&self) -> usize {
                match self {
                    #(Self::#variants => #indices,)*
                }
            }
        }

        #[automatically_derived]
        impl ::millrace_api::config::ConfigField for #name {
            const KIND: ::millrace_api::config::ConfigType = ::millrace_api::config::ConfigType::String;

            fn read(field: &::millrace_api::config::FieldText<'_>) -> ::core::result::Result<Self, ::std::string::String> {
                let text = field.text.ok_or_else(|| ::std::string::String::from("A value is required"))?;
                <Self as ::millrace_api::config::ConfigEnum>::from_text(text).ok_or_else(|| {
                    let literals: ::std::vec::Vec<_> = <Self as ::millrace_api::config::ConfigEnum>::literals().collect();
                    ::std::format!("Value must be one of {}", literals.join(", "))
                })
            }

            fn validator() -> ::core::option::Option<::millrace_api::config::Validator> {
                ::core::option::Option::Some(::millrace_api::config::Validator::literal_of::<Self>())
            }

            fn recommender() -> ::core::option::Option<::millrace_api::config::Recommender> {
                ::core::option::Option::Some(::millrace_api::config::Recommender::literals_of::<Self>())
            }
        }
    })
}

/// The variant's literal and the other names that it accepts.
fn variant(variant: &Variant) -> syn::Result<(LitStr, Vec<LitStr>)> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new_spanned(
            variant,
            "a configuration value has no data",
        ));
    }
    let mut literal = None;
    let mut others = Vec::new();
    for attribute in variant
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("config"))
    {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("value") {
                literal = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("accept") {
                others = strings(&meta)?;
            } else {
                return Err(meta.error("unknown attribute; known on a variant: value, accept"));
            }
            Ok(())
        })?;
    }
    let literal = literal.ok_or_else(|| {
        Error::new_spanned(variant, "says its text with #[config(value = \"...\")]")
    })?;
    Ok((literal, others))
}
