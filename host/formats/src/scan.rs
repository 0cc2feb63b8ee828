//! Looking for a byte that is near, eight bytes at a time. A call to memchr costs more than it finds in cells and words.

use memchr::memchr;

const ONES: u64 = u64::MAX / 255;
const LOW_BITS: u64 = ONES * 0x7f;

/// Bytes looked through here before memchr is called after all.
const NEAR_BYTES: usize = 32;

/// The high bit of every byte that is the wanted one, and of no other. The first byte is the lowest.
pub fn hits(chunk: [u8; 8], wanted: u8) -> u64 {
    let word = u64::from_le_bytes(chunk) ^ (ONES * u64::from(wanted));
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// As memchr, for a byte that is likely to be near.
#[inline]
pub fn near(wanted: u8, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < NEAR_BYTES
        && let Some(chunk) = bytes[at..].first_chunk()
    {
        let hits = hits(*chunk, wanted);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr(wanted, &bytes[at..]).map(|found| at + found)
}

/// As memchr2, for a byte that is likely to be near.
#[inline]
pub fn near2(one: u8, other: u8, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < NEAR_BYTES
        && let Some(chunk) = bytes[at..].first_chunk()
    {
        let hits = hits(*chunk, one) | hits(*chunk, other);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(one, other, &bytes[at..]).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_memchr() {
        for length in 0..80 {
            for place in 0..=length {
                let mut bytes: Vec<u8> = (0..length as u8).map(|byte| byte.wrapping_mul(37) | 0x80).collect();
                bytes.iter_mut().skip(place).take(2).for_each(|byte| *byte = b'=');
                assert_eq!(near(b'=', &bytes), memchr(b'=', &bytes));
                assert_eq!(near2(b'<', b'=', &bytes), memchr(b'=', &bytes));
            }
        }
    }
}
