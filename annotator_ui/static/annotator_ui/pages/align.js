// Align: the mesh over the photo and among the scene's points; every change is one undo step.

import * as api from "../api.js";
import { History, change } from "../history.js";
import { ALIGN } from "../keys.js";
import { iou } from "../masks.js";
import { copied, fromAngles, grown, isPose, moved, reshaped, toAngles, turned } from "../poses.js";
import { MeshShelf } from "../scene/meshes.js";
import { Overlay } from "../scene/overlay.js";
import { Space } from "../scene/space.js";
import { Desk } from "./desk.js";
import { drawPhoto, loadImage, maskBytes, stencil } from "./photo.js";
import { $, ask, bindKeys, busy, complain, fill, h, keyButton, listKeys, needsWebGL, toast } from "./ui.js";

const DRAFT_MS = 3000;
const DIGITS = 5;
const COARSE = { move: 0.02, turn: 5, grow: 1.02 };
const FINE = { move: 0.002, turn: 0.5, grow: 1.002 };
const shelf = new MeshShelf(api.bytes);
const history = new History(() => drawEdits());
const desk = new Desk({ stage: "align", open, prefetched: (urls) => urls.forEach((url) => shelf.get(url).catch(() => {})) });
const antialias = new URLSearchParams(window.location.search).get("aa") !== "0";
const [space, overlay] = needsWebGL(() => [
  new Space($("#gl"), {
    antialias,
    onDrag: (now) => apply(now, "space"),
    onDrop: (before, after) => history.run(change("gizmo", apply, before, after)),
  }),
  new Overlay($("#gl-photo"), { antialias }),
]);
let picture = null;
let pose = null;
let first = null;
let pivot = [0, 0, 0];
let draftTimer = 0;
const shown = { mesh: true, points: true, gizmo: true };

async function open(assignment) {
  const { object, align } = assignment;
  const [photo, mask, geometry, points] = await Promise.all([
    loadImage(object.photo_url),
    object.mask_url ? loadImage(object.mask_url) : null,
    shelf.get(align.candidate.model_url),
    object.points_url ? api.bytes(object.points_url) : null,
  ]);
  if (!object.camera) throw new Error("This photo has no camera yet: its pointmap is missing.");
  picture = { photo, shape: mask && stencil(mask) };
  overlay.setCamera(object);
  picture.mask = mask && maskBytes(mask, ...overlay.maskSize);
  first = copied(align.candidate.pose);
  pivot = middleOf(geometry.boundingBox);
  pose = assignment.draft?.R && isPose(assignment.draft) ? copied(assignment.draft) : copied(first);
  space.clearPoints();
  if (points) space.setPoints(new Float32Array(points));
  overlay.show(geometry, pose);
  space.show(geometry, pose);
  history.clear();
  apply(pose, "draft");
  drawPhoto($("#photo"), photo, picture.shape);
  $("#submit").disabled = false;
  shelf.keep([align.candidate.model_url]);
}

const middleOf = ({ min, max }) => ["x", "y", "z"].map((axis) => (min[axis] + max[axis]) / 2);

/** Make `next` the pose on screen. from "space": the 3D view shows it already; "draft": nothing to save yet. */
function apply(next, from = "") {
  pose = copied(next);
  overlay.place(pose);
  if (from !== "space") space.place(pose);
  drawNumbers();
  drawIou();
  if (from !== "draft") saveDraftSoon();
}

function drawIou() {
  const value = picture.mask ? iou(overlay.silhouette(), picture.mask) : null;
  $("#iou").textContent = value === null ? "no mask" : value.toFixed(3);
  return value;
}

/** Draft to the server every few seconds while the pose changes; a lost lease is told at once. */
function saveDraftSoon() {
  draftTimer ||= setTimeout(async () => {
    draftTimer = 0;
    const { id, fence } = desk.assignment;
    desk.started = true;
    await api.put(`assignments/${id}/draft/`, { fence, draft: pose }).catch((problem) => {
      if (problem.code === "lease_lost") desk.lost();
    });
  }, DRAFT_MS);
}

function edit(label, after, merge) {
  if (!isPose(after)) return toast("These numbers make no pose: scales must be above 0.", "bad");
  return history.run(change(label, apply, copied(pose), after, merge));
}

function nudge(action, fine) {
  const step = fine ? FINE : COARSE;
  const far = step.move * space.diagonal();
  const axes = { x: 0, y: 1, z: 2 };
  const turns = { yaw: 1, pitch: 0, roll: 2 };
  if (action === "grow") return edit(action, grown(pose, step.grow, pivot));
  if (action === "shrink") return edit(action, grown(pose, 1 / step.grow, pivot));
  const sign = action.endsWith("+") ? 1 : -1;
  const name = action.slice(0, -1);
  if (name in axes) return edit(action, moved(pose, [0, 1, 2].map((axis) => (axis === axes[name] ? sign * far : 0))));
  return edit(action, turned(pose, turns[name], sign * step.turn, pivot));
}

async function submit() {
  const value = drawIou();
  clearTimeout(draftTimer);
  draftTimer = 0;
  $("#submit").disabled = true;
  try {
    const reply = await desk.answer("alignment", { ...pose, iou: value, version: desk.assignment.align.version });
    if (!reply) return;
    toast("Alignment stored.");
    await desk.next();
  } catch (problem) {
    if (problem.status === 412) await conflict(problem);
    else complain(problem);
  } finally {
    $("#submit").disabled = false;
  }
}

