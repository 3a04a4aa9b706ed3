//! Message types with their names resolved: what a codec needs.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::ast::{
    Enum, Field, Label, Message, OptionEntry, ProtoFile, Syntax, TypeElement, map_parts,
};
use crate::meta::{Meta, find_flag};
use crate::names::{default_json_name, map_entry_name};
use crate::scope::{Origin, Scope, TypeIndex};
use crate::{ProtobufError, Scalar, known};

/// What a field holds; messages and enums by their place in [`Descriptors`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// A scalar.
    Scalar(Scalar),
    /// A message.
    Message(usize),
    /// An enum.
    Enum(usize),
}

/// A field.
#[derive(Debug, Clone)]
pub struct FieldDescriptor {
    /// Its name.
    pub name: Arc<str>,
    /// Its name in JSON, given or derived.
    pub json_name: Arc<str>,
    /// Its number.
    pub number: i32,
    /// Its label; where none is written, `optional`.
    pub label: Label,
    /// `optional` written in proto3.
    pub proto3_optional: bool,
    /// Its type.
    pub kind: FieldKind,
    /// The oneof it belongs to, by its place in [`MessageDescriptor::oneofs`]; never the one that `optional` makes in proto3.
    pub oneof: Option<usize>,
    /// Whether an unset field differs from one that holds its default.
    pub has_presence: bool,
    /// Whether a writer packs it.
    pub packed: bool,
    /// The default of proto2, as written.
    pub default: Option<Arc<str>>,
    /// `params` of `(confluent.field_meta)`.
    pub params: IndexMap<String, String>,
}

impl FieldDescriptor {
    /// Whether it is repeated.
    pub fn is_repeated(&self) -> bool {
        self.label == Label::Repeated
    }
}

/// A oneof.
#[derive(Debug, Clone)]
pub struct OneofDescriptor {
    /// Its name.
    pub name: Arc<str>,
    /// Its name with that of the message before it.
    pub full_name: Arc<str>,
    /// Its members, by their place in [`MessageDescriptor::fields`].
    pub fields: Vec<usize>,
}

/// A message.
#[derive(Debug, Clone)]
pub struct MessageDescriptor {
    /// Its simple name.
    pub name: Arc<str>,
    /// Its name with package and enclosing messages.
    pub full_name: Arc<str>,
    /// The syntax of its file.
    pub syntax: Syntax,
    /// Members of oneofs first, then the others, each in the order of the text.
    pub fields: Vec<FieldDescriptor>,
    /// Oneofs in the order of the text.
    pub oneofs: Vec<OneofDescriptor>,
    /// Whether it stands for a map.
    pub map_entry: bool,
}

/// An enum.
#[derive(Debug, Clone)]
pub struct EnumDescriptor {
    /// Its simple name.
    pub name: Arc<str>,
    /// Its name with package and enclosing messages.
    pub full_name: Arc<str>,
    /// The syntax of its file.
    pub syntax: Syntax,
    /// Name and number of each constant in the order of the text.
    pub constants: Vec<(Arc<str>, i32)>,
}

/// All message types of a file and those that they use.
#[derive(Debug, Clone, Default)]
pub struct Descriptors {
    messages: Vec<MessageDescriptor>,
    enums: Vec<EnumDescriptor>,
    by_name: HashMap<Arc<str>, FieldKind>,
}

impl Descriptors {
    /// All messages.
    pub fn messages(&self) -> &[MessageDescriptor] {
        &self.messages
    }

    /// The message at this place, which a [`FieldKind::Message`] of the same value holds.
    ///
    /// # Panics
    /// For a place from other descriptors.
    pub fn message(&self, place: usize) -> &MessageDescriptor {
        &self.messages[place]
    }

    /// The enum at this place, which a [`FieldKind::Enum`] of the same value holds.
    ///
    /// # Panics
    /// For a place from other descriptors.
    pub fn declared_enum(&self, place: usize) -> &EnumDescriptor {
        &self.enums[place]
    }

    /// The place of the enum of this full name.
    pub fn find_enum(&self, full_name: &str) -> Option<usize> {
        match self.by_name.get(full_name)? {
            FieldKind::Enum(place) => Some(*place),
            _ => None,
        }
    }

    /// The place of the message of this full name.
    pub fn find_message(&self, full_name: &str) -> Option<usize> {
        match self.by_name.get(full_name)? {
            FieldKind::Message(place) => Some(*place),
            _ => None,
        }
    }
}

/// What is to be described still.
enum Pending<'a> {
    Declared {
        message: &'a Message,
        syntax: Syntax,
        package: &'a str,
    },
    Entry {
        key: String,
        value: String,
        syntax: Syntax,
        package: &'a str,
    },
}

