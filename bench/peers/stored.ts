// Result files, one for each processor: a run of all rows writes one anew, a run of some rows replaces these in it.
import type { Bandwidth, Machine } from "../machine.ts";
import type { Medians, Quality, RowResult } from "./results.ts";
import type { GroupTimes } from "./run.ts";

/** Where and when groups were measured. */
export interface Run {
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  readonly inRealTime: boolean;
  readonly bandwidth: Bandwidth["summary"];
  readonly otherCores: { readonly mean: number; readonly samples: number };
}

/** A later run of some groups. */
export interface Part extends Run {
  readonly groups: readonly string[];
}

/** A result file. */
export interface Stored extends Run {
  readonly suite: "peers";
  readonly method: string;
  readonly medians: readonly Medians[];
  readonly ratios: readonly RowResult[];
  readonly nll: readonly Quality[];
  readonly samples: readonly {
    readonly group: string;
    readonly seats: readonly {
      readonly peer: string;
      readonly threads: number;
      readonly ms: GroupTimes["seats"][number]["times"];
    }[];
  }[];
  readonly skipped: readonly string[];
  /** Groups that were measured later than the others. */
  readonly parts?: readonly Part[];
}

/** `old` with the groups that `run` measured: these are replaced or added, the others stay. */
export function merged(old: Stored, run: Stored): Stored {
  const groups = run.samples.map(({ group }) => group);
  const models = new Set(run.medians.map(({ model }) => model));
  const titles = new Set(run.ratios.map(({ title }) => title));
  const { machine, versions, inRealTime, bandwidth, otherCores } = run;
  const earlier = (old.parts ?? [])
    .map((part) => ({ ...part, groups: part.groups.filter((name) => !groups.includes(name)) }))
    .filter((part) => part.groups.length > 0);
  return {
    ...old,
    method: run.method,
    medians: [...old.medians.filter(({ group }) => !groups.includes(group)), ...run.medians],
    ratios: [...old.ratios.filter(({ title }) => !titles.has(title)), ...run.ratios],
    samples: [...old.samples.filter(({ group }) => !groups.includes(group)), ...run.samples],
    skipped: [
      ...old.skipped.filter((line) => ![...models].some((model) => line.startsWith(model))),
      ...run.skipped,
    ],
    parts: [...earlier, { groups, machine, versions, inRealTime, bandwidth, otherCores }],
  };
}
