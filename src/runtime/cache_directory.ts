// The directory in which Bun, Deno and Node cache downloads.

/** What the directory depends on. */
export interface CachePlace {
  /** Node's name of the operating system. */
  readonly platform: string;
  /** The value of an environment variable; undefined if it is not set or may not be read. */
  readonly variable: (name: string) => string | undefined;
}

const isAbsolute = (path: string) => /^(\/|[A-Za-z]:[\\/])/.test(path);

/**
 * The directory for cria's downloads: `$XDG_CACHE_HOME/cria` if that is set, else what the system's programs use,
 * `~/.cache/cria` on Linux. Undefined if no home is known.
 * Source: XDG Base Directory Specification 0.8, which says to ignore relative paths.
 */
export function cacheDirectory({ platform, variable }: CachePlace): string | undefined {
  const set = (name: string) => {
    const path = variable(name) ?? "";
    return isAbsolute(path) ? path : undefined;
  };
  const under = (base: string | undefined, path: string) => base && `${base}/${path}`;
  const configured = under(set("XDG_CACHE_HOME"), "cria");
  if (configured) return configured;
  if (platform === "win32") return under(set("LOCALAPPDATA"), "cria/cache");
  return under(set("HOME"), platform === "darwin" ? "Library/Caches/cria" : ".cache/cria");
}
