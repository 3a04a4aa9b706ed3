//! Declarations.

use std::collections::HashMap;

use super::MAX_DEPTH;
use super::options::{read_option, read_options};
use super::reader::{Parse, Place, Reader};
use crate::ast::{
    Enum, EnumConstant, Extend, Extensions, Field, Group, Label, MAX_TAG, Message, Oneof,
    OptionEntry, ProtoFile, Reserved, Rpc, Service, Syntax, TagRange, TypeElement,
};

/// Reads a whole file.
///
/// # Errors
/// The parser's message, as in `Syntax error in :3:1: unexpected label: foo`.
pub(crate) fn parse(text: &str) -> Parse<ProtoFile> {
    Parser {
        reader: Reader::new(text),
        file: ProtoFile::default(),
        declarations: 0,
        depth: 0,
    }
    .read_file()
}

/// Where a declaration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    File,
    Message,
    Enum,
    Rpc,
    Extend,
    Service,
}

/// What was declared.
enum Declared {
    /// A semicolon, or something that was put into the file at once.
    Nothing,
    Message(Message),
    Enum(Enum),
    Service(Service),
    Extend(Extend),
    Option(OptionEntry),
    Reserved(Reserved),
    Rpc(Rpc),
    Oneof(Oneof),
    Extensions(Extensions),
    Field(Field),
    Group(Group),
    Constant(EnumConstant),
}

