//! From JSON to the model: which subschemas there are, and where each `$ref` leads. Nothing is fetched.
//!
//! No recursion: subschemas wait in a queue, because a schema may nest a thousand levels deep.

mod assemble;
mod classic;
mod keyword;
mod modern;

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::{Json, Object, json::ReadOptions};

use crate::model::{EMPTY, EnumKind, FALSE, Kind, Model, Node, NodeId, ROOT, TRUE, value_key};
use crate::uri;

/// Subschemas of one schema, references included.
const MAX_NODES: usize = 1_000_000;
/// What a schema without an id is resolved against in the newer drafts.
const NO_BASE: &str = "mem://input";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Draft {
    Draft4,
    Draft6,
    Draft7,
    /// 2019-09 and 2020-12, which are read alike.
    Modern,
}

impl Draft {
    /// As the registry chooses for a whole schema: 7 unless the exact URI of another is given.
    fn of_schema(json: &Json) -> Self {
        let uri = json.get("$schema").and_then(Json::as_str).unwrap_or("");
        let uri = uri.strip_suffix('#').unwrap_or(uri);
        let name = uri
            .strip_prefix("https://")
            .or_else(|| uri.strip_prefix("http://"))
            .and_then(|rest| rest.strip_prefix("json-schema.org/"));
        match name {
            Some("draft/2019-09/schema" | "draft/2020-12/schema") => Self::Modern,
            _ => Self::classic(json).unwrap_or(Self::Draft7),
        }
    }

    /// As the loader of the older drafts chooses for a document: by the beginning of the URI.
    fn classic(json: &Json) -> Option<Self> {
        let uri = json.get("$schema")?.as_str()?;
        let name = uri
            .strip_prefix("https://")
            .or_else(|| uri.strip_prefix("http://"))?
            .strip_prefix("json-schema.org/")?;
        if name.starts_with("draft-04/schema") || name.starts_with("schema") {
            Some(Self::Draft4)
        } else if name.starts_with("draft-06/schema") {
            Some(Self::Draft6)
        } else if name.starts_with("draft-07/schema") {
            Some(Self::Draft7)
        } else {
            None
        }
    }

    fn id_keyword(self) -> &'static str {
        if self == Self::Draft4 { "id" } else { "$id" }
    }
}

/// What is read, and how.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Keep the members that mean nothing for comparisons, and the values of enumerations.
    pub(crate) detailed: bool,
    /// Read drafts after 7 as 7.
    pub(crate) classic_only: bool,
}

/// Reads a schema into its model.
///
/// # Errors
/// What is wrong, and where.
pub(crate) fn load(
    json: &Json,
    references: &[(Arc<str>, Arc<str>)],
    options: Options,
) -> Result<Model, String> {
    let others = references
        .iter()
        .map(|(name, text)| {
            let (json, _) = Json::read_first(text, ReadOptions::default()).map_err(|error| {
                format!(
                    "the referenced schema `{name}` is not JSON: {}",
                    error.message
                )
            })?;
            Ok((Arc::clone(name), json))
        })
        .collect::<Result<Vec<_>, String>>()?;
    match json {
        Json::Bool(_) | Json::Object(_) => {}
        _ => {
            return Err(format!(
                "a schema is an object or a boolean, not {}",
                type_name(json)
            ));
        }
    }
    Loader::new(json, &others, options)?.run()
}

/// That a reference leads out of everything that is known.
fn unresolved(reference: &str) -> String {
    format!(
        "`$ref`: `{}` is neither in the schema nor among its references; remote schemas are not fetched",
        reference.chars().take(500).collect::<String>()
    )
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}

type ScopeId = u32;

/// What surrounds a subschema.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Scope {
    base: Arc<str>,
    document: usize,
    draft: Draft,
}

#[derive(Clone, Copy)]
struct Target<'a> {
    json: &'a Json,
    scope: ScopeId,
}

struct Document<'a> {
    json: &'a Json,
    /// Its URI; empty for the schema itself in the older drafts.
    address: Arc<str>,
    /// By the text of its id, as it is written (older drafts only). Filled at the first reference into the document.
    ids: Option<HashMap<&'a str, Target<'a>>>,
}

struct Loader<'a> {
    documents: Vec<Document<'a>>,
    /// Document number by the URI under which it can be mentioned.
    names: HashMap<String, usize>,
    scopes: Vec<Scope>,
    scope_ids: HashMap<Scope, ScopeId>,
    nodes: Vec<Node>,
    /// Nodes by the place of their JSON and their scope.
    places: HashMap<(*const Json, ScopeId), NodeId>,
    /// Nodes by the absolute URI of the reference that leads to them.
    knots: HashMap<String, NodeId>,
    /// Anchors and ids by absolute URI (newer drafts only).
    anchors: HashMap<String, Target<'a>>,
    queue: Vec<(NodeId, Target<'a>)>,
    /// Alternatives of combined schemas that are put together when all nodes are known (newer drafts only).
    composites: Vec<(NodeId, modern::Composite)>,
    root_scope: ScopeId,
    options: Options,
}

