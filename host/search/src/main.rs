//! `streamalert-search`: SQL over the archive of one machine. A program of its own, since most who run `streamalert` never search
//! with it, and its engine is larger than all the rest.

fn main() {}
