// What came of an attempt, and how answers are usually read.

import { Failure } from "./http.js";
import { plain, shorten } from "./text.js";

export class Disposition {
  constructor(kind, parts) {
    this.kind = kind;
    Object.assign(this, parts);
  }

  static delivered(place = null) {
    return new Disposition("delivered", { place });
  }

  static reject(reason) {
    return new Disposition("reject", { reason });
  }

  /** Seconds to wait, if it is a retry. */
  after(seconds) {
    return this.kind === "retry" ? new Disposition("retry", { ...this, wait: seconds ?? null }) : this;
  }

  /** What the next attempt finds in `parcel.progress`, if it is a retry. */
  progress(done) {
    return this.kind === "retry" ? new Disposition("retry", { ...this, done }) : this;
  }
}

export const delivered = Disposition.delivered;
export const reject = Disposition.reject;

/** Not now, for this reason. */
export function retry(reason) {
  return new Disposition("retry", { reason, wait: null, done: null });
}

/** What `accepted` throws; the output's disposition is in it. */
class NotAccepted extends Error {
  constructor(disposition) {
    super(disposition.reason);
    this.name = "NotAccepted";
    this.disposition = disposition;
  }
}

/** The usual reading of an answer. */
export function answer(result) {
  return refusal(result) ?? delivered();
}

/** The answer if it is 2xx; otherwise the output ends here, with what `answer` makes of it. */
export function accepted(result) {
  const refused = refusal(result);
  if (refused) throw new NotAccepted(refused);
  return result;
}

function refusal(result) {
  if (result instanceof Failure) return result.kind === "forbidden" ? reject(result.message) : retry(result.message);
  if (result.isSuccess) return null;
  const again = [408, 425, 429].includes(result.status) || result.status >= 500;
  return again ? retry(reason(result)).after(result.retryAfter) : reject(reason(result));
}

/** Characters of an answer's body that go into a reason. */
const BODY_SHOWN = 300;

function reason(response) {
  // Of a large body only the beginning is looked at.
  const head = Object.assign(Object.create(Object.getPrototypeOf(response)), response, { body: response.body.subarray(0, 4 * BODY_SHOWN) });
  const body = shorten(plain(head.text()).trim(), BODY_SHOWN);
  const phrase = PHRASES[response.status];
  return `answered ${response.status}${phrase ? ` ${phrase}` : ""}${body ? `: ${body}` : ""}`;
}

/** What people know a status by; of those that outputs meet. */
const PHRASES = {
  301: "Moved Permanently", 302: "Found", 303: "See Other", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
  401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
  413: "Content Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Content", 425: "Too Early", 429: "Too Many Requests",
  500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
};
