use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Json;

/// Objects of fewer members are searched one by one: schemas are made of millions of small ones, which a table each would make three times as large and slow to build.
const SEARCHED: usize = 17;

/// Members of an object in their order, each name once. Equality does not look at the order.
#[derive(Clone, Default)]
pub struct Object {
    members: Vec<(Arc<str>, Json)>,
    /// Where a name is, for large objects only; in a box, so that the others are no larger for it.
    #[allow(clippy::box_collection)]
    index: Option<Box<HashMap<Arc<str>, usize>>>,
}

impl Object {
    /// No members; takes no memory.
    pub const fn new() -> Self {
        Self {
            members: Vec::new(),
            index: None,
        }
    }

    /// With room for so many members.
    pub fn with_capacity(members: usize) -> Self {
        Self {
            members: Vec::with_capacity(members),
            index: None,
        }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Where a member is.
    pub fn get_index_of<N: AsRef<str> + ?Sized>(&self, name: &N) -> Option<usize> {
        let name = name.as_ref();
        match &self.index {
            Some(index) => index.get(name).copied(),
            None => self.members.iter().position(|(known, _)| **known == *name),
        }
    }

    /// The value of a member.
    pub fn get<N: AsRef<str> + ?Sized>(&self, name: &N) -> Option<&Json> {
        self.get_index_of(name).map(|at| &self.members[at].1)
    }

    /// The value of a member, to be changed.
    pub fn get_mut<N: AsRef<str> + ?Sized>(&mut self, name: &N) -> Option<&mut Json> {
        self.get_index_of(name).map(|at| &mut self.members[at].1)
    }

    /// The member at a place.
    pub fn get_index(&self, at: usize) -> Option<(&Arc<str>, &Json)> {
        self.members.get(at).map(|(name, value)| (name, value))
    }

    /// Whether there is such a member.
    pub fn contains_key<N: AsRef<str> + ?Sized>(&self, name: &N) -> bool {
        self.get_index_of(name).is_some()
    }

    /// Sets a member: in its place if it is there already, else behind the others. Returns the value that it had.
    pub fn insert(&mut self, name: Arc<str>, value: Json) -> Option<Json> {
        if let Some(at) = self.get_index_of(&name) {
            return Some(std::mem::replace(&mut self.members[at].1, value));
        }
        let at = self.members.len();
        if let Some(index) = &mut self.index {
            index.insert(Arc::clone(&name), at);
        }
        self.members.push((name, value));
        if self.index.is_none() && self.members.len() >= SEARCHED {
            self.reindex();
        }
        None
    }

    /// Takes a member out; those behind it move up.
    pub fn shift_remove<N: AsRef<str> + ?Sized>(&mut self, name: &N) -> Option<Json> {
        let at = self.get_index_of(name)?;
        let (_, value) = self.members.remove(at);
        self.reindex();
        Some(value)
    }

    /// Takes the member at a place out; those behind it move up.
    pub fn shift_remove_index(&mut self, at: usize) -> Option<(Arc<str>, Json)> {
        if at >= self.members.len() {
            return None;
        }
        let member = self.members.remove(at);
        self.reindex();
        Some(member)
    }

    /// Moves the member at one place to another; those between move by one.
    ///
    /// # Panics
    /// Where one of the places has no member.
    pub fn move_index(&mut self, from: usize, to: usize) {
        let member = self.members.remove(from);
        self.members.insert(to, member);
        self.reindex();
    }

    /// Keeps the members for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&Arc<str>, &mut Json) -> bool) {
        self.members.retain_mut(|(name, value)| keep(name, value));
        self.reindex();
    }

    /// Gives back the room that no member takes.
    pub fn shrink_to_fit(&mut self) {
        self.members.shrink_to_fit();
    }

    /// The members in their order.
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.members.iter())
    }

    /// The members, values to be changed.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&Arc<str>, &mut Json)> {
        self.members.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// The names in their order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Arc<str>> + ExactSizeIterator + Clone {
        self.members.iter().map(|(name, _)| name)
    }

    /// The values in their order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Json> + ExactSizeIterator + Clone {
        self.members.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut Json> {
        self.members.iter_mut().map(|(_, value)| value)
    }

    fn reindex(&mut self) {
        self.index = (self.members.len() >= SEARCHED).then(|| {
            let places = self.members.iter().enumerate();
            Box::new(
                places
                    .map(|(at, (name, _))| (Arc::clone(name), at))
                    .collect(),
            )
        });
    }
}

