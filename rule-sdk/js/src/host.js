// What the host gives, outside of a component: for tests. The build puts host.component.js in its place.

/** Tables that a test made up, by name. */
export const fakes = new Map();

export const records = {
  get: () => ({ tag: "absent" }),
  json: () => "",
  packed: () => new Uint8Array(0),
};

export const lookup = {
  get(table, key) {
    const entries = fakes.get(table);
    return entries && Object.hasOwn(entries, key) ? JSON.stringify(entries[key]) : null;
  },
};

export const log = {
  write: (level, message) => console.error(`${level}: ${message}`),
};

/** Tests hand a FakeHttp and a Parcel to an output; nothing asks these. */
export const http = {
  send() {
    throw new Error("there is no network in tests; hand the output a FakeHttp");
  },
};

export const secrets = { get: () => null };
