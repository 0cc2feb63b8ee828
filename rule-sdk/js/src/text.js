// Text that has to fit into what a service takes.

const UNITS = { chars: () => 1, bytes: (c) => (c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4), utf16: (c) => (c < 0x10000 ? 1 : 2) };

/** Belongs to the character before it: accents, variants, skin tones, what is joined. */
const JOINS = /^[\p{M}\u200d\ufe00-\ufe0f\u{1f3fb}-\u{1f3ff}]$/u;

/** The text if it fits, otherwise its beginning and `…`, together no longer than `max` characters, `"bytes"` or `"utf16"` units. */
export function shorten(text, max, unit = "chars") {
  const of = UNITS[unit];
  if (!of) throw new TypeError(`there is no unit ${unit}; it is one of ${Object.keys(UNITS).join(", ")}`);
  const sizes = [...text].map((c) => of(c.codePointAt(0)));
  if (sizes.reduce((sum, size) => sum + size, 0) <= max) return text;
  const dots = of("…".codePointAt(0));
  const room = max - dots < 0 ? max : max - dots;
  const letters = [...text];
  let [at, left, good] = [0, room, 0];
  for (; at < letters.length && left >= sizes[at]; at++) {
    if (!JOINS.test(letters[at]) && letters[at - 1] !== "\u200d") good = at;
    left -= sizes[at];
  }
  if (!(JOINS.test(letters[at] ?? "") || letters[at - 1] === "\u200d")) good = at;
  const head = letters.slice(0, good).join("");
  return max - dots < 0 ? head : `${head.trimEnd()}…`;
}

/** Without control characters and without what turns the direction of text around; line breaks and tabs become blanks. */
export function plain(text) {
  return text.replace(/[\n\t\u2028\u2029]/g, " ").replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, "");
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** The text as it may stand in HTML and XML, in an attribute too. */
export function escapeHtml(text) {
  return text.replace(/[&<>"']|(?![\n\r\t])\p{Cc}/gu, (c) => ENTITIES[c] ?? "");
}
