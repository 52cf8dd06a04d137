// A script for pages and for Node that leaves the hashes of unicode_hashes.ts behind.
import { unicodeHashes } from "./unicode_hashes.ts";

Object.assign(globalThis, { unicodeHashes: JSON.stringify(unicodeHashes()) });