/// The members of an [`Object`].
#[derive(Debug, Clone)]
pub struct Iter<'a>(std::slice::Iter<'a, (Arc<str>, Json)>);

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Arc<str>, &'a Json);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(name, value)| (name, value))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a Arc<str>, &'a Json);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Object {
    type Item = (Arc<str>, Json);
    type IntoIter = std::vec::IntoIter<(Arc<str>, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

impl FromIterator<(Arc<str>, Json)> for Object {
    fn from_iter<T: IntoIterator<Item = (Arc<str>, Json)>>(members: T) -> Self {
        let mut object = Self::new();
        object.extend(members);
        object
    }
}

impl Extend<(Arc<str>, Json)> for Object {
    fn extend<T: IntoIterator<Item = (Arc<str>, Json)>>(&mut self, members: T) {
        for (name, value) in members {
            self.insert(name, value);
        }
    }
}

impl<const N: usize> From<[(Arc<str>, Json); N]> for Object {
    fn from(members: [(Arc<str>, Json); N]) -> Self {
        members.into_iter().collect()
    }
}

impl std::ops::Index<&str> for Object {
    type Output = Json;

    /// # Panics
    /// Where there is no such member.
    fn index(&self, name: &str) -> &Json {
        match self.get(name) {
            Some(value) => value,
            None => panic!("no member {name:?}"),
        }
    }
}

impl std::ops::Index<usize> for Object {
    type Output = Json;

    /// # Panics
    /// Where there are not so many members.
    fn index(&self, at: usize) -> &Json {
        &self.members[at].1
    }
}

impl std::ops::IndexMut<usize> for Object {
    fn index_mut(&mut self, at: usize) -> &mut Json {
        &mut self.members[at].1
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other).all(|((name, value), (n, v))| {
                // Mostly the orders agree.
                if name == n {
                    value == v
                } else {
                    other.get(name) == Some(value)
                }
            })
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_one_is_small() {
        assert!(size_of::<Object>() <= 32);
        assert!(size_of::<Json>() <= 32, "{}", size_of::<Json>());
    }

    #[test]
    fn equality_has_no_order() {
        let one = Object::from([("a".into(), 1.into()), ("b".into(), 2.into())]);
        let other = Object::from([("b".into(), 2.into()), ("a".into(), 1.into())]);
        assert_eq!(one, other);
        assert_ne!(
            one,
            Object::from([("a".into(), 2.into()), ("b".into(), 1.into())])
        );
        assert_ne!(one, Object::from([("a".into(), 1.into())]));
    }

    proptest! {
        /// Small and large ones behave alike: like a map that keeps its order.
        #[test]
        fn it_is_a_map_in_order(steps in prop::collection::vec((0u8..3, 0u16..60, any::<i32>()), 0..200)) {
            let mut object = Object::new();
            let mut plain: Vec<(Arc<str>, Json)> = Vec::new();
            for (step, name, value) in steps {
                let name: Arc<str> = name.to_string().into();
                let at = plain.iter().position(|(known, _)| *known == name);
                match (step, at) {
                    (0, Some(at)) => {
                        prop_assert_eq!(object.shift_remove(&name), Some(plain.remove(at).1));
                    }
                    (0, None) => prop_assert_eq!(object.shift_remove(&name), None),
                    (1, Some(at)) => {
                        object.move_index(at, 0);
                        let member = plain.remove(at);
                        plain.insert(0, member);
                    }
                    (_, Some(at)) => {
                        prop_assert!(object.insert(name, value.into()).is_some());
                        plain[at].1 = value.into();
                    }
                    (_, None) => {
                        prop_assert!(object.insert(Arc::clone(&name), value.into()).is_none());
                        plain.push((name, value.into()));
                    }
                }
                for (at, (name, value)) in plain.iter().enumerate() {
                    prop_assert_eq!(object.get_index_of(name), Some(at));
                    prop_assert_eq!(object.get(name), Some(value));
                }
                prop_assert_eq!(object.len(), plain.len());
            }
            prop_assert_eq!(object.into_iter().collect::<Vec<_>>(), plain);
        }
    }
}
