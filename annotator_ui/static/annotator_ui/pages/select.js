// Select: outline one object on the photo with polygon, brush and eraser, and name its category.

import { History } from "../history.js";
import { SELECT } from "../keys.js";
import { polygons } from "../masks.js";
import { Strokes, paint } from "../strokes.js";
import { Desk } from "./desk.js";
import { drawPhoto, fit, loadImage } from "./photo.js";
import { $, bindKeys, busy, complain, fill, h, keyButton, listKeys, toast } from "./ui.js";

const TOOLS = { polygon: "Polygon", brush: "Brush", eraser: "Eraser" };
const COLOUR = "#ffb000";
const CLOSE_PX = 10;
const desk = new Desk({ stage: "select", open });
const history = new History(() => draw());
const strokes = new Strokes(history);
const canvas = $("#mask");
let photo = null;
let tool = "polygon";
let corners = [];
let stroke = null;
let pointer = null;

async function open(assignment) {
  photo = await loadImage(assignment.object.photo_url);
  strokes.list = [];
  history.clear();
  corners = [];
  $("#category").value = assignment.object.category || "";
  drawAll();
}

const place = () => fit([0, 0, photo.naturalWidth, photo.naturalHeight], canvas.clientWidth, canvas.clientHeight);

/** Photo pixel under a pointer event. */
function pixel(event) {
  const bounds = canvas.getBoundingClientRect();
  const { scale, x, y } = place();
  return [(event.clientX - bounds.left - x) / scale, (event.clientY - bounds.top - y) / scale];
}

function drawAll() {
  if (!photo) return;
  drawPhoto($("#photo"), photo, null);
  draw();
}

function draw() {
  drawEdits();
  if (!photo) return;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const context = canvas.getContext("2d");
  const { scale, x, y } = place();
  context.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
  context.fillStyle = context.strokeStyle = COLOUR;
  context.globalAlpha = 1;
  paint(context, stroke ? [...strokes.list, stroke] : strokes.list);
  drawOpen(context, scale);
  canvas.style.opacity = 0.6;
}

function drawOpen(context, scale) {
  if (tool === "polygon" && corners.length) {
    context.lineWidth = 2 / scale;
    context.beginPath();
    [...corners, ...(pointer ? [pointer] : [])].forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
    for (const [x, y] of corners) context.fillRect(x - 3 / scale, y - 3 / scale, 6 / scale, 6 / scale);
  } else if (tool !== "polygon" && pointer) {
    context.lineWidth = 1.5 / scale;
    context.beginPath();
    context.arc(...pointer, brush() / 2, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Brush size in photo pixels: the slider is in pixels of the screen. */
const brush = () => Number($("#size").value) / place().scale;

function down(event) {
  if (!photo || event.button) return;
  canvas.setPointerCapture(event.pointerId);
  const at = pixel(event);
  if (tool === "polygon") {
    const near = corners.length > 2 && Math.hypot(at[0] - corners[0][0], at[1] - corners[0][1]) * place().scale < CLOSE_PX;
    if (near) closePolygon();
    else corners.push(at);
  } else stroke = { kind: tool, points: [at], size: brush() };
  draw();
}

function move(event) {
  if (!photo) return;
  pointer = pixel(event);
  if (stroke) stroke.points.push(pointer);
  if (stroke || corners.length || tool !== "polygon") draw();
}

function up() {
  if (!stroke) return;
  const finished = stroke;
  stroke = null;
  strokes.add(finished);
}

function closePolygon() {
  const points = corners;
  corners = [];
  if (!strokes.add({ kind: "polygon", points })) toast("A polygon needs at least three corners.");
  draw();
}

/** What is drawn, as polygons in pixels of the photo (flat: x0, y0, x1, y1, ...). */
function outlines() {
  const [width, height] = [photo.naturalWidth, photo.naturalHeight];
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext("2d", { willReadFrequently: true });
  paint(context, strokes.list);
  const { data } = context.getImageData(0, 0, width, height);
  const mask = Uint8Array.from({ length: width * height }, (_, at) => (data[at * 4 + 3] > 127 ? 1 : 0));
  return polygons(mask, width, height, { by: 0.8 }).map((outline) => outline.flat()).filter((flat) => flat.length >= 6);
}

async function submit() {
  if (corners.length) closePolygon();
  const found = outlines();
  if (!found.length) return toast("Outline the object first.", "bad");
  if (found.length > 200 || found.some((outline) => outline.length > 20_000)) return toast("This outline is too ragged to store: smooth it with the brush.", "bad");
  try {
    if (await desk.answer("mask", { polygons: found, category: $("#category").value.trim() })) {
      toast("Mask stored.");
      await desk.next();
    }
  } catch (problem) {
    complain(problem);
  }
  return undefined;
}

function drawEdits() {
  fill(
    $("#edits"),
    keyButton(SELECT, "undo", "Undo", () => act("undo"), { disabled: !history.canUndo && !corners.length }),
    keyButton(SELECT, "redo", "Redo", () => act("redo"), { disabled: !history.canRedo }),
    h("button", { type: "button", disabled: !strokes.list.length, onclick: () => strokes.clear() }, "Clear"),
    h("button", { type: "button", onclick: () => desk.skip() }, "Skip…"),
  );
  $("#submit").disabled = !strokes.list.length && corners.length < 3;
}

function setTool(next) {
  tool = next;
  if (tool !== "polygon") corners = [];
  for (const button of document.querySelectorAll("#tools button"))
    button.setAttribute("aria-pressed", String(button.dataset.action === tool));
  draw();
}

const resize = (by) => {
  $("#size").value = Number($("#size").value) + by;
  draw();
};

const ACTIONS = {
  close: () => corners.length && closePolygon(),
  cancel: () => (corners = []) && draw(),
  undo: () => (corners.length ? corners.pop() && draw() : history.undo()),
  redo: () => history.redo(),
  bigger: () => resize(4),
  smaller: () => resize(-4),
  submit: () => busy($("#submit"), submit),
};

function act(action) {
  if (!photo || !$("#veil").hidden) return undefined;
  if (action in TOOLS) setTool(action);
  else ACTIONS[action]();
  return undefined;
}

fill($("#tools"), ...Object.entries(TOOLS).map(([name, label]) => keyButton(SELECT, name, label, () => act(name))));
setTool("polygon");
listKeys(SELECT);
bindKeys(() => SELECT, act);
canvas.addEventListener("pointerdown", down);
canvas.addEventListener("pointermove", move);
canvas.addEventListener("pointerup", up);
canvas.addEventListener("pointercancel", up);
canvas.addEventListener("pointerleave", () => {
  pointer = null;
  draw();
});
$("#submit").addEventListener("click", () => act("submit"));
new ResizeObserver(drawAll).observe($("#overlay"));
desk.start();
