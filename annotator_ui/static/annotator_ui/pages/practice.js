// The guided practice: six objects whose better mesh is known, each with a hint before and the reason after.

import * as api from "../api.js";
import { PRACTICE } from "../keys.js";
import { Duel } from "../scene/duel.js";
import { MeshShelf } from "../scene/meshes.js";
import { t, w } from "../words.js";
import { clock } from "./clock.js";
import { named } from "./names.js";
import { drawPhoto } from "./photo.js";
import { picturesOf } from "./pictures.js";
import { outbox } from "./session.js";
import { $, bindKeys, busy, complain, fill, h, isStill, keyButton, listKeys, needsWebGL } from "./ui.js";

const GUIDE = [
  w("Look at the outlined object in the photo first. Then answer one question: which of the two meshes is closer to its shape? Press 1 for left, 2 for right."),
  w("Both meshes turn together. Look at them from behind and from above too: drag with the mouse or a finger, scroll or pinch to come nearer."),
  w("The key R shows both meshes as the camera of the photo saw the object. Compare the outline with the photo."),
  w("Judge the shape only. Colour and shine are left out on purpose: both meshes are the same clay under the same light."),
  w("Look for what is missing and for what is too much: parts that the photo shows must be there, loose pieces must not."),
  w("Compare height, width and depth with the photo, and take the mesh whose proportions are right."),
];
/** What was wrong with the worse mesh, by the code that the server gives. */
const LESSONS = {
  flattened: w("The other one is pressed flat: from the photo's side it may look right, from the side it has no depth."),
  holes: w("The other one has holes: whole patches of its surface are missing."),
  half_missing: w("Of the other one a whole part is missing: it was cut off."),
  bumpy: w("The surface of the other one is bumpy where the object is smooth."),
  wrong_proportions: w("The proportions of the other one are wrong: it is stretched along one direction."),
  floaters: w("Beside the other one float loose pieces that do not belong to the object."),
};

const shelf = new MeshShelf(api.bytes);
const viewports = $("#viewports");
const duel = needsWebGL(() => new Duel($("#gl"), places, { still: isStill() }));
let practice = null;
let item = null;
let picture = null;
let sending = false;

function places() {
  const outer = $("#gl").getBoundingClientRect();
  return [$("#left"), $("#right")].map((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return { x: left - outer.left, y: top - outer.top, width, height };
  });
}

function veil(message) {
  $("#veil").hidden = message === null;
  $("#veil-text").textContent = message ?? "";
}

async function start() {
  practice = await api.get("practice/");
  if (!practice.items.length) {
    veil(t("There is no practice here yet."));
    $("#veil-text").append(" ", h("a", { href: "/" }, t("To the first page")));
    return;
  }
  await next();
}

/** The first object without an answer; after the last one the summary. */
async function next() {
  item = practice.items.find((each) => !each.given) ?? null;
  if (!item) return summarise();
  veil(t("Loading…"));
  const { object } = item;
  const following = practice.items.find((each) => !each.given && each !== item);
  const urls = (each) => (each ? [each.left.model_url, each.right.model_url] : []);
  shelf.keep([...urls(item), ...urls(following)]);
  const [{ photo, shape, region }, left, right] = await Promise.all([
    picturesOf(object),
    shelf.get(item.left.model_url),
    shelf.get(item.right.model_url),
  ]);
  picture = { photo, shape, crop: region };
  const at = practice.items.indexOf(item);
  fill($("#guide"), h("h2", {}, t("Object {n} of {total}", { n: at + 1, total: practice.items.length }), ": ", named(object.category || t("object"))), h("p", {}, t(GUIDE[at % GUIDE.length])));
  drawPicture();
  duel.show({ geometry: left, pose: item.left.pose }, { geometry: right, pose: item.right.pose });
  veil(null);
  draw();
  clock.take();
  urls(following).forEach((url) => shelf.get(url).catch(() => {}));
  return undefined;
}

function drawPicture() {
  if (!picture) return;
  const region = picture.crop ?? [0, 0, picture.photo.naturalWidth, picture.photo.naturalHeight];
  const canvas = $("#photo");
  canvas.style.aspectRatio = `${region[2]} / ${region[3]}`;
  drawPhoto(canvas, picture.photo, picture.shape, region);
}

/** Buttons and feedback for where the object stands: asked, or answered. */
function draw() {
  const { given } = item;
  const button = (action, label, kind = "") => keyButton(PRACTICE, action, label, () => act(action), { class: kind });
  $("#count").textContent = t("{n} of {total}", { n: practice.items.indexOf(item) + 1, total: practice.items.length });
  Object.assign($("#done"), { max: practice.items.length, value: practice.items.filter((each) => each.given).length });
  for (const side of ["left", "right"]) $(`#${side}`).classList.toggle("better", given?.better === side);
  fill($("#feedback"), ...(given ? feedback(given) : []));
  fill(
    $("#buttons"),
    ...(given ? [button("go", t("Go on"), "primary")] : [button("left", t("Left is better")), button("right", t("Right is better"))]),
    button("reset", t("Photo view")),
    button("turn", t("Turntable")),
  );
  listKeys(PRACTICE);
}

function feedback({ right, better, lesson }) {
  const verdict = right ? t("Right.") : better === "left" ? t("Not quite: the left one is better.") : t("Not quite: the right one is better.");
  return [h("p", { class: right ? "good" : "bad" }, h("strong", {}, right ? `✓ ${verdict}` : `✗ ${verdict}`)), h("p", {}, t(LESSONS[lesson] ?? lesson))];
}

async function answer(side) {
  if (sending || item.given) return;
  sending = true;
  viewports.setAttribute("aria-busy", "true");
  try {
    item.given = await outbox.add(`practice/${item.id}/`, { key: crypto.randomUUID(), answer: side, active_ms: clock.take() });
    draw();
  } finally {
    sending = false;
    viewports.removeAttribute("aria-busy");
  }
}

function summarise() {
  const right = practice.items.filter((each) => each.given.right).length;
  duel.show(null, null);
  $("#desk").hidden = true;
  fill(
    $("#summary"),
    h("h2", {}, t("The practice is done")),
    h("p", {}, t("{right} of {total} were right.", { right, total: practice.items.length })),
    h(
      "ul",
      {},
      ...practice.items.map(({ object, given }) => h("li", { class: given.right ? "" : "missed" }, given.right ? "✓ " : "✗ ", named(object.category || t("object")), ": ", t(LESSONS[given.lesson] ?? given.lesson))),
    ),
    h("p", {}, t("With real objects nobody knows the answer beforehand, and nobody tells you afterwards. Take the time that you need; undo is always there.")),
    h("p", { class: "row" }, h("a", { class: "button primary", href: "/", id: "start" }, t("Start"))),
  );
  $("#summary").hidden = false;
  $("#start").focus();
}

const ACTIONS = {
  left: () => answer("left").catch(complain),
  right: () => answer("right").catch(complain),
  go: () => item.given && busy(null, next),
  reset: () => duel.reset(),
  turn: () => duel.setTurning(!duel.turning),
};

function act(action) {
  if (!item || !$("#veil").hidden) return true;
  return void ACTIONS[action]();
}

bindKeys(() => PRACTICE, act);
new ResizeObserver(() => {
  duel.draw();
  drawPicture();
}).observe(viewports);
document.addEventListener("visibilitychange", () => document.hidden && duel.setTurning(false));
start().catch((problem) => {
  veil(problem.message);
  complain(problem);
});
