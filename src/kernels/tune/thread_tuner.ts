// How many threads take part in which kind of step: measured while a model runs.

/** Kinds of work that are measured apart: packing weights; steps of one token, of some, of many. */
export const stepKinds = ["load", "one", "few", "many"] as const;
/** One of {@link stepKinds}. */
export type StepKind = (typeof stepKinds)[number];

/** The part of the options that is about threads. */
export interface ThreadOptions {
  /** Threads that take part: in everything, or by kind of step. They may be more than the cores there are. */
  readonly threads?: number | Readonly<Partial<Record<StepKind, number>>> | undefined;
}

/** Most threads of a model: words for so many are reserved (layout/control.ts). */
export const MAX_THREADS = 256;

// Up to here a step of several tokens still waits for memory more than for arithmetic.
const FEW_TOKENS = 8;
// Work of a segment, in bytes of weights: with less no second thread gains, up to some 4 us; with this and more it
// does on a quiet machine, from some 10 us on.
const MAY_GAIN_BYTES = 96 << 10;
const GAINS_BYTES = 256 << 10;

/** The kind of a step of so many tokens. */
export function stepKind(tokens: number): StepKind {
  if (tokens <= 1) return "one";
  return tokens <= FEW_TOKENS ? "few" : "many";
}

/** The number that options fix for a kind; undefined if it is to be measured. */
export function fixedThreads(options: ThreadOptions | undefined, kind: StepKind): number | undefined {
  const threads = options?.threads;
  return typeof threads === "object" ? threads[kind] : threads;
}

/** Threads that a model needs, which has `usual` ones for what options do not fix. */
export function neededThreads(options: ThreadOptions | undefined, usual: number): number {
  return Math.min(MAX_THREADS, Math.max(...stepKinds.map((kind) => fixedThreads(options, kind) ?? usual)));
}

/** Decides how many threads take part in a step or some layers of it, and learns from how long that took. */
export class ThreadTuner {
  readonly #options: ThreadOptions | undefined;
  readonly #duels: Readonly<Record<StepKind, Duels>>;
  readonly #last: Record<StepKind, number> = { load: 1, one: 1, few: 1, many: 1 };

  constructor(options?: ThreadOptions) {
    this.#options = options;
    this.#duels = { load: new Duels(), one: new Duels(), few: new Duels(), many: new Duels() };
  }

  /** Threads that took part in the last run of each kind. */
  get chosen(): Readonly<Record<StepKind, number>> {
    return { ...this.#last };
  }

  /**
   * How many threads of `available` take part.
   * @param work bytes of weights of the whole step, times what their tokens cost
   * @param segments how often the threads meet in it
   */
  threads(kind: StepKind, work: number, segments: number, available: number): number {
    const threads = this.#choose(kind, work / segments, available);
    this.#last[kind] = threads;
    return threads;
  }

  /** So many threads took `ms` for `work`; `stalled` says that some were given up because they were waited for. */
  ran(kind: StepKind, threads: number, work: number, ms: number, stalled = false): void {
    const duels = this.#duels[kind];
    // Steps too small for the choice say nothing about it.
    if (duels.threads === threads) duels.ran(work, ms, stalled);
  }

  #choose(kind: StepKind, work: number, available: number): number {
    const fixed = fixedThreads(this.#options, kind);
    if (fixed !== undefined) return Math.min(fixed, available);
    // Packing meets once in a run, and costs more than reading.
    const gains = kind === "load" ? GAINS_BYTES : work;
    if (available <= 1 || gains < MAY_GAIN_BYTES) return 1;
    const duels = this.#duels[kind];
    duels.limit(available, gains >= GAINS_BYTES);
    return duels.threads;
  }
}

// Runs of one number of threads are measured together up to this time: long enough that being descheduled for some
// milliseconds is a part of it, not the whole.
const BLOCK_MS = 16;
// The same for the first comparisons, which are to be over soon.
const FIRST_BLOCK_MS = 6;
const FIRST_COMPARISONS = 3;
// Runs that stall before the first comparison, after which one thread is the safe choice.
const FIRST_STALLS = 2;
// Compilers of the runtime are still at work.
const WARM_UP_MS = 12;
// What comparing may cost, as a part of all time.
const BUDGET = 0.02;
// Time between two comparisons: if the last one left a doubt, at least, and at most.
const DOUBT_MS = 60;
const LEAST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 4000;
// So many times slower than after the last comparison, twice in a row: the machine has changed.
const CHANGED = 1.5;
// One round decides if one number is twice as fast: this difference of the times, as a part of their sum.
const CLEAR = 1 / 3;
// What the last of many comparisons weighs.
const NEW_WEIGHT = 0.3;

// What comparisons of arms i and i + 1 said: by how much the second takes longer, as a part of the sum of both times.
class Pair {
  /** Their mean, the last ones weighing more. */
  score = 0;
  #count = 0;
  #contradiction: number | undefined;

