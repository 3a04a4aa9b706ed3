//! A schema: one file and what it refers to.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::ast::{Message, ProtoFile, TypeElement};
use crate::descriptor::{read_file, write_file};
use crate::print::{Mode, PrintError, print};
use crate::resolved::{Descriptors, describe};
use crate::scope::TypeIndex;
use crate::{ProtobufError, Strictness, diff, known, syntax};

/// Java's basic alphabet: padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A schema: one file and what it imports. Immutable; share it in an `Arc`.
#[derive(Debug, Clone)]
pub struct ProtobufSchema {
    file: Arc<ProtoFile>,
    references: Vec<(Arc<str>, Arc<ProtoFile>)>,
    /// Bytes of the text it was read from.
    text_size: usize,
}

impl ProtobufSchema {
    /// Parses `text`: a `.proto` file, or the base64 of a `FileDescriptorProto`. `references` are (import path, text), dependencies first.
    ///
    /// # Errors
    /// See [`ProtobufError`].
    pub fn parse(
        text: &str,
        references: &[(Arc<str>, Arc<str>)],
        strictness: Strictness,
    ) -> Result<Self, ProtobufError> {
        let mut text_size = text.len();
        let mut parsed: Vec<(Arc<str>, Arc<ProtoFile>)> = Vec::with_capacity(references.len());
        for (path, text) in references {
            if parsed.iter().any(|(known, _)| known == path) {
                continue;
            }
            text_size += text.len();
            parsed.push((Arc::clone(path), Arc::new(read(text)?)));
        }
        let schema = Self {
            file: Arc::new(read(text)?),
            references: parsed,
            text_size,
        };
        schema.validate(strictness)?;
        Ok(schema)
    }

    /// A schema of a file built by hand. Files it refers to are given with their import paths; the built-in ones need not be.
    pub fn from_file(file: ProtoFile, references: Vec<(Arc<str>, Arc<ProtoFile>)>) -> Self {
        let mut schema = Self {
            file: Arc::new(file),
            references,
            text_size: 0,
        };
        schema.text_size = schema.print(Mode::Canonical).map_or(0, |text| text.len());
        schema
    }

    fn validate(&self, strictness: Strictness) -> Result<(), ProtobufError> {
        // That it can be printed is asked of every text: what is stored is the print.
        self.print(Mode::Canonical)
            .map_err(|error| ProtobufError::Invalid(error.to_string()))?;
        if strictness == Strictness::New {
            self.try_normalized()?;
        }
        Ok(())
    }

    fn print(&self, mode: Mode<'_, '_>) -> Result<String, PrintError> {
        print(&self.file, mode)
    }

