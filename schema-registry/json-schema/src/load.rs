//! From JSON to the model: which subschemas there are, and where each `$ref` leads. Nothing is fetched.
//!
//! No recursion: subschemas wait in a queue, because a schema may nest a thousand levels deep.

mod assemble;
mod classic;
mod classic_reference;
mod draft;
mod keyword;
mod modern;
mod modern_reference;

use std::collections::HashMap;
use std::sync::Arc;

use java_idioms::{Json, Object, json::ReadOptions};

use crate::model::{EMPTY, EnumKind, FALSE, Kind, Model, Node, NodeId, ROOT, TRUE, value_key};
use crate::{metaschema, uri};

use draft::Draft;

/// Subschemas of one schema, references included.
const MAX_NODES: usize = 1_000_000;
/// What a schema without an id is resolved against in the newer drafts: the place from which the original's library thinks it was read.
const NO_BASE: &str = "UNKNOWN";
/// Against this the newer drafts resolve the names of references.
const NAMES_BASE: &str = "mem://input";

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
    let others: Vec<_> = others
        .into_iter()
        .map(|(name, json)| (name, bridged(&json).unwrap_or(json)))
        .collect();
    let bridged = bridged(json);
    Loader::new(bridged.as_ref().unwrap_or(json), &others, options)?.run()
}

/// A document whose `$defs` hold its `definitions` too, if that changes anything: what only one of the two holds is found under `$defs`, not the other way round.
fn bridged(json: &Json) -> Option<Json> {
    let Json::Object(members) = json else {
        return None;
    };
    let Some(Json::Object(definitions)) = members.get("definitions") else {
        return None;
    };
    let mut defs = match members.get("$defs") {
        None => Object::default(),
        Some(Json::Object(defs)) => defs.clone(),
        Some(_) => return None,
    };
    if definitions.is_empty() {
        return None;
    }
    for (name, json) in definitions {
        if !defs.contains_key(name) {
            defs.insert(Arc::clone(name), json.clone());
        }
    }
    let mut members = members.clone();
    members.insert("$defs".into(), Json::Object(defs));
    Some(Json::Object(members))
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
    /// Document number by its own id, without fragment (older drafts only). Filled when an address is not among the names.
    own_ids: Option<HashMap<String, usize>>,
    scopes: Vec<Scope>,
    scope_ids: HashMap<Scope, ScopeId>,
    nodes: Vec<Node>,
    /// Nodes by the place of their JSON and their scope.
    places: HashMap<(*const Json, ScopeId), NodeId>,
    /// Nodes by the absolute URI of the reference that leads to them.
    knots: HashMap<String, NodeId>,
    /// Anchors and ids by absolute URI (newer drafts only).
    anchors: HashMap<String, Target<'a>>,
    /// Documents by their `$dynamicAnchor`, each the first of its name (newer drafts only).
    outermost: HashMap<String, Target<'a>>,
    queue: Vec<(NodeId, Target<'a>)>,
    /// Alternatives of combined schemas that are put together when all nodes are known (newer drafts only).
    composites: Vec<(NodeId, modern::Composite)>,
    /// Which subschema holds which under `$defs` (newer drafts only).
    definitions: Vec<(NodeId, NodeId)>,
    /// Subschemas with a type that there is not (newer drafts only).
    unknown_types: Vec<(NodeId, Target<'a>, String)>,
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
            own_ids: None,
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
            outermost: HashMap::new(),
            queue: Vec::new(),
            composites: Vec::new(),
            definitions: Vec::new(),
            unknown_types: Vec::new(),
            root_scope: 0,
            options,
        };
        loader.root_scope = loader.scope(Scope {
            base: base.into(),
            document: 0,
            draft,
        });
        for (name, other) in others {
            if draft != Draft::Modern {
                if !matches!(other, Json::Object(_)) {
                    return Err(format!(
                        "the referenced schema `{name}` must be an object, not {}",
                        type_name(other)
                    ));
                }
                let address = uri::resolve(root_id.unwrap_or(""), name)?;
                loader.add_document(other, address);
                continue;
            }
            // Under the name as it is seen from a schema without an id, and as it is written.
            let address = uri::resolve(NAMES_BASE, name)?;
            let document = loader.add_document(other, address);
            for uri in [name.to_string(), format!("./{name}")] {
                loader.names.entry(uri).or_insert(document);
            }
        }
        Ok(loader)
    }

    fn add_document(&mut self, json: &'a Json, address: String) -> usize {
        let document = self.documents.len();
        self.documents.push(Document {
            json,
            address: uri::split_fragment(&address).0.into(),
            ids: None,
        });
        self.names.entry(address).or_insert(document);
        document
    }

    /// The document of that URI: one of the references, or a metaschema.
    fn document_of(&mut self, uri: &str) -> Option<usize> {
        if let Some(document) = self.names.get(uri) {
            return Some(*document);
        }
        metaschema::find(uri).map(|json| self.add_document(json, uri.to_owned()))
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
            loaded.map_err(|message| self.located(message, target))?;
        }
        if modern {
            self.assemble()?;
            self.check_types()?;
        }
        Ok(Model::new(self.nodes))
    }

    fn located(&self, message: String, target: Target<'_>) -> String {
        match self.pointer_of(target) {
            Some(pointer) => format!("{message} (at `{pointer}`)"),
            None => message,
        }
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
        let base = self.base(scope);
        let base = match self.draft(scope) {
            // Also where it is so by chance, as in the original.
            Draft::Modern if base.ends_with(id) => return Ok(scope),
            Draft::Modern => modern_reference::resolve(&base, id)?,
            _ => uri::resolve(&base, id)?,
        };
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
        for token in tokens {
            let token = uri::pointer_token(token)?;
            let missing = || format!("`$ref`: `{reference}` leads nowhere: there is no `{token}`");
            let scope = self.inside(at.scope, at.json)?;
            let json = match at.json {
                Json::Object(members) => members.get(&*token).ok_or_else(missing)?,
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
