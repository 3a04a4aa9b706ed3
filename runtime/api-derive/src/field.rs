//! One field of a configuration struct.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, ExprUnary, Field, Ident, Lit, LitInt, LitStr, Path, Type, UnOp};

use crate::literals::{choice, documentation, expressions, strings};

/// How a field gets its value.
enum Reading {
    /// Through the `ConfigField` implementation of its type.
    ByType,
    /// A duration; the flag says whether it is an `Option`.
    Millis { optional: bool },
    /// Through a function of the user.
    Function(Path),
}

/// A field with its attributes.
pub(crate) enum ConfigField {
    /// Another `ConnectConfig` whose keys stand here.
    Nested { ident: Ident, ty: Box<Type> },
    /// A key.
    Key(Box<KeyField>),
}

pub(crate) struct KeyField {
    ident: Ident,
    ty: Type,
    documentation: String,
    name: String,
    required: bool,
    default: Option<Expr>,
    importance: Option<Ident>,
    group: Option<LitStr>,
    order: Option<LitInt>,
    width: Option<Ident>,
    display: Option<LitStr>,
    dependents: Vec<LitStr>,
    kind: Option<Ident>,
    validators: Vec<Expr>,
    recommender: Option<Expr>,
    aliases: Vec<LitStr>,
    listed_aliases: Vec<LitStr>,
    internal: bool,
    hidden: bool,
    unchecked: bool,
    reading: Reading,
}

impl ConfigField {
    pub(crate) fn parse(field: &Field) -> syn::Result<Self> {
        let ident = field
            .ident
            .clone()
            .ok_or_else(|| Error::new_spanned(field, "fields have names"))?;
        let mut nested = false;
        let mut millis = false;
        let mut function = None;
        let mut key = KeyField {
            name: ident.to_string().trim_start_matches("r#").replace('_', "."),
            documentation: documentation(&field.attrs),
            ident,
            ty: field.ty.clone(),
            required: false,
            default: None,
            importance: None,
            group: None,
            order: None,
            width: None,
            display: None,
            dependents: Vec::new(),
            kind: None,
            validators: Vec::new(),
            recommender: None,
            aliases: Vec::new(),
            listed_aliases: Vec::new(),
            internal: false,
            hidden: false,
            unchecked: false,
            reading: Reading::ByType,
        };
        for attribute in field
            .attrs
            .iter()
            .filter(|attribute| attribute.path().is_ident("config"))
        {
            attribute.parse_nested_meta(|meta| {
                let Some(attribute) = meta.path.get_ident().map(ToString::to_string) else { return Err(meta.error("unknown attribute")) };
                match attribute.as_str() {
                    "name" => key.name = meta.value()?.parse::<LitStr>()?.value(),
                    "required" => key.required = true,
                    "default" => key.default = Some(meta.value()?.parse()?),
                    "importance" => key.importance = Some(choice(&meta.value()?.parse()?, "importance", &["High", "Medium", "Low"])?),
                    "group" => key.group = Some(meta.value()?.parse()?),
                    "order" => key.order = Some(meta.value()?.parse()?),
                    "width" => key.width = Some(choice(&meta.value()?.parse()?, "width", &["None", "Short", "Medium", "Long"])?),
                    "display" => key.display = Some(meta.value()?.parse()?),
                    "dependents" => key.dependents = strings(&meta)?,
                    "kind" => {
                        let kinds = ["Boolean", "String", "Int", "Short", "Long", "Double", "List", "Class", "Password"];
                        key.kind = Some(choice(&meta.value()?.parse()?, "kind", &kinds)?);
                    }
                    "validate" => key.validators = expressions(&meta)?,
                    "recommend" => key.recommender = Some(meta.value()?.parse()?),
                    "aliases" => key.aliases = strings(&meta)?,
                    "listed_aliases" => key.listed_aliases = strings(&meta)?,
                    "internal" => key.internal = true,
                    "hidden" => key.hidden = true,
                    "unchecked" => key.unchecked = true,
                    "millis" => millis = true,
                    "nested" => nested = true,
                    "parse" => function = Some(meta.value()?.parse()?),
                    _ => {
                        return Err(meta.error(
                            "unknown attribute; known are name, required, default, importance, group, order, width, display, dependents, kind, validate, \
                             recommend, aliases, listed_aliases, internal, hidden, unchecked, millis, nested, parse",
                        ));
                    }
                }
                Ok(())
            })?;
        }
        if nested {
            return Ok(Self::Nested {
                ident: key.ident,
                ty: Box::new(key.ty),
            });
        }
        let optional = is_option(&key.ty);
        key.reading = match (millis, function) {
            (true, None) => Reading::Millis { optional },
            (false, Some(function)) => Reading::Function(function),
            (false, None) => Reading::ByType,
            (true, Some(_)) => {
                return Err(Error::new_spanned(
                    field,
                    "a field is read with `millis` or with `parse`, not both",
                ));
            }
        };
        if key.required && key.default.is_some() {
            return Err(Error::new_spanned(
                field,
                "a key with a default is not required",
            ));
        }
        if !optional
            && !key.required
            && key.default.is_none()
            && !matches!(key.reading, Reading::Function(_))
        {
            return Err(Error::new_spanned(
                field,
                "needs `default`, `required`, or the type Option",
            ));
        }
        if key.documentation.is_empty() && !key.hidden {
            return Err(Error::new_spanned(
                field,
                "needs a doc comment: it is the documentation of the key",
            ));
        }
        Ok(Self::Key(Box::new(key)))
    }

