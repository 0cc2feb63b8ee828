//! Bytes as they arrive become payloads: envelopes unpacked, objects decompressed, decoded and cut where an input ends.
