// Art: hard objects to claim, what is known about each, a starter package, the upload and its mesh report.

import * as api from "../api.js";
import { when } from "../format.js";
import { offerInstructions } from "./instructions.js";
import { showPosed } from "./posed.js";
import { problemButton } from "./problem.js";
import { report } from "./report.js";
import { $, busy, complain, facts, fill, h, stateOf, table, toast } from "./ui.js";

const POLL_MS = 1500;
let assignment = null;
let polling = 0;
let submissions = [];

async function list() {
  const rows = await api.all("art/tasks/");
  fill(
    $("#list"),
    table(
      "Art tasks",
      [
        ["Object", (row) => `${row.object.category || row.object.name || "object"} ${row.object.id}`],
        ["Batch", (row) => row.batch.name],
        ["Why it came here", (row) => [row.reason, row.note].filter(Boolean).join(": ")],
        ["State", (row) => stateOf(row.assignment ? (row.assignment.state === "submitted" ? "done" : "yours") : row.state)],
        ["Sent", (row) => row.submissions.map((sent) => `version ${sent.version} ${sent.state.replace("_", " ")}`).join(", ") || "–"],
        ["", (row) => openButton(row)],
      ],
      rows,
      "No art tasks are waiting.",
    ),
  );
}

function openButton(row) {
  if (!row.assignment && row.state !== "open") return "";
  const button = h("button", { type: "button" }, row.assignment ? "Open" : "Claim");
  button.addEventListener("click", () => busy(button, () => (row.assignment ? show(row.assignment.id) : claim(row.id))));
  return button;
}

async function show(id) {
  const found = await api.get(`assignments/${id}/`);
  window.history.replaceState(null, "", `/art/?assignment=${id}`);
  return open(found);
}

async function claim(task) {
  const found = await api.post("next/", { stage: "art", task });
  if (!found) {
    toast("Somebody else has this task.", "bad");
    return list();
  }
  await list();
  return show(found.id);
}

async function open(found) {
  assignment = found;
  const { object, art } = assignment;
  const work = $("#work");
  const picture = h("div", {});
  const candidates = art.candidates ?? [];
  fill(
    work,
    h("h2", {}, `${object.category || "Object"} ${object.id}`),
    facts([
      ["Batch", assignment.batch.name],
      ["Why it came here", art.reason || "–"],
      ["Note", art.note || assignment.note || "–"],
    ]),
    h("div", { class: "columns" }, picture, h("div", {}, starter(object), sendForm(), h("div", { id: "submissions" }))),
    h("h3", {}, "Closest candidates, for reference"),
    h("div", { class: "thumbs" }, ...candidates.map((each, at) => h("img", { src: each.thumbnail_url, alt: `Candidate ${at + 1}`, loading: "lazy" }))),
  );
  offerInstructions(assignment.batch).catch(complain);
  work.hidden = false;
  const best = candidates[0];
  showPosed(picture, { object, model_url: best?.model_url, pose: best?.pose }).catch(complain);
  submissions = [];
  watch().catch(complain);
}

function starter(object) {
  return h(
    "p",
    {},
    h("a", { class: "button", href: `/api/v1/objects/${object.id}/starter.zip`, download: `object_${object.id}_starter.zip` }, "Download the starter package"),
    h("span", { class: "small" }, " photo, mask, camera, pointmap and the best candidate as GLB"),
  );
}

function sendForm() {
  const file = h("input", { type: "file", name: "file", required: true, accept: ".glb,.zip,.obj,.ply,.stl", "aria-label": "Mesh file" });
  const bar = h("progress", { max: 1, value: 0, hidden: true, "aria-label": "Upload" });
  const button = h("button", { class: "primary", type: "submit" }, "Send the mesh");
  const form = h(
    "form",
    { class: "form" },
    h("label", {}, "Your mesh", file, h("span", { class: "hint" }, "GLB, or OBJ or glTF with textures in a ZIP, PLY, STL; y up.")),
    h("p", { class: "row" }, button, bar),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(button, () => send(file.files[0], bar).finally(() => (bar.hidden = true)));
  });
  return form;
}

async function send(file, bar) {
  const { id, fence } = assignment;
  const body = new FormData();
  body.set("fence", fence);
  body.set("key", crypto.randomUUID());
  body.set("file", file);
  bar.hidden = false;
  await api.upload(`assignments/${id}/submission/`, body, (part) => (bar.value = part));
  toast("The mesh has arrived and is being checked.");
  await watch();
}

/** Draw the versions sent for this case, and look again while one of them is being checked. */
async function watch() {
  const mine = ++polling;
  while (mine === polling) {
    const sent = await api.all("submissions/");
    if (mine !== polling) return;
    submissions = sent.filter((row) => row.assignment === assignment.id).sort((a, b) => a.version - b.version);
    drawSubmissions();
    if (submissions.every((row) => row.state !== "checking")) break;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  if (mine === polling) await list();
}

function drawSubmissions() {
  fill($("#submissions"), ...submissions.map(describe).reverse());
}

function describe(submission) {
  return h(
    "div",
    {},
    h("h3", {}, `Version ${submission.version} `, stateOf(submission.state)),
    submission.created_at ? h("p", { class: "small" }, when(submission.created_at)) : null,
    submission.note ? h("p", { class: "warn" }, `Reviewer: ${submission.note}`) : null,
    submission.report ? report(submission.report) : h("p", { class: "muted" }, submission.job?.error || (submission.state === "checking" ? "The mesh is being checked…" : "")),
  );
}

problemButton(() => assignment && { object: assignment.object.id, batch: assignment.batch.id, stage: "art" });
list().catch(complain);
const wanted = new URLSearchParams(window.location.search).get("assignment");
if (wanted) show(wanted).catch(complain);
