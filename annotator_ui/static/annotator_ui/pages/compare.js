// Compare and rate: one key per answer, the bracket as the server keeps it, then the survivor's rating.

import * as api from "../api.js";
import { COMPARE, RATE } from "../keys.js";
import { box } from "../masks.js";
import { ESCALATE_REASONS, countOf, modelsOf, nextSeq, verdictOf } from "../queue.js";
import { Duel } from "../scene/duel.js";
import { MeshShelf } from "../scene/meshes.js";
import { Desk } from "./desk.js";
import { around, drawPhoto, loadImage, maskBytes, stencil } from "./photo.js";
import { $, ask, bindKeys, busy, complain, fields, h, fill, keyButton, listKeys, needsWebGL, toast, values } from "./ui.js";

const shelf = new MeshShelf(api.bytes);
const viewports = $("#viewports");
const duel = needsWebGL(
  () =>
    new Duel($("#gl"), places, {
      antialias: new URLSearchParams(window.location.search).get("aa") !== "0",
      still: window.matchMedia("(prefers-reduced-motion: reduce)").matches,
    }),
);
const desk = new Desk({ stage: "compare", open, prefetched: (urls) => urls.forEach((url) => shelf.get(url).catch(() => {})) });
let picture = null;
let cropped = true;
let sending = false;

function places() {
  const outer = $("#gl").getBoundingClientRect();
  return [$("#left"), $("#right")].map((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return { x: left - outer.left, y: top - outer.top, width, height };
  });
}

async function open(assignment) {
  const { object } = assignment;
  const urls = modelsOf(assignment);
  duel.show(null, null);
  shelf.keep([...urls, ...modelsOf(desk.ahead ?? {})]);
  const [photo, mask] = await Promise.all([loadImage(object.photo_url), object.mask_url ? loadImage(object.mask_url) : null]);
  const region = mask && box(maskBytes(mask, object.width, object.height), object.width, object.height);
  picture = { photo, shape: mask && stencil(mask), crop: region && around(region, object.width, object.height) };
  drawPicture();
  await step();
  urls.slice(2).forEach((url) => shelf.get(url).catch(() => {}));
}

function drawPicture() {
  if (!picture) return;
  const whole = [0, 0, picture.photo.naturalWidth, picture.photo.naturalHeight];
  const region = cropped && picture.crop ? picture.crop : whole;
  const canvas = $("#photo");
  canvas.style.aspectRatio = `${region[2]} / ${region[3]}`;
  drawPhoto(canvas, picture.photo, picture.shape, region);
}

const rating = () => !desk.assignment?.compare?.step && Boolean(desk.assignment?.compare?.survivor);

/** Show what the bracket asks for now. */
async function step() {
  const { compare, batch } = desk.assignment;
  const alone = rating();
  viewports.classList.toggle("single", alone);
  $("#left .tag").textContent = alone ? "The survivor" : "Left";
  const shown = alone ? [compare.survivor, null] : [compare.step.left, compare.step.right];
  const loaded = await Promise.all(
    shown.map(async (item) => item && { geometry: await shelf.get(item.model_url), pose: item.pose }),
  );
  duel.show(...loaded);
  $("#count").textContent = alone ? `Rate the survivor of ${compare.total + 1}` : countOf(compare);
  Object.assign($("#done"), { max: Math.max(1, compare.total), value: compare.done });
  drawButtons(alone, compare, batch);
  listKeys(alone ? RATE : answerKeys(batch));
}

const answerKeys = (batch) => COMPARE.filter(({ action }) => action !== "neither" || batch.allows_neither);

function drawButtons(alone, compare, batch) {
  const button = (table, action, label, kind, off = false) =>
    keyButton(table, action, label, () => act(action), { class: kind, disabled: off });
  const answers = ["left", "right", "equal", ...(batch.allows_neither ? ["neither"] : [])];
  const names = { left: "Left is better", right: "Right is better", equal: "Equal", neither: "Neither" };
  fill(
    $("#buttons"),
    ...(alone ? [] : answers.map((answer) => button(COMPARE, answer, names[answer], "answer"))),
    button(COMPARE, "undo", "Undo", "aside", !compare.can_undo),
    button(COMPARE, "reset", "Photo view", "aside"),
    button(COMPARE, "turn", "Turntable", "aside"),
    alone ? null : button(COMPARE, "skip", "Skip…", "aside"),
    alone ? null : button(COMPARE, "escalate", "To the artists…", "aside"),
  );
  const form = $("#rating");
  form.hidden = !alone;
  if (alone) setRating(0.5);
  $("#bar").style.left = `${batch.alpha * 100}%`;
  $("#bar span").textContent = `bar ${batch.alpha}`;
}

