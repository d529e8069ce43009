// Progress: one's own figures; for those who run the work, every batch and everyone's week.

import * as api from "../api.js";
import { number, percent, seconds, words } from "../format.js";
import { t, w } from "../words.js";
import { named } from "./names.js";
import { $, complain, facts, fill, h, table } from "./ui.js";

const FIGURES = { waiting: w("Waiting"), open: w("Open"), leased: w("Leased"), done: w("Done"), escalated: w("Escalated") };

const share = (found) => t("{percent} ({right} of {n})", { percent: percent(found.right / found.n), right: found.right, n: found.n });

function drawOwn(own) {
  fill(
    $("#own"),
    facts([
      [t("Today"), number(own.today)],
      [t("Days in a row"), number(own.streak)],
      [t("Active time today"), seconds(own.active_today_ms)],
      [t("In all"), number(own.total)],
      ...(own.gold ? [[t("Right on known pairs"), share(own.gold)]] : []),
      ...(own.practice ? [[t("Right in the practice"), share(own.practice)]] : []),
    ]),
    own.total ? h("div", { class: "columns" }, chart(own.days), stages(own.by_stage)) : h("p", { class: "muted" }, t("Nothing submitted yet.")),
  );
}

function stages(rows) {
  return table(
    t("By stage"),
    [
      [t("Stage"), (row) => words(row.stage)],
      [t("Today"), (row) => number(row.n_today)],
      [t("Active today"), (row) => seconds(row.active_today_ms)],
      [t("In all"), (row) => number(row.n)],
      [t("Time for each"), (row) => seconds(row.seconds_each * 1000)],
    ],
    rows,
  );
}

/** Bars of the last days; the same figures stand in a table below, for readers and for screen readers. */
function chart(days) {
  const top = Math.max(1, ...days.map((day) => day.n));
  const bars = days.map((day) => {
    const bar = h("span", { class: "fill" });
    bar.style.height = `${(day.n / top) * 100}%`;
    return h("span", { class: "bar" }, day.n ? h("span", { class: "n" }, number(day.n)) : null, bar, h("span", { class: "day" }, day.day.slice(8)));
  });
  const rows = table(
    t("Last 14 days"),
    [
      [t("Day"), (day) => day.day],
      [t("Submitted"), (day) => number(day.n)],
      [t("Active time"), (day) => seconds(day.active_ms)],
    ],
    [...days].reverse(),
  );
  return h(
    "div",
    {},
    h("h2", {}, t("Last 14 days")),
    h("div", { class: "bars", role: "img", "aria-label": t("Submitted on each of the last 14 days; the figures follow in a table") }, ...bars),
    h("details", {}, h("summary", {}, t("As a table")), rows),
  );
}

function drawBatches(batches) {
  fill(
    $("#batches"),
    table(
      t("Batches"),
      [
        [t("Batch"), (row) => h("a", { href: `/batches/${row.batch_id}/`, translate: "no" }, row.batch)],
        [t("Stage"), (row) => words(row.stage)],
        ...Object.entries(FIGURES).map(([name, label]) => [t(label), (row) => number(row[name])]),
      ],
      batches,
    ),
  );
}

function drawPeople(people) {
  fill(
    $("#people"),
    table(
      t("People, last seven days"),
      [
        [t("Name"), (row) => named(row.user)],
        [t("Who"), (row) => (row.origin === "simulation" ? t("simulation") : t("person"))],
        [t("Submitted"), (row) => number(row.submitted)],
        [t("Skipped"), (row) => number(row.skipped)],
        [t("Escalated"), (row) => number(row.escalated)],
        [t("Active time"), (row) => seconds(row.active_ms)],
      ],
      people,
    ),
  );
}

async function show() {
  const tz = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const { own, batches, people } = await api.get(api.withQuery("progress/", { tz }));
  drawOwn(own);
  if (batches) drawBatches(batches);
  if (people) drawPeople(people);
}

show().catch(complain);
