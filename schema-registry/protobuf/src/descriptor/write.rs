//! Writing.

use std::sync::Arc;

use super::{
    CONSTANT_OPTIONS, EDITION, ENUM_OPTIONS, FEATURES, FIELD_OPTIONS, FILE_OPTIONS, Holds,
    MESSAGE_OPTIONS, META, METHOD_OPTIONS, Names, SERVICE_OPTIONS, TARGET, VERIFICATION,
};
use crate::Scalar;
use crate::ast::{
    Enum, Extensions, Field, Label, Message, OptionEntry, OptionValue, ProtoFile, Service, Syntax,
    TagRange, TypeElement, map_parts,
};
use crate::known;
use crate::meta::{Meta, find_flag, find_option, find_text};
use crate::names::map_entry_name;
use crate::scope::{Scope, TypeIndex};
use crate::wire::{write_bytes, write_int32};

/// The bytes of the `FileDescriptorProto` of a file, under the name `default`.
pub(crate) fn write_file(
    file: &ProtoFile,
    references: &[(Arc<str>, Arc<ProtoFile>)],
    index: &TypeIndex<'_>,
) -> Vec<u8> {
    let mut writer = Writer {
        index,
        scope: Scope::of_package(index, file.package.as_deref()),
        proto3: file.syntax == Some(Syntax::Proto3),
    };
    let mut out = Vec::new();
    text(1, "default", &mut out);
    if let Some(package) = &file.package {
        text(2, package, &mut out);
    }
    let mut dependencies: Vec<&str> = Vec::new();
    let mut public = Vec::new();
    let paths = file.imports.iter().map(|path| (path, false));
    for (path, is_public) in paths.chain(file.public_imports.iter().map(|path| (path, true))) {
        let exists = known::position(path).is_some()
            || references.iter().any(|(known, _)| **known == **path);
        if !exists {
            continue;
        }
        let at = dependencies
            .iter()
            .position(|known| known == path)
            .unwrap_or_else(|| {
                dependencies.push(path);
                dependencies.len() - 1
            });
        if is_public {
            public.push(at as i32);
        }
    }
    for path in &dependencies {
        text(3, path, &mut out);
    }
    for element in &file.types {
        if let TypeElement::Message(message) = element {
            let bytes = writer.in_scope(&message.name, |writer| writer.message(message));
            write_bytes(4, &bytes, &mut out);
        }
    }
    for element in &file.types {
        if let TypeElement::Enum(declared) = element {
            write_bytes(5, &declared_enum(declared), &mut out);
        }
    }
    for declared in &file.services {
        write_bytes(6, &service(declared), &mut out);
    }
    for extend in &file.extends {
        for field in &extend.fields {
            let kind = FieldKind {
                label: field.label,
                extendee: Some(&extend.name),
                ..FieldKind::default()
            };
            write_bytes(7, &writer.field(field, &field.type_name, kind), &mut out);
        }
    }
    options_field(
        8,
        options(
            &file.options,
            FILE_OPTIONS,
            Some(50),
            Some("confluent.file_meta"),
        ),
        &mut out,
    );
    for at in public {
        write_int32(10, at, &mut out);
    }
    if let Some(syntax) = file.syntax {
        text(12, syntax.text(), &mut out);
    }
    out
}

struct Writer<'i, 'a, 'f> {
    index: &'i TypeIndex<'a>,
    scope: Scope<'f>,
    proto3: bool,
}

#[derive(Default, Clone, Copy)]
struct FieldKind<'e> {
    label: Option<Label>,
    extendee: Option<&'e str>,
    oneof: Option<i32>,
    proto3_optional: bool,
}

impl<'f> Writer<'_, '_, 'f> {
    fn in_scope<T>(&mut self, name: &'f str, write: impl FnOnce(&mut Self) -> T) -> T {
        self.scope.enter(self.index, name);
        let written = write(self);
        self.scope.leave();
        written
    }

