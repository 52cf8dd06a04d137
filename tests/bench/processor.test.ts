import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kindOf, processorName, processorOf, processorSlug } from "../../bench/processor.ts";

function cpuinfo(vendor: string, family: number, model: number, flags: string): string {
  return `processor\t: 0
vendor_id\t: ${vendor}
cpu family\t: ${family}
model\t\t: ${model}
model name\t: Some Processor
flags\t\t: ${flags}
vmx flags\t: avx2

processor\t: 1
flags\t\t: avx_vnni
`;
}

describe("processorOf()", () => {
  it("names the cores of servers by family and model", () => {
    const name = (vendor: string, family: number, model: number) =>
      processorOf(cpuinfo(vendor, family, model, "")).microarchitecture;
    assert.equal(name("GenuineIntel", 6, 207), "Emerald Rapids");
    assert.equal(name("AuthenticAMD", 25, 1), "Zen 3");
    assert.equal(name("AuthenticAMD", 25, 17), "Zen 4");
    assert.equal(name("AuthenticAMD", 6, 207), undefined);
    assert.equal(name("GenuineIntel", 6, 1), undefined);
  });

  it("finds the instructions that matter among the first processor's flags, whole words only", () => {
    const features = (flags: string) => processorOf(cpuinfo("GenuineIntel", 6, 207, flags)).features;
    assert.deepEqual(features("fpu avx2 avx_vnni avx512_vnni"), ["AVX2", "AVX-VNNI", "AVX-512 VNNI"]);
    assert.deepEqual(features("avx2_vnni_int8 avx512_vnni"), ["AVX-512 VNNI"]);
    assert.deepEqual(features(""), []);
  });

  it("reads what ARM systems say", () => {
    const { microarchitecture, features } = processorOf(
      "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n",
    );
    assert.deepEqual([microarchitecture, features], [undefined, ["NEON", "dot product", "I8MM"]]);
  });
});

describe("kindOf()", () => {
  it("tells processors with dot products of bytes from the others", () => {
    assert.equal(kindOf({ features: ["AVX2", "AVX-VNNI"] }), "vnni");
    assert.equal(kindOf({ features: ["AVX2", "AVX-512 VNNI"] }), "vnni");
    assert.equal(kindOf({ features: ["AVX2"] }), "plain");
    assert.equal(kindOf({}), "plain");
  });
});

describe("processorName() and processorSlug()", () => {
  it("leave out what is no name", () => {
    const xeon = { cpu: "Intel(R) Xeon(R) Processor", microarchitecture: "Emerald Rapids" };
    assert.equal(processorName(xeon), "Intel Xeon (Emerald Rapids)");
    assert.equal(processorName({ cpu: "Intel(R) Core(TM) i7-9700 CPU @ 3.00GHz" }), "Intel Core i7-9700");
    assert.equal(
      processorSlug({ ...xeon, features: ["AVX2", "AVX-VNNI"] }),
      "intel-xeon-emerald-rapids-avx2-avx-vnni",
    );
    assert.equal(processorSlug({ cpu: "AMD EPYC" }), "amd-epyc");
  });
});
