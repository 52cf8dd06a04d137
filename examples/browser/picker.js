// The list of models: a dialog with those of cria, some of Hugging Face, a file and an address.
import { MODELS, modelOfAddress, modelOfFiles, size } from "./models.js";
import { closeByBackdrop } from "./settings.js";

const $ = (id) => document.getElementById(id);

/** The dialog with the models. */
export class Picker {
  #dialog;
  #choose;
  #items = new Map();
  /** cria's functions over its cache of downloads, once they are needed. */
  #cache;

  /** @param choose is called with the model that the user takes */
  constructor(dialog, choose) {
    this.#dialog = dialog;
    this.#choose = choose;
    closeByBackdrop(dialog);
    for (const model of MODELS) this.#add(model);
    $("file").addEventListener("change", ({ target }) => {
      if (target.files.length > 0) this.#take(modelOfFiles(target.files));
    });
    $("address-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#take(modelOfAddress($("address").value.trim(), $("cache").checked));
    });
  }

  open() {
    this.#dialog.showModal();
    this.#showKept();
  }

  /** Marks the model that is used, and how far its loading is. */
  show({ model, state, fraction }) {
    for (const [id, { item, button, text, progress }] of this.#items) {
      const isUsed = id === model.id;
      item.classList.toggle("used", isUsed);
      button.setAttribute("aria-pressed", String(isUsed));
      text.textContent = isUsed ? state : "";
      progress.hidden = !isUsed || fraction === undefined;
      if (fraction !== undefined) progress.value = fraction;
    }
  }

  #take(model) {
    this.#dialog.close();
    this.#choose(model);
  }

  #add(model) {
    const item = $("model-item").content.firstElementChild.cloneNode(true);
    const part = (name) => item.querySelector(`.${name}`);
    part("name").textContent = model.name;
    part("size").textContent = size(model.bytes);
    part("about").textContent = model.about;
    const button = part("take");
    button.addEventListener("click", () => this.#take(model));
    part("remove").addEventListener("click", () => this.#remove(model));
    this.#items.set(model.id, {
      item,
      button,
      text: part("state"),
      kept: part("kept"),
      remove: part("remove"),
      progress: part("progress"),
    });
    $(model.isEmbedded ? "embedded-models" : "hub-models").append(item);
  }

  /** Says which models are in the browser's cache, as far as it can be read. */
  async #showKept() {
    let cached = [];
    try {
      this.#cache ??= await import("../../dist/models.js");
      cached = await this.#cache.list();
    } catch {
      // Without a cache every model is downloaded anew.
    }
    for (const model of MODELS) {
      const { kept, remove } = this.#items.get(model.id);
      const entry = cached.find(({ name }) => name === model.source);
      remove.hidden = entry === undefined;
      kept.textContent = !entry
        ? ""
        : entry.isWhole
          ? "Kept in this browser"
          : `${size(entry.bytes)} have come`;
    }
  }

  async #remove(model) {
    const { kept } = this.#items.get(model.id);
    try {
      await this.#cache.remove(model.source);
      await this.#showKept();
    } catch (error) {
      kept.textContent = error.message;
    }
  }
}
