// What filters, tests and methods need of the interpreter.
import type { Meter } from "./limits.ts";
import type { Arguments, Value } from "./values.ts";

/** The interpreter, as functions see it. */
export interface Machine {
  readonly meter: Meter;
  filter(name: string, value: Value, args: Arguments): Value;
  test(name: string, value: Value, args: readonly Value[]): boolean;
  call(callee: Value, args: Arguments): Value;
  /** What `value.name` or `value[name]` is. */
  member(value: Value, name: Value): Value;
}
