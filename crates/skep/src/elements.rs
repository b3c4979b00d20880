//! Many elements of a map.

use skep_spec::Batch;

/// Keys and values one after another, without a vector for each. Values of per-CPU maps are those of all CPUs.
#[derive(Clone, Debug, Default)]
pub struct Elements {
    keys: Vec<u8>,
    values: Vec<u8>,
    count: usize,
}

impl Elements {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Each element's key and value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let each = |bytes: &[u8]| bytes.len().checked_div(self.count).unwrap_or(0);
        let (key, value) = (each(&self.keys), each(&self.values));
        (0..self.count).map(move |i| (&self.keys[i * key..][..key], &self.values[i * value..][..value]))
    }

    /// One more; all have keys and values of the same lengths.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        self.keys.extend_from_slice(key);
        self.values.extend_from_slice(value);
        self.count += 1;
    }

    /// Those of a batch.
    pub(crate) fn extend(&mut self, batch: Batch) {
        let Batch { keys, values, count, .. } = batch;
        if self.is_empty() {
            (self.keys, self.values) = (keys, values);
        } else {
            self.keys.extend_from_slice(&keys);
            self.values.extend_from_slice(&values);
        }
        self.count += count as usize;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_and_single_elements_are_one_list() {
        let mut all = Elements::default();
        assert_eq!(all.iter().len(), 0);
        all.extend(Batch { keys: vec![1, 2], values: vec![10, 11, 20, 21], count: 2, next: None });
        all.push(&[3], &[30, 31]);
        all.extend(Batch { keys: vec![4], values: vec![40, 41], count: 1, next: None });
        let list: Vec<_> = all.iter().map(|(k, v)| (k[0], v.to_vec())).collect();
        let each = |n: u8| (n, vec![10 * n, 10 * n + 1]);
        assert_eq!(list, (1..5).map(each).collect::<Vec<_>>());
        assert_eq!((all.len(), all.is_empty()), (4, false));
    }
}
