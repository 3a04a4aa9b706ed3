//! Reading.

use indexmap::IndexMap;

use super::{
    CONSTANT_OPTIONS, EDITION, ENUM_OPTIONS, FEATURES, FIELD_OPTIONS, FILE_OPTIONS, Holds,
    MESSAGE_OPTIONS, META, METHOD_OPTIONS, Names, SERVICE_OPTIONS, TARGET, VERIFICATION,
};
use crate::Scalar;
use crate::ast::{
    Enum, EnumConstant, Extend, Extensions, Field, Label, Message, Oneof, OptionEntry, OptionValue,
    ProtoFile, Reserved, Rpc, Service, Syntax, TagRange, TypeElement,
};
use crate::meta::Meta;
use crate::wire::{MAX_MESSAGE_DEPTH, WireError, WireReader, WireValue};

type Read<T> = Result<T, WireError>;

/// A message whose fields can be asked for by number.
struct Fields<'b>(Vec<(i32, WireValue<'b>)>);

impl<'b> Fields<'b> {
    fn read(bytes: &'b [u8]) -> Read<Self> {
        let mut reader = WireReader::new(bytes);
        let mut fields = Vec::new();
        while let Some(field) = reader.field()? {
            fields.push(field);
        }
        Ok(Self(fields))
    }

    /// Of a message that may be absent or given in pieces, which count as one.
    fn read_merged(parent: &Self, number: i32) -> Read<Option<Self>> {
        let mut all = None;
        for bytes in parent.all_bytes(number) {
            all.get_or_insert_with(Vec::new)
                .append(&mut Self::read(bytes)?.0);
        }
        Ok(all.map(Self))
    }

    fn all(&self, number: i32) -> impl Iterator<Item = WireValue<'b>> + '_ {
        self.0
            .iter()
            .filter(move |field| field.0 == number)
            .map(|field| field.1)
    }

