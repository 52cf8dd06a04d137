// Tells kinds of processors apart, by the instructions that matter here. Pure functions.

/** What Linux reports about a processor, in addition to its name. */
export interface Processor {
  /** The manufacturer's name of its cores, such as "Zen 3"; undefined if this file does not list it. */
  readonly microarchitecture: string | undefined;
  /** Instructions that make these kernels or their peers' faster, under their usual names. */
  readonly features: readonly string[];
}

/** Whether a processor has dot products of bytes, which the fastest forms of llama.cpp and of V8's relaxed SIMD need. */
export type Kind = "vnni" | "plain";

// Flags of /proc/cpuinfo, x86 and ARM.
const features: readonly (readonly [flag: string, name: string])[] = [
  ["avx2", "AVX2"],
  ["avx_vnni", "AVX-VNNI"],
  ["avx512_vnni", "AVX-512 VNNI"],
  ["amx_int8", "AMX"],
  ["asimd", "NEON"],
  ["asimddp", "dot product"],
  ["i8mm", "I8MM"],
];

// "family model" of servers, as Linux lists them in arch/x86/include/asm/intel-family.h.
const intel: Readonly<Record<string, string>> = {
  "6 85": "Skylake or Cascade Lake",
  "6 106": "Ice Lake",
  "6 143": "Sapphire Rapids",
  "6 173": "Granite Rapids",
  "6 207": "Emerald Rapids",
};

// Models of a family of AMD, from and to, as Linux tells them apart in arch/x86/kernel/cpu/amd.c.
const amd: readonly (readonly [family: number, from: number, to: number, name: string])[] = [
  [23, 0x00, 0x2f, "Zen"],
  [23, 0x30, 0x4f, "Zen 2"],
  [25, 0x00, 0x0f, "Zen 3"],
  [25, 0x10, 0x1f, "Zen 4"],
  [25, 0x20, 0x5f, "Zen 3"],
  [25, 0x60, 0xaf, "Zen 4"],
  [26, 0x00, 0x2f, "Zen 5"],
];

/** Parses the text of /proc/cpuinfo for its first processor. */
export function processorOf(cpuinfo: string): Processor {
  const field = (name: string) => new RegExp(`^${name}\\s*: (.*)$`, "m").exec(cpuinfo)?.[1] ?? "";
  const flags = new Set(`${field("flags")} ${field("Features")}`.split(" "));
  const [family, model] = [Number(field("cpu family")), Number(field("model"))];
  const isAmd = ([its, from, to]: (typeof amd)[number]) => family === its && model >= from && model <= to;
  return {
    microarchitecture:
      field("vendor_id") === "AuthenticAMD" ? amd.find(isAmd)?.[3] : intel[`${family} ${model}`],
    features: features.filter(([flag]) => flags.has(flag)).map(([, name]) => name),
  };
}

/** The kind, from the features; "plain" if they are not known. */
export function kindOf({ features = [] }: Partial<Processor>): Kind {
  return features.includes("AVX-VNNI") || features.includes("AVX-512 VNNI") ? "vnni" : "plain";
}

/** A processor's readable name: "Intel Xeon (Emerald Rapids)". */
export function processorName({ cpu, microarchitecture }: { cpu: string } & Partial<Processor>): string {
  const short = cpu
    .replaceAll(/\((?:R|TM)\)|\bCPU\b|\bProcessor\b|@.*$/gi, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
  return microarchitecture ? `${short} (${microarchitecture})` : short;
}

/** Name and features as a part of a file's name. */
export function processorSlug(machine: { cpu: string } & Partial<Processor>): string {
  return [processorName(machine), ...(machine.features ?? [])]
    .join(" ")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "");
}
