// Names of people, batches, models and files, notes and code values: the same in every language.

import { h } from "./ui.js";

/** The text as an element that no translation touches. */
export const named = (text) => h("span", { translate: "no" }, text);
