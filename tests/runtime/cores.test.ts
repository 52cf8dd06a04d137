// How many cores a process may use, from texts that systems gave.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allowedCores, cpuQuota, type ReadSystemFile, usableCores } from "../../src/runtime/cores.ts";

const reader =
  (files: Readonly<Record<string, string>>): ReadSystemFile =>
  (path) =>
    files[path];

const v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const v1 =
  "31 30 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" +
  "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
const other = "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\n23 22 0:5 / /proc rw - proc proc rw\n";

describe("cpuQuota()", () => {
  it("reads the group that a container is in, version 2", () => {
    const files = { "/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": other + v2 };
    assert.equal(cpuQuota(reader({ ...files, "/sys/fs/cgroup/cpu.max": "150000 100000\n" })), 1.5);
    assert.equal(cpuQuota(reader({ ...files, "/sys/fs/cgroup/cpu.max": "200000\n" })), 2);
    assert.equal(cpuQuota(reader({ ...files, "/sys/fs/cgroup/cpu.max": "max 100000\n" })), undefined);
    assert.equal(cpuQuota(reader(files)), undefined);
  });

  it("takes the least of a group and of those around it", () => {
    const files = (slice: string, scope: string) => ({
      "/proc/self/cgroup": "0::/user.slice/run-1:2.scope\n",
      "/proc/self/mountinfo": v2,
      "/sys/fs/cgroup/user.slice/cpu.max": slice,
      "/sys/fs/cgroup/user.slice/run-1:2.scope/cpu.max": scope,
    });
    assert.equal(cpuQuota(reader(files("400000 100000", "max 100000"))), 4);
    assert.equal(cpuQuota(reader(files("400000 100000", "50000 50000"))), 1);
    assert.equal(cpuQuota(reader(files("50000 100000", "400000 100000"))), 0.5);
  });

  it("reads version 1, and both where there are both", () => {
    const files = {
      "/proc/self/cgroup": "5:cpuset:/\n4:cpu,cpuacct:/docker/abc\n0::/\n",
      "/proc/self/mountinfo": v1 + v2,
      "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n",
      "/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    };
    assert.equal(cpuQuota(reader(files)), 3);
    assert.equal(cpuQuota(reader({ ...files, "/sys/fs/cgroup/cpu.max": "100000 100000" })), 1);
  });

  it("finds a container's own group where the path counts from the machine's", () => {
    const mount = "32 30 0:28 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
    const quota = {
      "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000",
      "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    };
    for (const group of ["/docker/abc", "/elsewhere", "/../../x"]) {
      const files = { "/proc/self/cgroup": `4:cpu:${group}\n`, "/proc/self/mountinfo": mount, ...quota };
      assert.equal(cpuQuota(reader(files)), 2.5, group);
    }
    const nested = {
      "/proc/self/cgroup": "4:cpu:/docker/abc/inner\n",
      "/proc/self/mountinfo": mount,
      "/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us": "50000",
      "/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us": "100000",
      ...quota,
    };
    assert.equal(cpuQuota(reader(nested)), 0.5);
  });

  it("is undefined for files that are absent or say nothing", () => {
    assert.equal(cpuQuota(reader({})), undefined);
    for (const text of ["", "\n", "x", "0 0", "0 100000", "-1 100000", "NaN 1", "100000 0"]) {
      const files = { "/proc/self/cgroup": "0::/\n", "/proc/self/mountinfo": v2 };
      assert.equal(cpuQuota(reader({ ...files, "/sys/fs/cgroup/cpu.max": text })), undefined, text);
    }
    const odd = { "/proc/self/cgroup": "x\n::\n", "/proc/self/mountinfo": "a b\n - \n1 2 3 4 5 - cgroup2\n" };
    assert.equal(cpuQuota(reader(odd)), undefined);
  });
});

describe("allowedCores()", () => {
  it("counts the list of the status file", () => {
    const allowed = (list: string) =>
      allowedCores(
        reader({
          "/proc/self/status": `Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\nMems:\t0\n`,
        }),
      );
    assert.equal(allowed("0"), 1);
    assert.equal(allowed("0-1"), 2);
    assert.equal(allowed("0,2-5,9"), 6);
    assert.equal(allowed("x"), undefined);
    assert.equal(allowedCores(reader({})), undefined);
  });
});

describe("usableCores()", () => {
  it("is the least of all that is known, rounded down, and 1 at least", () => {
    const quota = (text: string) =>
      reader({
        "/proc/self/cgroup": "0::/\n",
        "/proc/self/mountinfo": v2,
        "/sys/fs/cgroup/cpu.max": text,
        "/proc/self/status": "Cpus_allowed_list:\t0-5\n",
      });
    assert.equal(usableCores([8, undefined], quota("max 100000")), 6);
    assert.equal(usableCores([8, 4], quota("max 100000")), 4);
    assert.equal(usableCores([8], quota("350000 100000")), 3);
    assert.equal(usableCores([8], quota("150000 100000")), 1);
    assert.equal(usableCores([8], quota("20000 100000")), 1);
    assert.equal(usableCores([undefined, Number.NaN, 0], reader({})), 1);
  });
});
