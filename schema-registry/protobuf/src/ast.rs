//! A `.proto` file as a tree, as far as it takes part in a schema: comments and positions are gone, the order of things is kept.
//!
//! Trees come from the parser, from a descriptor, or from code that builds them by hand: every part is plain data with a constructor for its usual form.

use indexmap::IndexMap;

/// The highest field number, printed as `max` in ranges.
pub const MAX_TAG: i32 = (1 << 29) - 1;

/// The `syntax` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// `proto2`, also what a file without the line is.
    Proto2,
    /// `proto3`
    Proto3,
}

impl Syntax {
    /// As it stands between the quotes.
    pub fn text(self) -> &'static str {
        match self {
            Self::Proto2 => "proto2",
            Self::Proto3 => "proto3",
        }
    }
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProtoFile {
    /// `syntax = "…";`, if given.
    pub syntax: Option<Syntax>,
    /// `package …;`, if given.
    pub package: Option<String>,
    /// Paths of plain imports.
    pub imports: Vec<String>,
    /// Paths of `import public`.
    pub public_imports: Vec<String>,
    /// Paths of `import weak`; never printed.
    pub weak_imports: Vec<String>,
    /// Options of the file.
    pub options: Vec<OptionEntry>,
    /// Messages and enums in the order of the text.
    pub types: Vec<TypeElement>,
    /// `extend` blocks at the top.
    pub extends: Vec<Extend>,
    /// Services.
    pub services: Vec<Service>,
}

/// A type declared at the top or in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeElement {
    /// A message.
    Message(Message),
    /// An enum.
    Enum(Enum),
}

impl TypeElement {
    /// Its name, without package and enclosing messages.
    pub fn name(&self) -> &str {
        match self {
            Self::Message(message) => &message.name,
            Self::Enum(declared) => &declared.name,
        }
    }

    /// The message, if it is one.
    pub fn as_message(&self) -> Option<&Message> {
        match self {
            Self::Message(message) => Some(message),
            Self::Enum(_) => None,
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Its simple name.
    pub name: String,
    /// `reserved` lines.
    pub reserved: Vec<Reserved>,
    /// Options.
    pub options: Vec<OptionEntry>,
    /// Fields outside of oneofs.
    pub fields: Vec<Field>,
    /// Oneofs.
    pub oneofs: Vec<Oneof>,
    /// Groups of proto2.
    pub groups: Vec<Group>,
    /// `extensions` lines.
    pub extensions: Vec<Extensions>,
    /// `extend` blocks inside.
    pub extends: Vec<Extend>,
    /// Types declared inside.
    pub types: Vec<TypeElement>,
}

impl Message {
    /// An empty message.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Whether it carries `option map_entry = true`.
    pub fn is_map_entry(&self) -> bool {
        self.options
            .iter()
            .rev()
            .find(|option| option.plain_name() == "map_entry")
            .is_some_and(|option| option.value.is_true())
    }

    /// The nested message of this name.
    pub fn nested(&self, name: &str) -> Option<&Message> {
        self.types
            .iter()
            .filter_map(TypeElement::as_message)
            .find(|message| message.name == name)
    }
}

/// `optional`, `required`, `repeated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// `optional`
    Optional,
    /// `required`
    Required,
    /// `repeated`
    Repeated,
}

impl Label {
    /// The keyword.
    pub fn text(self) -> &'static str {
        match self {
            Self::Optional => "optional",
            Self::Required => "required",
            Self::Repeated => "repeated",
        }
    }
}

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The label, if written.
    pub label: Option<Label>,
    /// A scalar, a name as written (`Item`, `.shop.Item`), or `map<K, V>`.
    pub type_name: String,
    /// Its name.
    pub name: String,
    /// Its number.
    pub tag: i32,
    /// The text of `default`.
    pub default: Option<String>,
    /// The text of `json_name`.
    pub json_name: Option<String>,
    /// The other options.
    pub options: Vec<OptionEntry>,
}

impl Field {
    /// A field without label and options.
    pub fn new(type_name: impl Into<String>, name: impl Into<String>, tag: i32) -> Self {
        Self {
            label: None,
            type_name: type_name.into(),
            name: name.into(),
            tag,
            default: None,
            json_name: None,
            options: Vec::new(),
        }
    }

    /// The same with a label.
    #[must_use]
    pub fn labelled(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }
}

/// A oneof.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Oneof {
    /// Its name.
    pub name: String,
    /// Options.
    pub options: Vec<OptionEntry>,
    /// Members.
    pub fields: Vec<Field>,
    /// Members that are groups.
    pub groups: Vec<Group>,
}