struct Parser<'t> {
    reader: Reader<'t>,
    file: ProtoFile,
    declarations: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn read_file(mut self) -> Parse<ProtoFile> {
        let mut types: HashMap<String, Place> = HashMap::new();
        let mut services: HashMap<String, Place> = HashMap::new();
        loop {
            self.reader.skip_documentation()?;
            if self.reader.exhausted() {
                return Ok(self.file);
            }
            // The place of a declaration is that of its first word.
            let place = self.reader.place();
            match self.declaration(Scope::File)? {
                Declared::Message(message) => {
                    self.declare(&mut types, &message.name, place)?;
                    self.file.types.push(TypeElement::Message(message));
                }
                Declared::Enum(declared) => {
                    self.declare(&mut types, &declared.name, place)?;
                    self.file.types.push(TypeElement::Enum(declared));
                }
                Declared::Service(service) => {
                    self.declare(&mut services, &service.name, place)?;
                    self.file.services.push(service);
                }
                Declared::Option(option) => self.file.options.push(option),
                Declared::Extend(extend) => self.file.extends.push(extend),
                _ => {}
            }
        }
    }

    fn declare(&self, seen: &mut HashMap<String, Place>, name: &str, place: Place) -> Parse<()> {
        if let Some(&first) = seen.get(name) {
            return Err(format!(
                "{name} ({}) is already defined at {}",
                self.reader.show(place),
                self.reader.show(first)
            ));
        }
        seen.insert(name.to_owned(), place);
        Ok(())
    }

    fn declaration(&mut self, scope: Scope) -> Parse<Declared> {
        let index = self.declarations;
        self.declarations += 1;
        if self.reader.take(b';')? {
            return Ok(Declared::Nothing);
        }
        let place = self.reader.place();
        let label = self.reader.read_word(scope != Scope::Enum)?;
        let file = scope == Scope::File;
        let holds_types = matches!(scope, Scope::File | Scope::Message);
        Ok(match label {
            "package" if file => {
                let name = self.reader.read_name(true)?;
                self.file.package = Some(name.to_owned());
                self.reader.require(b';')?;
                Declared::Nothing
            }
            "import" if file => {
                self.read_import()?;
                Declared::Nothing
            }
            "syntax" if file => {
                self.read_syntax(index, place)?;
                Declared::Nothing
            }
            "option" => {
                let option = read_option(&mut self.reader, b'=', 0)?;
                self.reader.require(b';')?;
                Declared::Option(option)
            }
            "reserved" => Declared::Reserved(self.read_reserved(place)?),
            "message" if holds_types => Declared::Message(self.read_message()?),
            "enum" if holds_types => Declared::Enum(self.read_enum()?),
            "service" if file => Declared::Service(self.read_service()?),
            "extend" if holds_types => Declared::Extend(self.read_extend()?),
            "rpc" if scope == Scope::Service => Declared::Rpc(self.read_rpc(place)?),
            "oneof" if scope == Scope::Message => Declared::Oneof(self.read_oneof()?),
            "extensions" if scope == Scope::Message => {
                Declared::Extensions(self.read_extensions(place)?)
            }
            _ if matches!(scope, Scope::Message | Scope::Extend) => {
                self.read_labelled(place, label)?
            }
            _ if scope == Scope::Enum => Declared::Constant(self.read_constant(label)?),
            "edition" if file => return self.reader.error("edition is not currently supported"),
            _ => {
                return self
                    .reader
                    .error_at(place, &format!("unexpected label: {label}"));
            }
        })
    }

    fn read_import(&mut self) -> Parse<()> {
        let first = self.reader.read_string()?;
        match first.as_str() {
            "weak" => {
                let path = self.reader.read_string()?;
                self.file.weak_imports.push(tidy_path(&path));
            }
            "public" => {
                let path = self.reader.read_string()?;
                self.file.public_imports.push(tidy_path(&path));
            }
            path => self.file.imports.push(tidy_path(path)),
        }
        self.reader.require(b';')
    }

    fn read_syntax(&mut self, index: usize, place: Place) -> Parse<()> {
        if self.file.syntax.is_some() {
            return self.reader.error_at(place, "too many syntax definitions");
        }
        self.reader.require(b'=')?;
        if index != 0 {
            return self.reader.error_at(
                place,
                "'syntax' element must be the first declaration in a file",
            );
        }
        let text = self.reader.read_quoted()?;
        self.file.syntax = Some(match text.as_str() {
            "proto2" => Syntax::Proto2,
            "proto3" => Syntax::Proto3,
            other => {
                return self
                    .reader
                    .error_at(place, &format!("unexpected syntax: {other}"));
            }
        });
        self.reader.require(b';')
    }

    fn read_message(&mut self) -> Parse<Message> {
        if self.depth >= MAX_DEPTH {
            return self
                .reader
                .error(&format!("messages are nested more than {MAX_DEPTH} deep"));
        }
        let mut message = Message::new(self.reader.read_name(true)?);
        self.reader.require(b'{')?;
        self.depth += 1;
        while !self.at_end()? {
            match self.declaration(Scope::Message)? {
                Declared::Field(field) => message.fields.push(field),
                Declared::Oneof(oneof) => message.oneofs.push(oneof),
                Declared::Group(group) => message.groups.push(group),
                Declared::Message(nested) => message.types.push(TypeElement::Message(nested)),
                Declared::Enum(nested) => message.types.push(TypeElement::Enum(nested)),
                Declared::Extensions(extensions) => message.extensions.push(extensions),
                Declared::Option(option) => message.options.push(option),
                Declared::Extend(extend) => message.extends.push(extend),
                Declared::Reserved(reserved) => message.reserved.push(reserved),
                _ => {}
            }
        }
        self.depth -= 1;
        Ok(message)
    }

    /// Skips comments and takes the closing brace, if it comes next.
    fn at_end(&mut self) -> Parse<bool> {
        self.reader.skip_documentation()?;
        self.reader.take(b'}')
    }

    fn read_extend(&mut self) -> Parse<Extend> {
        let mut extend = Extend {
            name: self.reader.read_name(true)?.to_owned(),
            fields: Vec::new(),
        };
        self.reader.require(b'{')?;
        while !self.at_end()? {
            if let Declared::Field(field) = self.declaration(Scope::Extend)? {
                extend.fields.push(field);
            }
        }
        Ok(extend)
    }

    fn read_service(&mut self) -> Parse<Service> {
        let mut service = Service {
            name: self.reader.read_name(true)?.to_owned(),
            ..Service::default()
        };
        self.reader.require(b'{')?;
        while !self.at_end()? {
            match self.declaration(Scope::Service)? {
                Declared::Rpc(rpc) => service.rpcs.push(rpc),
                Declared::Option(option) => service.options.push(option),
                _ => {}
            }
        }
        Ok(service)
    }

    fn read_enum(&mut self) -> Parse<Enum> {
        let mut declared = Enum {
            name: self.reader.read_name(true)?.to_owned(),
            ..Enum::default()
        };
        self.reader.require(b'{')?;
        while !self.at_end()? {
            match self.declaration(Scope::Enum)? {
                Declared::Constant(constant) => declared.constants.push(constant),
                Declared::Option(option) => declared.options.push(option),
                Declared::Reserved(reserved) => declared.reserved.push(reserved),
                _ => {}
            }
        }
        Ok(declared)
    }

    /// A field or a group whose first word, a label or its type, was read.
    fn read_labelled(&mut self, place: Place, word: &str) -> Parse<Declared> {
        let proto3 = self.file.syntax == Some(Syntax::Proto3);
        let label = match word {
            "required" => Some(Label::Required),
            "optional" => Some(Label::Optional),
            "repeated" => Some(Label::Repeated),
            _ => None,
        };
        if label == Some(Label::Required) && proto3 {
            return self.reader.error_at(
                place,
                "'required' label forbidden in proto3 field declarations",
            );
        }
        let type_name = if label.is_some() {
            self.reader.read_type()?
        } else {
            if !(proto3 || word == "map" && self.reader.peek()? == b'<') {
                return self
                    .reader
                    .error_at(place, &format!("unexpected label: {word}"));
            }
            self.reader.read_type_after(word, 0)?
        };
        if type_name.starts_with("map<") && label.is_some() {
            return self.reader.error_at(place, "'map' type cannot have label");
        }
        if type_name == "group" {
            return Ok(Declared::Group(self.read_group(label)?));
        }
        Ok(Declared::Field(self.read_field(label, type_name)?))
    }

    fn read_field(&mut self, label: Option<Label>, type_name: String) -> Parse<Field> {
        let name = self.reader.read_name(false)?.to_owned();
        self.reader.require(b'=')?;
        let tag = self.reader.read_int()?;
        let mut options = read_options(&mut self.reader)?;
        let default = take_value(&mut options, "default");
        let json_name = take_value(&mut options, "json_name");
        self.reader.require(b';')?;
        self.reader.skip_trailing_documentation()?;
        Ok(Field {
            label,
            type_name,
            name,
            tag,
            default,
            json_name,
            options,
        })
    }

    fn read_oneof(&mut self) -> Parse<Oneof> {
        let mut oneof = Oneof {
            name: self.reader.read_name(true)?.to_owned(),
            ..Oneof::default()
        };
        self.reader.require(b'{')?;
        while !self.at_end()? {
            let type_name = self.reader.read_type()?;
            match type_name.as_str() {
                "group" => oneof.groups.push(self.read_group(None)?),
                "option" => {
                    oneof.options.push(read_option(&mut self.reader, b'=', 0)?);
                    self.reader.require(b';')?;
                }
                _ => oneof.fields.push(self.read_field(None, type_name)?),
            }
        }
        Ok(oneof)
    }

    fn read_group(&mut self, label: Option<Label>) -> Parse<Group> {
        let name = self.reader.read_word(true)?.to_owned();
        self.reader.require(b'=')?;
        let tag = self.reader.read_int()?;
        let mut fields = Vec::new();
        self.reader.require(b'{')?;
        while !self.at_end()? {
            let place = self.reader.place();
            let word = self.reader.read_word(true)?;
            match self.read_labelled_field(place, word)? {
                Some(field) => fields.push(field),
                None => return self.reader.error("expected field declaration, was a group"),
            }
        }
        Ok(Group {
            label,
            name,
            tag,
            fields,
        })
    }

    /// As [`read_labelled`](Self::read_labelled), but `None` for a group, which is not read any further.
    fn read_labelled_field(&mut self, place: Place, word: &str) -> Parse<Option<Field>> {
        if self.depth >= MAX_DEPTH {
            return self
                .reader
                .error(&format!("groups are nested more than {MAX_DEPTH} deep"));
        }
        self.depth += 1;
        let read = self.read_labelled(place, word)?;
        self.depth -= 1;
        Ok(match read {
            Declared::Field(field) => Some(field),
            _ => None,
        })
    }

    fn read_reserved(&mut self, place: Place) -> Parse<Reserved> {
        let mut values = Vec::new();
        loop {
            if matches!(self.reader.peek()?, b'"' | b'\'') {
                values.push(TagRange::Name(self.reader.read_quoted()?));
            } else {
                let first = self.reader.read_int()?;
                values.push(match self.reader.peek()? {
                    b',' | b';' => TagRange::Tag(first),
                    _ => self.read_range_end(first, place, "expected ',', ';', or 'to'")?,
                });
            }
            match self.reader.read_char()? {
                b';' => break,
                b',' => {}
                _ => return self.reader.error("expected ',' or ';'"),
            }
        }
        self.reader.skip_trailing_documentation()?;
        Ok(Reserved { values })
    }

    fn read_range_end(&mut self, first: i32, place: Place, expected: &str) -> Parse<TagRange> {
        if self.reader.read_word(true)? != "to" {
            return self.reader.error_at(place, expected);
        }
        let last = self.reader.read_word(true)?;
        let last = match last {
            "max" => MAX_TAG,
            number => number
                .parse()
                .map_err(|_| format!("For input string: \"{number}\""))?,
        };
        Ok(TagRange::Range(first, last))
    }

    fn read_extensions(&mut self, place: Place) -> Parse<Extensions> {
        let mut values = Vec::new();
        let mut options = Vec::new();
        loop {
            let first = self.reader.read_int()?;
            values.push(match self.reader.peek()? {
                b',' | b';' | b'[' => TagRange::Tag(first),
                _ => self.read_range_end(first, place, "expected ',', ';', '[' or 'to'")?,
            });
            if self.reader.peek()? == b'[' {
                options.append(&mut read_options(&mut self.reader)?);
                self.reader.require(b';')?;
                break;
            }
            match self.reader.read_char()? {
                b';' => break,
                b',' => {}
                _ => return self.reader.error("expected ',' or ';'"),
            }
        }
        Ok(Extensions { values, options })
    }

    fn read_constant(&mut self, name: &str) -> Parse<EnumConstant> {
        self.reader.require(b'=')?;
        let tag = self.reader.read_int()?;
        let options = read_options(&mut self.reader)?;
        self.reader.require(b';')?;
        self.reader.skip_trailing_documentation()?;
        Ok(EnumConstant {
            name: name.to_owned(),
            tag,
            options,
        })
    }

    fn read_rpc(&mut self, place: Place) -> Parse<Rpc> {
        let name = self.reader.read_name(true)?.to_owned();
        let (request, request_streaming) = self.read_rpc_type()?;
        if self.reader.read_word(true)? != "returns" {
            return self.reader.error_at(place, "expected 'returns'");
        }
        let (response, response_streaming) = self.read_rpc_type()?;
        let mut options = Vec::new();
        if self.reader.take(b'{')? {
            while !self.at_end()? {
                if let Declared::Option(option) = self.declaration(Scope::Rpc)? {
                    options.push(option);
                }
            }
        } else {
            self.reader.require(b';')?;
        }
        Ok(Rpc {
            name,
            request,
            response,
            request_streaming,
            response_streaming,
            options,
        })
    }

    fn read_rpc_type(&mut self) -> Parse<(String, bool)> {
        self.reader.require(b'(')?;
        let word = self.reader.read_word(true)?;
        let streaming = word == "stream";
        let type_name = if streaming {
            self.reader.read_type()?
        } else {
            self.reader.read_type_after(word, 0)?
        };
        self.reader.require(b')')?;
        Ok((type_name, streaming))
    }
}

/// Takes all options of this name out and gives the text of the last.
fn take_value(options: &mut Vec<OptionEntry>, name: &str) -> Option<String> {
    if !options.iter().any(|option| option.name == name) {
        return None;
    }
    let mut found = None;
    options.retain(|option| {
        let matches = option.name == name;
        if matches {
            found = Some(match option.value.as_text() {
                Some(text) => text.to_owned(),
                // Maps and lists make no sense as a default; the original stores how Java prints them.
                None => crate::print::java_text(&option.value),
            });
        }
        !matches
    });
    found
}

/// An import path without empty parts, `.` parts and backslashes.
fn tidy_path(path: &str) -> String {
    let absolute = path.starts_with(['/', '\\']);
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if absolute && parts.is_empty() => {}
            part => parts.push(part),
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
