// Review: alignments, ratings and artists' meshes, each rendered before the verdict.

import * as api from "../api.js";
import { number, when } from "../format.js";
import { fromAngles, isPose, toAngles } from "../poses.js";
import { problemButton } from "./problem.js";
import { report } from "./report.js";
import { showPosed, showTurning } from "./posed.js";
import { $, busy, complain, facts, fields, fill, h, stateOf, table, toast, values } from "./ui.js";

const TABS = { align: "Alignments", compare: "Ratings", submissions: "Artists' meshes" };
const address = new URLSearchParams(window.location.search);
const batch = address.get("batch") ?? ""; // without one: all batches that ask for review
let shown = null; // {object, batch, stage} of what is on screen
let tab = address.get("tab") || "align";
if (!(tab in TABS)) tab = "align";

function drawTabs() {
  fill(
    $("#tabs"),
    ...Object.entries(TABS).map(([name, label]) => h("button", { type: "button", "aria-pressed": String(name === tab), onclick: () => show(name) }, label)),
  );
}

async function show(name) {
  tab = name;
  shown = null;
  window.history.replaceState(null, "", api.withQuery("/review/", { tab, batch }));
  $("#work").hidden = true;
  drawTabs();
  await list().catch(complain);
}

async function list() {
  const submissions = tab === "submissions";
  const rows = await api.all(submissions ? "submissions/?state=in_review" : api.withQuery("reviews/", { stage: tab, batch }), 200);
  const open = (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => (submissions ? openSubmission(row) : openAnswer(row))) }, title(row));
  const columns = submissions
    ? [["Object", open], ["Version", (row) => row.version], ["By", (row) => row.artist], ["Sent", (row) => when(row.created_at)]]
    : [
        ["Object", open],
        [tab === "align" ? "IoU" : "Rating", (row) => number(tab === "align" ? row.iou : row.r)],
        ["By", (row) => row.user],
        ["At", (row) => when(row.at)],
      ];
  fill($("#list"), table(TABS[tab], columns, rows, "Nothing waits for review."));
}

function title(row) {
  const object = row.object ?? row.task.object;
  return `${object.category || "object"} ${object.id}`;
}

async function openAnswer(row) {
  shown = { object: row.object.id, batch: row.batch_id, stage: row.stage };
  const picture = h("div", {});
  const mesh = h("div", {});
  const form = h("form", { class: "form" });
  const pose = row.pose;
  form.append(
    ...fields([{ name: "note", label: "Note", type: "textarea", hint: "Needed when it is sent back.", maxlength: 2000 }]),
    ...(pose ? [poseFields(pose, row, picture)] : []),
    h(
      "p",
      { class: "row" },
      verdictButton("accept", "Accept", "primary", row, form),
      pose ? verdictButton("fix", "Store my pose instead", "", row, form) : null,
      verdictButton("return", "Send back", "", row, form),
    ),
  );
  fill(
    $("#work"),
    h("h2", {}, title(row)),
    facts([
      ["By", row.user],
      ["At", when(row.at)],
      ["Batch", row.batch],
      row.r === null ? ["Mask IoU as measured", number(row.iou)] : ["Rating", `${number(row.r)} (bar ${number(row.alpha)})`],
    ]),
    pose ? picture : h("div", { class: "columns" }, picture, mesh),
    form,
  );
  $("#work").hidden = false;
  await showPosed(picture, { object: row.object, model_url: row.candidate?.model_url, pose });
  if (!pose && row.candidate) await showTurning(mesh, row.candidate.model_url);
}

/** Numbers of the pose to fix; a change is drawn at once. */
function poseFields(pose, row, picture) {
  const start = { t: pose.t, r: toAngles(pose.R), s: pose.s };
  const labels = { t: "Position", r: "Rotation °", s: "Scale" };
  const grid = h(
    "div",
    { class: "numbers", role: "group", "aria-label": "Pose" },
    ...Object.entries(labels).flatMap(([name, label]) => [
      h("span", {}, label),
      ...start[name].map((value, axis) => h("input", { type: "number", step: "any", name: `${name}${axis}`, value: Number(value.toPrecision(6)), "aria-label": `${label} ${"xyz"[axis]}` })),
    ]),
  );
  grid.addEventListener("change", () => {
    const changed = poseOf(values(grid.closest("form")));
    if (changed) showPosed(picture, { object: row.object, model_url: row.candidate?.model_url, pose: changed }).catch(complain);
  });
  return h("details", {}, h("summary", {}, "Fix the pose"), grid);
}

function poseOf(found) {
  const three = (name) => [0, 1, 2].map((axis) => found[`${name}${axis}`]);
  const pose = { R: fromAngles(three("r")), t: three("t"), s: three("s") };
  return isPose(pose) ? pose : null;
}

function verdictButton(verdict, label, kind, row, form) {
  const button = h("button", { type: "button", class: kind }, label);
  button.addEventListener("click", () =>
    busy(button, async () => {
      const found = values(form);
      const body = { verdict, note: found.note };
      if (verdict === "return" && !found.note.trim()) return toast("Say what is to be done again.", "bad");
      if (verdict === "fix") {
        body.pose = poseOf(found);
        if (!body.pose) return toast("These numbers make no pose: scales must be above 0.", "bad");
      }
      await api.post(`reviews/${row.assignment_id}/`, body);
      return settled();
    }),
  );
  return button;
}

async function settled() {
  toast("Verdict stored.");
  $("#work").hidden = true;
  await list();
}

async function openSubmission(row) {
  const found = await api.get(`submissions/${row.id}/`);
  shown = { object: found.task.object.id, batch: found.task.batch.id, stage: "art" };
  const picture = h("div", {});
  const mesh = h("div", {});
  const form = h("form", { class: "form" }, ...fields([{ name: "note", label: "Note for the artist", type: "textarea", maxlength: 2000 }]));
  const decide = (verdict, label, kind) => {
    const button = h("button", { type: "button", class: kind }, label);
    button.addEventListener("click", () => busy(button, () => judge(row.id, verdict, values(form).note)));
    return button;
  };
  form.append(h("p", { class: "row" }, decide("approve", "Approve", "primary"), decide("return", "Send back", "")));
  fill(
    $("#work"),
    h("h2", {}, title(row), " ", stateOf(found.state)),
    facts([["By", found.artist], ["Version", found.version], ["Why it was hard", found.task.reason || "–"], ["Batch", found.task.batch.name]]),
    h("div", { class: "columns" }, picture, mesh),
    found.report ? report(found.report) : null,
    form,
  );
  $("#work").hidden = false;
  await Promise.all([showPosed(picture, { object: found.task.object }), found.model_url ? showTurning(mesh, found.model_url) : null]);
}

async function judge(id, verdict, note) {
  if (verdict === "return" && !note.trim()) return toast("Say what is to be done again.", "bad");
  await api.post(`submissions/${id}/verdict/`, { verdict, note });
  return settled();
}

problemButton(() => shown);
drawTabs();
show(tab);
