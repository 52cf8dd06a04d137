// How objects print: consoles show one line instead of all that an object holds.

/** The method that `console.log` of Node, Bun and Deno asks for a text. */
export const inspectNode: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** The method that Deno's `console.log` asks first. */
export const inspectDeno: unique symbol = Symbol.for("Deno.customInspect");

/** "Session { pos: 12, contextLength: 512 }": a name and its facts on one line. */
export function oneLine(name: string, facts: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(facts).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return `${name} { ${entries.join(", ")} }`;
}
