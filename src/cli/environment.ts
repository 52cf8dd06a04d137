// Environment variables, read without making Deno ask.
import process from "node:process";

interface DenoPermissions {
  querySync(permission: { name: "env"; variable: string }): { readonly state: string };
}

/** The value of an environment variable; undefined if it is not set, or if Deno would have to ask for it. */
export function variable(name: string): string | undefined {
  const { Deno } = globalThis as { Deno?: { permissions: DenoPermissions } };
  if (Deno && Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted")
    return undefined;
  return process.env[name];
}
