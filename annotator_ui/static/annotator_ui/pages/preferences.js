// Preferences: language, theme, motion, and every key table with the person's own keys.

import * as api from "../api.js";
import { TABLES, chord, conflicts, meaning, personalise, written } from "../keys.js";
import { t } from "../words.js";
import { $, busy, fields, fill, h, me, onSubmit, toast } from "./ui.js";

const MOST = 4;
const MODIFIERS = new Set(["control", "shift", "alt", "meta", "altgraph", "tab", "capslock", "process", "dead", "unidentified"]);
const own = structuredClone(me.preferences.keys ?? {});
const looks = $("#looks");
let opened = null;

async function save(preferences) {
  me.preferences = (await api.patch("me/", { preferences })).preferences;
}

function drawLooks() {
  const languages = looks.dataset.languages.split(",").map((each) => each.split("="));
  fill(
    looks,
    ...fields([
      { name: "language", label: t("Language"), type: "select", options: languages, value: document.documentElement.lang },
      { name: "theme", label: t("Theme"), type: "select", value: me.preferences.theme ?? "system", options: [["system", t("As the system has it")], ["light", t("Light")], ["dark", t("Dark")]] },
      { name: "motion", label: t("Motion"), type: "select", value: me.preferences.motion ?? "system", options: [["system", t("As the system has it")], ["still", t("Keep things still")]] },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Save"))),
  );
}

onSubmit(looks, async (wanted) => {
  await save(wanted);
  // The page comes in the new language and theme.
  window.location.reload();
});

function drawTables() {
  fill(
    $("#tables"),
    h("h2", { id: "keys-title" }, t("Keys")),
    h("p", { class: "muted" }, t("Choose “New key” and press it. Escape leaves the key as it is.")),
    ...TABLES.map(({ name, label, table }) => {
      const rows = table.map((entry) => h("tr", { "data-action": entry.action }, h("th", { scope: "row" }, meaning(entry)), h("td", {}, ...keysOf(name, entry)), h("td", {}, ...buttons(name, entry))));
      const reset = h("button", { type: "button", onclick: () => busy(reset, () => change(name, null)) }, t("All of this table as delivered"));
      return h(
        "details",
        { class: "card", "data-table": name, open: name === opened },
        h("summary", {}, t(label)),
        h("div", { class: "table-wrap" }, h("table", {}, h("caption", { class: "hidden" }, t(label)), h("tbody", {}, ...rows))),
        h("p", { class: "row" }, reset),
      );
    }),
  );
}

function keysOf(name, entry) {
  return entry.keys.map((key, at) => {
    const label = entry.shown ?? written({ keys: [key] })[0];
    if (entry.shown && at) return null;
    const drop = () => change(name, entry.action, entry.keys.filter((each) => each !== key));
    const off = entry.shown || entry.keys.length === 1;
    return h("span", { class: "key" }, h("kbd", {}, label), off ? null : h("button", { type: "button", class: "plain", "aria-label": t("Remove the key {key}", { key: label }), onclick: (event) => busy(event.currentTarget, drop) }, "×"));
  }).filter(Boolean);
}

function buttons(name, entry) {
  if (entry.shown) return [];
  const listen = h("button", { type: "button", class: "press", onclick: () => press(name, entry, listen) }, t("New key"));
  const changed = entry.keys !== entry.standard;
  const reset = h("button", { type: "button", class: "plain", onclick: () => busy(reset, () => change(name, entry.action, null)) }, t("As delivered"));
  return [listen, changed ? reset : null].filter(Boolean);
}

/** Wait for the new key of an action. */
function press(name, entry, button) {
  const label = button.textContent;
  const stop = () => {
    document.removeEventListener("keydown", heard, true);
    button.removeEventListener("blur", stop);
    button.classList.remove("waits");
    button.textContent = label;
  };
  const heard = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (MODIFIERS.has(event.key.toLowerCase())) return;
    stop();
    const key = chord(event);
    if (key === "escape") return;
    const [other] = conflicts(name, entry.action, key);
    if (other) return toast(t("{key} is taken: {label} ({table}).", { key: written({ keys: [key] })[0], label: t(other.label), table: t(other.table) }), "bad");
    if (entry.keys.includes(key)) return;
    // The new key comes first: it is the one that buttons show.
    busy(button, () => change(name, entry.action, [key, ...entry.keys].slice(0, MOST)));
  };
  button.classList.add("waits");
  button.textContent = t("Press the new key…");
  document.addEventListener("keydown", heard, true);
  button.addEventListener("blur", stop);
}

/** Set an action's keys; null: as delivered, and without an action the whole table. */
async function change(name, action, keys = null) {
  const before = structuredClone(own);
  if (action === null) delete own[name];
  else if (keys === null) delete own[name]?.[action];
  else own[name] = { ...own[name], [action]: keys };
  try {
    await save({ keys: own });
  } catch (problem) {
    Object.keys(own).forEach((each) => delete own[each]);
    Object.assign(own, before);
    throw problem;
  }
  personalise(own);
  opened = name;
  drawTables();
  $(`[data-table="${name}"] [data-action="${action}"] .press`)?.focus();
  toast(t("Saved."));
}

drawLooks();
drawTables();
