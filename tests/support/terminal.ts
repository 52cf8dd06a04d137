// Runs the command line on a terminal: a pseudo-terminal that Python's standard library opens.
import { spawn, spawnSync } from "node:child_process";
import { cliCommand } from "./cli.ts";

/** Why there is no terminal here; false when there is one. */
export const noTerminal: string | false =
  spawnSync("python3", ["-c", "import pty"]).status === 0 ? false : "needs python3 and its pty module";

/** Keys, and what they wait for. */
export interface TypedKeys {
  readonly after: string;
  readonly keys: string;
}

export interface TerminalOptions {
  /** What standard input is: the terminal, or a pipe with this text. Default: the terminal. */
  readonly stdin?: string;
  /** Whether standard output is the terminal, or is thrown away. Default true. */
  readonly stdout?: boolean;
  readonly columns?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** What is typed as soon as the terminal shows `after`, one after the other: each is looked for behind the one before. */
  readonly type?: TypedKeys | readonly TypedKeys[];
}

/** What a terminal has seen, and how the program ended. */
export interface TerminalResult {
  readonly status: number;
  readonly output: string;
}

/** Runs `cria ...args` with standard error, and more, on a terminal. */
export function runInTerminal(
  args: readonly string[],
  { stdin, stdout = true, columns = 80, env = {}, type }: TerminalOptions = {},
): Promise<TerminalResult> {
  const spec = {
    command: cliCommand(args),
    stdin: stdin ?? null,
    stdout,
    columns,
    type: type === undefined ? [] : [type].flat(),
  };
  const { NO_COLOR, FORCE_COLOR, ...inherited } = process.env;
  const child = spawn("python3", ["-c", PROGRAM, JSON.stringify(spec)], {
    env: { ...inherited, TERM: "xterm", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Uint8Array[] = [];
  child.stdout.on("data", (chunk) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
  });
}

const PROGRAM = `
import fcntl, json, os, pty, signal, struct, subprocess, sys, termios
spec = json.loads(sys.argv[1])
terminal, side = pty.openpty()
fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, spec["columns"], 0, 0))
def own_terminal():
    os.setsid()
    fcntl.ioctl(side, termios.TIOCSCTTY, 0)
child = subprocess.Popen(
    spec["command"],
    stdin=side if spec["stdin"] is None else subprocess.PIPE,
    stdout=side if spec["stdout"] else subprocess.DEVNULL,
    stderr=side,
    preexec_fn=own_terminal,
)
os.close(side)
signal.signal(signal.SIGALRM, lambda *_: child.kill())
signal.alarm(60)
if child.stdin:
    child.stdin.write(spec["stdin"].encode())
    child.stdin.close()
output = b""
steps, seen = spec["type"], 0
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    output += part
    while steps:
        after = steps[0]["after"].encode()
        at = output.find(after, seen)
        if at < 0:
            break
        seen = at + len(after)
        os.write(terminal, steps.pop(0)["keys"].encode())
print(json.dumps({"status": child.wait(), "output": output.decode("utf-8", "replace")}))
`;