impl<'a> Loader<'a> {
    fn new(
        json: &'a Json,
        others: &'a [(Arc<str>, Json)],
        options: Options,
    ) -> Result<Self, String> {
        let draft = match Draft::of_schema(json) {
            Draft::Modern if options.classic_only => Draft::Draft7,
            draft => draft,
        };
        if draft != Draft::Modern
            && json
                .get("$schema")
                .is_some_and(|uri| uri.as_str().is_none())
        {
            return Err("`$schema` must be a string".into());
        }
        let root_id = json.get(draft.id_keyword()).and_then(Json::as_str);
        let base = if draft == Draft::Modern { NO_BASE } else { "" };
        let mut loader = Self {
            documents: vec![Document {
                json,
                address: base.into(),
                ids: None,
            }],
            names: HashMap::new(),
            scopes: Vec::new(),
            scope_ids: HashMap::new(),
            nodes: vec![
                Node::new(Kind::True),
                Node::new(Kind::False),
                Node::new(Kind::Empty),
            ],
            places: HashMap::new(),
            knots: HashMap::new(),
            anchors: HashMap::new(),
            queue: Vec::new(),
            composites: Vec::new(),
            root_scope: 0,
            options,
        };
        loader.root_scope = loader.scope(Scope {
            base: base.into(),
            document: 0,
            draft,
        });
        let against = match draft {
            Draft::Modern => NO_BASE,
            _ => root_id.unwrap_or(""),
        };
        for (name, other) in others {
            let document = loader.documents.len();
            let address = uri::resolve(against, name)?;
            loader.documents.push(Document {
                json: other,
                address: address.as_str().into(),
                ids: None,
            });
            // Under the name as it is seen from the schema, and as it is written.
            for uri in [address, name.to_string(), format!("./{name}")] {
                loader.names.entry(uri).or_insert(document);
            }
        }
        Ok(loader)
    }

    fn run(mut self) -> Result<Model, String> {
        let root = Target {
            json: self.documents[0].json,
            scope: self.root_scope,
        };
        if let Json::Bool(value) = root.json {
            self.nodes
                .push(Node::new(if *value { Kind::True } else { Kind::False }));
            return Ok(Model::new(self.nodes));
        }
        let modern = self.draft(root.scope) == Draft::Modern;
        if modern {
            self.index_anchors(root)?;
        }
        let id = self.allocate(root)?;
        debug_assert_eq!(id, ROOT);
        while let Some((id, target)) = self.queue.pop() {
            let loaded = if modern {
                self.modern(id, target)
            } else {
                self.classic(id, target)
            };
            if let Err(message) = loaded {
                return Err(match self.pointer_of(target) {
                    Some(pointer) => format!("{message} (at `{pointer}`)"),
                    None => message,
                });
            }
        }
        if modern {
            self.assemble()?;
        }
        Ok(Model::new(self.nodes))
    }

    fn scope(&mut self, scope: Scope) -> ScopeId {
        if let Some(id) = self.scope_ids.get(&scope) {
            return *id;
        }
        let id = self.scopes.len() as ScopeId;
        self.scopes.push(scope.clone());
        self.scope_ids.insert(scope, id);
        id
    }