    pub(crate) fn index(&self) -> TypeIndex<'_> {
        TypeIndex::new(&self.file, &self.references)
    }

    pub(crate) fn references(&self) -> &[(Arc<str>, Arc<ProtoFile>)] {
        &self.references
    }

    /// The file.
    pub fn file(&self) -> &ProtoFile {
        &self.file
    }

    /// The canonical text, which the registry stores.
    pub fn canonical(&self) -> String {
        self.print(Mode::Canonical).unwrap_or_default()
    }

    /// The normalized text (`normalize=true`). Where a name means nothing, the canonical text; [`try_normalized`](Self::try_normalized) says so instead.
    pub fn normalized(&self) -> String {
        self.try_normalized().unwrap_or_else(|_| self.canonical())
    }

    /// The normalized text.
    ///
    /// # Errors
    /// A name means nothing (`Could not resolve type: a.B`); the original then refuses to normalize a schema that it accepted without checks. Or the text, as it
    /// is printed, cannot be read again.
    pub fn try_normalized(&self) -> Result<String, ProtobufError> {
        let index = self.index();
        let text = self
            .print(Mode::Normalized(&index))
            .map_err(|error| ProtobufError::Invalid(error.to_string()))?;
        // The original reads its own print again, and some texts do not survive that.
        syntax::parse(&text)
            .map_err(|error| ProtobufError::Invalid(ProtobufError::Syntax(error).to_string()))?;
        Ok(text)
    }

    /// `format=ignore_extensions` or `format=serialized` (base64 of the `FileDescriptorProto`), in any letter case; `None` for another format.
    pub fn formatted(&self, format: &str) -> Option<String> {
        match format.to_ascii_lowercase().as_str() {
            "ignore_extensions" => self.print(Mode::IgnoreExtensions).ok(),
            "serialized" => {
                Some(base64::engine::general_purpose::STANDARD.encode(self.serialized()))
            }
            _ => None,
        }
    }

    /// The bytes of its `FileDescriptorProto`.
    pub fn serialized(&self) -> Vec<u8> {
        write_file(&self.file, &self.references, &self.index())
    }

    /// Whether two schemas are the same parsed schema.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file) || self.canonical() == other.canonical()
    }

    /// Every incompatible difference between `reader` and `writer`, in the registry's order.
    ///
    /// # Errors
    /// The text of the exception that the original throws for some pairs, or that the comparison was given up as too large.
    pub fn check(
        reader: &Self,
        writer: &Self,
        direction: diff::Direction,
    ) -> Result<Vec<diff::Incompatibility>, String> {
        diff::compare(writer, reader, direction)
    }

    /// Its message types with all names resolved.
    ///
    /// # Errors
    /// A name means nothing, or a message breaks a rule that only a codec asks for, such as two fields of one number.
    pub fn descriptors(&self) -> Result<Descriptors, ProtobufError> {
        let file = self.effective_file();
        let index = self.index();
        describe(file, &self.references, &index)
    }

    /// The file whose messages this schema offers: its own, or, where it holds nothing but one `import public`, the imported one.
    fn effective_file(&self) -> &ProtoFile {
        let file = &*self.file;
        if !file.types.is_empty()
            || !file.imports.is_empty()
            || !file.services.is_empty()
            || !file.extends.is_empty()
        {
            return file;
        }
        let [path] = file.public_imports.as_slice() else {
            return file;
        };
        let imported = self
            .references
            .iter()
            .find(|(known, _)| **known == **path)
            .map(|(_, imported)| &**imported)
            .or_else(|| known::known_file(path));
        imported
            .filter(|imported| !imported.types.is_empty())
            .unwrap_or(file)
    }

    /// The full name of its first message, or of its first enum if it has no message.
    pub fn name(&self) -> Option<String> {
        let file = self.effective_file();
        let first = file
            .types
            .iter()
            .find(|element| element.as_message().is_some())
            .or(file.types.first())?;
        Some(qualified(file, first.name()))
    }

    /// The full name of the message at this path; an empty path is the first message. `None` if there is none.
    pub fn message_name(&self, indexes: &[i32]) -> Option<String> {
        let file = self.effective_file();
        let indexes = if indexes.is_empty() { &[0] } else { indexes };
        let mut types = file.types.as_slice();
        let mut name = String::new();
        for index in indexes {
            let message = messages(types).nth(usize::try_from(*index).ok()?)?;
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&message.name);
            types = &message.types;
        }
        Some(qualified(file, &name))
    }

    /// The path of the message of this full name.
    pub fn message_indexes(&self, full_name: &str) -> Option<Vec<i32>> {
        let file = self.effective_file();
        let local = match &file.package {
            Some(package) => full_name
                .strip_prefix(package.as_str())?
                .strip_prefix('.')?,
            None => full_name,
        };
        let mut types = file.types.as_slice();
        local
            .split('.')
            .map(|part| {
                let (index, message) = (0..)
                    .zip(messages(types))
                    .find(|(_, message)| message.name == part)?;
                types = &message.types;
                Some(index)
            })
            .collect()
    }

    /// About how many bytes it takes in memory, for a cache.
    pub fn size_hint(&self) -> usize {
        // Measured: names, vectors and options take four to six times their text.
        512 + self.text_size * 6
    }
}

fn messages(types: &[TypeElement]) -> impl Iterator<Item = &Message> {
    types.iter().filter_map(TypeElement::as_message)
}

fn qualified(file: &ProtoFile, name: &str) -> String {
    match &file.package {
        Some(package) if !package.is_empty() => format!("{package}.{name}"),
        _ => name.to_owned(),
    }
}

fn read(text: &str) -> Result<ProtoFile, ProtobufError> {
    syntax::parse(text).or_else(|error| {
        BASE64
            .decode(text)
            .ok()
            .and_then(|bytes| read_file(&bytes).ok())
            .ok_or(ProtobufError::Syntax(error))
    })
}
