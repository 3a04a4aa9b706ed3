//! Declarations in a text.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::options::{print_declarations, print_list, shown};
use super::out::Out;
use super::{MAX_PRINTED, Mode, PrintError, file_scope, sort_ranges, utf16_order};
use crate::Scalar;
use crate::ast::{
    Enum, Extend, Extensions, Field, Group, Label, MAX_TAG, Message, Oneof, OptionEntry,
    OptionValue, ProtoFile, Reserved, Service, Syntax, TagRange, TypeElement, WordKind, is_scalar,
    map_parts,
};
use crate::scope::Scope;

type Printed = Result<(), PrintError>;

/// The text of a file.
///
/// # Errors
/// In the normalized form a name that means nothing; in every form a map with an impossible key, or a text that would be too long.
pub(crate) fn print(file: &ProtoFile, mode: Mode<'_, '_>) -> Result<String, PrintError> {
    let mut printer = Printer {
        out: Out::new(),
        mode,
        scope: file_scope(mode, file),
    };
    printer.file(file)?;
    if let Mode::Normalized(index) = mode
        && index.is_exhausted()
    {
        return Err(PrintError::TooLarge);
    }
    Ok(printer.out.finish())
}

struct Printer<'i, 'a, 'f> {
    out: Out,
    mode: Mode<'i, 'a>,
    /// Only where names are resolved.
    scope: Option<Scope<'f>>,
}

impl<'f> Printer<'_, '_, 'f> {
    fn normalize(&self) -> bool {
        matches!(self.mode, Mode::Normalized(_))
    }

    fn with_extensions(&self) -> bool {
        !matches!(self.mode, Mode::IgnoreExtensions)
    }

