// Tests of rules: `import { test } from "streamalert-as/testing";`. `streamalert-as test` runs them, each in an instance of
// its own. A test fails by what would be a trap: a failed `assert`, a `throw`, an index out of range.

class Test {
  constructor(public readonly name: string, public readonly body: () => void) {}
}

export const tests: Test[] = [];

/** One story. */
export function test(name: string, body: () => void): void {
  tests.push(new Test(name, body));
}

/** Fails unless both are equal, and says what they are. */
export function assertEqual<T>(found: T, expected: T): void {
  if (isNullable<T>()) {
    if (found !== null && expected !== null && found == expected) return;
    if (found === null && expected === null) return;
  } else if (found == expected) return;
  throw new Error(shown(found) + " should be " + shown(expected));
}

function shown<T>(value: T): string {
  if (isNullable<T>()) {
    if (value === null) return "null";
    return value.toString();
  }
  // @ts-ignore: every type that is compared has it
  return value.toString();
}
