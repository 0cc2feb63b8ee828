// Exports `delivery` for the one output that was declared.

import { Alert } from "./alert.js";
import { Disposition } from "./disposition.js";
import { Parcel, Settings, delivering, faults, outputs } from "./delivery.js";
import { http as hostHttp, secrets } from "./host.js";
import { Failure, Request, Response } from "./http.js";
import { bigintsAreJson, objectOf } from "./json.js";
import { console, log, wellFormed } from "./log.js";

globalThis.console = console;
bigintsAreJson();

if (outputs.length !== 1) {
  const declared = outputs.length ? outputs.map(({ info }) => info.service).join(", ") : "none";
  throw new Error(`a package with "streamalert": { "world": "output" } declares one output; this one declares ${declared}`);
}
const [own] = outputs;
const { info } = own;

/** Requests go through the host. */
const http = {
  send(request) {
    if (!(request instanceof Request)) throw new TypeError("http.send takes a Request, such as Request.post(url)");
    const headers = request.headers.map(([name, value]) => ({ name: wellFormed(name), value: wellFormed(value) }));
    try {
      const answer = hostHttp.send({ method: request.method, url: wellFormed(request.url), headers, body: request.body });
      return new Response(answer.status, answer.headers.map(({ name, value }) => [name, value]), answer.body, answer.truncated);
    } catch (thrown) {
      const failure = thrown?.payload ?? thrown;
      if (typeof failure?.kind !== "string") throw thrown;
      return new Failure(failure.kind, failure.message, failure.sent);
    }
  },
};

function lower(disposition) {
  if (!(disposition instanceof Disposition)) {
    throw new TypeError(`an output returns delivered(), retry(reason), reject(reason) or answer(http.send(…)), not ${String(disposition)}`);
  }
  const { kind, place, reason, wait, done } = disposition;
  const text = (value) => (value === null || value === undefined ? null : wellFormed(String(value)));
  if (kind === "delivered") return { tag: "delivered", val: text(place) };
  if (kind === "reject") return { tag: "reject", val: text(reason) ?? "" };
  return { tag: "retry", val: { reason: text(reason) ?? "", after: wait, progress: text(done) } };
}

/** A trap carries no text: this puts it into the log first. */
function told(work) {
  try {
    return work();
  } catch (error) {
    log.error(`${info.service}: ${error}${error?.stack ? `\n${error.stack}` : ""}`);
    throw error;
  }
}

const given = (settings) => settings.reduce((all, { name, value }) => all.put(name, value), new Settings());

export const delivery = {
  describe: () => info,

  validate: (settings) =>
    told(() => faults(own, given(settings)).map(({ setting, message }) => ({ setting: wellFormed(setting), message: wellFormed(message) }))),

  deliver: (parcel) =>
    told(() => {
      const settings = given(parcel.settings);
      for (const { name } of info.settings.filter(({ secret }) => secret)) {
        const value = secrets.get(name);
        if (value !== null && value !== undefined) settings.put(name, value);
      }
      const { descriptor, idempotencyKey, attempt, now, progress } = parcel;
      const whole = new Parcel({
        service: info.service,
        settings,
        descriptor,
        idempotencyKey,
        attempt,
        now: Number(now),
        alert: Alert.parse(parcel.alert),
        publication: objectOf(parcel.publication),
        progress: progress ?? null,
      });
      return lower(delivering(own.deliver, whole, http));
    }),
};
