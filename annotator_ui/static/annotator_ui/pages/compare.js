// Compare and rate: one key per answer. The page plays the bracket itself and shows what comes next at once; the server
// confirms, and where it holds something else the page goes back to that.

import * as api from "../api.js";
import { Bracket } from "../bracket.js";
import { COMPARE, GRID, RATE, SCALE } from "../keys.js";
import { countOf, modelsOf, stripsOf } from "../queue.js";
import { t } from "../words.js";
import { Chips } from "./compare_chips.js";
import { Grid } from "./compare_grid.js";
import { Rating, whyLow } from "./compare_rating.js";
import { Views } from "./compare_views.js";
import { Desk } from "./desk.js";
import { PhotoView, loadImage } from "./photo.js";
import { keepPictures, picturesOf } from "./pictures.js";
import { $, bindKeys, busy, complain, fill, h, isStill, keyButton, listKeys, toast } from "./ui.js";

const PATIENCE_MS = 400;
const DRAWN_MS = 200; // a pair is on screen by then; decoding others before would delay it
const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] };
const ANSWERS = ["left", "right", "equal", "neither"];

const still = isStill();
const desk = new Desk({ stage: "compare", open, prefetched });
const views = new Views({ act, still });
const photo = new PhotoView($("#photo"));
const chips = new Chips();
const grid = new Grid({ onChange: drawPicks, wanted: (card) => views.preload([card.model_url]), still });
const rating = new Rating({ onStore: () => busy(null, rate) });
/** The bracket as this page plays it; null while the server's is fetched. */
let bracket = null;
let mode = "";
let storing = false;
let patience = 0;
const underway = new Set();

function prefetched(urls) {
  views.preload(urls);
  picturesOf(desk.ahead.object).catch(() => {});
  for (const url of stripsOf(desk.ahead)) loadImage(url).catch(() => {});
}

async function open(assignment) {
  const { object } = assignment;
  views.open(assignment, assignment.compare.candidates.map((card) => card.model_url));
  views.preload(modelsOf(assignment).slice(0, 2));
  keepPictures(object);
  const { photo: picture, mask, shape, region } = await picturesOf(object);
  photo.show(picture, shape, region);
  views.setPhoto(object, mask);
  take(assignment);
  await step();
}

/** Go on from what the server says. */
function take({ compare, batch }) {
  clearTimeout(patience);
  bracket = new Bracket(compare, batch.protocol === "grid");
  mode = "";
  storing = false;
}

const modeOf = ({ picking, step: pair, survivor }) =>
  picking ? "grid" : pair ? "pair" : survivor && desk.assignment.batch.asks_rating ? "rate" : "over";

/** The keys of what is on screen, without those that the batch does not allow. */
function table() {
  const { batch } = desk.assignment ?? {};
  if (mode === "rate") return batch.scale?.length ? SCALE : RATE;
  const forbidden = batch?.allows_neither ? [] : ["neither", "none"];
  return (mode === "grid" ? GRID : COMPARE).filter(({ action }) => !forbidden.includes(action));
}

/** Show what the bracket asks for now. */
async function step() {
  const { state } = bracket;
  const next = modeOf(state);
  if (next !== mode) arrange(next);
  $("[data-action=undo]")?.toggleAttribute("disabled", !bracket.canUndo);
  Object.assign($("#done"), { max: Math.max(1, state.total), value: state.done });
  if (mode === "over") return wait();
  if (mode === "grid") return grid.show(bracket.order.map((key) => bracket.cards.get(key)), desk.assignment.batch.allows_neither);
  $("#count").textContent = mode === "rate" ? t("Rate the survivor of {n}", { n: bracket.order.length }) : countOf(state);
  const shown = mode === "rate" ? [state.survivor, null] : state.step;
  if (await views.show(shown.map((key) => bracket?.cards.get(key) ?? null))) setTimeout(() => bracket && views.preload(comingUp()), DRAWN_MS);
}

/** Addresses of the meshes that may still be asked for. */
function comingUp() {
  const picked = bracket.rows.find(({ answer }) => answer === "grid")?.picked ?? bracket.order;
  return picked.map((key) => bracket.cards.get(key).model_url);
}

/** Lay the page out for the grid, pairs, the rating, or the end. */
function arrange(next) {
  mode = next;
  const { batch } = desk.assignment;
  if (mode === "grid") views.leave();
  else grid.hide();
  $("#looks").hidden = mode === "grid";
  if (mode === "pair") chips.show(batch.judges);
  else chips.hide();
  if (mode === "rate") rating.show(batch);
  else rating.hide();
  drawButtons();
  listKeys(table());
}

function drawButtons() {
  const keys = table();
  const button = (action, label, kind = "aside") => keyButton(keys, action, label, () => act(action), { class: kind });
  const names = { left: t("Left is better"), right: t("Right is better"), equal: t("Equal"), neither: t("Neither") };
  const allowed = ANSWERS.filter((answer) => keys.some(({ action }) => action === answer));
  const answers = {
    pair: () => allowed.map((answer) => button(answer, names[answer], "answer")),
    grid: () => [button("confirm", t("Go on"), "answer primary"), ...(keys.some(({ action }) => action === "none") ? [button("none", t("None is usable"), "answer")] : [])],
  };
  fill(
    $("#buttons"),
    ...(answers[mode]?.() ?? []),
    mode === "grid" || mode === "over" ? null : button("undo", t("Undo")),
    ...(mode === "pair" || mode === "grid" ? [button("skip", t("Skip…")), button("escalate", t("To the artists…"))] : []),
  );
}

