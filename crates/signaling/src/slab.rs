//! A table whose handles go stale instead of pointing at another's entry.

use serde::{Deserialize, Serialize};

/// A handle to an entry.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Id {
    pub(crate) index: u32,
    generation: u32,
}

/// Entries in slots that are used again, each time under a new generation.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert(&mut self, value: T) -> Id {
        let id = self.next_id();
        match self.free.pop() {
            Some(index) => self.slots[index as usize].1 = Some(value),
            None => self.slots.push((0, Some(value))),
        }
        id
    }

    /// The handle that the next [`Self::insert`] will return.
    pub(crate) fn next_id(&self) -> Id {
        match self.free.last() {
            Some(&index) => Id { index, generation: self.slots[index as usize].0 },
            None => {
                Id { index: u32::try_from(self.slots.len()).expect("limits keep tables far below 2^32"), generation: 0 }
            }
        }
    }

    /// Puts an entry where its handle finds it, over whatever is there.
    pub(crate) fn put(&mut self, id: Id, value: T) {
        let index = id.index as usize;
        while self.slots.len() <= index {
            self.free.push(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
            self.slots.push((0, None));
        }
        self.free.retain(|free| *free != id.index);
        self.slots[index] = (id.generation, Some(value));
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let (generation, value) = self.slots.get(id.index as usize)?;
        if *generation == id.generation { value.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let (generation, value) = self.slots.get_mut(id.index as usize)?;
        if *generation == id.generation { value.as_mut() } else { None }
    }

    /// The entry that is in a slot now, whatever its generation.
    pub(crate) fn at(&self, index: u32) -> Option<(Id, &T)> {
        let (generation, value) = self.slots.get(index as usize)?;
        value.as_ref().map(|value| (Id { index, generation: *generation }, value))
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let (generation, value) = self.slots.get_mut(id.index as usize)?;
        if *generation != id.generation {
            return None;
        }
        let value = value.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        (0..).zip(&self.slots).filter_map(|(index, (generation, value))| {
            value.as_ref().map(|value| (Id { index, generation: *generation }, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_to_a_removed_entry_finds_nothing_even_when_the_slot_is_used_again() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        assert_eq!(slab.remove(first), None);
        let promised = slab.next_id();
        let second = slab.insert('b');
        assert_eq!(promised, second);
        assert_eq!(second.index, first.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.get(second), Some(&'b'));
        assert_eq!(slab.at(second.index), Some((second, &'b')));
        assert_eq!(slab.len(), 1);
        let mut other = Slab::default();
        other.put(Id { index: 2, generation: 7 }, 'c');
        assert_eq!((other.len(), other.at(2).map(|(id, _)| id.generation)), (1, Some(7)));
        let (third, fourth) = (other.insert('d'), other.insert('e'));
        assert_eq!((third.index.min(fourth.index), third.index.max(fourth.index), other.insert('f').index), (0, 1, 3));
    }
}
