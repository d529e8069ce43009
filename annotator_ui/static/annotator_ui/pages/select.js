// Select: outline one object on the photo by clicks, brush and polygon, or judge an imported mask; name its category.

import * as api from "../api.js";
import { History } from "../history.js";
import { SELECT } from "../keys.js";
import { Asker, promptOf, unanswered } from "../prompts.js";
import { Drawing, Strokes } from "../strokes.js";
import { t } from "../words.js";
import { boxOf, within } from "../panning.js";
import { Category } from "./category.js";
import { Desk } from "./desk.js";
import { loadImage, maskBytes } from "./photo.js";
import { flagged, rejection, segment } from "./select_ask.js";
import { SelectPanel, TOOLS } from "./select_panel.js";
import { Pointers } from "./select_pointer.js";
import { SelectStage } from "./select_stage.js";
import { $, bindKeys, busy, complain, listKeys, toast } from "./ui.js";

const DRAFT_MS = 4000;
const KEEPALIVE_LENGTH = 60_000; // browsers send no more than 64 KiB for a page that closes
const ARROWS = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };
const NUDGE_PX = { false: 12, true: 1 };
const desk = new Desk({ stage: "select", open, prefetched: () => prepare(desk.ahead), keep: () => saveDraft() });
const history = new History(() => changed());
const strokes = new Strokes(history, shown);
const category = new Category(changed);
const asker = new Asker((prompt, isStale) => segment(desk.assignment, prompt, isStale));
const canvas = $("#mask");
const panel = new SelectPanel(act);
const stage = new SelectStage({ photo: $("#photo"), mask: canvas }, content);
const work = { tool: "segment", negative: false, corners: [], stroke: null, box: null, pointer: null, flags: [], outline: false, restored: false };
let drawing = null;
let draftTimer = 0;

async function open(assignment) {
  const { object, batch, draft } = assignment;
  clearTimeout(draftTimer);
  draftTimer = 0;
  asker.drop();
  drawing = null;
  prepare(assignment);
  const kept = Array.isArray(draft?.polygons) || draft?.flags ? draft : {};
  await category.open(batch.id, { category: kept.category ?? object.category ?? "", outside: kept.outside });
  await stage.open(object.photo_url);
  const made = new Drawing(...stage.photoSize);
  if (kept.polygons) made.startFrom(kept.polygons);
  else made.start(object.mask_url ? maskBytes(await loadImage(object.mask_url), made.raster.width, made.raster.height) : null);
  strokes.reset();
  drawing = made;
  Object.assign(work, { corners: [], stroke: null, box: null, pointer: null, flags: kept.flags ?? [], restored: Boolean(kept.polygons) });
  setTool("segment");
}

/** Have the segmenter look at a photo before the first click, and the browser fetch it. */
function prepare(assignment) {
  if (assignment?.stage !== "select") return;
  segment(assignment, {}, () => true).catch((problem) => console.info("not prepared:", problem.message));
  if (assignment !== desk.assignment) loadImage(assignment.object.photo_url).catch(() => {});
}

function content() {
  return { ...work, drawing, list: strokes.list, brush: isBrush() ? brush() : 0, opacity: Number($("#opacity").value) };
}

const isBrush = () => work.tool === "brush" || work.tool === "eraser";
const isPolygon = () => work.tool === "polygon" || work.tool === "cut";
/** In photo pixels: the slider is in pixels of the screen. */
const brush = () => Number($("#size").value) / stage.view.scale;
const isReady = () => drawing !== null && $("#veil").hidden;
/** Whether the mask on screen is the imported one as it came. */
const isImported = () => Boolean(desk.assignment.object.mask_url) && !strokes.list.length && !work.restored;

/** The list of edits has changed: the raster follows, and a click whose reply is missing is asked for again. */
function shown() {
  drawing.show(strokes.list);
  const missing = unanswered(strokes.list);
  if (missing) answer(missing);
  else asker.drop();
}

