// A worker for edge runtimes that answers every request with the hashes of unicode_hashes.ts.
import { unicodeHashes } from "./unicode_hashes.ts";

export default { fetch: () => Response.json(unicodeHashes()) };
