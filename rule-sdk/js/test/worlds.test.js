import assert from "node:assert/strict";
import test from "node:test";
import {
  Alert, FakeHttp, Failure, Fault, Parcel, Part, Request, Response, Setting, Settings, Target, Url, accepted, answer, base64, delivered,
  escapeHtml, lines, output, parser, percent, plain, publisher, reject, retry, shorten, textOf,
} from "streamalert-js";
import { objectOf, reading } from "../src/json.js";
import { bytesOf } from "../src/parsing.js";

const bytes = (text) => new TextEncoder().encode(text);

test("lines know their place", () => {
  const check = (payload, expected) => {
    assert.deepEqual([...lines(bytes(payload))].map((line) => [line.text(), line.place.offset]), expected);
  };
  check("", []);
  check("a", [["a", 0]]);
  check("a\nbc\r\n\nd", [["a", 0], ["bc", 2], ["", 6], ["d", 7]]);
  check("\n\r\n", [["", 0], ["", 1]]);
});

test("bytes become texts and texts bytes", () => {
  const cases = [
    [[], ""], [[0x41, 0], "A\0"], [[0xef, 0xbb, 0xbf, 0x41], "\ufeffA"], [[...bytes("Zoë 日 😀")], "Zoë 日 😀"],
    [[0xff, 0xfe, 0xe2, 0x82, 0x41], "\ufffd\ufffd\ufffdA"], [[0xed, 0xa0, 0x80], "\ufffd\ufffd\ufffd"],
    [[0xf0, 0x9f, 0x98], "\ufffd"], [[0xc3], "\ufffd"], [[0xc0, 0x80], "\ufffd\ufffd"], [[0xf4, 0x90, 0x80, 0x80], "\ufffd\ufffd\ufffd\ufffd"],
    [[...bytes("é".repeat(10_000)), 0xff], `${"é".repeat(10_000)}\ufffd`],
  ];
  for (const [given, expected] of cases) assert.equal(textOf(Uint8Array.from(given)), expected);
  assert.deepEqual([...bytesOf("é日😀\ud800")], [0xc3, 0xa9, 0xe6, 0x97, 0xa5, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbf, 0xbd]);
  const [line] = lines(Uint8Array.from([0x61, 0xff, 0x0d, 0x0a]));
  assert.deepEqual([line.text(), [...line.bytes]], ["a\ufffd", [0x61, 0xff]]);
});

test("parts are records or reasons", () => {
  const place = { offset: 1, length: 2 };
  assert.equal(Part.record(place, "a:b", { n: 9223372036854775807n, t: "\ud800" }).json, '{"n":9223372036854775807,"t":"\\ud800"}');
  assert.deepEqual([Part.error(place, "why").reason, Part.error(place, "why").json], ["why", null]);
  assert.throws(() => Part.record(place, "a:b", [1]), /a record is an object, not a list/);
  assert.throws(() => Part.error(7, "why"), /a place is \{ offset, length \}/);
});

test("declarations that make no sense are told at once", () => {
  const parse = () => [];
  assert.throws(() => parser({ name: "p" }, parse), /parser p: needs `schemas`/);
  assert.throws(() => parser({ name: "p", schemas: {}, takes: "line" }, parse), /takes is one of lines, whole, not "line"/);
  assert.throws(() => parser({ name: "p", schemas: {}, sniffs: true }, parse), /no option sniffs/);
  assert.throws(() => output({ service: "o", hosts: "a" }, parse), /output o: hosts is a list of texts/);
  assert.throws(() => output({ service: "o", settings: ["url"] }, parse), /settings is a list of Setting.secret/);
  assert.throws(() => output({ service: "o", rate: -1 }, parse), /rate is a number/);
  assert.throws(() => output({}, parse), /needs `service`/);
});

test("an alert has a name for everything in it, and says nothing where there is nothing", () => {
  const alert = new Alert({ rule_name: "r", title: "", severity: "HIGH", created: "2026-01-02T03:04:05Z", tags: ["a", 1], source: { object: "o" } });
  assert.deepEqual([alert.title, alert.severity, alert.createdAt, alert.tags, alert.source.object], ["r", "high", 1767323045, ["a"], "o"]);
  const nothing = new Alert();
  assert.deepEqual([nothing.title, nothing.severity, nothing.createdAt, nothing.record, nothing.context, nothing.staged], ["", "medium", null, null, {}, false]);
});

test("numbers come out as they went in", () => {
  const text = '{"a":9007199254740993,"b":18446744073709551615,"c":-1.5,"d":[1,1e300]}';
  // Before Node.js 21 a number does not say how it was written.
  if (JSON.rawJSON) assert.equal(reading(objectOf(text)), text.replace("1e300", "1e+300"));
  assert.throws(() => objectOf("[]"), /no JSON object/);
});

test("a publisher is given back for tests", () => {
  const brief = publisher({ name: "brief" }, (alert, publication, target) => ({ ...publication, [target.magic("text")]: alert.title }));
  assert.deepEqual(brief(new Alert({ title: "t" }), { a: 1 }, new Target("slack:sec:ops")), { a: 1, "@slack.text": "t" });
  assert.deepEqual([new Target("slack:sec:ops").descriptor, new Target("x").descriptor], ["sec:ops", ""]);
});

const pager = output(
  {
    service: "pager",
    settings: [Setting.secret("url", ""), Setting.plain("team", "").optional()],
    hosts: ["{url}"],
    validate: (settings) => (settings.get("team") === "x" ? [new Fault("team", "there is none")] : []),
  },
  (parcel, http) => {
    const first = accepted(http.send(Request.post(parcel.required("url")).json({ text: parcel.alert.title, to: parcel.setting("team") })));
    return delivered(first.json()?.id);
  },
);

