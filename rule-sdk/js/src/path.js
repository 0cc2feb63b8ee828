// Paths: `userIdentity.arn`, `\.` for a dot inside a key and `\\` for a backslash, a number for an item of a list.

/** The steps of a path, without the backslashes. */
export function steps(path) {
  if (!path.includes("\\")) return path.split(".");
  const found = [];
  let step = "";
  for (let at = 0; at < path.length; at++) {
    const unit = path[at];
    if (unit === "\\" && at + 1 < path.length) step += path[++at];
    else if (unit === ".") {
      found.push(step);
      step = "";
    } else step += unit;
  }
  found.push(step);
  return found;
}

/** A step as the index of an item; -1 if it is none. */
export function indexOf(step) {
  return /^\d{1,10}$/.test(step) ? Number(step) : -1;
}

/** What a path leads to in a parsed value; `undefined` for nothing. */
export function walk(value, path) {
  for (const step of steps(path)) {
    if (Array.isArray(value)) value = value[indexOf(step)];
    else if (value !== null && typeof value === "object" && Object.hasOwn(value, step)) value = value[step];
    else return undefined;
  }
  return value;
}
