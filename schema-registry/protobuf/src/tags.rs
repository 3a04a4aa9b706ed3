//! Tags of messages and fields, which stand in `(confluent.message_meta)` and `(confluent.field_meta)`.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use crate::ProtobufSchema;
use crate::ast::{Field, OptionEntry, OptionValue, ProtoFile, TypeElement};
use crate::meta::Meta;
use crate::print::{Mode, as_map, merge, print};

const MESSAGE_META: &str = "confluent.message_meta";
const FIELD_META: &str = "confluent.field_meta";
const TAGS: &str = "tags";

/// Tags of a message or of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedEntity {
    /// `Message.Nested` or `Message.field`, without the package. Where tags are changed, a dot may stand first, and the name of the oneof before its field.
    pub path: String,
    /// A field, otherwise a message.
    pub is_field: bool,
    /// In their order.
    pub tags: Vec<String>,
}

impl ProtobufSchema {
    /// Every message and field with tags: a message before its fields, those in oneofs first, then the messages in it.
    pub fn tags(&self) -> Vec<TaggedEntity> {
        let mut listing = Listing::default();
        listing.types(&self.file().types);
        listing.found
    }

    /// The canonical text with tags added, then others removed. All options of a changed message or field are put together and take Java's order of a hash map.
    ///
    /// Where the original loses groups and makes up a package named `null`, the schema stays as it is.
    ///
    /// # Errors
    /// No message or field has such a path (`No matching Field with name 'f' found in the schema`), or the text cannot be printed.
    pub fn with_tags(
        &self,
        add: &[TaggedEntity],
        remove: &[TaggedEntity],
    ) -> Result<String, String> {
        let mut changes = Changes::new(add, remove);
        let mut file = ProtoFile::clone(self.file());
        changes.apply(&mut file.types, 0);
        changes.check()?;
        drop_empty_oneofs(&mut file.types);
        print(&file, Mode::Canonical).map_err(|error| error.to_string())
    }
}

/// All paths that are listed take at most this many bytes; what comes after is left out. Only texts made for it come near: short fields of a message with a name of megabytes.
const MAX_PATHS: usize = 64 << 20;

#[derive(Default)]
struct Listing<'f> {
    /// The messages around.
    scope: Vec<&'f str>,
    found: Vec<TaggedEntity>,
    size: usize,
}

impl<'f> Listing<'f> {
    fn types(&mut self, types: &'f [TypeElement]) {
        let mut seen = HashSet::new();
        for message in types.iter().filter_map(TypeElement::as_message) {
            // Of two of one name the first counts.
            if !seen.insert(message.name.as_str()) {
                continue;
            }
            self.scope.push(&message.name);
            self.add(&message.options, MESSAGE_META, None);
            let in_oneofs = message.oneofs.iter().flat_map(|oneof| &oneof.fields);
            for field in in_oneofs.chain(&message.fields) {
                self.add(&field.options, FIELD_META, Some(&field.name));
            }
            self.types(&message.types);
            self.scope.pop();
        }
    }

    fn add(&mut self, options: &[OptionEntry], meta: &str, field: Option<&str>) {
        if !options.iter().any(|option| option.plain_name() == meta) {
            return;
        }
        let mut tags = Meta::find(options, meta).unwrap_or_default().tags;
        let mut held = HashSet::new();
        tags.retain(|tag| held.insert(tag.clone()));
        if tags.is_empty() {
            return;
        }
        let parts = self.scope.iter().copied().chain(field);
        self.size += parts.clone().map(|part| part.len() + 1).sum::<usize>();
        if self.size <= MAX_PATHS {
            self.found.push(TaggedEntity {
                path: parts.collect::<Vec<_>>().join("."),
                is_field: field.is_some(),
                tags,
            });
        }
    }
}

/// What is to change in one message or field.
#[derive(Debug)]
struct Change {
    path: Vec<String>,
    is_field: bool,
    add: Vec<String>,
    remove: HashSet<String>,
    found: bool,
}

/// A part of a path.
#[derive(Debug, Default)]
struct Node {
    children: HashMap<String, usize>,
    /// Changes of the message and of the field of this path.
    message: Option<usize>,
    field: Option<usize>,
    /// A message of this path was met; of two, the first counts.
    met: bool,
}

/// All changes, as a tree over their paths: one walk over a file finds them all. The first node is the file.
#[derive(Debug)]
struct Changes {
    nodes: Vec<Node>,
    list: Vec<Change>,
}

impl Changes {
    fn new(add: &[TaggedEntity], remove: &[TaggedEntity]) -> Self {
        let mut changes = Self {
            nodes: vec![Node::default()],
            list: Vec::new(),
        };
        for entity in add {
            let change = changes.entry(entity);
            for tag in &entity.tags {
                if !change.add.contains(tag) {
                    change.add.push(tag.clone());
                }
            }
        }
        for entity in remove {
            let change = changes.entry(entity);
            change.remove.extend(entity.tags.iter().cloned());
        }
        changes
    }

