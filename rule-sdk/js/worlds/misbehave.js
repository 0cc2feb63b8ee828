// What a component must be contained at; the same words in every language.

/** Whether this was one of them; if it returns at all. */
export function misbehave(word) {
  switch (word) {
    case "loop":
      for (;;);
    case "deep":
      return deeper(0) > 0;
    case "grow": {
      const all = [];
      for (;;) all.push(new Uint8Array(1 << 20).fill(1));
    }
    case "fail":
      return null.nothing;
  }
  return false;
}

function deeper(depth) {
  return depth < 0 ? depth : deeper(depth + 1) + 1;
}
