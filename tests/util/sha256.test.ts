// SHA-256 of bytes that come in pieces.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { Sha256, sha256Hex } from "../../src/util/sha256.ts";

const text = (value: string) => new TextEncoder().encode(value);

// Examples of FIPS 180 (one block, two blocks, a million letters) and the empty message.
const vectors: [string, Uint8Array, string][] = [
  ["nothing", new Uint8Array(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  ["abc", text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  [
    "448 bits",
    text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
  [
    "896 bits",
    text(
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
    ),
    "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1",
  ],
  [
    "a million letters",
    new Uint8Array(1e6).fill(97),
    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
  ],
];

function random(n: number): Uint8Array {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i++) bytes[i] = (i * 2654435761) >>> 13;
  return bytes;
}

describe("Sha256", () => {
  for (const [title, bytes, digest] of vectors) {
    it(`Sha256 gives the digest of the standard for ${title}`, () => {
      assert.equal(new Sha256().update(bytes).hex(), digest);
    });
  }

  it("Sha256 agrees with node:crypto at every length around one, two and three blocks", () => {
    for (let n = 0; n <= 200; n++) {
      const bytes = random(n);
      assert.equal(
        new Sha256().update(bytes).hex(),
        createHash("sha256").update(bytes).digest("hex"),
        `${n}`,
      );
    }
  });

  it("Sha256 does not depend on how the bytes are cut", () => {
    const bytes = random(1000);
    const expected = createHash("sha256").update(bytes).digest("hex");
    for (const step of [1, 7, 63, 64, 65, 127, 128, 200, 999, 1000]) {
      const hash = new Sha256();
      for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
      assert.equal(hash.update(new Uint8Array(0)).hex(), expected, `pieces of ${step}`);
    }
  });

  it("Sha256 reads views of shared memory", () => {
    const bytes = random(300);
    const shared = new Uint8Array(new SharedArrayBuffer(301), 1);
    shared.set(bytes);
    assert.equal(new Sha256().update(shared).hex(), new Sha256().update(bytes).hex());
  });
});

describe("sha256Hex()", () => {
  it("sha256Hex() is the digest of the text's UTF-8", () => {
    assert.equal(sha256Hex("abc"), vectors[1]?.[2]);
    assert.equal(sha256Hex("é€😀"), createHash("sha256").update("é€😀").digest("hex"));
  });
});