    fn options<'o>(&self, options: &'o [OptionEntry]) -> Cow<'o, [OptionEntry]> {
        shown(options, self.mode, self.scope.as_ref())
    }

    /// `option` lines, after an empty line if there are any and it is wanted.
    fn declare_options(&mut self, options: &[OptionEntry], indent: bool) {
        let options = self.options(options);
        if options.is_empty() {
            return;
        }
        self.out.push("\n");
        self.option_lines(&options, indent);
    }

    fn option_lines(&mut self, options: &[OptionEntry], indent: bool) {
        if indent {
            self.out.open();
        }
        print_declarations(&mut self.out, options, self.mode, self.scope.as_ref());
        if indent {
            self.out.close();
        }
    }

    fn bracket_options(&mut self, options: &[OptionEntry]) {
        let options = self.options(options);
        if !options.is_empty() {
            self.out.push(" ");
            print_list(&mut self.out, &options, self.mode, self.scope.as_ref());
        }
    }

    /// The full name with a leading dot.
    fn resolve(&self, name: &str) -> Result<String, PrintError> {
        let (Mode::Normalized(index), Some(scope)) = (self.mode, &self.scope) else {
            return Ok(name.to_owned());
        };
        match scope.find_type(index, name) {
            Some((full, _)) => Ok(format!(".{full}")),
            None if index.is_exhausted() => Err(PrintError::TooLarge),
            None => Err(PrintError::Unresolved(name.to_owned())),
        }
    }

    fn enter(&mut self, name: &'f str) {
        if let (Mode::Normalized(index), Some(scope)) = (self.mode, &mut self.scope) {
            scope.enter(index, name);
        }
    }

    fn leave(&mut self) {
        if let Some(scope) = &mut self.scope {
            scope.leave();
        }
    }

    fn file(&mut self, file: &'f ProtoFile) -> Printed {
        if let Some(syntax) = file.syntax
            && !(self.normalize() && syntax == Syntax::Proto2)
        {
            self.out
                .push("syntax = \"")
                .push(syntax.text())
                .push("\";\n");
        }
        if let Some(package) = &file.package {
            self.out.push("package ").push(package).push(";\n");
        }
        if !file.imports.is_empty() || !file.public_imports.is_empty() {
            self.out.push("\n");
            self.import_lines("import \"", &file.imports);
            self.import_lines("import public \"", &file.public_imports);
        }
        self.declare_options(&file.options, false);
        self.types(&file.types, false)?;
        if self.with_extensions() && !file.extends.is_empty() {
            self.out.push("\n");
            self.extends(&file.extends, false)?;
        }
        if !file.services.is_empty() {
            self.out.push("\n");
            for service in &file.services {
                self.service(service)?;
            }
        }
        Ok(())
    }

    fn import_lines(&mut self, keyword: &str, paths: &[String]) {
        let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        if self.normalize() {
            paths.sort_by(|a, b| utf16_order(a, b));
            paths.dedup();
        }
        for path in paths {
            self.out.push(keyword).push(path).push("\";\n");
        }
    }

    /// Messages, then enums. Their order among themselves is that of the text: message indexes count on it.
    fn types(&mut self, types: &'f [TypeElement], indent: bool) -> Printed {
        let types: Vec<&TypeElement> = types
            .iter()
            .filter(|element| !self.is_map_entry(element))
            .collect();
        if types.is_empty() {
            return Ok(());
        }
        self.out.push("\n");
        if indent {
            self.out.open();
        }
        for element in &types {
            if let TypeElement::Message(message) = element {
                self.enter(&message.name);
                self.message(message)?;
                self.leave();
            }
        }
        for element in &types {
            if let TypeElement::Enum(declared) = element {
                self.enter(&declared.name);
                self.declared_enum(declared);
                self.leave();
            }
        }
        if indent {
            self.out.close();
        }
        Ok(())
    }

    /// Entries of maps are folded into the fields of the normalized text.
    fn is_map_entry(&self, element: &TypeElement) -> bool {
        let (Mode::Normalized(index), Some(scope), TypeElement::Message(message)) =
            (self.mode, &self.scope, element)
        else {
            return false;
        };
        match scope.type_of(index, &message.name) {
            Some(found) => {
                matches!(found.element, TypeElement::Message(found) if found.is_map_entry())
            }
            None => false,
        }
    }

    fn message(&mut self, message: &'f Message) -> Printed {
        if self.out.len() > MAX_PRINTED {
            return Err(PrintError::TooLarge);
        }
        self.out.push("message ").push(&message.name).push(" {");
        self.reserved(&message.reserved);
        self.declare_options(&message.options, true);
        if !message.fields.is_empty() {
            self.out.push("\n");
            self.fields(&message.fields)?;
        }
        if !message.oneofs.is_empty() {
            self.out.push("\n");
            self.oneofs(&message.oneofs)?;
        }
        self.groups(&message.groups)?;
        if self.with_extensions() && !message.extensions.is_empty() {
            self.out.push("\n");
            self.extensions(&message.extensions);
        }
        if self.with_extensions() && !message.extends.is_empty() {
            self.out.push("\n");
            self.extends(&message.extends, true)?;
        }
        self.types(&message.types, true)?;
        self.out.push("}\n");
        Ok(())
    }

    fn reserved(&mut self, reserved: &[Reserved]) {
        if reserved.is_empty() {
            return;
        }
        self.out.push("\n");
        self.out.open();
        if self.normalize() {
            let mut values: Vec<TagRange> = reserved
                .iter()
                .flat_map(|line| line.values.iter().cloned())
                .collect();
            sort_ranges(&mut values, true);
            for value in &values {
                self.range_line("reserved ", std::slice::from_ref(value), &[]);
            }
        } else {
            for line in reserved {
                self.range_line("reserved ", &line.values, &[]);
            }
        }
        self.out.close();
    }

    fn extensions(&mut self, extensions: &[Extensions]) {
        self.out.open();
        if self.normalize() {
            let mut lines: Vec<(TagRange, &[OptionEntry])> = extensions
                .iter()
                .flat_map(|line| {
                    line.values
                        .iter()
                        .map(|value| (value.clone(), line.options.as_slice()))
                })
                .collect();
            lines.sort_by_key(|(range, _)| match range {
                TagRange::Tag(tag) | TagRange::Range(tag, _) => *tag,
                TagRange::Name(_) => i32::MAX,
            });
            for (value, options) in &lines {
                self.range_line("extensions ", std::slice::from_ref(value), options);
            }
        } else {
            for line in extensions {
                self.range_line("extensions ", &line.values, &line.options);
            }
        }
        self.out.close();
    }

    fn range_line(&mut self, keyword: &str, values: &[TagRange], options: &[OptionEntry]) {
        self.out.push(keyword);
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                self.out.push(", ");
            }
            match value {
                TagRange::Name(name) => {
                    self.out.push("\"").push(name).push("\"");
                }
                TagRange::Tag(tag) => {
                    self.out.push_number(*tag);
                }
                TagRange::Range(first, last) if self.normalize() && first == last => {
                    self.out.push_number(*first);
                }
                TagRange::Range(first, last) => {
                    self.out.push_number(*first).push(" to ");
                    if *last < MAX_TAG {
                        self.out.push_number(*last);
                    } else {
                        self.out.push("max");
                    }
                }
            }
        }
        self.bracket_options(options);
        self.out.push(";\n");
    }

    /// Fields on lines of their own, two blanks further in.
    fn fields(&mut self, fields: &[Field]) -> Printed {
        self.out.open();
        for field in in_order(fields, self.normalize()) {
            self.field(field)?;
        }
        self.out.close();
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Printed {
        if self.out.len() > MAX_PRINTED {
            return Err(PrintError::TooLarge);
        }
        check_map_key(&field.type_name)?;
        let mut label = field.label;
        let type_name = if self.normalize() {
            self.full_type(&field.type_name, &mut label)?
        } else {
            Cow::Borrowed(field.type_name.as_str())
        };
        if let Some(label) = label {
            self.out.push(label.text()).push(" ");
        }
        self.out
            .push(&type_name)
            .push(" ")
            .push(&field.name)
            .push(" = ")
            .push_number(field.tag);
        if field.default.is_some() || field.json_name.is_some() {
            let mut options = field.options.clone();
            if let Some(default) = &field.default {
                options.push(OptionEntry::new(
                    "default",
                    default_value(&type_name, default),
                ));
            }
            if let Some(name) = &field.json_name {
                options.push(OptionEntry::new("json_name", OptionValue::text(name)));
            }
            self.bracket_options(&options);
        } else {
            self.bracket_options(&field.options);
        }
        self.out.push(";\n");
        Ok(())
    }

    /// The type of a field in full. A message that is a map entry becomes a map, which has no label.
    fn full_type<'t>(
        &self,
        type_name: &'t str,
        label: &mut Option<Label>,
    ) -> Result<Cow<'t, str>, PrintError> {
        let (Mode::Normalized(index), Some(scope)) = (self.mode, &self.scope) else {
            return Ok(Cow::Borrowed(type_name));
        };
        if is_scalar(type_name) {
            return Ok(Cow::Borrowed(type_name));
        }
        let mut full = Cow::Borrowed(type_name);
        if map_parts(type_name).is_none() {
            let name = self.resolve(type_name)?;
            if let Some(found) = index.type_of(&name)
                && let TypeElement::Message(message) = found.element
                && message.is_map_entry()
            {
                let Some((key, value)) = found.map else {
                    return Err(PrintError::MapEntry(name));
                };
                let map = format!("map<{key}, {value}>");
                check_map_key(&map)?;
                full = Cow::Owned(map);
            } else {
                return Ok(Cow::Owned(name));
            }
        }
        *label = None;
        if let Some((key, value)) = map_parts(&full)
            && let Some((name, _)) = scope.find_type(index, value)
        {
            return Ok(Cow::Owned(format!("map<{key}, .{name}>")));
        }
        Ok(full)
    }

    fn oneofs(&mut self, oneofs: &[Oneof]) -> Printed {
        let mut oneofs: Vec<&Oneof> = oneofs.iter().collect();
        if self.normalize() {
            oneofs.retain(|oneof| !oneof.fields.is_empty());
            oneofs.sort_by_key(|oneof| oneof.fields.iter().map(|field| field.tag).min());
        }
        self.out.open();
        for oneof in oneofs {
            self.out.push("oneof ").push(&oneof.name).push(" {");
            self.declare_options(&oneof.options, true);
            if !oneof.fields.is_empty() {
                self.out.push("\n");
                self.fields(&oneof.fields)?;
            }
            self.groups(&oneof.groups)?;
            self.out.push("}\n");
        }
        self.out.close();
        Ok(())
    }

    fn groups(&mut self, groups: &[Group]) -> Printed {
        if groups.is_empty() {
            return Ok(());
        }
        let mut groups: Vec<&Group> = groups.iter().collect();
        if self.normalize() {
            groups.sort_by_key(|group| group.tag);
        }
        self.out.push("\n");
        self.out.open();
        for group in groups {
            if let Some(label) = group.label {
                self.out.push(label.text()).push(" ");
            }
            self.out
                .push("group ")
                .push(&group.name)
                .push(" = ")
                .push_number(group.tag)
                .push(" {");
            if !group.fields.is_empty() {
                self.out.push("\n");
                self.fields(&group.fields)?;
            }
            self.out.push("}\n");
        }
        self.out.close();
        Ok(())
    }

    fn extends(&mut self, extends: &[Extend], indent: bool) -> Printed {
        let mut blocks: IndexMap<String, Vec<&Field>> = IndexMap::new();
        if self.normalize() {
            for extend in extends {
                for field in &extend.fields {
                    let name = self.resolve(&extend.name)?;
                    blocks.entry(name).or_default().push(field);
                }
            }
            for fields in blocks.values_mut() {
                fields.sort_by_key(|field| field.tag);
            }
        }
        if indent {
            self.out.open();
        }
        if self.normalize() {
            for (name, fields) in &blocks {
                self.extend(name, fields)?;
            }
        } else {
            for block in extends {
                self.extend(&block.name, &block.fields.iter().collect::<Vec<_>>())?;
            }
        }
        if indent {
            self.out.close();
        }
        Ok(())
    }

    fn extend(&mut self, name: &str, fields: &[&Field]) -> Printed {
        self.out.push("extend ").push(name).push(" {");
        if !fields.is_empty() {
            self.out.push("\n");
            self.out.open();
            for field in fields {
                self.field(field)?;
            }
            self.out.close();
        }
        self.out.push("}\n");
        Ok(())
    }

    fn declared_enum(&mut self, declared: &Enum) {
        self.out.push("enum ").push(&declared.name).push(" {");
        self.reserved(&declared.reserved);
        if declared.reserved.is_empty()
            && !(declared.options.is_empty() && declared.constants.is_empty())
        {
            self.out.push("\n");
        }
        let options = self.options(&declared.options).into_owned();
        if !options.is_empty() {
            self.option_lines(&options, true);
        }
        let mut constants: Vec<_> = declared.constants.iter().collect();
        if self.normalize() {
            constants.sort_by(|a, b| {
                a.tag
                    .cmp(&b.tag)
                    .then_with(|| utf16_order(&a.name, &b.name))
            });
        }
        if !constants.is_empty() {
            self.out.open();
            for constant in constants {
                self.out
                    .push(&constant.name)
                    .push(" = ")
                    .push_number(constant.tag);
                self.bracket_options(&constant.options);
                self.out.push(";\n");
            }
            self.out.close();
        }
        self.out.push("}\n");
    }

    fn service(&mut self, service: &Service) -> Printed {
        self.out.push("service ").push(&service.name).push(" {");
        self.declare_options(&service.options, true);
        if !service.rpcs.is_empty() {
            self.out.push("\n");
            self.out.open();
            for rpc in &service.rpcs {
                let (request, response) =
                    (self.resolve(&rpc.request)?, self.resolve(&rpc.response)?);
                let stream = |streaming| if streaming { "stream " } else { "" };
                self.out
                    .push("rpc ")
                    .push(&rpc.name)
                    .push(" (")
                    .push(stream(rpc.request_streaming))
                    .push(&request)
                    .push(") returns (")
                    .push(stream(rpc.response_streaming))
                    .push(&response)
                    .push(")");
                let options = self.options(&rpc.options).into_owned();
                if !options.is_empty() {
                    self.out.push(" {\n");
                    self.option_lines(&options, true);
                    self.out.push("}");
                }
                self.out.push(";\n");
            }
            self.out.close();
        }
        self.out.push("}\n");
        Ok(())
    }
}

