// The settings: a dialog with a form whose fields have the names of cria's options.

/** Options of a generation that are numbers. An empty field is left out. */
const NUMBERS = [
  ..."temperature topK topP minP repeatPenalty frequencyPenalty presencePenalty".split(" "),
  ..."seed maxTokens".split(" "),
];

/** Seeds that the page makes up have so many values, so that they are short enough to write down. */
const SEEDS = 1e6;

/** Closes a dialog by a click beside it, as Escape does. */
export function closeByBackdrop(dialog) {
  dialog.addEventListener("click", ({ target }) => {
    if (target === dialog) dialog.close();
  });
}

/** The dialog of the settings. */
export class Settings {
  #dialog;
  #form;

  constructor(dialog, form) {
    this.#dialog = dialog;
    this.#form = form;
    closeByBackdrop(dialog);
    // Its button for closing is valid whatever the fields hold.
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close();
    });
    form.addEventListener("reset", () => setTimeout(() => this.#showThreads()));
    this.#showThreads();
  }

  open() {
    this.#dialog.showModal();
  }

  /** Whether all fields are right; if not, they are shown, and the browser says what is wrong. */
  check() {
    if (this.#form.checkValidity()) return true;
    if (!this.#dialog.open) this.open();
    this.#form.reportValidity();
    return false;
  }

  /** Threads to load a model with. */
  get threads() {
    return crossOriginIsolated ? this.#field("threads").valueAsNumber : 1;
  }

  get system() {
    return this.#field("system").value.trim();
  }

  /**
   * Options of an answer.
   * @param most the most tokens if the form does not say
   * @param attempt how often this answer was begun before: each takes the seed after the last
   */
  options(most, attempt) {
    const values = NUMBERS.map((name) => [name, this.#field(name).valueAsNumber]);
    const given = Object.fromEntries(values.filter(([, value]) => !Number.isNaN(value)));
    const seed =
      given.seed === undefined
        ? crypto.getRandomValues(new Uint32Array(1))[0] % SEEDS
        : (given.seed + attempt) % Number.MAX_SAFE_INTEGER;
    return { maxTokens: most, ...given, seed };
  }

  #field(name) {
    return this.#form.elements.namedItem(name);
  }

  #showThreads() {
    const cores = navigator.hardwareConcurrency;
    const threads = this.#field("threads");
    threads.disabled = !crossOriginIsolated;
    if (crossOriginIsolated) threads.valueAsNumber = cores;
    document.getElementById("threads-hint").textContent = crossOriginIsolated
      ? `this device can run ${cores} at once`
      : "this page may use one only";
    document.getElementById("isolation").textContent = crossOriginIsolated
      ? "This page is cross-origin isolated: the engine can use several threads."
      : "This page is not cross-origin isolated: the engine uses one thread. A server that sends the headers COOP and COEP changes that.";
  }
}
