// Runs the suites named on the command line, or all of them: `bun run bench matmul decode`.
import { attention } from "./attention.ts";
import { concurrency } from "./concurrency.ts";
import { decode } from "./decode.ts";
import { glu } from "./glu.ts";
import { kvCache } from "./kv_cache.ts";
import { matmul } from "./matmul.ts";
import { norm } from "./norm.ts";
import { rope } from "./rope.ts";
import { runSuites } from "./suite.ts";
import { tokenizer } from "./tokenizer.ts";

await runSuites([matmul, attention, norm, rope, glu, tokenizer, kvCache, decode, concurrency]);
