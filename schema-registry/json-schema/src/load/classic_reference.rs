//! Where a `$ref` of drafts 4, 6 and 7 leads.

use std::collections::HashMap;

use java_idioms::Json;

use super::{Document, Draft, Loader, ScopeId, Target};
use crate::model::NodeId;
use crate::uri;

impl<'a> Loader<'a> {
    /// The node a `$ref` leads to, and its absolute URI.
    pub(super) fn classic_reference(
        &mut self,
        reference: &str,
        scope: ScopeId,
    ) -> Result<(NodeId, String), String> {
        let absolute = uri::resolve(&self.base(scope), reference)?;
        if let Some(id) = self.knots.get(&absolute) {
            return Ok((*id, absolute));
        }
        let target = self.classic_target(reference, &absolute, scope)?;
        let id = self.child(target.json, target.scope)?;
        self.knots.insert(absolute.clone(), id);
        Ok((id, absolute))
    }

    fn classic_target(
        &mut self,
        reference: &str,
        absolute: &str,
        scope: ScopeId,
    ) -> Result<Target<'a>, String> {
        let here = self.document(scope);
        if let Some(target) = self.by_id(here, absolute)? {
            return Ok(target);
        }
        if reference.starts_with('#') {
            let root = self.root_of(here);
            return self.classic_fragment(root, reference, reference);
        }
        let (address, fragment) = uri::split_fragment(absolute);
        for (uri, fragment) in [(absolute, ""), (address, fragment)] {
            if let Some(document) = self.document_of(uri) {
                self.check_draft(document, scope)?;
                let root = self.root_of(document);
                let target = self.classic_fragment(root, fragment, reference)?;
                // Ids on the way to it do not count: it is seen from the address that was asked for.
                return Ok(Target {
                    scope: root.scope,
                    ..target
                });
            }
        }
        // A document's own absolute id needs no fetching.
        if let Some(document) = self.own_document(address) {
            let root = self.root_of(document);
            return self.classic_fragment(root, fragment, reference);
        }
        Err(super::unresolved(reference))
    }

    /// The document whose id is that address.
    fn own_document(&mut self, address: &str) -> Option<usize> {
        if self.own_ids.is_none() {
            let mut own_ids = HashMap::new();
            for document in 0..self.documents.len() {
                let root = self.root_of(document);
                // A bad id is refused where the document is read.
                if let Ok(own) = self.inside(root.scope, root.json)
                    && own != root.scope
                {
                    let base = self.base(own);
                    let (id, _) = uri::split_fragment(&base);
                    own_ids.entry(id.to_owned()).or_insert(document);
                }
            }
            self.own_ids = Some(own_ids);
        }
        self.own_ids.as_ref()?.get(address).copied()
    }

    /// Whether the draft of a document to which a reference leads can be told. Unknown ones are read as what leads there, only not as draft 4.
    fn check_draft(&self, document: usize, scope: ScopeId) -> Result<(), String> {
        let Document { json, address, .. } = &self.documents[document];
        match json.get("$schema") {
            Some(Json::String(uri))
                if self.draft(scope) == Draft::Draft4 && Draft::classic(json).is_none() =>
            {
                Err(format!(
                    "`$schema` of `{address}`: `{uri}` cannot be told from draft 4, which refers to it; one of drafts 4, 6 and 7 can"
                ))
            }
            None | Some(Json::String(_)) => Ok(()),
            Some(_) => Err(format!("`$schema` of `{address}` must be a string")),
        }
    }

    fn classic_fragment(
        &mut self,
        root: Target<'a>,
        fragment: &str,
        reference: &str,
    ) -> Result<Target<'a>, String> {
        if fragment.is_empty() {
            return Ok(root);
        }
        if let Some(target) = self.by_id(self.document(root.scope), fragment)? {
            return Ok(target);
        }
        // Of `#a/b/c` only what follows the first slash counts: an unknown plain name means the whole document.
        let tokens: Vec<&str> = fragment.trim_end_matches('/').split('/').skip(1).collect();
        self.point(root, &tokens, reference)
    }

    /// The subschema whose id is written exactly so.
    fn by_id(&mut self, document: usize, id: &str) -> Result<Option<Target<'a>>, String> {
        if self.documents[document].ids.is_none() {
            let root = self.root_of(document);
            let mut ids = HashMap::new();
            let mut stack = vec![root];
            while let Some(at) = stack.pop() {
                match at.json {
                    Json::Object(members) => {
                        let keyword = self.draft(at.scope).id_keyword();
                        if let Some(id) = members.get(keyword).and_then(Json::as_str) {
                            ids.insert(id, at);
                        }
                        // An id in data may be no URI at all.
                        let scope = self.inside(at.scope, at.json).unwrap_or(at.scope);
                        stack.extend(members.values().map(|json| Target { json, scope }));
                    }
                    Json::Array(values) => stack.extend(values.iter().map(|json| Target {
                        json,
                        scope: at.scope,
                    })),
                    _ => {}
                }
            }
            self.documents[document].ids = Some(ids);
        }
        Ok(self.documents[document]
            .ids
            .as_ref()
            .and_then(|ids| ids.get(id).copied()))
    }
}
