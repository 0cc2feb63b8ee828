//! What a component must be contained at; the same words in every language.

/// Does it, if this is one of the words.
pub fn misbehave(word: &str) {
    match word {
        "loop" => loop {
            std::hint::black_box(0);
        },
        "deep" => drop(std::hint::black_box(deeper(0))),
        "grow" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&all);
            }
        }
        "fail" => {
            let nothing: Option<u8> = std::hint::black_box(None);
            let _ = nothing.unwrap();
        }
        _ => {}
    }
}

fn deeper(depth: i64) -> i64 {
    if std::hint::black_box(depth) < 0 { depth } else { std::hint::black_box(deeper(depth + 1)) + 1 }
}