test("an output is run against a script", () => {
  const http = new FakeHttp().answer(503, "busy").header("Retry-After", "30").json(200, { id: "A-1" }).fail("timeout").fail("forbidden");
  const parcel = Parcel.sample(pager, { title: "Look" }, { url: " https://a.example ", team: "" });
  assert.deepEqual(pager(parcel, http), retry("answered 503 Service Unavailable: busy").after(30));
  assert.deepEqual(pager(parcel, http), delivered("A-1"));
  assert.deepEqual(pager(parcel, http), retry("the time for the delivery is up"));
  assert.deepEqual(pager(parcel, http), reject("the host is not permitted"));
  assert.deepEqual([http.left, http.requests[0].bodyJson(), http.requests[0].url], [0, { text: "Look", to: null }, "https://a.example"]);
  assert.throws(() => pager(parcel, http), /request 5 has no answer in the script/);
  assert.deepEqual(pager.validate({}).map(({ setting, message }) => [setting, message]), [["url", "is required"]]);
  assert.deepEqual(pager.validate({ url: "https://a", team: "x" }), [new Fault("team", "there is none")]);
  assert.equal(JSON.stringify(new Settings({ token: "hunter2" })), '["token"]');
  assert.equal(`${http.requests[0]}`, "POST a.example (25 bytes)");
});

test("answers are read by their status", () => {
  const read = (status, body, after = "7") => answer(new Response(status, [["RETRY-after", after]], bytes(body)));
  assert.deepEqual(read(204, ""), delivered());
  assert.deepEqual(read(429, "slow\u001b[2J down\r\n"), retry("answered 429 Too Many Requests: slow[2J down").after(7));
  assert.deepEqual(read(599, ""), retry("answered 599").after(7));
  assert.deepEqual(read(302, ""), reject("answered 302 Found"));
  assert.deepEqual(read(400, "ä".repeat(5000)), reject(`answered 400 Bad Request: ${"ä".repeat(299)}…`));
  assert.deepEqual(answer(new Failure("broken", "no")), retry("no"));
  assert.deepEqual(delivered().progress("x").after(1), delivered());
});

test("a service says in two ways how long to wait", () => {
  const wait = (after, date) => new Response(429, [["Retry-After", after], ...(date ? [["Date", date]] : [])]).retryAfter;
  const date = "Wed, 21 Oct 2026 07:28:00 GMT";
  assert.deepEqual([wait(" 30 "), wait("0.3"), wait("99999999999999"), wait("-5"), wait("soon", date), wait("NaN")], [30, 1, 0xffffffff, null, null, null]);
  assert.deepEqual([wait("Wed, 21 Oct 2026 07:30:00 GMT", date), wait("Wed, 21 Oct 2026 07:20:00 GMT", date), wait("Wed, 21 Oct 2026 07:30:00 GMT")], [120, 0, null]);
  assert.equal(new Response(429).retryAfter, null);
});

test("requests are built in a chain", () => {
  const request = Request.post("https://a.example/x?y=1").query("q", "a b").json([1]).basic("ada", "pä:ss").form({ a: "1&2", b: "ü" });
  assert.equal(request.url, "https://a.example/x?y=1&q=a%20b");
  assert.deepEqual([request.bodyText(), request.headers.length], ["a=1%262&b=%C3%BC", 2]);
  assert.equal(request.headerValue("authorization"), "Basic YWRhOnDDpDpzcw==");
  assert.equal(request.headerValue("CONTENT-TYPE"), "application/x-www-form-urlencoded");
});

test("URLs come apart or say why not", () => {
  const parts = ({ host, port, path }) => [host, port, path];
  assert.deepEqual(parts(Url.parse("https://hooks.slack.com/services/T/B/x?a")), ["hooks.slack.com", null, "/services/T/B/x"]);
  assert.deepEqual(parts(Url.parse("HTTP://[2001:DB8::1]:80?a=b")), ["[2001:db8::1]", 80, "/"]);
  for (const [text, why] of [
    ["slack.com", "neither https"], ["https://a b", "blank"], ["https://u:p@a", "user name"], ["https:///a", "no name"], ["https://a:b", "no number"],
    ["https://a:0", "no number"], ["https://a:65536", "no number"], ["https://a<b", "no name"], ["https://.a", "no name"],
  ]) {
    assert.match(Url.fault(text), new RegExp(why), text);
  }
  assert.equal(Url.parse("https://Example.com:8443/hook").origin, "https://example.com:8443");
});

test("texts fit into what a service takes", () => {
  assert.deepEqual([shorten("Grüße", 5), shorten("Grüße", 4), shorten("Grüße", 6, "bytes"), shorten("ab", 1), shorten("abcd", 1, "bytes")], ["Grüße", "Grü…", "Gr…", "…", "a"]);
  assert.deepEqual([shorten("e\u0301e\u0301e\u0301", 4), shorten("👋🏽👋🏽", 3), shorten("a👨‍👩‍👧bcd", 4)], ["e\u0301…", "👋🏽…", "a…"]);
  assert.equal(plain("a\r\nb\u001b[2J\u202ec"), "a b[2Jc");
  assert.equal(escapeHtml("<a href='x'>&\0\n"), "&lt;a href=&#39;x&#39;&gt;&amp;\n");
  assert.equal(percent("a b/ü?!*"), "a%20b%2F%C3%BC%3F%21%2A");
  assert.deepEqual([base64(Uint8Array.from([251, 255])), base64("abc"), base64("")], ["+/8=", "YWJj", ""]);
});