fn in_order(fields: &[Field], by_tag: bool) -> Vec<&Field> {
    let mut fields: Vec<&Field> = fields.iter().collect();
    if by_tag {
        fields.sort_by_key(|field| field.tag);
    }
    fields
}

/// Maps may not have floating-point, byte or message keys. Maps in maps are checked in turn.
fn check_map_key(type_name: &str) -> Printed {
    let mut rest = type_name;
    while let Some((key, value)) = map_parts(rest) {
        if !Scalar::from_name(key).is_some_and(Scalar::is_map_key) {
            return Err(PrintError::MapKey(key.to_owned()));
        }
        rest = value;
    }
    Ok(())
}

/// How the text of a default is printed: only texts are quoted. That of `bytes` is not, so that one with blanks cannot be read again.
fn default_value(type_name: &str, text: &str) -> OptionValue {
    let simple = type_name.rsplit('.').next().unwrap_or(type_name);
    match Scalar::from_name(simple) {
        Some(Scalar::String) => OptionValue::text(text),
        Some(Scalar::Bool) => OptionValue::Word(WordKind::Boolean, text.to_owned()),
        Some(_) => OptionValue::Word(WordKind::Number, text.to_owned()),
        None => OptionValue::Word(WordKind::Enum, text.to_owned()),
    }
}
