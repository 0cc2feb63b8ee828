// Lines for whoever runs the pipeline. The host adds the component's name and that of the rule, cuts long lines and drops
// what is too many.

import * as abi from "./abi";

export namespace log {
  export function debug(message: string): void {
    abi.write(0, message);
  }

  export function info(message: string): void {
    abi.write(1, message);
  }

  export function warn(message: string): void {
    abi.write(2, message);
  }

  export function error(message: string): void {
    abi.write(3, message);
  }
}