    fn all_bytes(&self, number: i32) -> impl Iterator<Item = &'b [u8]> + '_ {
        self.all(number).filter_map(|value| match value {
            WireValue::Bytes(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn all_text(&self, number: i32) -> impl Iterator<Item = String> + '_ {
        self.all_bytes(number)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn text(&self, number: i32) -> Option<String> {
        self.all_text(number).last()
    }

    fn strict_text(&self, number: i32) -> Read<Option<String>> {
        let mut found = None;
        for bytes in self.all_bytes(number) {
            found = Some(strict_text(bytes)?);
        }
        Ok(found)
    }

    fn int(&self, number: i32) -> Option<i32> {
        self.all(number)
            .filter_map(|value| match value {
                WireValue::Varint(value) => Some(value as i32),
                _ => None,
            })
            .last()
    }

    fn flag(&self, number: i32) -> Option<bool> {
        self.int(number).map(|value| value != 0)
    }

    /// A repeated number, packed or not.
    fn ints(&self, number: i32) -> Read<Vec<i32>> {
        let mut all = Vec::new();
        for value in self.all(number) {
            match value {
                WireValue::Varint(value) => all.push(value as i32),
                WireValue::Bytes(bytes) => {
                    let mut reader = WireReader::new(bytes);
                    while !reader.is_empty() {
                        all.push(reader.varint()? as i32);
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }
}

/// The file that the bytes of a `FileDescriptorProto` describe.
///
/// # Errors
/// They are no such message.
pub(crate) fn read_file(bytes: &[u8]) -> Read<ProtoFile> {
    let fields = Fields::read(bytes)?;
    let syntax = match fields.text(12).as_deref() {
        None | Some("" | "proto2") => {
            // The original prints a syntax line only where the descriptor names one.
            fields
                .text(12)
                .filter(|text| !text.is_empty())
                .map(|_| Syntax::Proto2)
        }
        Some("proto3") => Some(Syntax::Proto3),
        Some(_) => None,
    };
    let proto3 = syntax == Some(Syntax::Proto3);
    let mut file = ProtoFile {
        syntax,
        package: fields.text(2).filter(|package| !package.is_empty()),
        ..ProtoFile::default()
    };
    let (public, weak) = (fields.ints(10)?, fields.ints(11)?);
    for (i, path) in (0..).zip(fields.all_text(3)) {
        if public.contains(&i) {
            file.public_imports.push(path);
        } else if weak.contains(&i) {
            file.weak_imports.push(path);
        } else {
            file.imports.push(path);
        }
    }
    for bytes in fields.all_bytes(4) {
        file.types
            .push(TypeElement::Message(read_message(bytes, proto3, 0)?));
    }
    for bytes in fields.all_bytes(5) {
        file.types.push(TypeElement::Enum(read_enum(bytes)?));
    }
    for bytes in fields.all_bytes(6) {
        file.services.push(read_service(bytes)?);
    }
    file.extends = read_extends(&fields, 7, proto3)?;
    file.options = read_options(
        Fields::read_merged(&fields, 8)?,
        FILE_OPTIONS,
        Some(50),
        Some("confluent.file_meta"),
    )?;
    Ok(file)
}

fn read_message(bytes: &[u8], proto3: bool, depth: usize) -> Read<Message> {
    if depth >= MAX_MESSAGE_DEPTH {
        return Err(WireError::Depth);
    }
    let fields = Fields::read(bytes)?;
    let mut message = Message::new(fields.text(1).unwrap_or_default());
    for bytes in fields.all_bytes(8) {
        let oneof = Fields::read(bytes)?;
        message.oneofs.push(Oneof {
            name: oneof.text(1).unwrap_or_default(),
            options: read_options(Fields::read_merged(&oneof, 2)?, &[], Some(1), None)?,
            ..Oneof::default()
        });
    }
    for bytes in fields.all_bytes(2) {
        let read = Fields::read(bytes)?;
        let index = read
            .int(9)
            .filter(|_| !read.flag(17).unwrap_or(false))
            .and_then(|index| usize::try_from(index).ok());
        let oneof = index.and_then(|index| message.oneofs.get_mut(index));
        let field = read_field(&read, proto3, oneof.is_some())?;
        match oneof {
            Some(oneof) => oneof.fields.push(field),
            None => message.fields.push(field),
        }
    }
    // Those that only make `optional` work in proto3 have no members here.
    message.oneofs.retain(|oneof| !oneof.fields.is_empty());
    for bytes in fields.all_bytes(3) {
        message.types.push(TypeElement::Message(read_message(
            bytes,
            proto3,
            depth + 1,
        )?));
    }
    for bytes in fields.all_bytes(4) {
        message.types.push(TypeElement::Enum(read_enum(bytes)?));
    }
    read_reserved(&fields, 9, 10, true, &mut message.reserved)?;
    for bytes in fields.all_bytes(5) {
        message.extensions.push(read_extensions(bytes)?);
    }
    message.extends = read_extends(&fields, 6, proto3)?;
    message.options = read_options(
        Fields::read_merged(&fields, 7)?,
        MESSAGE_OPTIONS,
        Some(12),
        Some("confluent.message_meta"),
    )?;
    Ok(message)
}

fn read_reserved(
    fields: &Fields<'_>,
    ranges: i32,
    names: i32,
    exclusive: bool,
    reserved: &mut Vec<Reserved>,
) -> Read<()> {
    for bytes in fields.all_bytes(ranges) {
        let range = Fields::read(bytes)?;
        let first = range.int(1).unwrap_or(0);
        let last = range.int(2).unwrap_or(0).wrapping_sub(i32::from(exclusive));
        reserved.push(Reserved {
            values: vec![one_or_range(first, last)],
        });
    }
    for name in fields.all_text(names) {
        reserved.push(Reserved {
            values: vec![TagRange::Name(name)],
        });
    }
    Ok(())
}

fn one_or_range(first: i32, last: i32) -> TagRange {
    if first == last {
        TagRange::Tag(first)
    } else {
        TagRange::Range(first, last)
    }
}

fn read_extensions(bytes: &[u8]) -> Read<Extensions> {
    let fields = Fields::read(bytes)?;
    let first = fields.int(1).unwrap_or(0);
    let last = fields.int(2).unwrap_or(0).wrapping_sub(1);
    let mut options = Vec::new();
    if let Some(read) = Fields::read_merged(&fields, 3)? {
        for bytes in read.all_bytes(2) {
            let declaration = Fields::read(bytes)?;
            let mut map = IndexMap::new();
            if let Some(number) = declaration.int(1) {
                map.insert("number".to_owned(), OptionValue::number(number));
            }
            for (name, number) in [("full_name", 2), ("type", 3)] {
                if let Some(text) = declaration.text(number) {
                    map.insert(name.to_owned(), OptionValue::text(text));
                }
            }
            for (name, number) in [("reserved", 5), ("repeated", 6)] {
                if let Some(flag) = declaration.flag(number) {
                    map.insert(name.to_owned(), OptionValue::boolean(flag));
                }
            }
            options.push(OptionEntry::new("declaration", OptionValue::Map(map)));
        }
        options.extend(features(&read, 50)?);
        if let Some(word) = read.int(3).and_then(|number| word_of(VERIFICATION, number)) {
            options.push(OptionEntry::new("verification", OptionValue::word(word)));
        }
    }
    Ok(Extensions {
        values: vec![one_or_range(first, last)],
        options,
    })
}

fn read_extends(fields: &Fields<'_>, number: i32, proto3: bool) -> Read<Vec<Extend>> {
    let mut blocks: IndexMap<String, Vec<Field>> = IndexMap::new();
    for bytes in fields.all_bytes(number) {
        let field = Fields::read(bytes)?;
        blocks
            .entry(field.text(2).unwrap_or_default())
            .or_default()
            .push(read_field(&field, proto3, false)?);
    }
    Ok(blocks
        .into_iter()
        .map(|(name, fields)| Extend { name, fields })
        .collect())
}

fn read_field(fields: &Fields<'_>, proto3: bool, in_oneof: bool) -> Read<Field> {
    let label = match fields.int(4) {
        _ if in_oneof => None,
        _ if fields.flag(17).unwrap_or(false) => Some(Label::Optional),
        Some(3) => Some(Label::Repeated),
        _ if proto3 => None,
        Some(2) => Some(Label::Required),
        _ => Some(Label::Optional),
    };
    let type_name = match fields.text(6) {
        Some(name) => name,
        None => match fields.int(5).unwrap_or(1) {
            10 => "group".to_owned(),
            11 => "message".to_owned(),
            14 => "enum".to_owned(),
            number => Scalar::from_descriptor_type(number)
                .unwrap_or(Scalar::Double)
                .name()
                .to_owned(),
        },
    };
    Ok(Field {
        label,
        type_name,
        name: fields.text(1).unwrap_or_default(),
        tag: fields.int(3).unwrap_or(0),
        default: fields.text(7).filter(|_| !proto3),
        json_name: fields.text(10),
        options: match Fields::read_merged(fields, 8)? {
            Some(options) => read_field_options(&options)?,
            None => Vec::new(),
        },
    })
}

fn read_field_options(fields: &Fields<'_>) -> Read<Vec<OptionEntry>> {
    let mut options = Vec::new();
    known_options(fields, FIELD_OPTIONS, &mut options);
    for number in fields.ints(19)? {
        if let Some(word) = word_of(TARGET, number) {
            options.push(OptionEntry::new("targets", OptionValue::word(word)));
        }
    }
    for bytes in fields.all_bytes(20) {
        let default = Fields::read(bytes)?;
        let mut map = IndexMap::new();
        if let Some(word) = default.int(3).and_then(|number| word_of(EDITION, number)) {
            map.insert("edition".to_owned(), OptionValue::word(word));
        }
        if let Some(text) = default.text(2) {
            map.insert("value".to_owned(), OptionValue::text(text));
        }
        options.push(OptionEntry::new("edition_defaults", OptionValue::Map(map)));
    }
    options.extend(features(fields, 21)?);
    options.extend(feature_support(fields, 22)?);
    options.extend(meta(fields, "confluent.field_meta")?);
    Ok(options)
}

fn read_enum(bytes: &[u8]) -> Read<Enum> {
    let fields = Fields::read(bytes)?;
    let mut declared = Enum {
        name: fields.text(1).unwrap_or_default(),
        ..Enum::default()
    };
    for bytes in fields.all_bytes(2) {
        let constant = Fields::read(bytes)?;
        let mut options = Vec::new();
        if let Some(read) = Fields::read_merged(&constant, 3)? {
            known_options(&read, CONSTANT_OPTIONS, &mut options);
            options.extend(features(&read, 2)?);
            options.extend(feature_support(&read, 4)?);
            options.extend(meta(&read, "confluent.enum_value_meta")?);
        }
        declared.constants.push(EnumConstant {
            name: constant.text(1).unwrap_or_default(),
            tag: constant.int(2).unwrap_or(0),
            options,
        });
    }
    read_reserved(&fields, 4, 5, false, &mut declared.reserved)?;
    declared.options = read_options(
        Fields::read_merged(&fields, 3)?,
        ENUM_OPTIONS,
        Some(7),
        Some("confluent.enum_meta"),
    )?;
    Ok(declared)
}

fn read_service(bytes: &[u8]) -> Read<Service> {
    let fields = Fields::read(bytes)?;
    let mut service = Service {
        name: fields.text(1).unwrap_or_default(),
        ..Service::default()
    };
    for bytes in fields.all_bytes(2) {
        let method = Fields::read(bytes)?;
        service.rpcs.push(Rpc {
            name: method.text(1).unwrap_or_default(),
            request: method.text(2).unwrap_or_default(),
            response: method.text(3).unwrap_or_default(),
            request_streaming: method.flag(5).unwrap_or(false),
            response_streaming: method.flag(6).unwrap_or(false),
            options: read_options(
                Fields::read_merged(&method, 4)?,
                METHOD_OPTIONS,
                Some(35),
                None,
            )?,
        });
    }
    service.options = read_options(
        Fields::read_merged(&fields, 3)?,
        SERVICE_OPTIONS,
        Some(34),
        None,
    )?;
    Ok(service)
}

fn read_options(
    fields: Option<Fields<'_>>,
    rows: &[(&str, i32, Holds)],
    feature_number: Option<i32>,
    meta_name: Option<&str>,
) -> Read<Vec<OptionEntry>> {
    let mut options = Vec::new();
    let Some(fields) = fields else {
        return Ok(options);
    };
    known_options(&fields, rows, &mut options);
    if let Some(number) = feature_number {
        options.extend(features(&fields, number)?);
    }
    if let Some(name) = meta_name {
        options.extend(meta(&fields, name)?);
    }
    Ok(options)
}

fn known_options(fields: &Fields<'_>, rows: &[(&str, i32, Holds)], options: &mut Vec<OptionEntry>) {
    for (name, number, holds) in rows {
        let value = match holds {
            Holds::Text => fields.text(*number).map(OptionValue::text),
            Holds::Flag => fields.flag(*number).map(OptionValue::boolean),
            Holds::Word(names) => fields
                .int(*number)
                .and_then(|number| word_of(names, number))
                .map(OptionValue::word),
        };
        options.extend(value.map(|value| OptionEntry::new(*name, value)));
    }
}

/// The word of a number; unknown numbers count as absent.
fn word_of(names: Names, number: i32) -> Option<&'static str> {
    names.iter().find(|row| row.1 == number).map(|row| row.0)
}

fn features(fields: &Fields<'_>, number: i32) -> Read<Option<OptionEntry>> {
    let Some(set) = Fields::read_merged(fields, number)? else {
        return Ok(None);
    };
    let mut map = IndexMap::new();
    for (name, number, names) in FEATURES {
        if let Some(word) = set.int(*number).and_then(|number| word_of(names, number)) {
            map.insert((*name).to_owned(), OptionValue::word(word));
        }
    }
    Ok(Some(OptionEntry::new("features", OptionValue::Map(map))))
}

fn feature_support(fields: &Fields<'_>, number: i32) -> Read<Option<OptionEntry>> {
    let Some(support) = Fields::read_merged(fields, number)? else {
        return Ok(None);
    };
    let mut map = IndexMap::new();
    let edition = |number| {
        support
            .int(number)
            .and_then(|number| word_of(EDITION, number))
    };
    for (name, number) in [("edition_introduced", 1), ("edition_deprecated", 2)] {
        if let Some(word) = edition(number) {
            map.insert(name.to_owned(), OptionValue::word(word));
        }
    }
    if let Some(text) = support.text(3) {
        map.insert("deprecation_warning".to_owned(), OptionValue::text(text));
    }
    if let Some(word) = edition(4) {
        map.insert("edition_removed".to_owned(), OptionValue::word(word));
    }
    Ok(Some(OptionEntry::new(
        "feature_support",
        OptionValue::Map(map),
    )))
}

fn meta(fields: &Fields<'_>, name: &str) -> Read<Option<OptionEntry>> {
    let Some(read) = Fields::read_merged(fields, META)? else {
        return Ok(None);
    };
    // Its messages are of proto3, whose texts must be UTF-8; in all others what is not is replaced.
    let mut tags = Vec::new();
    for bytes in read.all_bytes(3) {
        tags.push(strict_text(bytes)?);
    }
    let mut meta = Meta {
        doc: read.strict_text(1)?,
        tags,
        ..Meta::default()
    };
    for bytes in read.all_bytes(2) {
        let entry = Fields::read(bytes)?;
        meta.params.insert(
            entry.strict_text(1)?.unwrap_or_default(),
            entry.strict_text(2)?.unwrap_or_default(),
        );
    }
    for bytes in read.all_bytes(4) {
        let rule = Fields::read(bytes)?;
        let mut given = IndexMap::new();
        for (name, number) in [("name", 1), ("doc", 2), ("expr", 3), ("sql", 4)] {
            if let Some(value) = rule.strict_text(number)?.filter(|value| !value.is_empty()) {
                given.insert(name.to_owned(), value);
            }
        }
        meta.rules.push(given);
    }
    Ok(meta.to_option(name))
}

fn strict_text(bytes: &[u8]) -> Read<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| WireError::Utf8)
}