/** Somebody stored another pose meanwhile: theirs or mine, never silently one of them. */
async function conflict(problem) {
  const choice = await ask("Another pose was stored meanwhile", problem.message, [
    ["mine", "Store mine as the newer version", "primary"],
    ["theirs", "Leave theirs and go on"],
  ]);
  if (choice === "theirs") return desk.next();
  if (choice !== "mine") return undefined;
  desk.assignment.align.version = problem.fields.current;
  return submit();
}

const MODES = { translate: "Move", rotate: "Rotate", scale: "Scale" };

function setMode(mode) {
  space.setMode(mode);
  for (const button of document.querySelectorAll("#modes button"))
    button.setAttribute("aria-pressed", String(button.dataset.action === mode));
}

function toggle(what) {
  shown[what] = !shown[what];
  space.toggle(what, shown[what]);
  if (what === "mesh") $("#gl-photo").hidden = !shown.mesh;
  $(`[data-action=${what}]`).setAttribute("aria-pressed", String(shown[what]));
}

function drawEdits() {
  fill(
    $("#edits"),
    keyButton(ALIGN, "undo", "Undo", () => act("undo"), { disabled: !history.canUndo }),
    keyButton(ALIGN, "redo", "Redo", () => act("redo"), { disabled: !history.canRedo }),
    keyButton(ALIGN, "reset", "First pose", () => act("reset")),
    h("button", { type: "button", onclick: () => desk.skip() }, "Skip…"),
    h("button", { type: "button", onclick: () => desk.escalate() }, "To the artists…"),
  );
}

const GROUPS = [
  ["t", "Position", (now) => now.t, (now, t) => ({ ...now, t })],
  ["r", "Rotation °", (now) => toAngles(now.R), (now, angles) => reshaped(now, { R: fromAngles(angles) }, pivot)],
  ["s", "Scale", (now) => now.s, (now, s) => reshaped(now, { s }, pivot)],
];

function buildNumbers() {
  const axes = ["x", "y", "z"];
  fill(
    $("#numbers"),
    h("span", {}),
    ...axes.map((axis) => h("span", { class: "muted" }, axis)),
    ...GROUPS.flatMap(([name, label, , write]) => [
      h("span", {}, label),
      ...axes.map((axis) =>
        h("input", { name: `${name}${axis}`, type: "number", step: "any", "aria-label": `${label} ${axis}`, onchange: () => typed(name, write) }),
      ),
    ]),
    h("label", { class: "row wide" }, h("input", { type: "checkbox", id: "uniform", checked: true }), "Scale alike on all axes when typed"),
  );
}

function typed(name, write) {
  const form = $("#numbers");
  const numbers = ["x", "y", "z"].map((axis) => form.elements[name + axis].valueAsNumber);
  if (!pose || numbers.some(Number.isNaN)) return drawNumbers();
  if (name === "s" && $("#uniform").checked) {
    const changed = numbers.findIndex((value, axis) => value !== Number(pose.s[axis].toPrecision(DIGITS)));
    if (changed >= 0) return edit("number", grown(pose, numbers[changed] / pose.s[changed], pivot));
  }
  return edit("number", write(pose, numbers));
}

function drawNumbers() {
  const form = $("#numbers");
  for (const [name, , read] of GROUPS)
    read(pose).forEach((value, at) => {
      form.elements[name + "xyz"[at]].value = Number(value.toPrecision(DIGITS));
    });
}

const ACTIONS = {
  undo: () => history.undo(),
  redo: () => history.redo(),
  reset: () => edit("reset", copied(first)),
  view: () => space.fromPhoto(),
  submit: () => busy(null, submit),
  mesh: () => toggle("mesh"),
  points: () => toggle("points"),
  gizmo: () => toggle("gizmo"),
};

function act(action, hit = { fine: false }) {
  if (!pose || !$("#veil").hidden) return undefined;
  if (action in MODES) return setMode(action);
  if (action in ACTIONS) return void ACTIONS[action]();
  // Arrow keys on a slider are the slider's.
  if (document.activeElement?.type === "range" && hit.key?.includes("arrow")) return true;
  nudge(action, hit.fine);
  return undefined;
}

fill($("#modes"), ...Object.entries(MODES).map(([mode, label]) => keyButton(ALIGN, mode, label, () => act(mode))));
fill(
  $("#toggles"),
  ...["mesh", "points", "gizmo"].map((what) => keyButton(ALIGN, what, what[0].toUpperCase() + what.slice(1), () => act(what), { "aria-pressed": "true" })),
  keyButton(ALIGN, "view", "Photo view", () => act("view")),
  h("button", { type: "button", onclick: () => space.fromPhoto("side") }, "Side"),
  h("button", { type: "button", onclick: () => space.fromPhoto("top") }, "Top"),
  h("label", {}, "Point size ", h("input", { type: "range", min: 1, max: 8, value: 2, oninput: (event) => space.setPointSize(Number(event.target.value)) })),
);
buildNumbers();
drawEdits();
listKeys(ALIGN);
setMode("translate");
bindKeys(() => ALIGN, act);
$("#numbers").addEventListener("submit", (event) => event.preventDefault());
$("#opacity").addEventListener("input", () => ($("#gl-photo").style.opacity = $("#opacity").value));
$("#gl-photo").style.opacity = $("#opacity").value;
$("#submit").addEventListener("click", () => act("submit"));
new ResizeObserver(() => {
  space.draw();
  overlay.draw();
  if (picture) drawPhoto($("#photo"), picture.photo, picture.shape);
}).observe($("#space"));
desk.start();