    fn message(&mut self, message: &'f Message) -> Vec<u8> {
        let mut nested = Vec::new();
        let mut enums = Vec::new();
        for element in &message.types {
            match element {
                TypeElement::Message(inner) => {
                    let bytes = self.in_scope(&inner.name, |writer| writer.message(inner));
                    write_bytes(3, &bytes, &mut nested);
                }
                TypeElement::Enum(inner) => write_bytes(4, &declared_enum(inner), &mut enums),
            }
        }
        let mut fields = Vec::new();
        let mut oneofs = Vec::new();
        let mut oneof_count = 0;
        let mut in_oneof: Vec<&str> = Vec::new();
        for oneof in &message.oneofs {
            write_bytes(8, &oneof_bytes(&oneof.name, &oneof.options), &mut oneofs);
            for field in &oneof.fields {
                let kind = FieldKind {
                    label: Some(Label::Optional),
                    oneof: Some(oneof_count),
                    ..FieldKind::default()
                };
                write_bytes(2, &self.field(field, &field.type_name, kind), &mut fields);
                in_oneof.push(&field.name);
            }
            oneof_count += 1;
        }
        in_oneof.sort_unstable();
        for field in &message.fields {
            if in_oneof.binary_search(&field.name.as_str()).is_ok() {
                continue;
            }
            let mut kind = FieldKind {
                label: field.label,
                ..FieldKind::default()
            };
            let bytes = if let Some((key, value)) = map_parts(&field.type_name) {
                let entry = map_entry_name(&field.name);
                write_bytes(3, &self.map_entry(&entry, key, value), &mut nested);
                kind.label = Some(Label::Repeated);
                self.field(field, &entry, kind)
            } else {
                if self.proto3 && field.label == Some(Label::Optional) {
                    write_bytes(
                        8,
                        &oneof_bytes(&format!("_{}", field.name), &[]),
                        &mut oneofs,
                    );
                    kind.oneof = Some(oneof_count);
                    kind.proto3_optional = true;
                    oneof_count += 1;
                }
                self.field(field, &field.type_name, kind)
            };
            write_bytes(2, &bytes, &mut fields);
        }
        let mut out = Vec::new();
        text(1, &message.name, &mut out);
        out.append(&mut fields);
        out.append(&mut nested);
        out.append(&mut enums);
        for line in &message.extensions {
            extension_ranges(line, &mut out);
        }
        for extend in &message.extends {
            for field in &extend.fields {
                let kind = FieldKind {
                    label: field.label,
                    extendee: Some(&extend.name),
                    ..FieldKind::default()
                };
                write_bytes(6, &self.field(field, &field.type_name, kind), &mut out);
            }
        }
        options_field(
            7,
            options(
                &message.options,
                MESSAGE_OPTIONS,
                Some(12),
                Some("confluent.message_meta"),
            ),
            &mut out,
        );
        out.append(&mut oneofs);
        let values = || message.reserved.iter().flat_map(|line| &line.values);
        for value in values() {
            if let Some((first, last)) = range(value) {
                let mut bytes = Vec::new();
                write_int32(1, first, &mut bytes);
                write_int32(2, last.wrapping_add(1), &mut bytes);
                write_bytes(9, &bytes, &mut out);
            }
        }
        for value in values() {
            if let TagRange::Name(name) = value {
                text(10, name, &mut out);
            }
        }
        out
    }

    fn map_entry(&self, name: &str, key: &str, value: &str) -> Vec<u8> {
        let mut out = Vec::new();
        text(1, name, &mut out);
        for (name, type_name, tag) in [("key", key, 1), ("value", value, 2)] {
            let field = Field::new(type_name, name, tag);
            write_bytes(
                2,
                &self.field(&field, type_name, FieldKind::default()),
                &mut out,
            );
        }
        write_bytes(7, &[7 << 3, 1], &mut out);
        out
    }

