// Art: the artist's cases in a list, what came back first; the open one beside it.

import * as api from "../api.js";
import { words } from "../format.js";
import { ART, DESK } from "../keys.js";
import { t, w } from "../words.js";
import { ArtCase } from "./art_case.js";
import { SendPanel } from "./art_upload.js";
import { offerInstructions, toggleInstructions } from "./instructions.js";
import { named } from "./names.js";
import { problemButton } from "./problem.js";
import { $, bindBeside, bindKeys, busy, complain, fill, h, keyButton, listKeys, stateOf, toast } from "./ui.js";

const GROUPS = {
  returned: w("Sent back to you"),
  mine: w("In your hands"),
  free: w("Free to claim"),
  done: w("Done"),
};
const panels = new Map(); // an upload goes on while another case is looked at
let rows = [];
let view = null;
let assignment = null;

function groupOf({ assignment: own, returned }) {
  if (!own) return "free";
  if (own.state === "submitted") return "done";
  return returned ? "returned" : "mine";
}

async function list() {
  rows = await api.all("art/tasks/");
  const sections = Object.entries(GROUPS).map(([group, label]) => section(t(label), rows.filter((row) => groupOf(row) === group)));
  fill($("#list"), ...(rows.length ? sections : [h("p", { class: "muted" }, t("No art cases are waiting."))]));
  mark();
}

function section(label, cases) {
  return cases.length ? h("section", {}, h("h2", {}, label), h("ul", { class: "cases" }, ...cases.map(line))) : null;
}

function line(row) {
  const { object } = row;
  const last = row.submissions.at(-1);
  const button = h(
    "button",
    { type: "button", class: "case", "data-task": row.id },
    h("img", { src: object.photo_url, alt: "", loading: "lazy" }),
    h(
      "span",
      {},
      h("strong", { translate: "no" }, object.category || t("object"), ` ${object.id}`),
      h("span", { class: "small" }, named(row.batch.name), row.reason ? ` · ${words(row.reason)}` : null),
      row.returned?.note ? h("span", { class: "warn" }, t("Reviewer: {note}", { note: row.returned.note })) : null,
      last ? h("span", {}, t("Version {version}", { version: last.version }), " ", stateOf(last.state)) : null,
    ),
    row.assignment ? null : h("span", { class: "claim" }, t("Claim")),
  );
  button.addEventListener("click", () => busy(button, () => (row.assignment ? show(row.assignment.id) : claim(row.id))));
  return h("li", {}, button);
}

function mark() {
  for (const button of $("#list").querySelectorAll("[data-task]")) {
    const own = rows.find((row) => String(row.id) === button.dataset.task)?.assignment;
    if (assignment && own?.id === assignment.id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

async function claim(task) {
  const found = await api.post("next/", { stage: "art", task });
  if (!found) toast(t("Somebody else has this case."), "bad");
  await list();
  if (found) await show(found.id);
}

async function show(id) {
  const [found, case_] = await Promise.all([api.get(`assignments/${id}/`), api.get(`assignments/${id}/case/`)]);
  view?.dispose();
  assignment = found;
  window.history.replaceState(null, "", `/art/?assignment=${id}`);
  mark();
  const work = $("#work");
  work.hidden = false;
  const isOpen = case_.assignment.state === "leased";
  view = new ArtCase(work, { case_, assignment, panel: isOpen ? panelOf(assignment).element : h("p", { class: "good" }, t("This case is done.")), reload: () => reload(id) });
  offerInstructions(assignment.batch).catch(complain);
  await view.open();
}

function panelOf({ id, fence }) {
  const known = panels.get(id);
  if (known?.panel.assignment.fence === fence) return known;
  const element = h("section", { class: "send", "aria-label": t("Send your mesh") });
  const made = { element, panel: new SendPanel(element, { assignment: { id, fence }, onSent: () => reload(id) }) };
  panels.set(id, made);
  return made;
}

/** The versions of a case, anew; another case may be on screen by now. */
async function reload(id) {
  const case_ = await api.get(`assignments/${id}/case/`);
  if (assignment?.id === id) await view.update(case_);
  await list();
}

function step(by) {
  const buttons = [...$("#list").querySelectorAll("[data-task]")];
  const at = buttons.findIndex((button) => button === document.activeElement || (!$("#list").contains(document.activeElement) && button.hasAttribute("aria-current")));
  buttons[Math.max(0, Math.min(buttons.length - 1, at + by))]?.focus();
}

const ACTIONS = {
  next: () => step(1),
  previous: () => step(-1),
  choose: () => panels.get(assignment?.id)?.panel.choose(),
  pause: () => panels.get(assignment?.id)?.panel.toggle(),
};

function act(action) {
  if (action in ACTIONS) ACTIONS[action]();
  else view?.act(action);
}

function drawTools() {
  const table = DESK.filter(({ action }) => action === "instructions");
  const open = () => (assignment ? toggleInstructions(assignment.batch).catch(complain) : toast(t("Open an object first.")));
  fill($("#tools"), keyButton(table, "instructions", t("Instructions"), open, { class: "plain" }));
  bindBeside(table, () => void open());
  problemButton(() => assignment && { object: assignment.object.id, batch: assignment.batch.id, stage: "art" });
}

drawTools();
bindKeys(() => ART, act);
listKeys(ART);
list().catch(complain);
const wanted = new URLSearchParams(window.location.search).get("assignment");
if (wanted) show(Number(wanted)).catch(complain);