function setRating(value) {
  const r = Math.round(Math.max(0, Math.min(1, value)) * 100) / 100;
  $("#r").value = r;
  $("#r-value").textContent = r.toFixed(2);
  $("#verdict").textContent = verdictOf(r, desk.assignment.batch.alpha);
}

/** One answer at a time; the reply carries the next pair. */
async function send(verb, body) {
  if (sending) return;
  sending = true;
  viewports.setAttribute("aria-busy", "true");
  try {
    const reply = await desk.answer(verb, { seq: nextSeq(desk.assignment.compare), ...body });
    if (!reply) return;
    if (reply.assignment.state !== "leased") return void (await finished());
    Object.assign(desk.assignment, reply.assignment);
    await step();
  } catch (problem) {
    complain(problem);
    if (problem.status === 409) await reload();
  } finally {
    sending = false;
    viewports.removeAttribute("aria-busy");
  }
}

async function reload() {
  desk.assignment = await api.get(`assignments/${desk.assignment.id}/`);
  if (desk.assignment.state === "leased") await step();
  else await desk.next();
}

async function finished() {
  toast("Stored.");
  await desk.next();
}

async function rate() {
  if (sending) return;
  const r = Number($("#r").value);
  const reasons = r < desk.assignment.batch.alpha ? await whyLow() : [];
  if (!reasons) return;
  sending = true;
  try {
    if (await desk.answer("rating", { r, reasons })) await finished();
  } catch (problem) {
    complain(problem);
  } finally {
    sending = false;
  }
}

/** Below the bar the object goes on to harder means; what makes it hard tells which. Null: not stored. */
async function whyLow() {
  const form = h("form", {}, ...fields([{ name: "reasons", label: "What makes it hard?", type: "choices", options: ESCALATE_REASONS.map((reason) => [reason, reason]) }]));
  const text = "Below the bar this object is escalated instead of aligned.";
  const choice = await ask("Below the bar", text, [["store", "Store and escalate", "primary"], [null, "Rate again"]], [form]);
  return choice === "store" ? values(form).reasons : null;
}

const ACTIONS = {
  left: () => send("comparisons", { answer: "left" }),
  right: () => send("comparisons", { answer: "right" }),
  equal: () => send("comparisons", { answer: "equal" }),
  neither: () => desk.assignment.batch.allows_neither && send("comparisons", { answer: "neither" }),
  undo: () => desk.assignment.compare.can_undo && send("undo", {}),
  reset: () => duel.reset(),
  turn: () => duel.setTurning(!duel.turning),
  crop() {
    cropped = !cropped;
    drawPicture();
  },
  skip: () => desk.skip(),
  escalate: () => desk.escalate(),
  less: () => setRating(Number($("#r").value) - 0.05),
  more: () => setRating(Number($("#r").value) + 0.05),
  full: () => setRating(1),
  store: () => rate(),
};

function act(action, hit) {
  if (!desk.assignment?.compare || !$("#veil").hidden) return undefined;
  if (action === "digit") return setRating(Number(hit.key) / 10);
  if (["less", "more"].includes(action) && document.activeElement?.id === "r") return true;
  return ACTIONS[action]();
}

bindKeys(() => (rating() ? RATE : COMPARE), act);
$("#r").addEventListener("input", () => setRating(Number($("#r").value)));
$("#rating").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(null, rate);
});
$("[data-action=crop]").addEventListener("click", () => ACTIONS.crop());
new ResizeObserver(() => {
  duel.draw();
  drawPicture();
}).observe(viewports);
document.addEventListener("visibilitychange", () => document.hidden && duel.setTurning(false));
desk.start();
