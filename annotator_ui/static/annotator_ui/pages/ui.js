// What every page uses of the DOM: building elements, messages, questions, keys, tables and forms.

import * as api from "../api.js";
import { words } from "../format.js";
import { find, meaning, personalise, written } from "../keys.js";
import { t } from "../words.js";

const { dataset } = document.body;
export const me = { id: dataset.userId, name: dataset.user, role: dataset.role, preferences: JSON.parse(dataset.preferences || "{}") };
api.configure({ csrf: () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "", user: me.id });
personalise(me.preferences.keys);

/** Whether things should stand still: the person's own wish, else the machine's. */
export const isStill = () => me.preferences.motion === "still" || window.matchMedia("(prefers-reduced-motion: reduce)").matches;

export const $ = (selector, root = document) => root.querySelector(selector);

/** An element: h("p", {class: "small", onclick}, "text", child, ...); null children are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make viewers; where the browser cannot, the page says so instead of loading for ever. */
export function needsWebGL(make) {
  try {
    return make();
  } catch (problem) {
    $("#veil-text").textContent = t("This browser shows no WebGL 2: turn on graphics acceleration, or use a current Chrome, Firefox or Safari.");
    throw problem;
  }
}

/** A passing message; level "bad" for what went wrong. */
export function toast(message, level = "") {
  const line = h("p", { class: level }, message);
  $("#toasts").append(line);
  setTimeout(() => line.remove(), level === "bad" ? 9000 : 4000);
}

export function status(message) {
  $("#status").textContent = message;
}

/** Run an action of a button: it is off meanwhile, and what goes wrong is said. */
export async function busy(button, action) {
  if (button?.disabled) return undefined;
  if (button) button.disabled = true;
  try {
    return await action();
  } catch (problem) {
    complain(problem);
    return undefined;
  } finally {
    if (button) button.disabled = false;
  }
}

export function complain(problem) {
  toast(problem.status === 401 ? t("Your login has ended: log in again to go on.") : problem.message, "bad");
  if (!("status" in problem)) console.error(problem);
}

/** Ask a question with buttons; `extra` are elements of the form. Resolves with the value chosen, null when dismissed. */
export function ask(title, text, options, extra = []) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-label": title }, h("h2", {}, title), text ? h("p", {}, text) : null, ...extra);
    const row = h("div", { class: "row" });
    for (const [value, label, kind] of options)
      row.append(h("button", { type: "button", class: kind ?? "", onclick: () => close(value) }, label));
    dialog.append(row);
    const close = (value) => {
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    dialog.addEventListener("cancel", () => close(null));
    document.body.append(dialog);
    dialog.showModal();
  });
}

const FIELDS = new Set(["TEXTAREA", "SELECT"]);
const TEXTLESS = new Set(["range", "checkbox", "radio", "button", "submit", "file"]);

function takesText(element) {
  return FIELDS.has(element.tagName) || (element.tagName === "INPUT" && !TEXTLESS.has(element.type));
}

/** Tables that are bound beside a page's own; the key lists name them too. */
const beside = [];

/** Bind the table that `table()` gives to act(action, {key, fine}); true from act keeps the browser's own meaning. */
export function bindKeys(table, act) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const hit = find(table(), event);
    if (!hit) return;
    if (takesText(event.target) && hit.action !== "submit") return;
    const onButton = ["BUTTON", "A", "SUMMARY"].includes(event.target.tagName) && ["enter", "space"].includes(hit.key);
    if (onButton || act(hit.action, hit) === true) return;
    event.preventDefault();
  });
}

/** Bind a table for as long as the page lives, beside the page's own. */
export function bindBeside(table, act) {
  beside.push(...table);
  bindKeys(() => table, act);
}

/** The list of keys, from the tables that bind them. */
export function listKeys(table, list = $("#keys")) {
  fill(
    list,
    ...[...table, ...beside].flatMap((entry) => [
      h("dt", {}, ...written(entry).flatMap((key, at) => [at ? " " : null, h("kbd", {}, key)])),
      h("dd", {}, meaning(entry)),
    ]),
  );
}

/** A button that names its key. */
export function keyButton(table, action, label, onclick, properties = {}) {
  const entry = table.find((each) => each.action === action);
  return h("button", { type: "button", "data-action": action, onclick, ...properties }, label, h("kbd", {}, written(entry)[0]));
}

/** columns: [[heading, row => text or element], ...]. */
export function table(caption, columns, rows, empty = t("Nothing here yet.")) {
  if (!rows.length) return h("div", {}, h("h2", {}, caption), h("p", { class: "muted" }, empty));
  return h(
    "div",
    { class: "table-wrap" },
    h(
      "table",
      {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, ...columns.map(([heading]) => h("th", { scope: "col" }, heading)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...columns.map(([, cell]) => h("td", {}, cell(row) ?? "–"))))),
    ),
  );
}

export function facts(pairs) {
  return h("dl", { class: "facts" }, ...pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function stateOf(value) {
  return h("span", { class: `state ${value}` }, words(value));
}

/** Fields of a form: {name, label, type, value, hint, options, ...attributes of the input}. */
export function fields(definitions) {
  return definitions.map(({ name, label, type = "text", value, hint, options, ...rest }) => {
    const id = `field-${name}`;
    if (type === "checkbox")
      return h("label", { class: "check" }, h("input", { type, name, id, checked: Boolean(value), ...rest }), label, hint ? h("span", { class: "hint" }, hint) : null);
    if (type === "choices")
      return h("fieldset", {}, h("legend", {}, label), ...options.map(([choice, text]) => h("label", { class: "check" }, h("input", { type: "checkbox", name, value: choice }), text)), options.length ? null : h("span", { class: "hint" }, hint));
    let input;
    if (type === "select")
      input = h("select", { name, id, ...rest }, ...options.map(([choice, text]) => h("option", { value: choice, selected: choice === value }, text)));
    else if (type === "textarea") input = h("textarea", { name, id, rows: 4, ...rest }, value ?? "");
    else input = h("input", { type, name, id, value, ...rest });
    return h("label", { for: id }, label, input, hint ? h("span", { class: "hint" }, hint) : null);
  });
}

/** Values of a form by field name; numbers as numbers, checkboxes as booleans, `choices` as lists. */
export function values(form) {
  const found = {};
  for (const input of form.elements) {
    if (!input.name || input.type === "file" || input.disabled) continue;
    if (input.closest("fieldset") && input.type === "checkbox") {
      found[input.name] ??= [];
      if (input.checked) found[input.name].push(/^\d+$/.test(input.value) ? Number(input.value) : input.value);
    } else if (input.type === "checkbox") found[input.name] = input.checked;
    else if (input.type === "number") {
      if (input.value !== "") found[input.name] = Number(input.value);
    } else found[input.name] = input.value;
  }
  return found;
}

/** Submit handler of a form: its submit button is off while `action(values)` runs. */
export function onSubmit(form, action) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy($("button[type=submit]", form), () => action(values(form)));
  });
}

/** Watch a job until it has ended; onChange(job) at each look. */
export async function watchJob(id, onChange = () => {}, every = 1000) {
  for (;;) {
    const job = await api.get(`jobs/${id}/`);
    onChange(job);
    if (["done", "failed", "cancelled"].includes(job.state)) return job;
    await new Promise((done) => setTimeout(done, every));
  }
}

/** One line with bar for a job. */
export function jobLine(job) {
  const line = h("p", { class: "row small" }, stateOf(job.state), h("progress", { max: 1, value: job.progress ?? 0 }), h("span", {}, job.error || job.message || ""));
  return line;
}
