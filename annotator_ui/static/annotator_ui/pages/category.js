// The category of an object: free text, or with type-ahead over the batch's taxonomy (a combobox as WAI-ARIA has it).

import * as api from "../api.js";
import { t } from "../words.js";
import { $, fill, h } from "./ui.js";

const MOST = 12;
const known = new Map();

/** Categories that fit what was typed: those that begin so first, then those that have it inside. */
export function fitting(categories, typed) {
  const wanted = typed.trim().toLowerCase();
  const [first, inside] = [[], []];
  for (const each of categories) {
    const at = each.toLowerCase().indexOf(wanted);
    if (at >= 0) (at === 0 ? first : inside).push(each);
  }
  return [...first, ...inside].slice(0, MOST);
}

export class Category {
  /** onChange(): the person has changed something. */
  constructor(onChange) {
    this.onChange = onChange;
    this.input = $("#category");
    this.list = $("#categories");
    this.outside = $("#outside");
    this.categories = [];
    this.chosen = -1;
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.input.addEventListener("blur", () => this.#close());
    this.input.addEventListener("click", () => this.#open());
    this.outside.addEventListener("change", () => {
      this.#complain("");
      onChange();
    });
  }

  /** The taxonomy of the object's batch, fetched once, and what is known of the object. */
  async open(batch, { category, outside }) {
    if (!known.has(batch)) known.set(batch, (await api.get(`batches/${batch}/taxonomy/`)).categories);
    this.categories = known.get(batch);
    this.input.value = category;
    this.outside.checked = Boolean(outside);
    this.outside.closest("label").hidden = !this.categories.length;
    this.#complain("");
    this.#close();
  }

  /** {category, outside}, or null after saying what is missing. */
  read() {
    const typed = this.input.value.trim();
    if (!this.categories.length) return { category: typed, outside: false };
    const same = this.categories.find((each) => each.toLowerCase() === typed.toLowerCase());
    if (same) return { category: same, outside: false };
    if (this.outside.checked && typed) return { category: typed, outside: true };
    this.#complain(typed ? t("“{typed}” is not in the taxonomy: choose a category, or tick the box below.", { typed }) : t("Choose the category of the object."));
    this.input.focus();
    return null;
  }

  /** As it stands, for a draft. */
  get state() {
    return { category: this.input.value, outside: this.outside.checked };
  }

  #complain(message) {
    $("#category-problem").textContent = message;
    this.input.setAttribute("aria-invalid", String(Boolean(message)));
  }

  #typed() {
    this.#complain("");
    this.#open();
    this.onChange();
  }

  #open() {
    const found = this.categories.length ? fitting(this.categories, this.input.value) : [];
    this.chosen = -1;
    fill(this.list, ...found.map((each, at) => h("li", { role: "option", id: `category-${at}`, "aria-selected": "false", onpointerdown: (event) => this.#pick(each, event) }, each)));
    this.list.hidden = !found.length;
    this.input.setAttribute("aria-expanded", String(Boolean(found.length)));
    this.input.removeAttribute("aria-activedescendant");
  }

  #close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #pick(category, event) {
    event?.preventDefault();
    this.input.value = category;
    this.#complain("");
    this.#close();
    this.onChange();
  }

  #key(event) {
    const options = [...this.list.children];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      if (this.list.hidden) this.#open();
      else this.#choose((this.chosen + step + options.length) % options.length);
    } else if (event.key === "Escape") {
      if (this.list.hidden) this.input.blur();
      this.#close();
    } else if (["Enter", "Tab"].includes(event.key) && !event.ctrlKey && !this.list.hidden && (this.chosen >= 0 || options.length === 1)) {
      this.#pick(options[Math.max(this.chosen, 0)].textContent);
      if (event.key === "Tab") return;
    } else return;
    event.preventDefault();
  }

  #choose(at) {
    this.chosen = at;
    [...this.list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    this.input.setAttribute("aria-activedescendant", `category-${at}`);
    this.list.children[at]?.scrollIntoView({ block: "nearest" });
  }
}
