// What a package with `"streamalert": { "world": "output" }` declares: one output, which hands alerts to one service.

import { Alert, sampleAlert } from "./alert.js";
import { Url } from "./url.js";

/** The output of this component; a second one is a mistake that the build tells. */
export const outputs = [];

const KNOWN = ["service", "description", "settings", "hosts", "rate", "idempotent", "validate"];

/** A setting of each descriptor. */
export class Setting {
  constructor(name, description, secret, required = true) {
    this.name = name;
    this.description = description;
    this.secret = secret;
    this.required = required;
  }

  static secret(name, description) {
    return new Setting(name, description, true);
  }

  static plain(name, description) {
    return new Setting(name, description, false);
  }

  optional() {
    return new Setting(this.name, this.description, this.secret, false);
  }
}

/** Settings with their values, secret ones among them; what is shown of them are names. */
export class Settings {
  #values = new Map();

  constructor(values = {}) {
    for (const [name, value] of Object.entries(values)) this.put(name, value);
  }

  put(name, value) {
    this.#values.set(name, String(value));
    return this;
  }

  get(name) {
    return this.#values.get(name)?.trim() || null;
  }

  toJSON() {
    return [...this.#values.keys()];
  }

  toString() {
    return JSON.stringify(this);
  }
}

/** What is wrong with a setting; `setting` is empty if it is about several. */
export class Fault {
  constructor(setting, message) {
    this.setting = setting;
    this.message = message;
  }
}

export function output(options, deliver) {
  const { service, description = "", settings = [], hosts = [], rate, idempotent = false, validate } = options;
  const wrong = (what) => {
    throw new TypeError(`output ${service}: ${what}`);
  };
  if (typeof deliver !== "function") wrong("the second argument is a function of the parcel and http");
  for (const option of Object.keys(options)) {
    if (!KNOWN.includes(option)) wrong(`there is no option ${option}; the options are ${KNOWN.join(", ")}`);
  }
  if (typeof service !== "string" || !service) wrong("needs `service`, the first half of service:descriptor");
  if (!Array.isArray(settings) || !settings.every((setting) => setting instanceof Setting)) {
    wrong('settings is a list of Setting.secret("url", "Where to") and Setting.plain(…)');
  }
  if (!Array.isArray(hosts) || !hosts.every((host) => typeof host === "string")) wrong("hosts is a list of texts");
  if (rate !== undefined && !(typeof rate === "number" && rate > 0)) wrong("rate is a number of deliveries a second");
  if (validate !== undefined && typeof validate !== "function") wrong("validate is a function of the settings");
  const told = rate === undefined ? { idempotent: idempotent === true } : { idempotent: idempotent === true, rate };
  const info = { service, description, settings: settings.map((setting) => ({ ...setting })), hosts, options: JSON.stringify(told) };
  const declared = { info, deliver, validate };
  outputs.push(declared);
  const forTests = { service, validate: (given) => faults(declared, given) };
  return Object.assign((parcel, http) => delivering(deliver, parcel, http), forTests);
}

/** `accepted` throws the disposition where it is not accepted. */
export function delivering(deliver, parcel, http) {
  try {
    return deliver(parcel, http);
  } catch (thrown) {
    if (thrown?.disposition !== undefined) return thrown.disposition;
    throw thrown;
  }
}

/** Everything that is wrong with these settings: first what every output needs, then what the author's check says. */
export function faults({ info, validate }, given) {
  const settings = given instanceof Settings ? given : new Settings(given);
  const found = [];
  for (const { name, required } of info.settings) {
    const value = settings.get(name);
    if (value === null) {
      if (required) found.push(new Fault(name, "is required"));
    } else if (info.hosts.includes(`{${name}}`)) {
      const why = Url.fault(value);
      if (why !== null) found.push(new Fault(name, why));
    }
  }
  return found.length || !validate ? found : [...(validate(settings) ?? [])];
}

/** What an attempt is about. */
export class Parcel {
  #settings;

  constructor({ service, settings, ...parts }) {
    Object.assign(this, parts);
    this.service = service;
    this.#settings = settings;
  }

  /** For tests: the first attempt to deliver this alert, published as it is. */
  static sample(output, alert = {}, settings = {}) {
    const fields = { ...sampleAlert(), ...alert };
    return new Parcel({
      service: output.service,
      settings: new Settings(settings),
      descriptor: "sample",
      idempotencyKey: "0123456789abcdef0123456789abcdef",
      attempt: 1,
      now: 1767323100,
      alert: new Alert(fields),
      publication: { ...fields },
      progress: null,
    });
  }

  setting(name) {
    return this.#settings.get(name);
  }

  required(name) {
    return this.setting(name) ?? "";
  }

  get settings() {
    return this.#settings;
  }

  get output() {
    return `${this.service}:${this.descriptor}`;
  }

  magic(field) {
    return this.magicOf(this.service, field);
  }

  magicText(field) {
    const value = this.magic(field);
    return typeof value === "string" && value !== "" ? value : null;
  }

  magicOf(service, field) {
    return this.publication[`@${service}.${field}`] ?? null;
  }

  shown() {
    return Object.fromEntries(Object.entries(this.publication).filter(([key]) => !key.startsWith("@")));
  }
}