struct Builder<'i, 'a> {
    index: &'i TypeIndex<'a>,
    file: &'a ProtoFile,
    references: &'a [(Arc<str>, Arc<ProtoFile>)],
    descriptors: Descriptors,
    /// In the order of the text, so that places follow it.
    pending: VecDeque<(usize, Pending<'a>)>,
}

/// Describes every message of `file` and what these use.
pub(crate) fn describe<'a>(
    file: &'a ProtoFile,
    references: &'a [(Arc<str>, Arc<ProtoFile>)],
    index: &TypeIndex<'a>,
) -> Result<Descriptors, ProtobufError> {
    let mut builder = Builder {
        index,
        file,
        references,
        descriptors: Descriptors::default(),
        pending: VecDeque::new(),
    };
    let package = file.package.as_deref().unwrap_or_default();
    builder.declare_all(&file.types, package, package, syntax_of(file));
    while let Some((place, pending)) = builder.pending.pop_front() {
        builder.fill(place, pending)?;
    }
    if index.is_exhausted() {
        return Err(ProtobufError::Invalid(
            "the schema needs too many look-ups of names".to_owned(),
        ));
    }
    Ok(builder.descriptors)
}

fn syntax_of(file: &ProtoFile) -> Syntax {
    file.syntax.unwrap_or(Syntax::Proto2)
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

impl<'a> Builder<'_, 'a> {
    fn declare_all(
        &mut self,
        types: &'a [TypeElement],
        scope: &str,
        package: &'a str,
        syntax: Syntax,
    ) {
        for element in types {
            let full_name = join(scope, element.name());
            self.declare(element, &full_name, package, syntax);
            if let TypeElement::Message(message) = element {
                self.declare_all(&message.types, &full_name, package, syntax);
            }
        }
    }

    fn declare(
        &mut self,
        element: &'a TypeElement,
        full_name: &str,
        package: &'a str,
        syntax: Syntax,
    ) -> FieldKind {
        match element {
            TypeElement::Message(message) => self.add(
                &message.name,
                full_name,
                message.is_map_entry(),
                syntax,
                Pending::Declared {
                    message,
                    syntax,
                    package,
                },
            ),
            TypeElement::Enum(declared) => {
                let full_name: Arc<str> = full_name.into();
                let kind = FieldKind::Enum(self.descriptors.enums.len());
                self.descriptors.enums.push(describe_enum(
                    declared,
                    Arc::clone(&full_name),
                    syntax,
                ));
                self.descriptors.by_name.insert(full_name, kind);
                kind
            }
        }
    }

    fn add(
        &mut self,
        name: &str,
        full_name: &str,
        map_entry: bool,
        syntax: Syntax,
        pending: Pending<'a>,
    ) -> FieldKind {
        let full_name: Arc<str> = full_name.into();
        let place = self.descriptors.messages.len();
        self.descriptors.messages.push(MessageDescriptor {
            name: name.into(),
            full_name: Arc::clone(&full_name),
            syntax,
            fields: Vec::new(),
            oneofs: Vec::new(),
            map_entry,
        });
        let kind = FieldKind::Message(place);
        self.descriptors.by_name.insert(full_name, kind);
        self.pending.push_back((place, pending));
        kind
    }

    fn fill(&mut self, place: usize, pending: Pending<'a>) -> Result<(), ProtobufError> {
        let full_name = Arc::clone(&self.descriptors.messages[place].full_name);
        let (fields, oneofs) = match pending {
            Pending::Entry {
                key,
                value,
                syntax,
                package,
            } => {
                let position = Position::new(self.index, package, &full_name, syntax);
                let key = self.field(&Field::new(key, "key", 1), None, &position)?;
                let value = self.field(&Field::new(value, "value", 2), None, &position)?;
                (vec![key, value], Vec::new())
            }
            Pending::Declared {
                message,
                syntax,
                package,
            } => {
                let position = Position::new(self.index, package, &full_name, syntax);
                let mut fields = Vec::new();
                let mut oneofs = Vec::new();
                for (i, oneof) in message.oneofs.iter().enumerate() {
                    let first = fields.len();
                    for field in &oneof.fields {
                        fields.push(self.field(field, Some(i), &position)?);
                    }
                    oneofs.push(OneofDescriptor {
                        name: oneof.name.as_str().into(),
                        full_name: join(&full_name, &oneof.name).into(),
                        fields: (first..fields.len()).collect(),
                    });
                }
                let in_oneof: HashSet<Arc<str>> =
                    fields.iter().map(|field| Arc::clone(&field.name)).collect();
                for field in &message.fields {
                    if !in_oneof.contains(field.name.as_str()) {
                        fields.push(self.field(field, None, &position)?);
                    }
                }
                (fields, oneofs)
            }
        };
        check_fields(&full_name, &fields)?;
        let message = &mut self.descriptors.messages[place];
        message.fields = fields;
        message.oneofs = oneofs;
        Ok(())
    }

    fn field(
        &mut self,
        field: &Field,
        oneof: Option<usize>,
        position: &Position<'a, '_>,
    ) -> Result<FieldDescriptor, ProtobufError> {
        let proto3 = position.syntax == Syntax::Proto3;
        let mut label = field.label.unwrap_or(Label::Optional);
        let kind = match map_parts(&field.type_name) {
            Some((key, value)) => {
                label = Label::Repeated;
                let name = map_entry_name(&field.name);
                let full_name = join(position.full_name, &name);
                match self.descriptors.by_name.get(full_name.as_str()) {
                    Some(kind) => *kind,
                    None => self.add(
                        &name,
                        &full_name,
                        true,
                        position.syntax,
                        Pending::Entry {
                            key: key.to_owned(),
                            value: value.to_owned(),
                            syntax: position.syntax,
                            package: position.package,
                        },
                    ),
                }
            }
            None => self.kind(&field.type_name, position)?,
        };
        let repeated = label == Label::Repeated;
        let proto3_optional = proto3 && field.label == Some(Label::Optional) && oneof.is_none();
        let packable = repeated
            && match kind {
                FieldKind::Scalar(scalar) => scalar.is_packable(),
                FieldKind::Enum(_) => true,
                FieldKind::Message(_) => false,
            };
        Ok(FieldDescriptor {
            name: field.name.as_str().into(),
            json_name: field
                .json_name
                .clone()
                .unwrap_or_else(|| default_json_name(&field.name))
                .into(),
            number: field.tag,
            label,
            proto3_optional,
            kind,
            oneof,
            has_presence: !repeated
                && (!proto3
                    || proto3_optional
                    || oneof.is_some()
                    || matches!(kind, FieldKind::Message(_))),
            packed: packable && find_flag(&field.options, "packed").unwrap_or(proto3),
            default: field.default.as_deref().map(Arc::from),
            params: field_params(&field.options),
        })
    }

    fn kind(
        &mut self,
        type_name: &str,
        position: &Position<'a, '_>,
    ) -> Result<FieldKind, ProtobufError> {
        if let Some(scalar) = Scalar::from_name(type_name) {
            return Ok(FieldKind::Scalar(scalar));
        }
        let index = self.index;
        let Some((full_name, found)) = position.scope.find_type(index, type_name) else {
            return Err(ProtobufError::Invalid(format!(
                "Could not resolve type: {type_name}"
            )));
        };
        if let Some(kind) = self.descriptors.by_name.get(full_name.as_str()) {
            return Ok(*kind);
        }
        let file = match found.origin {
            Origin::Own => self.file,
            Origin::Reference(at) => &self.references[at].1,
            Origin::Known(at) => &known::files()[at].1,
        };
        let (element, package) = (found.element, found.package);
        Ok(self.declare(element, &full_name, package, syntax_of(file)))
    }
}