    /// The root of a document.
    fn root_of(&mut self, document: usize) -> Target<'a> {
        let json = self.documents[document].json;
        let inherited = self.draft(self.root_scope);
        let draft = match inherited {
            Draft::Modern => inherited,
            _ if document == 0 => inherited,
            _ => Draft::classic(json).unwrap_or(inherited),
        };
        let base = Arc::clone(&self.documents[document].address);
        let scope = self.scope(Scope {
            base,
            document,
            draft,
        });
        Target { json, scope }
    }

    fn draft(&self, scope: ScopeId) -> Draft {
        self.scopes[scope as usize].draft
    }

    fn base(&self, scope: ScopeId) -> Arc<str> {
        Arc::clone(&self.scopes[scope as usize].base)
    }

    fn document(&self, scope: ScopeId) -> usize {
        self.scopes[scope as usize].document
    }

    fn rebased(&mut self, scope: ScopeId, base: &str) -> ScopeId {
        let scope = Scope {
            base: base.into(),
            ..self.scopes[scope as usize].clone()
        };
        self.scope(scope)
    }

    /// The scope inside an object: changed by its id.
    fn inside(&mut self, scope: ScopeId, json: &Json) -> Result<ScopeId, String> {
        let Some(id) = json
            .get(self.draft(scope).id_keyword())
            .and_then(Json::as_str)
        else {
            return Ok(scope);
        };
        let base = uri::resolve(&self.base(scope), id)?;
        Ok(self.rebased(scope, &base))
    }

    /// A new node, without its meaning yet.
    fn push(&mut self, node: Node) -> Result<NodeId, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("a schema may have {MAX_NODES} subschemas at most"));
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as NodeId)
    }

    fn allocate(&mut self, target: Target<'a>) -> Result<NodeId, String> {
        let id = self.push(Node::default())?;
        self.places.insert((target.json, target.scope), id);
        self.queue.push((id, target));
        Ok(id)
    }

    /// The values of `enum` or `const`.
    fn values(&self, values: &[Json]) -> Box<EnumKind> {
        Box::new(EnumKind {
            values: values.iter().map(value_key).collect(),
            list: if self.options.detailed {
                values.to_vec()
            } else {
                Vec::new()
            },
        })
    }

    /// Members to be kept on a node. Definitions are not: they are nodes of their own where they are used.
    fn kept(&self, members: &Object, wanted: impl Fn(&str) -> bool) -> Option<Box<Object>> {
        if !self.options.detailed {
            return None;
        }
        let kept: Object = members
            .iter()
            .filter(|(name, _)| wanted(name) && !matches!(&***name, "definitions" | "$defs"))
            .map(|(name, value)| (Arc::clone(name), value.clone()))
            .collect();
        (!kept.is_empty()).then(|| Box::new(kept))
    }

    /// The node of a subschema.
    fn child(&mut self, json: &'a Json, scope: ScopeId) -> Result<NodeId, String> {
        match json {
            Json::Bool(true) => Ok(TRUE),
            Json::Bool(false) => Ok(FALSE),
            Json::Object(members) if members.is_empty() => Ok(EMPTY),
            Json::Object(_) => match self.places.get(&(json as *const Json, scope)) {
                Some(id) => Ok(*id),
                None => self.allocate(Target { json, scope }),
            },
            _ => Err(format!(
                "a subschema is an object or a boolean, not {}",
                type_name(json)
            )),
        }
    }

    fn children(&mut self, values: &'a [Json], scope: ScopeId) -> Result<Vec<NodeId>, String> {
        values.iter().map(|json| self.child(json, scope)).collect()
    }

    fn named_children(
        &mut self,
        members: &'a Object,
        scope: ScopeId,
    ) -> Result<Vec<(Arc<str>, NodeId)>, String> {
        members
            .iter()
            .map(|(name, json)| Ok((Arc::clone(name), self.child(json, scope)?)))
            .collect()
    }

    /// Follows the tokens of a JSON pointer from the root of a document.
    fn point(
        &mut self,
        root: Target<'a>,
        tokens: &[&str],
        reference: &str,
    ) -> Result<Target<'a>, String> {
        let mut at = root;
        for (depth, token) in tokens.iter().enumerate() {
            let token = uri::pointer_token(token)?;
            let missing = || format!("`$ref`: `{reference}` leads nowhere: there is no `{token}`");
            let scope = self.inside(at.scope, at.json)?;
            let json = match at.json {
                Json::Object(members) => {
                    let bridged =
                        depth == 0 && token == "$defs" && defined_elsewhere(members, tokens)?;
                    let token = if bridged { "definitions" } else { &token };
                    members.get(token).ok_or_else(missing)?
                }
                Json::Array(values) => token
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| values.get(index))
                    .ok_or_else(missing)?,
                _ => return Err(missing()),
            };
            at = Target { json, scope };
        }
        Ok(at)
    }

    /// The JSON pointer of a subschema within its document, for messages.
    fn pointer_of(&self, target: Target<'_>) -> Option<String> {
        let root = self.documents[self.document(target.scope)].json;
        let mut path: Vec<(&Json, usize)> = vec![(root, 0)];
        while let Some((json, next)) = path.last_mut() {
            if std::ptr::eq(*json, target.json) {
                break;
            }
            let child = match json {
                Json::Array(values) => values.get(*next),
                Json::Object(members) => members.get_index(*next).map(|(_, value)| value),
                _ => None,
            };
            *next += 1;
            match child {
                Some(child) => path.push((child, 0)),
                None => {
                    path.pop();
                }
            }
        }
        let last = path.len().checked_sub(1)?;
        let mut pointer = String::from("#");
        for (json, next) in &path[..last] {
            pointer.push('/');
            match json {
                Json::Object(members) => {
                    let (name, _) = members.get_index(next - 1)?;
                    pointer.extend(name.chars().take(200));
                }
                _ => pointer.push_str(&(next - 1).to_string()),
            }
        }
        Some(pointer)
    }
}

/// Whether `#/$defs/x` of a document means `#/definitions/x`: what only one of the two holds is found under `$defs`.
fn defined_elsewhere(members: &Object, tokens: &[&str]) -> Result<bool, String> {
    let Some(name) = tokens.get(1) else {
        return Ok(false);
    };
    let name = uri::pointer_token(name)?;
    Ok(match members.get("$defs") {
        None => true,
        Some(Json::Object(defs)) => !defs.contains_key(&*name),
        Some(_) => false,
    } && members
        .get("definitions")
        .is_some_and(|d| d.get(&name).is_some()))
}
