// Review: what waits in a list beside the answer under review; by keyboard through the list, one verdict per answer.

import * as api from "../api.js";
import { fixed, number, when } from "../format.js";
import { REVIEW } from "../keys.js";
import { MeshShelf } from "../scene/meshes.js";
import { t, w } from "../words.js";
import { named } from "./names.js";
import { problemButton } from "./problem.js";
import { ReviewAlign } from "./review_align.js";
import { ReviewArt } from "./review_art.js";
import { ReviewRate } from "./review_rate.js";
import { $, ask, bindKeys, busy, complain, fields, fill, h, keyButton, listKeys, table, toast, values } from "./ui.js";

const VIEWS = { align: ReviewAlign, compare: ReviewRate };
const TABS = { align: w("Alignments"), compare: w("Ratings"), submissions: w("Artists' meshes") };
const VERDICTS = { accept: w("Accepted"), fix: w("Fixed"), return: w("Sent back") };
const address = new URLSearchParams(window.location.search);
const shelf = new MeshShelf(api.bytes);
const details = new Map();
let batch = address.get("batch") ?? ""; // without one: all batches that ask for review
let tab = address.get("tab") in TABS ? address.get("tab") : "align";
let rows = [];
let at = -1;
let view = null;
let subject = null; // {object, batch, stage} of what is on screen

async function drawHead() {
  const batches = await api.all("batches/");
  const choice = h(
    "select",
    { id: "batch", onchange: () => show(tab, choice.value).catch(complain) },
    h("option", { value: "" }, t("All batches that ask for review")),
    ...batches.map((each) => h("option", { value: each.id, selected: String(each.id) === batch, translate: "no" }, each.name)),
  );
  fill($("#filters"), h("label", {}, t("Batch"), " ", choice));
}

function drawTabs() {
  fill(
    $("#tabs"),
    ...Object.entries(TABS).map(([name, label]) => h("button", { type: "button", "aria-pressed": String(name === tab), onclick: () => show(name, batch).catch(complain) }, t(label))),
  );
}

async function show(name, chosen) {
  [tab, batch] = [name, chosen];
  window.history.replaceState(null, "", api.withQuery("/review/", { tab, batch }));
  close();
  drawTabs();
  rows = [];
  if (tab === "submissions") {
    view = new ReviewArt($("#list"), $("#work"), (about) => (subject = about));
    return view.open();
  }
  rows = await api.all(api.withQuery("reviews/", { stage: tab, batch }), 200);
  drawList();
  if (rows.length) await openRow(0);
  return undefined;
}

function drawList() {
  const own = tab === "align" ? [[t("Mask IoU"), (row) => fixed(row.iou)]] : [[t("Rating"), (row) => number(row.r)]];
  const columns = [
    [t("Object"), (row) => h("button", { type: "button", class: "plain", translate: "no", "data-row": row.assignment_id, onclick: () => openRow(rows.indexOf(row)).catch(complain) }, title(row))],
    ...own,
    [t("By"), (row) => named(row.user)],
    [t("At"), (row) => when(row.at)],
  ];
  fill($("#list"), table(t(TABS[tab]), columns, rows, t("Nothing waits for review.")));
  mark();
}

