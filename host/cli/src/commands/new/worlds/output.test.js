import assert from "node:assert/strict";
import test from "node:test";
import { FakeHttp, Parcel, delivered, retry } from "streamalert-js";
import { @camel@Output } from "../src/index.@ending@";

const parcel = () =>
  Parcel.sample(@camel@Output, { title: "Root logged in", severity: "high" }, { url: "https://service.example/hook", team: "soc" });

test("an alert is posted to the team", () => {
  const http = new FakeHttp().answer(200);
  assert.deepEqual(@camel@Output(parcel(), http), delivered());
  const { title, severity, team } = http.requests[0].bodyJson();
  assert.deepEqual([title, severity, team], ["Root logged in", "high", "soc"]);
});

test("a busy service is asked again", () => {
  const http = new FakeHttp().answer(503, "busy").header("Retry-After", "30");
  assert.deepEqual(@camel@Output(parcel(), http), retry("answered 503 Service Unavailable: busy").after(30));
});