    fn field(&self, field: &Field, type_name: &str, kind: FieldKind<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        text(1, &field.name, &mut out);
        if let Some(extendee) = kind.extendee {
            text(2, extendee, &mut out);
        }
        write_int32(3, field.tag, &mut out);
        if let Some(label) = kind.label {
            let number = match label {
                Label::Optional => 1,
                Label::Required => 2,
                Label::Repeated => 3,
            };
            write_int32(4, number, &mut out);
        }
        if let Some(scalar) = Scalar::from_name(type_name) {
            write_int32(5, scalar.descriptor_type(), &mut out);
        } else {
            // The message of a map is made for the descriptor only: no name leads to it, and its kind stays open.
            if let Some(found) = self.scope.type_of(self.index, type_name) {
                let number = match found.element {
                    TypeElement::Message(_) => 11,
                    TypeElement::Enum(_) => 14,
                };
                write_int32(5, number, &mut out);
            }
            text(6, type_name, &mut out);
        }
        if let Some(default) = &field.default {
            text(7, default, &mut out);
        }
        options_field(8, field_options(&field.options), &mut out);
        if let Some(oneof) = kind.oneof {
            write_int32(9, oneof, &mut out);
        }
        if let Some(name) = &field.json_name {
            text(10, name, &mut out);
        }
        if kind.proto3_optional {
            write_int32(17, 1, &mut out);
        }
        out
    }
}

fn text(number: i32, text: &str, out: &mut Vec<u8>) {
    write_bytes(number, text.as_bytes(), out);
}

fn options_field(number: i32, options: Option<Vec<u8>>, out: &mut Vec<u8>) {
    if let Some(bytes) = options {
        write_bytes(number, &bytes, out);
    }
}

fn range(value: &TagRange) -> Option<(i32, i32)> {
    match value {
        TagRange::Tag(tag) => Some((*tag, *tag)),
        TagRange::Range(first, last) => Some((*first, *last)),
        TagRange::Name(_) => None,
    }
}

/// The number of a word; `None` for one that does not exist.
fn number_of(names: Names, word: &str) -> Option<i32> {
    names.iter().find(|row| row.0 == word).map(|row| row.1)
}

/// Known options in the order of their numbers, then Confluent's.
fn options(
    options: &[OptionEntry],
    rows: &[(&str, i32, Holds)],
    features: Option<i32>,
    meta: Option<&str>,
) -> Option<Vec<u8>> {
    if options.is_empty() {
        return None;
    }
    let mut parts: Vec<(i32, Vec<u8>)> = Vec::new();
    for (name, number, holds) in rows {
        let mut out = Vec::new();
        match holds {
            Holds::Text => {
                if let Some(value) = find_text(options, name) {
                    text(*number, &value, &mut out);
                }
            }
            Holds::Flag => {
                if let Some(value) = find_flag(options, name) {
                    write_int32(*number, i32::from(value), &mut out);
                }
            }
            Holds::Word(names) => {
                let value = find_text(options, name).and_then(|word| {
                    // This one alone has a number for words that do not exist.
                    let unknown = (*name == "retention").then_some(0);
                    number_of(names, &word).or(unknown)
                });
                if let Some(value) = value {
                    write_int32(*number, value, &mut out);
                }
            }
        }
        parts.push((*number, out));
    }
    if let Some(number) = features
        && let Some(bytes) = feature_set(options)
    {
        let mut out = Vec::new();
        write_bytes(number, &bytes, &mut out);
        parts.push((number, out));
    }
    if let Some(meta) = meta.and_then(|name| Meta::find(options, name))
        && !meta.is_empty()
    {
        let mut out = Vec::new();
        write_bytes(META, &meta_bytes(&meta), &mut out);
        parts.push((META, out));
    }
    finish(parts)
}

fn finish(mut parts: Vec<(i32, Vec<u8>)>) -> Option<Vec<u8>> {
    parts.retain(|part| !part.1.is_empty());
    parts.sort_by_key(|part| part.0);
    (!parts.is_empty()).then(|| parts.into_iter().flat_map(|part| part.1).collect())
}

fn map_of(options: &[OptionEntry], name: &str) -> Option<indexmap::IndexMap<String, OptionValue>> {
    match find_option(options, name)?.value {
        OptionValue::Map(map) => Some(map),
        _ => None,
    }
}