/// A group of proto2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The label, if written.
    pub label: Option<Label>,
    /// Its name.
    pub name: String,
    /// Its number.
    pub tag: i32,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// An enum.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enum {
    /// Its simple name.
    pub name: String,
    /// `reserved` lines.
    pub reserved: Vec<Reserved>,
    /// Options.
    pub options: Vec<OptionEntry>,
    /// Constants in the order of the text.
    pub constants: Vec<EnumConstant>,
}

/// A constant of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnumConstant {
    /// Its name.
    pub name: String,
    /// Its number.
    pub tag: i32,
    /// Options.
    pub options: Vec<OptionEntry>,
}

/// What a `reserved` or `extensions` line lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagRange {
    /// One number.
    Tag(i32),
    /// `first to last`, both included.
    Range(i32, i32),
    /// A reserved name.
    Name(String),
}

/// A `reserved` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// Numbers, ranges and names.
    pub values: Vec<TagRange>,
}

/// An `extensions` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extensions {
    /// Numbers and ranges.
    pub values: Vec<TagRange>,
    /// Options.
    pub options: Vec<OptionEntry>,
}

/// An `extend` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extend {
    /// The message that is extended, as written.
    pub name: String,
    /// The added fields.
    pub fields: Vec<Field>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Options.
    pub options: Vec<OptionEntry>,
    /// Its calls.
    pub rpcs: Vec<Rpc>,
}

/// A call of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rpc {
    /// Its name.
    pub name: String,
    /// Type of the request, as written.
    pub request: String,
    /// Type of the response, as written.
    pub response: String,
    /// `stream` before the request.
    pub request_streaming: bool,
    /// `stream` before the response.
    pub response_streaming: bool,
    /// Options.
    pub options: Vec<OptionEntry>,
}

/// One option, `name = value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionEntry {
    /// Its name without parentheses.
    pub name: String,
    /// `(name)`: an extension.
    pub parenthesized: bool,
    /// Its value.
    pub value: OptionValue,
}

impl OptionEntry {
    /// `name = value`
    pub fn new(name: impl Into<String>, value: OptionValue) -> Self {
        Self {
            name: name.into(),
            parenthesized: false,
            value,
        }
    }

    /// `(name) = value`
    pub fn custom(name: impl Into<String>, value: OptionValue) -> Self {
        Self {
            name: name.into(),
            parenthesized: true,
            value,
        }
    }

    /// The name without a leading dot.
    pub(crate) fn plain_name(&self) -> &str {
        self.name.strip_prefix('.').unwrap_or(&self.name)
    }
}

/// What kind of word a [`OptionValue::Word`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WordKind {
    /// `true`, `false`
    Boolean,
    /// Begins with a digit or a minus.
    Number,
    /// Anything else.
    Enum,
}

/// A value of an option, also inside of `{…}` and `[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionValue {
    /// A quoted text, without its quotes and escapes.
    Text(String),
    /// A bare word.
    Word(WordKind, String),
    /// `{ key: value }`; keys of extensions keep their brackets.
    Map(IndexMap<String, OptionValue>),
    /// `[ value, value ]`
    List(Vec<OptionValue>),
    /// `(name).inner = value`: the inner option.
    Nested(Box<OptionEntry>),
}

impl OptionValue {
    /// A quoted text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// `true` or `false`
    pub fn boolean(value: bool) -> Self {
        Self::Word(WordKind::Boolean, value.to_string())
    }

    /// A number.
    pub fn number(value: impl ToString) -> Self {
        Self::Word(WordKind::Number, value.to_string())
    }

    /// A word such as `SPEED`.
    pub fn word(word: impl Into<String>) -> Self {
        Self::Word(WordKind::Enum, word.into())
    }

    /// `{ key: value }` in this order.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, OptionValue)>) -> Self {
        Self::Map(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The text of a quoted text or a word.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Word(_, text) => Some(text),
            _ => None,
        }
    }

    /// Java's `Boolean.valueOf` of the text.
    pub(crate) fn is_true(&self) -> bool {
        self.as_text()
            .is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

/// The parts of `map<K, V>` as the original splits it: at the first comma.
pub(crate) fn map_parts(type_name: &str) -> Option<(&str, &str)> {
    let inner = type_name.strip_prefix("map<")?.strip_suffix('>')?;
    let (key, value) = inner.split_once(',')?;
    Some((key.trim(), value.trim()))
}

/// The scalar type of this name.
pub(crate) fn is_scalar(type_name: &str) -> bool {
    crate::Scalar::from_name(type_name).is_some()
}