    fn entry(&mut self, entity: &TaggedEntity) -> &mut Change {
        let path = entity.path.strip_prefix('.').unwrap_or(&entity.path);
        let mut parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        // As Java splits.
        while parts.len() > 1 && parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        let mut node = 0;
        for part in &parts {
            node = match self.nodes[node].children.get(part) {
                Some(&child) => child,
                None => {
                    let child = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[node].children.insert(part.clone(), child);
                    child
                }
            };
        }
        let slot = if entity.is_field {
            &mut self.nodes[node].field
        } else {
            &mut self.nodes[node].message
        };
        let at = *slot.get_or_insert(self.list.len());
        if at == self.list.len() {
            self.list.push(Change {
                path: parts,
                is_field: entity.is_field,
                add: Vec::new(),
                remove: HashSet::new(),
                found: false,
            });
        }
        &mut self.list[at]
    }

    fn child(&self, node: usize, name: &str) -> Option<usize> {
        self.nodes[node].children.get(name).copied()
    }

    fn apply(&mut self, types: &mut [TypeElement], parent: usize) {
        for element in types {
            let TypeElement::Message(message) = element else {
                continue;
            };
            let Some(node) = self.child(parent, &message.name) else {
                continue;
            };
            if std::mem::replace(&mut self.nodes[node].met, true) {
                continue;
            }
            if let Some(change) = self.nodes[node].message {
                self.list[change].retag(&mut message.options, MESSAGE_META);
            }
            self.fields(&mut message.fields, node);
            for oneof in &mut message.oneofs {
                self.fields(&mut oneof.fields, node);
                // A message of the same name has precedence.
                if message
                    .types
                    .iter()
                    .filter_map(TypeElement::as_message)
                    .all(|nested| nested.name != oneof.name)
                    && let Some(node) = self.child(node, &oneof.name)
                {
                    self.fields(&mut oneof.fields, node);
                }
            }
            self.apply(&mut message.types, node);
        }
    }

    fn fields(&mut self, fields: &mut [Field], message: usize) {
        for field in fields {
            let change = self
                .child(message, &field.name)
                .and_then(|node| self.nodes[node].field);
            if let Some(change) = change
                && !self.list[change].found
            {
                self.list[change].retag(&mut field.options, FIELD_META);
            }
        }
    }

    /// That everything that is to change was found.
    fn check(&self) -> Result<(), String> {
        let Some(change) = self.list.iter().find(|change| !change.found) else {
            return Ok(());
        };
        let (field, messages) = match change.path.split_last() {
            Some((field, messages)) if change.is_field => (Some(field), messages),
            _ => (None, change.path.as_slice()),
        };
        let mut node = 0;
        for (i, name) in messages.iter().enumerate() {
            node = self.child(node, name).unwrap_or(0);
            // The last one before a field may have been a oneof.
            let may_miss = field.is_some() && i + 1 == messages.len();
            if !self.nodes[node].met && !may_miss {
                return Err(format!(
                    "No matching Message with name '{name}' found in the schema"
                ));
            }
        }
        let name = field.map(String::as_str).unwrap_or_default();
        Err(format!(
            "No matching Field with name '{name}' found in the schema"
        ))
    }
}

impl Change {
    fn retag(&mut self, options: &mut Vec<OptionEntry>, meta: &str) {
        self.found = true;
        let mut all = std::mem::take(options);
        if !self.add.is_empty() {
            let tags = self.add.iter().map(OptionValue::text).collect();
            let value = OptionValue::map([(TAGS, OptionValue::List(tags))]);
            all.push(OptionEntry::custom(meta, value));
        }
        let mut groups: IndexMap<String, Vec<OptionEntry>> = IndexMap::new();
        for option in all {
            groups
                .entry(option.plain_name().to_owned())
                .or_default()
                .push(OptionEntry {
                    value: as_map(option.value),
                    ..option
                });
        }
        // The map is filled by `merge`, which puts a new key first where it shares a bucket.
        let merged = java_idioms::hash_order(groups.into_iter().rev(), |group| group.0.as_str());
        *options = merged
            .into_iter()
            .filter_map(|(name, group)| {
                let option = merge(group)?;
                if name == meta {
                    self.without_removed(option, meta)
                } else {
                    Some(option)
                }
            })
            .collect();
    }

    fn without_removed(&self, mut option: OptionEntry, meta: &str) -> Option<OptionEntry> {
        if self.remove.is_empty() {
            return Some(option);
        }
        let OptionValue::Map(map) = &mut option.value else {
            return Some(option);
        };
        let Some(tags) = map.get_mut(TAGS) else {
            return Some(option);
        };
        let all = match std::mem::replace(tags, OptionValue::List(Vec::new())) {
            OptionValue::List(list) => list,
            value => vec![value],
        };
        let left: Vec<OptionValue> = all
            .into_iter()
            .filter(|tag| !matches!(tag, OptionValue::Text(tag) if self.remove.contains(tag)))
            .collect();
        if left.is_empty() {
            map.shift_remove(TAGS);
        } else {
            *tags = OptionValue::List(left);
        }
        let empty = map.is_empty();
        (!empty).then(|| OptionEntry::custom(meta, option.value))
    }
}

/// The text that the original prints in between has no oneof without members.
fn drop_empty_oneofs(types: &mut [TypeElement]) {
    for element in types {
        if let TypeElement::Message(message) = element {
            message
                .oneofs
                .retain(|oneof| !(oneof.fields.is_empty() && oneof.groups.is_empty()));
            drop_empty_oneofs(&mut message.types);
        }
    }
}
