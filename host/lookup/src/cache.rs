//! Remembers so many answers, each for so long; whichever was not asked about for longest goes first.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

const NONE: usize = usize::MAX;

pub struct Cache<K, V> {
    places: HashMap<K, usize>,
    slots: Vec<Slot<K, V>>,
    /// The one used last, and the one to go first.
    newest: usize,
    oldest: usize,
    most: usize,
    fresh: Duration,
}

struct Slot<K, V> {
    key: K,
    value: V,
    at: Instant,
    newer: usize,
    older: usize,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    pub fn new(most: usize, fresh: Duration) -> Self {
        Cache { places: HashMap::new(), slots: Vec::new(), newest: NONE, oldest: NONE, most: most.max(1), fresh }
    }

    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What is known, if it is not too old at `now`.
    pub fn get<Q>(&mut self, key: &Q, now: Instant) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = *self.places.get(key)?;
        if now.saturating_duration_since(self.slots[place].at) >= self.fresh {
            return None;
        }
        self.unlink(place);
        self.link(place);
        Some(&self.slots[place].value)
    }

    pub fn put(&mut self, key: K, value: V, now: Instant) {
        if let Some(place) = self.places.get(&key).copied() {
            (self.slots[place].value, self.slots[place].at) = (value, now);
            self.unlink(place);
            self.link(place);
            return;
        }
        let slot = Slot { key: key.clone(), value, at: now, newer: NONE, older: NONE };
        let place = if self.slots.len() < self.most {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.oldest;
            self.unlink(place);
            self.places.remove(&self.slots[place].key);
            self.slots[place] = slot;
            place
        };
        self.places.insert(key, place);
        self.link(place);
    }

    fn unlink(&mut self, place: usize) {
        let (newer, older) = (self.slots[place].newer, self.slots[place].older);
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older].newer = newer,
        }
    }

    fn link(&mut self, place: usize) {
        (self.slots[place].newer, self.slots[place].older) = (NONE, self.newest);
        match self.newest {
            NONE => self.oldest = place,
            newest => self.slots[newest].newer = place,
        }
        self.newest = place;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_asked_about_for_longest_goes_first_misses_among_them() {
        let now = Instant::now();
        let mut cache: Cache<String, Option<u32>> = Cache::new(3, Duration::from_secs(10));
        for (key, value) in [("a", Some(1)), ("b", None), ("c", Some(3))] {
            cache.put(key.to_owned(), value, now);
        }
        assert_eq!(cache.get("a", now), Some(&Some(1)));
        cache.put("d".to_owned(), None, now);
        assert_eq!(cache.get("b", now), None, "a remembered miss is forgotten like anything else");
        assert_eq!(cache.get("a", now), Some(&Some(1)));
        assert_eq!(cache.get("c", now), Some(&Some(3)));
        assert_eq!(cache.get("d", now), Some(&None));
        assert_eq!(cache.len(), 3);
        for number in 0..1000 {
            cache.put(format!("{}", number % 7), Some(number), now);
            assert_eq!(cache.get(&*format!("{}", number % 7), now), Some(&Some(number)));
            assert!(cache.len() <= 3 && cache.slots.len() <= 3);
        }
    }

    #[test]
    fn what_is_old_is_asked_anew() {
        let now = Instant::now();
        let mut cache = Cache::new(1, Duration::from_secs(10));
        cache.put("a", 1, now);
        assert_eq!(cache.get("a", now + Duration::from_secs(9)), Some(&1));
        assert_eq!(cache.get("a", now + Duration::from_secs(10)), None);
        cache.put("a", 2, now + Duration::from_secs(10));
        assert_eq!(cache.get("a", now + Duration::from_secs(19)), Some(&2));
    }
}
