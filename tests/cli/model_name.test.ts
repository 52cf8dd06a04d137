// Hints behind errors about models.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withNameHint } from "../../src/cli/model_name.ts";
import { UnreachableError } from "../../src/source/http/http_errors.ts";
import { FormatError, MemoryError, UnsupportedError } from "../../src/util/errors.ts";

describe("withNameHint()", () => {
  it("says what to do about files that are cut and servers that are not reached, once", async () => {
    for (const [error, hint] of [
      [
        new FormatError("Expected 9 bytes, the file ends at 8"),
        "; it is cut off, or damaged: download or copy it again",
      ],
      [new UnreachableError("ENOTFOUND"), "; what cria list shows can be used without this server"],
    ] as const) {
      const { message } = error;
      const hinted = await withNameHint(await withNameHint(error, "m.gguf"), "t.model");
      assert.equal((hinted as Error).message, message + hint);
      assert.ok(hinted === error);
    }
  });

  it("says where the other files of a repository are if one is refused", async () => {
    const hint = async (error: Error, name: string) => ((await withNameHint(error, name)) as Error).message;
    const type = () => new UnsupportedError("Unsupported type X; take another file of this model, or");
    const memory = () => new MemoryError("it takes 9; take a file of fewer bits a weight");
    const main = "; those of the repository: https://huggingface.co/a/b-GGUF/tree/main/";
    assert.equal(await hint(type(), "hf:a/b-GGUF/m.gguf"), type().message + main);
    assert.equal(await hint(memory(), "hf:a/b-GGUF/folder/m.gguf"), memory().message + main);
    assert.equal(
      await hint(type(), "hf://a/b@v1/m.gguf"),
      `${type().message}; those of the repository: https://huggingface.co/a/b/tree/v1/`,
    );
    for (const name of ["m.gguf", "a/b/m.gguf", "https://huggingface.co/a/b/resolve/main/m.gguf"]) {
      assert.equal(await hint(type(), name), type().message);
    }
    const others = [
      new UnsupportedError("Unsupported architecture"),
      new MemoryError("it fits with contextLength: 96"),
    ];
    for (const error of [...others, new FormatError("take another file")]) {
      const { message } = error;
      assert.equal(await hint(error, "hf:a/b/m.gguf"), message);
    }
  });
});