fn field_params(options: &[OptionEntry]) -> IndexMap<String, String> {
    if options.is_empty() {
        return IndexMap::new();
    }
    Meta::find(options, "confluent.field_meta")
        .map(|meta| meta.params)
        .unwrap_or_default()
}

/// Where the names of a message's fields are looked up.
struct Position<'a, 'n> {
    scope: Scope<'n>,
    full_name: &'n str,
    package: &'a str,
    syntax: Syntax,
}

impl<'a: 'n, 'n> Position<'a, 'n> {
    fn new(index: &TypeIndex<'_>, package: &'a str, full_name: &'n str, syntax: Syntax) -> Self {
        let mut scope = Scope::of_package(index, Some(package));
        let local = full_name
            .strip_prefix(package)
            .map_or(full_name, |rest| rest.strip_prefix('.').unwrap_or(rest));
        for name in local.split('.') {
            scope.enter(index, name);
        }
        Self {
            scope,
            full_name,
            package,
            syntax,
        }
    }
}

fn check_fields(message: &str, fields: &[FieldDescriptor]) -> Result<(), ProtobufError> {
    let mut numbers: HashMap<i32, &str> = HashMap::new();
    let mut names: HashSet<&str> = HashSet::new();
    let invalid = |why: String| {
        ProtobufError::Invalid(format!(
            "Invalid protobuf schema definition: {message}.{why}"
        ))
    };
    for field in fields {
        if field.number <= 0 {
            return Err(invalid(format!(
                "{}: Field numbers must be positive integers.",
                field.name
            )));
        }
        if let Some(first) = numbers.insert(field.number, &field.name) {
            return Err(invalid(format!(
                "{}: Field number {} has already been used in \"{message}\" by field \"{first}\".",
                field.name, field.number
            )));
        }
        if !names.insert(&field.name) {
            return Err(invalid(format!(
                "{}: \"{}\" is already defined in \"{message}\".",
                field.name, field.name
            )));
        }
    }
    Ok(())
}

fn describe_enum(declared: &Enum, full_name: Arc<str>, syntax: Syntax) -> EnumDescriptor {
    EnumDescriptor {
        name: declared.name.as_str().into(),
        full_name,
        syntax,
        constants: declared
            .constants
            .iter()
            .map(|constant| (constant.name.as_str().into(), constant.tag))
            .collect(),
    }
}
