// How objects print: consoles show one line instead of all that an object holds.

/** The method that `console.log` of Node, Bun and Deno asks for a text. */
export const inspectSymbol: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** "Session { pos: 12, contextLength: 512 }": a name and its facts on one line. */
export function oneLine(name: string, facts: Readonly<Record<string, unknown>>): string {
  const entries = Object.entries(facts).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
  return `${name} { ${entries.join(", ")} }`;
}
