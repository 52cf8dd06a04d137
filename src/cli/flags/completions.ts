// `cria completions`: scripts with which shells complete commands, flags and their values.

import { type Command, command } from "../command.ts";
import { writeOut } from "../terminal/output.ts";
import { ArgumentError, describeFlags, type Flag, helpFlag, show, spellings } from "./args.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

const flags = { help: helpFlag };

const help = `Usage: cria completions ${shells.join("|")}

Prints a script that makes a shell complete commands, flags and their values:
  bash  cria completions bash > ~/.local/share/bash-completion/completions/cria
  zsh   cria completions zsh > a file "_cria" in a folder of $fpath
  fish  cria completions fish > ~/.config/fish/completions/cria.fish

Flags:
${describeFlags(flags)}`;

/** `cria completions`. @param commands all commands, this one among them */
export function completionsCommand(commands: () => readonly Command[]): Command {
  return command({
    name: "completions",
    summary: "print completions for bash, zsh or fish",
    help,
    flags,
    operands: shells,
    async run({ operands }) {
      const shell = shells.find((known) => known === operands[0]);
      if (shell === undefined || operands.length > 1) {
        throw new ArgumentError(`Expected one of ${shells.join(", ")}, got ${show(operands.join(" "))}`);
      }
      await writeOut(completionScript(shell, commands()));
      return 0;
    },
  });
}

/** The script of a shell, made from the tables of flags. */
function completionScript(shell: Shell, commands: readonly Command[]): string {
  return writers[shell](commands);
}

const writers: { readonly [S in Shell]: (commands: readonly Command[]) => string } = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Words in the place of a command that have no flags. */
const topFlags = ["--help", "--version"];

function words(values: readonly string[]): string {
  return values.join(" ");
}

function commandNames(commands: readonly Command[]): readonly string[] {
  return [...commands.map(({ name }) => name), "help"];
}

function bashScript(commands: readonly Command[]): string {
  // Without a pattern for a flag, the shell completes names of files.
  const valueCases = ({ flags }: Command) =>
    Object.values(flags)
      .filter(({ valueName, isFile }) => valueName !== undefined && !isFile)
      .map(
        (flag) =>
          `        ${spellings(flag).join("|")}) _cria_words "${words(flag.choices ?? [])}"; return ;;\n`,
      );
  const fileFlags = ({ flags }: Command) => Object.values(flags).filter(({ isFile }) => isFile);
  const fileCases = (command: Command) => {
    const names = fileFlags(command).flatMap(spellings);
    return names.length > 0 ? `        ${names.join("|")}) return ;;\n` : "";
  };
  const operands = ({ operands = [] }: Command) =>
    operands === "files" ? "return" : `_cria_words "${words(operands)}"`;
  const cases = commands.map(
    (command) => `    ${command.name})
      case "$previous" in
${fileCases(command)}${valueCases(command).join("")}      esac
      case "$current" in
        -*) _cria_words "${words(Object.values(command.flags).flatMap(spellings))}" ;;
        *) ${operands(command)} ;;
      esac
      ;;
`,
  );
  return `# Completions of cria for bash.

_cria_words() {
  COMPREPLY=($(compgen -W "$1" -- "$current"))
  # An answer that is empty would be taken for a request for names of files.
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then compopt +o default 2>/dev/null; fi
}

_cria() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  COMPREPLY=()
  # "--flag=value" is three words.
  if [ "$current" = "=" ]; then
    current=""
  elif [ "$previous" = "=" ]; then
    previous="\${COMP_WORDS[COMP_CWORD - 2]}"
  fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    _cria_words "${words([...commandNames(commands), ...topFlags])}"
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("")}    help)
      if [ "$COMP_CWORD" -eq 2 ]; then _cria_words "${words(commands.map(({ name }) => name))}"; fi
      ;;
  esac
}

complete -o default -F _cria cria
`;
}

function zshScript(commands: readonly Command[]): string {
  const functions = commands.map(
    ({ name, flags, operands = [] }) => `_cria_${name.replaceAll("-", "_")}() {
  _arguments -s -S \\
${Object.values(flags)
  .map((flag) => `    ${zshFlag(flag)} \\\n`)
  .join(
    "",
  )}    ${operands === "files" ? "'*:file:_files'" : operands.length > 0 ? `'1:word:(${words(operands)})'` : "'*:text: '"}
}
`,
  );
  return `#compdef cria
# Completions of cria for zsh.

${functions.join("\n")}
_cria() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${zshQuoted(`${name}:${summary}`)}\n`).join("")}    'help:say more about a command'
  )
  if (( CURRENT == 2 )); then
    _describe -t commands command commands
    compadd -- ${words(topFlags)}
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$command" in
${commands.map(({ name }) => `    ${name}) _cria_${name.replaceAll("-", "_")} ;;\n`).join("")}    help) (( CURRENT == 2 )) && compadd -- ${words(commands.map(({ name }) => name))} ;;
  esac
}

if [ "$funcstack[1]" = _cria ]; then _cria "$@"; else compdef _cria cria; fi
`;
}

/** A flag as _arguments takes it: those that exclude each other, spellings, what it does, what its value is. */
function zshFlag(flag: Flag<unknown>): string {
  const names = spellings(flag);
  const action = flag.choices ? `(${words(flag.choices)})` : flag.isFile ? "_files" : " ";
  const value = flag.valueName === undefined ? "" : `:${zshText(flag.valueName)}:${action}`;
  const rest = zshQuoted(`[${zshText(flag.help)}]${value}`);
  const attach = (name: string) => {
    if (flag.valueName === undefined) return name;
    return name.startsWith("--") ? `${name}=` : `${name}+`;
  };
  const spelled = names.map(attach);
  const group = spelled.length > 1 ? `{${spelled.join(",")}}` : spelled[0];
  if (flag.isList) return `\\*${group}${rest}`;
  return names.length > 1 ? `'(${words(names)})'${group}${rest}` : `${group}${rest}`;
}

function zshText(text: string): string {
  return text.replace(/[[\]:\\]/g, "\\$&");
}

function zshQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishScript(commands: readonly Command[]): string {
  const lines = commands.flatMap(({ name, flags, operands = [] }) => {
    const when = `complete -c cria -n '__fish_seen_subcommand_from ${name}'`;
    const own = Object.values(flags).map((flag) => `${when}${fishFlag(flag)}`);
    if (operands === "files") return [...own, `${when} -F`];
    return operands.length > 0 ? [...own, `${when} -a '${words(operands)}'`] : own;
  });
  const first = "complete -c cria -n __fish_use_subcommand";
  const names = commands.map(({ name, summary }) => `${first} -a ${name} -d ${fishQuoted(summary)}`);
  return `# Completions of cria for fish.
complete -c cria -f
${names.join("\n")}
${first} -a help -d 'say more about a command'
${first} -s h -l help -d 'print the commands'
${first} -s v -l version -d 'print the version'
complete -c cria -n '__fish_seen_subcommand_from help' -a '${words(commands.map(({ name }) => name))}'
${lines.join("\n")}
`;
}

function fishFlag(flag: Flag<unknown>): string {
  const names = spellings(flag).map((name) =>
    name.startsWith("--") ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`,
  );
  const values = flag.choices ? ` -x -a '${words(flag.choices)}'` : flag.isFile ? " -r -F" : " -x";
  return `${names.join("")}${flag.valueName === undefined ? "" : values} -d ${fishQuoted(flag.help)}`;
}

function fishQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}
