// What a component must be contained at; the same words in every language.

let sink: i32 = 0;
const grown: Uint8Array[] = [];

/** Does it, if this is one of the words. */
export function misbehave(word: string): void {
  if (word == "loop") {
    while (true) sink++;
  } else if (word == "deep") {
    sink = deeper(0);
  } else if (word == "grow") {
    while (true) grown.push(new Uint8Array(1 << 20));
  } else if (word == "fail") {
    sink = grown[grown.length].length;
  }
}

function deeper(depth: i32): i32 {
  return depth < 0 ? depth : deeper(depth + 1) + 1;
}