function drawPicks() {
  const n = grid.picked.length;
  $("#count").textContent = t("{count}: pick the {picks} most plausible, {n} picked", { count: countOf(bracket.state), picks: 4, n });
  $("[data-action=confirm]").toggleAttribute("disabled", !grid.ready);
}

/** Store an answer that the bracket has taken already, and show what comes next without waiting for the server. */
function send(verb, body) {
  const going = confirm(verb, body);
  underway.add(going);
  going.finally(() => underway.delete(going));
  return step().catch(offerAgain);
}

/** What the server says to an answer. Never rejects: it goes on with the server's bracket where that is another one. */
async function confirm(verb, body) {
  const mine = bracket;
  let reply;
  try {
    reply = await desk.answer(verb, body);
    if (!reply || mine !== bracket) return;
    if (reply.assignment.state !== "leased") return void finished();
    if (mine.agrees(reply.assignment.compare)) return;
  } catch (problem) {
    if (mine !== bracket) return;
    complain(problem);
  }
  goBack();
}

/** Drop what this page believed; answers that are still on their way come first, since they may count. */
async function goBack() {
  bracket = null;
  try {
    await Promise.allSettled([...underway]);
    const found = await api.get(`assignments/${desk.assignment.id}/`);
    if (found.state !== "leased") return void (await desk.next());
    desk.assignment = found;
    take(found);
    toast(t("The page shows again what the server has stored."));
    await step();
  } catch (problem) {
    offerAgain(problem);
  }
}

function offerAgain(problem) {
  complain(problem);
  const again = () => (bracket ? step().then(() => desk.veil(null)).catch(offerAgain) : goBack().then(() => bracket && desk.veil(null)));
  desk.veil(problem.message).append(h("br"), h("button", { type: "button", onclick: again }, t("Try again")));
}

/** The object is finished here; its last answers may still be on their way. */
function wait() {
  views.leave();
  clearTimeout(patience);
  patience = setTimeout(() => desk.veil(t("This object is finished. Its answers are kept here until the server has them.")), PATIENCE_MS);
}

function finished() {
  clearTimeout(patience);
  bracket = null;
  toast(t("Stored."));
  return desk.next().catch(complain);
}

async function rate() {
  const mine = bracket;
  if (storing || mode !== "rate" || rating.r === null) return;
  storing = true;
  try {
    const { r } = rating;
    const reasons = r < desk.assignment.batch.alpha ? await whyLow() : [];
    if (!reasons || mine !== bracket) return;
    wait();
    const reply = await desk.answer("rating", { r, reasons, coverage: views.coverage()[0] });
    if (reply && mine === bracket) await finished();
  } catch (problem) {
    if (mine !== bracket) return;
    complain(problem);
    desk.veil(null);
    await goBack();
  } finally {
    storing = false;
    clearTimeout(patience);
  }
}

const answer = (given) => {
  if (mode !== "pair" || views.busy) return undefined;
  return send("comparisons", { ...bracket.answer(given), reasons: chips.take(), coverage: views.coverage() });
};

const ACTIONS = {
  ...Object.fromEntries(ANSWERS.map((given) => [given, () => answer(given)])),
  ...views.actions,
  chip: ({ key }) => chips.press(key),
  undo: () => bracket.canUndo && mode !== "over" && send("undo", bracket.undo()),
  pick: ({ key }) => grid.toggle(Number(key) - 1),
  confirm: () => grid.ready && send("comparisons", bracket.pick(grid.picked)),
  none: () => send("comparisons", bracket.pick([])),
  crop: () => photo.toggle(),
  zoomin: () => photo.zoom(1),
  zoomout: () => photo.zoom(-1),
  pan: ({ key }) => photo.pan(...ARROWS[key.replace("shift+", "")]),
  skip: () => desk.skip(),
  escalate: () => desk.escalate(),
  digit: ({ key }) => rating.set(Number(key) / 10),
  level: ({ key }) => rating.level(Number(key) - 1),
  less: () => rating.move(-1),
  more: () => rating.move(1),
  full: () => rating.set(1),
  store: () => busy(null, rate),
};
const IN_GRID = {
  turn: () => (grid.turning = !grid.turning),
  orbit({ key }) {
    grid.turning = false;
    grid.step(ARROWS[key][0]);
  },
};

function act(action, hit) {
  if (!bracket || storing || !$("#veil").hidden) return undefined;
  // On the slider itself the arrows are the browser's.
  if (document.activeElement?.id === "r" && hit?.key.startsWith("arrow")) return true;
  const chosen = (mode === "grid" && IN_GRID[action]) || ACTIONS[action];
  return void chosen(hit);
}

bindKeys(table, act);
// A click leaves the focus where it was: Enter goes on meaning what the list of keys says.
$("#desk").addEventListener("mousedown", (event) => event.target.closest("button") && event.preventDefault());
for (const action of ["crop", "zoomin", "zoomout"]) $(`#photo-tools [data-action=${action}]`).addEventListener("click", () => act(action));
desk.start();