  /** Adds a difference; true if another comparison is due soon. */
  add(difference: number): boolean {
    const contradicts = this.#count > 0 && difference * this.score < 0;
    if (contradicts && this.#contradiction !== undefined) {
      // Twice in a row is no accident: the machine has changed.
      this.score = (difference + this.#contradiction) / 2;
      this.#count = 2;
      this.#contradiction = undefined;
      return true;
    }
    this.#contradiction = contradicts ? difference : undefined;
    this.#count++;
    this.score += Math.max(NEW_WEIGHT, 1 / this.#count) * (difference - this.score);
    return contradicts || this.#count < 3;
  }
}

/**
 * Finds the best number of threads for one kind of work, and follows a machine that gets busy or quiet. It begins with
 * all, or with one as soon as a thread has to be waited for, and compares these two. Later the number in use is compared
 * now and then with its neighbour (half or twice as many): a block of runs with the neighbour's, then a block with its
 * own, up to two rounds. Times are paired in this way because they drift with context and load.
 */
export class Duels {
  #arms: readonly number[] = [1];
  #pairs: Pair[] = [];
  #current = 0;
  // The arm that is compared; undefined between comparisons.
  #rival: number | undefined;
  #first = true;
  #stalls = 0;
  #comparisons = 0;
  #upwards = false;
  #runsRival = false;
  #skip = false;
  #warmUpMs = 0;
  #blockMs = 0;
  #blockWork = 0;
  // Milliseconds a unit of work: the last block of the current arm and of the rival, and the current one's after the
  // last comparison.
  #ownRate = 0;
  #rivalRate = 0;
  #reference = Number.POSITIVE_INFINITY;
  #slowBlocks = 0;
  #differences: number[] = [];
  #excessMs = 0;
  #sinceMs = 0;
  #pauseMs = 0;

  /** How many threads the next run has. */
  get threads(): number {
    return this.#arms[this.#runsRival ? (this.#rival as number) : this.#current] as number;
  }

  /**
   * There are so many threads: 1, 2, 4 ... of them are tried, and all. Begins anew if there were others.
   * @param hopeful whether to begin with all
   */
  limit(available: number, hopeful = true): void {
    if (this.#arms.at(-1) === available) return;
    const arms: number[] = [];
    for (let n = 1; n < available; n *= 2) arms.push(n);
    arms.push(available);
    this.#arms = arms;
    // One for each two neighbours, and one for the first comparison, of one thread with all.
    this.#pairs = Array.from(arms, () => new Pair());
    this.#current = hopeful ? arms.length - 1 : 0;
    this.#first = true;
    this.#stalls = 0;
    this.#comparisons = 0;
    this.#rival = undefined;
    this.#runsRival = false;
    this.#reference = Number.POSITIVE_INFINITY;
    this.#pauseMs = 0;
    this.#begin();
  }

  /** A run took `ms` for `work`, and gave up threads that stalled or not. */
  ran(work: number, ms: number, stalled = false): void {
    if (!(work > 0 && ms >= 0 && ms < Number.POSITIVE_INFINITY)) return;
    if (stalled && this.#first && this.#current > 0 && ++this.#stalls === FIRST_STALLS) {
      this.#current = 0;
      this.#begin();
      return;
    }
    this.#sinceMs += ms;
    if (this.#warmUpMs < WARM_UP_MS) {
      this.#warmUpMs += ms;
      return;
    }
    // Threads that slept come too late for the first run.
    const enough = this.#comparisons < FIRST_COMPARISONS ? FIRST_BLOCK_MS : BLOCK_MS;
    const skip = this.#skip && ms < enough;
    this.#skip = false;
    if (skip) return;
    this.#blockMs += ms;
    this.#blockWork += work;
    if (this.#blockMs < enough) return;
    const rate = this.#blockMs / this.#blockWork;
    if (this.#rival === undefined) this.#ranAlone(rate);
    else if (this.#runsRival) this.#ranRival(rate);
    else this.#ranOwn(rate, this.#rival);
    this.#blockMs = 0;
    this.#blockWork = 0;
  }

  // Between comparisons.
  #ranAlone(rate: number): void {
    this.#ownRate = rate;
    this.#slowBlocks = rate > CHANGED * this.#reference ? this.#slowBlocks + 1 : 0;
    const changed = this.#slowBlocks >= 2 && this.#sinceMs >= DOUBT_MS;
    if (this.#arms.length < 2 || (this.#sinceMs < this.#pauseMs && !changed)) return;
    const end = this.#current === 0 ? this.#arms.length - 1 : 0;
    this.#rival = this.#first ? end : this.#neighbour();
    this.#first = false;
    this.#differences = [];
    this.#excessMs = 0;
    this.#switch(true);
  }

  #ranRival(rate: number): void {
    this.#rivalRate = rate;
    this.#excessMs += Math.max(0, this.#blockMs - this.#ownRate * this.#blockWork);
    this.#switch(false);
  }

  #ranOwn(rate: number, rival: number): void {
    const own = Math.sqrt(this.#ownRate * rate);
    this.#ownRate = rate;
    const difference = (this.#rivalRate - own) / (this.#rivalRate + own);
    this.#differences.push(difference);
    const rounds = this.#differences.length;
    if (rounds < 2 && Math.abs(difference) < CLEAR) this.#switch(true);
    else this.#decide(rival, this.#differences.reduce((sum, value) => sum + value, 0) / rounds);
  }

  // `difference` is by how much the rival takes longer.
  #decide(rival: number, difference: number): void {
    const upwards = rival > this.#current;
    const between = Math.abs(rival - this.#current) > 1;
    const pair = this.#pairs[between ? this.#arms.length - 1 : Math.min(rival, this.#current)] as Pair;
    const doubt = pair.add(upwards ? difference : -difference);
    const rivalWins = upwards ? pair.score < 0 : pair.score > 0;
    if (rivalWins) this.#current = rival;
    this.#reference = rivalWins ? this.#rivalRate : this.#ownRate;
    this.#pauseMs = Math.min(
      MOST_PAUSE_MS,
      Math.max(doubt ? DOUBT_MS : LEAST_PAUSE_MS, this.#excessMs / BUDGET),
    );
    this.#rival = undefined;
    this.#runsRival = false;
    this.#comparisons++;
    this.#begin();
  }

  #neighbour(): number {
    this.#upwards = !this.#upwards;
    const up = this.#current + 1 < this.#arms.length && (this.#upwards || this.#current === 0);
    return this.#current + (up ? 1 : -1);
  }

  #switch(toRival: boolean): void {
    this.#runsRival = toRival;
    this.#skip = true;
  }

  #begin(): void {
    this.#skip = true;
    this.#slowBlocks = 0;
    this.#sinceMs = 0;
    this.#blockMs = 0;
    this.#blockWork = 0;
  }
}
