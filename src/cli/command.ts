// The interface of a command of the command line.
import type { Flags } from "./args.ts";

/** One word after `cria`. */
export interface Command {
  readonly name: string;
  /** For the list of commands. */
  readonly summary: string;
  /** What `--help` prints. */
  readonly help: string;
  /** Its flags: completions and error messages are made from them. */
  readonly flags: Flags;
  /** What shells complete its operands with: names of files, or one of a few words. */
  readonly operands?: "files" | readonly string[];
  /** Runs it with the arguments after its name; the result is the exit status. */
  run(args: readonly string[]): Promise<number>;
}
