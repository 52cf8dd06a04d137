// The interface of a command of the command line.
import { ArgumentError, type Flags, type FlagValues, parseArgs } from "./flags/args.ts";
import { writeOut } from "./terminal/output.ts";

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

/** What a command line says. */
export interface CommandLine<F extends Flags> {
  readonly values: FlagValues<F>;
  readonly operands: readonly string[];
  /** All of it, as it was written. */
  readonly args: readonly string[];
}

/** A command that is run with what its flags say. It answers `--help`. */
export function command<F extends Flags>({
  run,
  ...parts
}: Omit<Command, "run" | "flags"> & {
  readonly flags: F;
  run(line: CommandLine<F>): Promise<number>;
}): Command {
  return {
    ...parts,
    async run(args) {
      const { values, operands } = parseArgs(args, parts.flags);
      if (!("help" in values)) return run({ values, operands, args });
      await writeOut(parts.help);
      return 0;
    },
  };
}

/** The one operand of a command that works on a model. @throws ArgumentError for none and for several */
export function oneModel(action: string, [name, ...more]: readonly string[]): string {
  if (name !== undefined && more.length === 0) return name;
  const n = more.length + Number(name !== undefined);
  throw new ArgumentError(`Cannot ${action}: Expected the name of one model, got ${n}`);
}
