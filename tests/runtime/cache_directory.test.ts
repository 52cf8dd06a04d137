// The directory for downloads on each system.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cacheDirectory } from "../../src/runtime/cache_directory.ts";

const place = (platform: string, variables: Record<string, string>) =>
  cacheDirectory({ platform, variable: (name) => variables[name] });

describe("cacheDirectory()", () => {
  it("cacheDirectory() is what the system's programs use", () => {
    const HOME = "/home/ann";
    assert.equal(place("linux", { HOME }), "/home/ann/.cache/cria");
    assert.equal(place("darwin", { HOME: "/Users/ann" }), "/Users/ann/Library/Caches/cria");
    const LOCALAPPDATA = "C:\\Users\\ann\\AppData\\Local";
    assert.equal(place("win32", { LOCALAPPDATA, HOME }), `${LOCALAPPDATA}/cria/cache`);
  });

  it("cacheDirectory() follows XDG_CACHE_HOME, unless it is relative or empty", () => {
    const HOME = "/home/ann";
    assert.equal(place("linux", { HOME, XDG_CACHE_HOME: "/big/cache" }), "/big/cache/cria");
    assert.equal(place("darwin", { HOME, XDG_CACHE_HOME: "/big/cache" }), "/big/cache/cria");
    for (const XDG_CACHE_HOME of ["", "cache", "./cache"]) {
      assert.equal(place("linux", { HOME, XDG_CACHE_HOME }), "/home/ann/.cache/cria");
    }
  });

  it("cacheDirectory() is none where no home is known", () => {
    for (const platform of ["linux", "darwin", "win32", "freebsd"]) {
      assert.equal(place(platform, {}), undefined);
      assert.equal(place(platform, { HOME: "", LOCALAPPDATA: "relative" }), undefined);
    }
  });
});