    pub(crate) fn ident(&self) -> &Ident {
        match self {
            Self::Nested { ident, .. } => ident,
            Self::Key(key) => &key.ident,
        }
    }

    /// Statements that add the keys to `__definition`.
    pub(crate) fn define(&self, debezium: bool) -> TokenStream {
        match self {
            Self::Nested { ty, .. } => {
                quote!(<#ty as ::millrace_api::config::ConnectConfig>::define(__definition);)
            }
            Self::Key(key) => key.define(debezium),
        }
    }

    /// An expression that reads the field: an `Option`, which is `None` when `__errors` got the reason.
    pub(crate) fn read(&self) -> TokenStream {
        match self {
            Self::Nested { ty, .. } => {
                quote!(__errors.take(<#ty as ::millrace_api::config::ConnectConfig>::extract(__evaluation)))
            }
            Self::Key(key) => key.read(),
        }
    }
}

impl KeyField {
    fn define(&self, debezium: bool) -> TokenStream {
        let Self {
            name,
            documentation,
            dependents,
            aliases,
            listed_aliases,
            internal,
            hidden,
            ty,
            ..
        } = self;
        let field = quote!(<#ty as ::millrace_api::config::ConfigField>);
        let by_type = matches!(self.reading, Reading::ByType);
        let kind = match (&self.kind, &self.reading) {
            (Some(kind), _) => quote!(::millrace_api::config::ConfigType::#kind),
            (None, Reading::ByType) => quote!(#field::KIND),
            (None, Reading::Millis { .. }) => quote!(::millrace_api::config::ConfigType::Long),
            (None, Reading::Function(_)) => quote!(::millrace_api::config::ConfigType::String),
        };
        let importance = self
            .importance
            .clone()
            .unwrap_or_else(|| Ident::new("Medium", self.ident.span()));
        let width = self
            .width
            .clone()
            .unwrap_or_else(|| Ident::new("None", self.ident.span()));
        let default = match &self.default {
            Some(default) => {
                let text = default_text(default);
                quote!(::millrace_api::config::DefaultValue::Text(#text))
            }
            None if self.required => quote!(::millrace_api::config::DefaultValue::Required),
            None => quote!(::millrace_api::config::DefaultValue::Null),
        };
        let group = self.group.as_ref().map(|group| quote!(__key.group = ::core::option::Option::Some(::std::string::String::from(#group));));
        let order = self
            .order
            .as_ref()
            .map(|order| quote!(__key.order_in_group = ::core::option::Option::Some(#order);));
        let display = self.display.as_ref().map(|label| quote!(__key.display_name = ::core::option::Option::Some(::std::string::String::from(#label));));
        let own_check = (by_type && !self.unchecked)
            .then(|| quote!(__key.validators.extend(#field::validator());));
        let validators = &self.validators;
        let recommender = match &self.recommender {
            Some(recommender) => {
                Some(quote!(__key.recommender = ::core::option::Option::Some(#recommender);))
            }
            // Debezium offers the literals of every enumeration.
            None if debezium && by_type => Some(quote!(__key.recommender = #field::recommender();)),
            None => None,
        };
        let older = listed_aliases.iter().map(|alias| {
            quote! {{
                let mut __older = __key.clone();
                __older.name = ::std::string::String::from(#alias);
                __older.alias_of = ::core::option::Option::Some(::std::string::String::from(#name));
                __older.aliases = ::std::vec::Vec::new();
                if __older.default == ::millrace_api::config::DefaultValue::Required {
                    __older.default = ::millrace_api::config::DefaultValue::Null;
                }
                __definition.push(__older);
            }}
        });
        quote! {{
            let mut __key = ::millrace_api::config::ConfigKey::new(#name, #kind, ::millrace_api::config::Importance::#importance);
            __key.default = #default;
            __key.documentation = ::std::string::String::from(#documentation);
            #group
            #order
            __key.width = ::millrace_api::config::Width::#width;
            #display
            __key.dependents = ::std::vec![#(::std::string::String::from(#dependents)),*];
            __key.aliases = ::std::vec![#(::std::string::String::from(#aliases),)* #(::std::string::String::from(#listed_aliases)),*];
            __key.internal = #internal;
            __key.hidden = #hidden;
            #own_check
            #(__key.validators.push(::millrace_api::config::IntoValidator::into_validator(#validators));)*
            #recommender
            __definition.push(__key.clone());
            #(#older)*
        }}
    }

    fn read(&self) -> TokenStream {
        let Self { name, ty, .. } = self;
        let result = match &self.reading {
            Reading::ByType => quote!(<#ty as ::millrace_api::config::ConfigField>::read(&__field)),
            Reading::Millis { optional: true } => {
                quote!(::millrace_api::config::duration_from_millis(&__field))
            }
            Reading::Millis { optional: false } => quote! {
                ::millrace_api::config::duration_from_millis(&__field)
                    .and_then(|__duration| __duration.ok_or_else(|| ::std::string::String::from("A value is required")))
            },
            Reading::Function(function) => quote!(#function(__field.text)),
        };
        quote! {{
            let __field = __evaluation.field(#name);
            let __result: ::core::result::Result<#ty, ::std::string::String> = #result;
            match __result {
                ::core::result::Result::Ok(__value) => ::core::option::Option::Some(__value),
                ::core::result::Result::Err(__problem) => {
                    __errors.add(#name, __evaluation.problem(#name, &__problem));
                    ::core::option::Option::None
                }
            }
        }}
    }
}

fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Option"),
        _ => false,
    }
}

/// The default's text: of a literal as written, of any other expression as it prints.
fn default_text(default: &Expr) -> TokenStream {
    let literal = |lit: &Lit| match lit {
        Lit::Str(text) => Some(text.value()),
        Lit::Int(number) => Some(number.base10_digits().to_owned()),
        Lit::Float(number) => Some(number.base10_digits().to_owned()),
        Lit::Bool(value) => Some(value.value.to_string()),
        _ => None,
    };
    let text = match default {
        Expr::Lit(ExprLit { lit, .. }) => literal(lit),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => match &**expr {
            Expr::Lit(ExprLit { lit, .. }) => literal(lit).map(|number| format!("-{number}")),
            _ => None,
        },
        _ => None,
    };
    match text {
        Some(text) => quote!(::std::string::String::from(#text)),
        None => quote!(::std::string::ToString::to_string(&(#default))),
    }
}
