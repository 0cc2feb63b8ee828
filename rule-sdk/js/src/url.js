// As much of URLs as an output needs: whether a setting is one, and how to put a text into one.

import { bytesOf } from "./parsing.js";

export class Url {
  constructor(https, host, port, rest) {
    this.isHttps = https;
    /** In lower case. */
    this.host = host;
    this.port = port;
    this.path = rest.replace(/[?#].*$/s, "") || "/";
  }

  /** Why a text is no URL, without any of its text: a webhook's URL is a secret. `null`: it is one. */
  static fault(text) {
    const found = read(text);
    return typeof found === "string" ? `is no URL: ${found}` : null;
  }

  static parse(text) {
    const found = read(text);
    if (typeof found === "string") throw new Error(`is no URL: ${found}`);
    return found;
  }

  get origin() {
    return `${this.isHttps ? "https" : "http"}://${this.host}${this.port === null ? "" : `:${this.port}`}`;
  }
}

function read(text) {
  const scheme = /^(https?):\/\//i.exec(text);
  if (!scheme) return "it begins with neither https:// nor http://";
  if (/[\s\p{Cc}]/u.test(text)) return "there is a blank or control character in it";
  const rest = text.slice(scheme[0].length);
  const end = rest.search(/[/?#\\]/);
  const authority = end < 0 ? rest : rest.slice(0, end);
  if (authority.includes("@")) return "it holds a user name; credentials have settings of their own";
  const [, host, , port] = /^(.*?)(:([^\]:]*))?$/s.exec(authority);
  const isV6 = /^\[.+\]$/.test(host);
  if (!isV6 && !/^(?!\.)[\p{L}\p{N}\p{M}._-]+$/u.test(host)) return "its host is no name and no address";
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && port >= 1 && port <= 65535)) return "its port is no number up to 65535";
  return new Url(scheme[1].toLowerCase() === "https", host.toLowerCase(), port === undefined ? null : Number(port), end < 0 ? "" : rest.slice(end));
}

/** The text as it may stand anywhere in a URL: all but letters, digits and `-._~` as `%XX`. */
export function percent(text) {
  return encodeURIComponent(String(text).toWellFormed()).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 as most have it, padded; of a text, its UTF-8. */
export function base64(given) {
  const bytes = typeof given === "string" ? bytesOf(given) : given;
  let out = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const three = (bytes[at] << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    out += DIGITS[three >> 18] + DIGITS[(three >> 12) & 63];
    out += at + 1 < bytes.length ? DIGITS[(three >> 6) & 63] : "=";
    out += at + 2 < bytes.length ? DIGITS[three & 63] : "=";
  }
  return out;
}
