//! One configuration key.

use super::check::{IntoValidator, Validator};
use super::recommend::Recommender;

/// Connect's type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigType {
    /// `true` or `false` in any case.
    Boolean,
    /// Any text.
    String,
    /// 32-bit integer.
    Int,
    /// 16-bit integer.
    Short,
    /// 64-bit integer.
    Long,
    /// Double-precision number.
    Double,
    /// Texts separated by commas.
    List,
    /// Name or alias of a class.
    Class,
    /// A text that is never shown.
    Password,
}

impl ConfigType {
    /// The name in JSON and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Short => "SHORT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// What a key has when it is not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// Nothing: the key is required.
    Required,
    /// Null: the key is optional.
    Null,
    /// This text, parsed like a given one.
    Text(String),
}

/// How much a user should care about a key. Ordered from high to low, as keys are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// Nearly everyone sets it.
    High,
    /// Some set it.
    Medium,
    /// For special cases.
    Low,
}

impl Importance {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// How wide a form should draw a key's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Not said.
    None,
    /// A few characters.
    Short,
    /// A word.
    Medium,
    /// A line.
    Long,
}

impl Width {
    /// The name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        }
    }
}

/// One key of a [`ConfigDef`](super::ConfigDef).
#[derive(Clone, Debug)]
pub struct ConfigKey {
    /// The key.
    pub name: String,
    /// Its type.
    pub kind: ConfigType,
    /// What it has when not given.
    pub default: DefaultValue,
    /// How much it matters.
    pub importance: Importance,
    /// What it does, for users.
    pub documentation: String,
    /// Heading under which forms show it.
    pub group: Option<String>,
    /// Place in the group. `None` with a group: after the key of that group before it.
    pub order_in_group: Option<i32>,
    /// Width of its input.
    pub width: Width,
    /// Its label. `None`: the key itself.
    pub display_name: Option<String>,
    /// Keys that should be looked at again when this one changes.
    pub dependents: Vec<String>,
    /// Checks on the parsed value, all of them run.
    pub validators: Vec<Validator>,
    /// Values to offer, and whether to show the key at all.
    pub recommender: Option<Recommender>,
    /// Meant for developers: kept out of documentation, but part of the JSON as in Java.
    pub internal: bool,
    /// Read but not published: neither in JSON nor in documentation, and `/validate` does not complain about it.
    pub hidden: bool,
    /// Older names whose value counts when `name` itself is not given.
    pub aliases: Vec<String>,
    /// For an older name that is published as a key of its own: the name that it stands for.
    pub alias_of: Option<String>,
    /// For a key embedded under a prefix: the name that validators print, which is the one without the prefix.
    pub(super) own_name: Option<String>,
}

impl ConfigKey {
    /// A required key without group; the other parts are set with the methods below.
    pub fn new(name: impl Into<String>, kind: ConfigType, importance: Importance) -> Self {
        Self {
            name: name.into(),
            kind,
            default: DefaultValue::Required,
            importance,
            documentation: String::new(),
            group: None,
            order_in_group: None,
            width: Width::None,
            display_name: None,
            dependents: Vec::new(),
            validators: Vec::new(),
            recommender: None,
            internal: false,
            hidden: false,
            aliases: Vec::new(),
            alias_of: None,
            own_name: None,
        }
    }

    /// Sets the default text.
    #[must_use]
    pub fn default_value(mut self, text: impl Into<String>) -> Self {
        self.default = DefaultValue::Text(text.into());
        self
    }

    /// Makes the key optional without a value.
    #[must_use]
    pub fn default_null(mut self) -> Self {
        self.default = DefaultValue::Null;
        self
    }

    /// Sets the documentation.
    #[must_use]
    pub fn doc(mut self, text: impl Into<String>) -> Self {
        self.documentation = text.into();
        self
    }

    /// Sets the group and the place in it.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>, order: i32) -> Self {
        self.group = Some(group.into());
        self.order_in_group = Some(order);
        self
    }

    /// Sets the group; the place is after the key of that group before this one.
    #[must_use]
    pub fn next_in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self.order_in_group = None;
        self
    }

    /// Sets the width.
    #[must_use]
    pub fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    /// Sets the label.
    #[must_use]
    pub fn display(mut self, label: impl Into<String>) -> Self {
        self.display_name = Some(label.into());
        self
    }

    /// Sets the dependents.
    #[must_use]
    pub fn dependents<I: IntoIterator<Item = S>, S: Into<String>>(mut self, keys: I) -> Self {
        self.dependents = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a validator.
    #[must_use]
    pub fn validate(mut self, validator: impl IntoValidator) -> Self {
        self.validators.push(validator.into_validator());
        self
    }

    /// Sets the recommender.
    #[must_use]
    pub fn recommend(mut self, recommender: Recommender) -> Self {
        self.recommender = Some(recommender);
        self
    }

    /// The label: the display name, or the key.
    pub fn label(&self) -> &str {
        self.display_name
            .as_deref()
            .unwrap_or_else(|| self.own_name())
    }

    /// The name that validators print.
    pub(super) fn own_name(&self) -> &str {
        self.own_name.as_deref().unwrap_or(&self.name)
    }
}
