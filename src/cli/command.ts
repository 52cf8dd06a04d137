/** One word after `cria`. */
export interface Command {
  readonly name: string;
  /** For the list of commands. */
  readonly summary: string;
  /** Runs it with what follows its name; the result is the exit status. */
  run(args: readonly string[]): Promise<number>;
}