async function answer(edit) {
  canvas.setAttribute("aria-busy", "true");
  try {
    if (await asker.ask(edit, strokes.list)) {
      drawing.answered(edit, strokes.list);
      canvas.dataset.answers = Number(canvas.dataset.answers ?? 0) + 1;
      changed();
    }
  } catch (problem) {
    if (problem.code === "lease_lost") desk.lost();
    else complain(problem);
  }
  if (unanswered(strokes.list)) return;
  canvas.removeAttribute("aria-busy");
  draw();
}

function changed() {
  if (!drawing) return;
  saveDraftSoon();
  draw();
}

function draw() {
  if (!drawing) return;
  drawButtons();
  stage.redraw();
}

const tool = {
  down(at) {
    if (!isBrush()) return;
    work.stroke = { kind: work.tool, points: [stage.under(at)], size: brush() };
    drawing.live(work.stroke);
    stage.redraw();
  },
  drag(at, { start, still }) {
    work.pointer = stage.under(at);
    if (work.stroke) {
      work.stroke.points.push(work.pointer);
      drawing.live(work.stroke);
    } else if (work.tool === "segment" && !still) work.box = inside(boxOf(stage.under(start), work.pointer));
    stage.redraw();
  },
  up(at, { negative }) {
    const place = stage.under(at);
    const { stroke, box } = work;
    work.stroke = work.box = null;
    if (stroke) strokes.add(stroke);
    else if (box) strokes.add({ kind: "box", box, polygons: null });
    else tap(place, negative !== work.negative);
  },
  cancel() {
    work.box = null;
    if (work.stroke) drawing.repaint(strokes.list);
    work.stroke = null;
    stage.redraw();
  },
  hover(at) {
    work.pointer = at && stage.under(at);
    stage.redraw();
  },
};

const inside = (places) => within(places, stage.photoSize);

/** A click with the tool: by pointer, finger or the keyboard's cursor. */
function tap(place, negative) {
  const isOutside = inside(place).some((value, at) => value !== place[at]);
  if (work.tool === "segment") {
    if (isOutside) return;
    const { positive, box } = promptOf(strokes.list);
    if (negative && !positive.length && !box) return void toast(t("First click on the object itself."));
    strokes.add({ kind: "click", at: place, positive: !negative, polygons: null });
  } else if (work.tool === "flag") {
    if (!isOutside) flag(place);
  } else if (isBrush()) {
    strokes.add({ kind: work.tool, points: [place], size: brush() });
  } else if (work.corners.length > 2 && stage.isNear(place, work.corners[0])) closePolygon();
  else {
    work.corners = [...work.corners, inside(place)];
    draw();
  }
}

async function flag(place) {
  const found = await flagged(desk.assignment, place);
  if (!found) return;
  work.flags = [...work.flags, found];
  toast(t("Flagged. Thank you."));
  changed();
}

function closePolygon() {
  const { corners, tool: kind } = work;
  work.corners = [];
  if (!strokes.add({ kind: "polygon", points: corners, cut: kind === "cut" })) toast(t("A polygon needs at least three corners."));
  draw();
}

function saveDraftSoon() {
  draftTimer ||= setTimeout(() => saveDraft().catch(() => {}), DRAFT_MS);
}

async function saveDraft() {
  clearTimeout(draftTimer);
  draftTimer = 0;
  if (!drawing) return;
  const { id, fence } = desk.assignment;
  desk.started = true;
  const draft = { ...category.state, flags: work.flags, ...(isImported() ? {} : { polygons: drawing.outlines() }) };
  const closes = document.hidden && JSON.stringify(draft).length < KEEPALIVE_LENGTH;
  await api.put(`assignments/${id}/draft/`, { fence, draft }, { keepalive: closes }).catch((problem) => {
    if (problem.code === "lease_lost") desk.lost();
    throw problem;
  });
}

/** Confirm the imported mask, or store what was drawn. */
async function submit() {
  const named = category.read();
  if (!named) return;
  if (isImported()) return void (await finish("confirm", named, t("Mask confirmed.")));
  if (unanswered(strokes.list)) return void toast(t("The outline of your last click is on its way."));
  const found = drawing.outlines();
  if (!found.length) return void toast(t("Outline the object first."), "bad");
  if (found.length > 200 || found.some((outline) => outline.length > 20_000)) return void toast(t("This outline is too ragged to store: drop the specks, or smooth it with the brush."), "bad");
  await finish("mask", { polygons: found, ...named }, t("Mask stored."));
}