fn feature_set(options: &[OptionEntry]) -> Option<Vec<u8>> {
    let map = map_of(options, "features")?;
    let mut out = Vec::new();
    for (name, number, names) in FEATURES {
        if let Some(word) = map.get(*name).and_then(OptionValue::as_text) {
            write_int32(*number, number_of(names, word).unwrap_or(0), &mut out);
        }
    }
    Some(out)
}

fn feature_support(options: &[OptionEntry]) -> Option<Vec<u8>> {
    let map = map_of(options, "feature_support")?;
    let mut out = Vec::new();
    let value = |name: &str| map.get(name).and_then(OptionValue::as_text);
    for (name, number) in [("edition_introduced", 1), ("edition_deprecated", 2)] {
        if let Some(word) = value(name) {
            write_int32(number, number_of(EDITION, word).unwrap_or(0), &mut out);
        }
    }
    if let Some(warning) = value("deprecation_warning") {
        text(3, warning, &mut out);
    }
    if let Some(word) = value("edition_removed") {
        write_int32(4, number_of(EDITION, word).unwrap_or(0), &mut out);
    }
    Some(out)
}

fn meta_bytes(meta: &Meta) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(doc) = meta.doc.as_ref().filter(|doc| !doc.is_empty()) {
        text(1, doc, &mut out);
    }
    for (key, value) in &meta.params {
        let mut entry = Vec::new();
        text(1, key, &mut entry);
        text(2, value, &mut entry);
        write_bytes(2, &entry, &mut out);
    }
    for tag in &meta.tags {
        text(3, tag, &mut out);
    }
    for rule in &meta.rules {
        let mut entry = Vec::new();
        for (name, number) in [("name", 1), ("doc", 2), ("expr", 3), ("sql", 4)] {
            if let Some(value) = rule.get(name).filter(|value| !value.is_empty()) {
                text(number, value, &mut entry);
            }
        }
        if !entry.is_empty() {
            write_bytes(4, &entry, &mut out);
        }
    }
    out
}

fn field_options(entries: &[OptionEntry]) -> Option<Vec<u8>> {
    if entries.is_empty() {
        return None;
    }
    let mut parts = Vec::new();
    if let Some(known) = options(entries, FIELD_OPTIONS, None, None) {
        // Already in order; its last number is 17.
        parts.push((17, known));
    }
    let mut targets = Vec::new();
    let mut defaults = Vec::new();
    for entry in entries {
        match (entry.name.as_str(), &entry.value) {
            ("targets", value) => {
                if let Some(number) = value.as_text().and_then(|word| number_of(TARGET, word)) {
                    write_int32(19, number, &mut targets);
                }
            }
            ("edition_defaults", OptionValue::Map(map)) => {
                let mut bytes = Vec::new();
                if let Some(value) = map.get("value").and_then(OptionValue::as_text) {
                    text(2, value, &mut bytes);
                }
                if let Some(word) = map.get("edition").and_then(OptionValue::as_text) {
                    let number =
                        number_of(EDITION, word).unwrap_or(if word == "2023" { 1000 } else { 0 });
                    write_int32(3, number, &mut bytes);
                }
                write_bytes(20, &bytes, &mut defaults);
            }
            _ => {}
        }
    }
    parts.push((19, targets));
    parts.push((20, defaults));
    for (number, bytes) in [(21, feature_set(entries)), (22, feature_support(entries))] {
        if let Some(bytes) = bytes {
            let mut out = Vec::new();
            write_bytes(number, &bytes, &mut out);
            parts.push((number, out));
        }
    }
    if let Some(meta) = Meta::find(entries, "confluent.field_meta")
        && !meta.is_empty()
    {
        let mut out = Vec::new();
        write_bytes(META, &meta_bytes(&meta), &mut out);
        parts.push((META, out));
    }
    finish(parts)
}

