//! `#[derive(ConnectConfig)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, Path};

use crate::field::ConfigField;
use crate::literals::choice;

pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            input,
            "ConnectConfig can be derived for structs only",
        ));
    };
    let Fields::Named(named) = &data.fields else {
        return Err(Error::new_spanned(
            input,
            "the struct needs named fields: one for each key",
        ));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a configuration is not generic",
        ));
    }
    let mut dialect = None;
    let mut order: Option<Path> = None;
    for attribute in input
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("config"))
    {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("dialect") {
                dialect = Some(choice(
                    &meta.value()?.parse()?,
                    "dialect",
                    &["Connect", "Debezium"],
                )?);
            } else if meta.path.is_ident("order") {
                order = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error("unknown attribute; known on a struct: dialect, order"));
            }
            Ok(())
        })?;
    }
    let dialect =
        dialect.unwrap_or_else(|| syn::Ident::new("Connect", proc_macro2::Span::call_site()));
    let debezium = dialect == "Debezium";

    let fields = named
        .named
        .iter()
        .map(ConfigField::parse)
        .collect::<syn::Result<Vec<_>>>()?;
    let name = &input.ident;
    let idents: Vec<_> = fields.iter().map(ConfigField::ident).collect();
    let define = fields.iter().map(|field| field.define(debezium));
    let read = fields.iter().map(ConfigField::read);
    let order = order.map(|order| quote!(__definition = __definition.reorder(&#order);));

    Ok(quote! {
        #[automatically_derived]
        impl ::millrace_api::config::ConnectConfig for #name {
            fn define(__definition: &mut ::millrace_api::config::ConfigDef) {
                #(#define)*
            }

            fn extract(
                __evaluation: &::millrace_api::config::Evaluation,
            ) -> ::core::result::Result<Self, ::millrace_api::config::ConfigErrors> {
                let mut __errors = ::millrace_api::config::ConfigErrors::default();
                #(let #idents = #read;)*
                ::core::result::Result::Ok(Self {
                    #(#idents: #idents.ok_or_else(|| __errors.clone())?),*
                })
            }

            fn shared_definition() -> &'static ::std::sync::Arc<::millrace_api::config::ConfigDef> {
                static DEFINITION: ::std::sync::OnceLock<::std::sync::Arc<::millrace_api::config::ConfigDef>> = ::std::sync::OnceLock::new();
                DEFINITION.get_or_init(|| {
                    let mut __definition =
                        ::millrace_api::config::ConfigDef::with_dialect(::millrace_api::config::Dialect::#dialect);
                    <Self as ::millrace_api::config::ConnectConfig>::define(&mut __definition);
                    #order
                    ::std::sync::Arc::new(__definition)
                })
            }
        }
    })
}