function mark() {
  for (const button of $("#list").querySelectorAll("[data-row]")) {
    const here = button.dataset.row === String(rows[at]?.assignment_id);
    button.closest("tr").classList.toggle("here", here);
    if (here) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  $("#list [aria-current]")?.scrollIntoView({ block: "nearest" });
}

const title = (row) => `${row.object.category || t("object")} ${row.object.id}${row.round > 1 ? ` · ${t("round {round}", { round: row.round })}` : ""}`;

/** The answer with all that its verdict needs; fetched once, ahead of time for the next one. */
function detail(row) {
  const id = row.assignment_id;
  if (!details.has(id)) {
    const coming = api.get(`reviews/${id}/`);
    coming.catch(() => details.delete(id));
    details.set(id, coming);
  }
  return details.get(id);
}

function close() {
  view?.dispose();
  view = subject = null;
  at = -1;
  document.body.classList.remove("fixing");
  $("#work").hidden = true;
  fill($("#work"));
}

async function openRow(place) {
  if (place < 0 || place >= rows.length || (place === at && view)) return;
  close();
  at = place;
  mark();
  const row = rows[place];
  subject = { object: row.object.id, batch: row.batch_id, stage: row.stage };
  const found = await detail(row);
  if (rows[at] !== row) return;
  const work = $("#work");
  const [body, verdicts] = [h("div", { class: "answer" }), h("div", { class: "row verdicts" })];
  fill(work, h("h2", { translate: "no" }, title(row)), notes(found), body, verdicts, keyList());
  work.hidden = false;
  drawVerdicts(verdicts);
  listKeys(REVIEW, $("#keys"));
  view = new VIEWS[tab](body, found, { shelf, settle: (body) => settle(row, body), fixing: (on) => document.body.classList.toggle("fixing", on) });
  await view.open();
  const next = rows[place + 1];
  if (next) detail(next).then((ahead) => ahead.candidate && shelf.get(ahead.candidate.model_url)).catch(() => {});
  shelf.keep([found, next && (await detail(next).catch(() => null))].flatMap((each) => each?.candidate?.model_url ?? []));
}

const keyList = () => h("details", { class: "keys" }, h("summary", {}, t("Keys")), h("dl", { id: "keys", tabindex: 0 }));

/** What earlier rounds were sent back with. */
function notes(found) {
  if (!found.history.length) return null;
  const who = (each) => t("{reviewer} to {user}, {at}", { ...each, at: when(each.at) });
  return h(
    "ul",
    { class: "history", translate: "no" },
    ...found.history.map((each) => h("li", {}, h("strong", {}, t(VERDICTS[each.verdict])), " ", each.note || "–", " ", h("span", { class: "small" }, who(each)))),
  );
}

function drawVerdicts(holder) {
  fill(
    holder,
    keyButton(REVIEW, "accept", t("Accept"), () => act("accept"), { class: "primary" }),
    keyButton(REVIEW, "fix", t("Fix"), () => act("fix")),
    keyButton(REVIEW, "return", t("Send back…"), () => act("return")),
    keyButton(REVIEW, "previous", t("Previous"), () => act("previous"), { disabled: at <= 0 }),
    keyButton(REVIEW, "next", t("Next"), () => act("next"), { disabled: at >= rows.length - 1 }),
  );
}

/** Store a verdict; the answer leaves the list and the next one is opened. */
async function settle(row, body) {
  try {
    await api.post(`reviews/${row.assignment_id}/`, body);
    toast(t("Verdict stored."));
  } catch (problem) {
    if (!["already_reviewed", "not_found"].includes(problem.code)) throw problem;
    toast(t("Somebody else has judged this answer meanwhile."), "bad");
  }
  const place = rows.indexOf(row);
  close();
  rows = rows.filter((each) => each !== row);
  details.delete(row.assignment_id);
  drawList();
  await openRow(Math.min(place, rows.length - 1));
}

async function sendBack() {
  const row = rows[at];
  const form = h("form", { class: "form" }, ...fields([{ name: "note", label: t("What is to be done again?"), type: "textarea", maxlength: 2000, required: true }]));
  const choice = await ask(t("Send back"), t("A new round opens with your note on it."), [["send", t("Send back"), "primary"], [null, t("Cancel")]], [form]);
  if (choice !== "send") return;
  const { note } = values(form);
  if (!note.trim()) toast(t("Say what is to be done again."), "bad");
  else await settle(row, { verdict: "return", note });
}

const ACTIONS = {
  next: () => openRow(at + 1),
  previous: () => openRow(at - 1),
  accept: () => settle(rows[at], { verdict: "accept" }),
  return: sendBack,
};

/** One verdict at a time; what the page does not know is the view's. */
function act(action, hit = {}) {
  if (!view) return undefined;
  if (view.fixes) return view.act(action, hit);
  if (!(action in ACTIONS)) return view.act(action, hit);
  busy($(`#work [data-action=${action}]`), ACTIONS[action]);
  return undefined;
}

problemButton(() => subject);
bindKeys(() => (view?.fixes ? view.table : REVIEW), act);
document.addEventListener("keyup", () => view?.release?.());
drawHead().catch(complain);
show(tab, batch).catch(complain);