/// A oneof always has options, if only empty ones.
fn oneof_bytes(name: &str, options: &[OptionEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    text(1, name, &mut out);
    let mut inner = Vec::new();
    if let Some(features) = feature_set(options) {
        write_bytes(1, &features, &mut inner);
    }
    write_bytes(2, &inner, &mut out);
    out
}

fn extension_ranges(line: &Extensions, out: &mut Vec<u8>) {
    let mut options = Vec::new();
    for entry in &line.options {
        let ("declaration", OptionValue::Map(map)) = (entry.name.as_str(), &entry.value) else {
            continue;
        };
        let value = |name: &str| map.get(name).and_then(OptionValue::as_text);
        let mut bytes = Vec::new();
        if let Some(number) = value("number").and_then(|text| text.parse().ok()) {
            write_int32(1, number, &mut bytes);
        }
        for (name, number) in [("full_name", 2), ("type", 3)] {
            if let Some(value) = value(name) {
                text(number, value, &mut bytes);
            }
        }
        for (name, number) in [("reserved", 5), ("repeated", 6)] {
            if let Some(value) = value(name) {
                let flag = value.eq_ignore_ascii_case("true");
                write_int32(number, i32::from(flag), &mut bytes);
            }
        }
        write_bytes(2, &bytes, &mut options);
    }
    let state =
        find_text(&line.options, "verification").and_then(|word| number_of(VERIFICATION, &word));
    if let Some(state) = state {
        write_int32(3, state, &mut options);
    }
    if let Some(features) = feature_set(&line.options) {
        write_bytes(50, &features, &mut options);
    }
    for (first, last) in line.values.iter().filter_map(range) {
        let mut bytes = Vec::new();
        write_int32(1, first, &mut bytes);
        write_int32(2, last.wrapping_add(1), &mut bytes);
        write_bytes(3, &options, &mut bytes);
        write_bytes(5, &bytes, out);
    }
}

fn declared_enum(declared: &Enum) -> Vec<u8> {
    let mut out = Vec::new();
    text(1, &declared.name, &mut out);
    for constant in &declared.constants {
        let mut bytes = Vec::new();
        text(1, &constant.name, &mut bytes);
        write_int32(2, constant.tag, &mut bytes);
        let mut parts = Vec::new();
        if let Some(bytes) = options(&constant.options, CONSTANT_OPTIONS, Some(2), None) {
            parts.push((3, bytes));
        }
        if let Some(support) = feature_support(&constant.options) {
            let mut bytes = Vec::new();
            write_bytes(4, &support, &mut bytes);
            parts.push((4, bytes));
        }
        if let Some(meta) = options(
            &constant.options,
            &[],
            None,
            Some("confluent.enum_value_meta"),
        ) {
            parts.push((META, meta));
        }
        options_field(3, finish(parts), &mut bytes);
        write_bytes(2, &bytes, &mut out);
    }
    options_field(
        3,
        options(
            &declared.options,
            ENUM_OPTIONS,
            Some(7),
            Some("confluent.enum_meta"),
        ),
        &mut out,
    );
    let values = || declared.reserved.iter().flat_map(|line| &line.values);
    for (first, last) in values().filter_map(range) {
        let mut bytes = Vec::new();
        write_int32(1, first, &mut bytes);
        write_int32(2, last, &mut bytes);
        write_bytes(4, &bytes, &mut out);
    }
    for value in values() {
        if let TagRange::Name(name) = value {
            text(5, name, &mut out);
        }
    }
    out
}

fn service(declared: &Service) -> Vec<u8> {
    let mut out = Vec::new();
    text(1, &declared.name, &mut out);
    for rpc in &declared.rpcs {
        let mut bytes = Vec::new();
        text(1, &rpc.name, &mut bytes);
        text(2, &rpc.request, &mut bytes);
        text(3, &rpc.response, &mut bytes);
        options_field(
            4,
            options(&rpc.options, METHOD_OPTIONS, Some(35), None),
            &mut bytes,
        );
        write_int32(5, i32::from(rpc.request_streaming), &mut bytes);
        write_int32(6, i32::from(rpc.response_streaming), &mut bytes);
        write_bytes(2, &bytes, &mut out);
    }
    options_field(
        3,
        options(&declared.options, SERVICE_OPTIONS, Some(34), None),
        &mut out,
    );
    out
}