async function finish(verb, body, words) {
  clearTimeout(draftTimer);
  draftTimer = 0;
  if (!(await desk.answer(verb, body))) return;
  drawing = null;
  toast(words);
  await desk.next();
}

async function reject() {
  if (!desk.assignment.object.mask_url) return;
  const reason = await rejection();
  if (reason) await finish("reject", { reason }, t("Mask rejected."));
}

function drawButtons() {
  const { object } = desk.assignment;
  const isEmpty = !strokes.list.length && !drawing.base;
  const cannot = { undo: !history.canUndo && !work.corners.length, redo: !history.canRedo, edit: isEmpty, submit: isEmpty && work.corners.length < 3 };
  panel.draw({ isImported: isImported(), canReject: Boolean(object.mask_url), cannot });
}

function setTool(next) {
  work.tool = next;
  if (!isPolygon()) work.corners = [];
  panel.show(next, work.negative);
  draw();
}

function resizeBrush(by) {
  $("#size").value = Number($("#size").value) + by;
  draw();
}

/** The keyboard's cursor; the photo moves along when it leaves the canvas. */
function nudge(dx, dy, fine) {
  const at = stage.over(work.pointer ?? stage.under(stage.size.map((each) => each / 2)));
  const to = [at[0] + dx * NUDGE_PX[fine], at[1] + dy * NUDGE_PX[fine]];
  const off = to.map((each, axis) => Math.min(0, each) + Math.max(0, each - stage.size[axis]));
  if (off.some(Boolean)) stage.pan(off.map((each) => -each));
  tool.hover(to.map((each, axis) => each - off[axis]));
}

const ACTIONS = {
  not: () => (work.negative = !work.negative, setTool(work.tool)),
  tap: () => work.pointer && tap(work.pointer, work.negative),
  tapnot: () => work.pointer && tap(work.pointer, !work.negative),
  cancel: () => (work.corners = [], tool.cancel(), draw()),
  undo: () => (work.corners.length ? (work.corners = work.corners.slice(0, -1), draw()) : history.undo()),
  redo: () => history.redo(),
  holes: () => strokes.add({ kind: "holes" }),
  specks: () => strokes.add({ kind: "specks" }),
  bigger: () => resizeBrush(4),
  smaller: () => resizeBrush(-4),
  closer: () => stage.zoom(1.5, work.pointer ? stage.over(work.pointer) : undefined),
  farther: () => stage.zoom(1 / 1.5, work.pointer ? stage.over(work.pointer) : undefined),
  fit: () => stage.fit(),
  pan: () => (pointers.isPanning = true),
  outline: () => (work.outline = !work.outline, panel.press("outline", work.outline), draw()),
  clear: () => strokes.add({ kind: "clear" }),
  category: () => $("#category").focus(),
  reject: () => reject().catch(complain),
  skip: () => desk.skip(),
  submit: () => (work.corners.length ? closePolygon() : busy($("#submit"), submit)),
};

function act(action, hit = { fine: false }) {
  if (!isReady() || work.stroke) return undefined;
  // The arrows of a slider are its own.
  if (action in ARROWS && document.activeElement.type === "range") return true;
  if (action in TOOLS) setTool(action);
  else if (action in ARROWS) nudge(...ARROWS[action], hit.fine);
  else ACTIONS[action]();
  return undefined;
}

panel.make(() => canvas.focus({ preventScroll: true }));
const pointers = new Pointers(canvas, { tool, view: stage, mayWork: isReady });
bindKeys(() => SELECT, act);
document.addEventListener("keyup", () => (pointers.isPanning = false));
for (const name of ["#size", "#opacity"]) $(name).addEventListener("input", draw);
document.addEventListener("visibilitychange", () => document.hidden && draftTimer && saveDraft().catch(() => {}));
desk.start();
listKeys(SELECT);
