//! Puts things of known sizes together to what one call of a service takes.

use crate::limits::{
    ARCHIVE_BATCH_BYTES_MAX, ARCHIVE_BATCH_LINES_MAX, ARCHIVE_LINE_BYTES_MAX, QUEUE_MESSAGE_BYTES_MAX,
};

/// What one batch may hold.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    pub items: usize,
    /// Bytes of one item.
    pub item_bytes: usize,
    /// Bytes of a batch, with what stands around and between its items.
    pub bytes: usize,
    /// Bytes around all items, such as two brackets.
    pub around: usize,
    /// Bytes between two items, such as a comma.
    pub between: usize,
}

impl BatchLimits {
    /// Lines for one call of Firehose, each with its newline.
    pub const ARCHIVE: BatchLimits = BatchLimits {
        items: ARCHIVE_BATCH_LINES_MAX,
        item_bytes: ARCHIVE_LINE_BYTES_MAX,
        bytes: ARCHIVE_BATCH_BYTES_MAX,
        around: 0,
        between: 0,
    };
    /// Records for one message of SQS, as a JSON list.
    pub const QUEUE: BatchLimits = BatchLimits {
        items: usize::MAX,
        item_bytes: QUEUE_MESSAGE_BYTES_MAX,
        bytes: QUEUE_MESSAGE_BYTES_MAX,
        around: 2,
        between: 1,
    };
}

/// Every item is in one of the batches or among the oversize, by its number and in its order.
#[derive(Debug, Default, PartialEq)]
pub struct Batches {
    /// None of them is empty.
    pub batches: Vec<Vec<usize>>,
    /// Too large for any batch: whoever sends must make dead letters of these.
    pub oversize: Vec<usize>,
}

pub fn batches(sizes: impl IntoIterator<Item = usize>, limits: &BatchLimits) -> Batches {
    let mut out = Batches::default();
    let mut batch = Vec::new();
    let mut bytes = limits.around;
    for (item, size) in sizes.into_iter().enumerate() {
        if size > limits.item_bytes || size + limits.around > limits.bytes {
            out.oversize.push(item);
            continue;
        }
        if !batch.is_empty() {
            if batch.len() < limits.items && bytes + limits.between + size <= limits.bytes {
                batch.push(item);
                bytes += limits.between + size;
                continue;
            }
            out.batches.push(std::mem::take(&mut batch));
        }
        batch.push(item);
        bytes = limits.around + size;
    }
    if !batch.is_empty() {
        out.batches.push(batch);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: BatchLimits = BatchLimits { items: 3, item_bytes: 8, bytes: 12, around: 2, between: 1 };

    #[track_caller]
    fn check(sizes: &[usize], expected: &[&[usize]], oversize: &[usize]) {
        let found = batches(sizes.iter().copied(), &SMALL);
        assert_eq!(
            found,
            Batches { batches: expected.iter().map(|b| b.to_vec()).collect(), oversize: oversize.into() }
        );
    }

    #[test]
    fn a_batch_is_as_full_as_it_may_be_and_never_empty() {
        check(&[], &[], &[]);
        check(&[8], &[&[0]], &[]);
        check(&[4, 5], &[&[0, 1]], &[]);
        check(&[4, 6], &[&[0], &[1]], &[]);
        check(&[1, 1, 1, 1], &[&[0, 1, 2], &[3]], &[]);
        check(&[0, 0], &[&[0, 1]], &[]);
    }

    #[test]
    fn an_oversize_item_harms_no_other() {
        check(&[9], &[], &[0]);
        check(&[1, 9], &[&[0]], &[1]);
        check(&[9, 1], &[&[1]], &[0]);
        check(&[1, 9, 1], &[&[0, 2]], &[1]);
    }
}
