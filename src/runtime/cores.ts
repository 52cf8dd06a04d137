// How many cores a process may use: those of the machine, less by its affinity and the CPU quota of its container.

/** Reads a small file of the system; undefined if there is none or it may not be read. */
export type ReadSystemFile = (path: string) => string | undefined;

/**
 * The cores that a process may use, 1 at least. A quota of one and a half cores counts as one.
 * @param known what the runtime says, from its different interfaces; what is not a positive number is ignored
 * @param read reads the files of Linux; those of other systems are absent
 */
export function usableCores(known: readonly (number | undefined)[], read: ReadSystemFile): number {
  const limits = [...known, allowedCores(read), cpuQuota(read)].filter(
    (n): n is number => n !== undefined && n > 0 && n < Number.POSITIVE_INFINITY,
  );
  return limits.length === 0 ? 1 : Math.max(1, Math.floor(Math.min(...limits)));
}

/** Cores that this process may run on, by its affinity. */
export function allowedCores(read: ReadSystemFile): number | undefined {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read("/proc/self/status") ?? "")?.[1];
  if (list === undefined) return undefined;
  let count = 0;
  for (const range of list.split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(range) ?? [];
    if (first === undefined) return undefined;
    count += Math.max(0, Number(last) - Number(first) + 1);
  }
  return count;
}

// A hierarchy of control groups: its mount point, the group that is mounted there, and the group of the process.
interface Hierarchy {
  readonly mount: string;
  readonly root: string;
  readonly group: string;
  readonly quotaOf: (directory: string) => number | undefined;
}

/**
 * The cores that control groups leave to this process, as a fraction: the least quota of its group and of those
 * around it, by version 1 and 2; undefined without a quota.
 */
export function cpuQuota(read: ReadSystemFile): number | undefined {
  const groups = (read("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
  const quotas: number[] = [];
  for (const line of (read("/proc/self/mountinfo") ?? "").split("\n")) {
    const hierarchy = hierarchyOf(line, groups, read);
    if (hierarchy) quotas.push(...quotasOf(hierarchy));
  }
  return quotas.length === 0 ? undefined : Math.min(...quotas);
}

// A line of mountinfo: "30 23 0:26 ROOT MOUNT options [tags] - TYPE source options". Lines of /proc/self/cgroup:
// "0::GROUP" for version 2, "4:cpu,cpuacct:GROUP" for version 1.
function hierarchyOf(
  line: string,
  groups: readonly (readonly string[])[],
  read: ReadSystemFile,
): Hierarchy | undefined {
  const [own = "", other = ""] = line.split(" - ");
  const [, , , root = "/", mount] = own.split(" ");
  const [type, , options = ""] = other.split(" ");
  if (mount === undefined) return undefined;
  const isOurs = (controllers = "") =>
    type === "cgroup2" ? controllers === "" : controllers.split(",").includes("cpu");
  if (type !== "cgroup2" && !(type === "cgroup" && options.split(",").includes("cpu"))) return undefined;
  // A group's path may hold colons.
  const group =
    groups
      .find(([, controllers]) => isOurs(controllers))
      ?.slice(2)
      .join(":") ?? "/";
  const quotaOf = type === "cgroup2" ? quotaOfVersion2 : quotaOfVersion1;
  return { mount, root, group, quotaOf: (directory) => quotaOf(directory, read) };
}

// Quotas of the process's group and of those around it, if they can be seen.
function quotasOf({ mount, root, group, quotaOf }: Hierarchy): number[] {
  const parts = pathBelow(root, group)
    .split("/")
    .filter((part) => part !== "");
  const quotas: number[] = [];
  for (let n = parts.length; n >= 0; n--) {
    const quota = quotaOf([mount, ...parts.slice(0, n)].join("/"));
    if (quota !== undefined) quotas.push(quota);
  }
  return quotas;
}

// A container may see its group as the root of what is mounted, while the process's path counts from the machine's.
function pathBelow(root: string, group: string): string {
  if (group.split("/").includes("..")) return "";
  if (root === "/") return group;
  return group === root || group.startsWith(`${root}/`) ? group.slice(root.length) : "";
}

// "150000 100000": microseconds of each period; "max 100000" is no quota.
function quotaOfVersion2(directory: string, read: ReadSystemFile): number | undefined {
  const [quota, period] = (read(`${directory}/cpu.max`) ?? "").trim().split(/\s+/);
  return fraction(quota, period ?? "100000");
}

// -1 is no quota.
function quotaOfVersion1(directory: string, read: ReadSystemFile): number | undefined {
  return fraction(read(`${directory}/cpu.cfs_quota_us`), read(`${directory}/cpu.cfs_period_us`));
}

function fraction(quota: string | undefined, period: string | undefined): number | undefined {
  const cores = Number.parseInt(quota ?? "", 10) / Number.parseInt(period ?? "", 10);
  return cores > 0 && cores < Number.POSITIVE_INFINITY ? cores : undefined;
}
