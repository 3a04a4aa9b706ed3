//! Where a `$ref` or `$dynamicRef` of drafts 2019-09 and 2020-12 leads.

use java_idioms::{Json, hash_order};

use super::modern::is_known;
use super::{Loader, NO_BASE, Scope, ScopeId, Target, unresolved};
use crate::model::NodeId;
use crate::uri;

impl<'a> Loader<'a> {
    /// Notes the ids and anchors of a document.
    pub(super) fn index_anchors(&mut self, root: Target<'a>) -> Result<(), String> {
        self.anchors
            .insert(without_empty_fragment(&self.base(root.scope)).into(), root);
        // In a document that was given with the schema, what stands under unknown keywords counts for nothing. In the schema itself the original cannot tell where it is.
        let selective = self.document(root.scope) != 0;
        let mut stack = vec![(root, Place::Schema)];
        while let Some((at, place)) = stack.pop() {
            match at.json {
                Json::Object(members) => {
                    let scope = self.inside(at.scope, at.json)?;
                    let base = self.base(scope);
                    if members.get("$id").and_then(Json::as_str).is_some() {
                        self.anchor(&base, at)?;
                    }
                    if let Some(anchor) = members.get("$anchor").and_then(Json::as_str) {
                        let uri = resolve(&base, &format!("#{anchor}"))?;
                        self.anchor(&uri, at)?;
                    }
                    if let Some(anchor) = members.get("$dynamicAnchor").and_then(Json::as_str) {
                        if std::ptr::eq(at.json, root.json) {
                            self.outermost.entry(anchor.into()).or_insert(at);
                        }
                        let uri = resolve(&base, &format!("#{anchor}"))?;
                        self.anchors.insert(without_empty_fragment(&uri).into(), at);
                    }
                    let inner = members
                        .iter()
                        .filter(|(name, _)| !matches!(&***name, "enum" | "const"));
                    for (name, json) in hash_order(inner, |(name, _)| name).into_iter().rev() {
                        let place = place.inside(name);
                        if !selective || place != Place::Unknown {
                            stack.push((Target { json, scope }, place));
                        }
                    }
                }
                Json::Array(values) => {
                    // A number is no keyword.
                    let place = place.inside("");
                    if !selective || place != Place::Unknown {
                        let scope = at.scope;
                        stack.extend(
                            (values.iter().rev()).map(|json| (Target { json, scope }, place)),
                        );
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn anchor(&mut self, uri: &str, at: Target<'a>) -> Result<(), String> {
        let uri = without_empty_fragment(uri);
        match self.anchors.insert(uri.into(), at) {
            Some(other) if !std::ptr::eq(other.json, at.json) => {
                Err(format!("two schemas have the id `{uri}`"))
            }
            _ => Ok(()),
        }
    }

    /// Where a `$dynamicRef` leads if a whole document has that anchor: to the first that was come to, which is the one the others are read from.
    pub(super) fn outermost(&self, keyword: &str, reference: &str) -> Option<Target<'a>> {
        let anchor = reference
            .strip_prefix('#')
            .filter(|_| keyword == "$dynamicRef")?;
        self.outermost.get(anchor).copied()
    }

    pub(super) fn modern_reference(
        &mut self,
        reference: &str,
        scope: ScopeId,
    ) -> Result<(NodeId, String), String> {
        // Nothing at all leads to nothing where there is no id to which it could lead.
        if reference.is_empty() && &*self.base(scope) == NO_BASE {
            return Err(unresolved(reference));
        }
        let (written, _) = uri::split_fragment(reference);
        let absolute = if uri::is_absolute(reference) || self.names.contains_key(written) {
            reference.to_owned()
        } else {
            resolve(&self.base(scope), reference)?
        };
        let absolute = without_empty_fragment(&absolute).to_owned();
        if let Some(id) = self.knots.get(&absolute) {
            return Ok((*id, absolute));
        }
        let target = self.modern_target(&absolute, reference)?;
        let id = self.child(target.json, target.scope)?;
        self.knots.insert(absolute.clone(), id);
        Ok((id, absolute))
    }

    fn modern_target(&mut self, absolute: &str, reference: &str) -> Result<Target<'a>, String> {
        if let Some(target) = self.anchors.get(absolute) {
            return Ok(*target);
        }
        let (address, fragment) = uri::split_fragment(absolute);
        let root = match self.anchors.get(address) {
            Some(root) => *root,
            None => {
                let Some(document) = self.document_of(address) else {
                    return Err(unresolved(reference));
                };
                let json = self.documents[document].json;
                let draft = self.draft(self.root_scope);
                let scope = self.scope(Scope {
                    base: address.into(),
                    document,
                    draft,
                });
                let root = Target { json, scope };
                self.index_anchors(root)?;
                // All of it must be right, not only what is asked for.
                self.child(json, scope)?;
                root
            }
        };
        if fragment.is_empty() {
            return Ok(root);
        }
        if let Some(target) = self.anchors.get(absolute) {
            return Ok(*target);
        }
        let Some(tokens) = fragment.strip_prefix("#/") else {
            return Err(format!("`$ref`: there is no anchor `{fragment}`"));
        };
        let tokens: Vec<&str> = tokens.split('/').collect();
        // The way starts from the id as it is written, even a relative one.
        let start = match root.json.get("$id").and_then(Json::as_str) {
            Some(id) => self.rebased(root.scope, id),
            None => root.scope,
        };
        let start = Target {
            scope: start,
            ..root
        };
        self.point(start, &tokens, reference)
    }
}

/// Where a value stands in a schema, as far as the search for ids and anchors cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The document, or what stands under a keyword.
    Schema,
    /// Under a keyword that holds schemas by name or number.
    Schemas,
    /// Under a keyword that is none.
    Unknown,
}

impl Place {
    fn inside(self, name: &str) -> Self {
        match name {
            "$defs" | "allOf" | "anyOf" | "oneOf" | "properties" | "patternProperties" => {
                Self::Schemas
            }
            _ if self == Self::Schemas || is_known(name) => Self::Schema,
            _ => Self::Unknown,
        }
    }
}

/// `reference` as seen from `base`: as everywhere, but for bases without a hierarchy, to which it is just appended.
pub(super) fn resolve(base: &str, reference: &str) -> Result<String, String> {
    let resolved = uri::resolve(base, reference)?;
    if (base.starts_with("urn:") || base.starts_with("tag:")) && !uri::is_absolute(reference) {
        return Ok(format!("{base}{reference}"));
    }
    Ok(resolved)
}

fn without_empty_fragment(uri: &str) -> &str {
    uri.strip_suffix('#').unwrap_or(uri)
}
