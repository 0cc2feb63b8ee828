// What `streamalert-as test` calls.

import { tests } from "./index";

export function testCount(): i32 {
  return tests.length;
}

export function testName(number: i32): string {
  return tests[number].name;
}

export function runTest(number: i32): void {
  tests[number].body();
}
