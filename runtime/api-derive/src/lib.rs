//! `#[derive(ConnectConfig)]` and `#[derive(ConfigEnum)]`: configuration keys from plain structs and enums.
//!
//! The attributes are described where the traits are, in `millrace_api::config`.

mod config_enum;
mod connect_config;
mod field;
mod literals;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Implements `millrace_api::config::ConnectConfig` for a struct with named fields.
#[proc_macro_derive(ConnectConfig, attributes(config))]
pub fn derive_connect_config(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    connect_config::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Implements `millrace_api::config::ConfigEnum` and `ConfigField` for an enum without data.
#[proc_macro_derive(ConfigEnum, attributes(config))]
pub fn derive_config_enum(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    config_enum::expand(&input)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
