// Progress: one's own figures; for those who run the work, every batch and everyone's week.

import * as api from "../api.js";
import { number, seconds } from "../format.js";
import { $, complain, facts, fill, h, table } from "./ui.js";

const FIGURES = ["waiting", "open", "leased", "done", "escalated"];

async function show() {
  const { own, batches, people } = await api.get("progress/");
  fill(
    $("#own"),
    facts([
      ["Today", number(own.today)],
      ["In all", number(own.total)],
      ...own.by_stage.map((row) => [row.stage, `${number(row.n)} · ${number(row.seconds_each)} s each`]),
    ]),
    own.total ? null : h("p", { class: "muted" }, "Nothing submitted yet."),
  );
  if (batches)
    fill(
      $("#batches"),
      table("Batches", [
        ["Batch", (row) => h("a", { href: `/batches/${row.batch_id}/` }, row.batch)],
        ["Stage", (row) => row.stage],
        ...FIGURES.map((name) => [name[0].toUpperCase() + name.slice(1), (row) => number(row[name])]),
      ], batches),
    );
  if (people)
    fill(
      $("#people"),
      table("People, last seven days", [
        ["Name", (row) => row.user],
        ["Who", (row) => (row.origin === "simulation" ? "simulation" : "person")],
        ["Submitted", (row) => number(row.submitted)],
        ["Skipped", (row) => number(row.skipped)],
        ["Escalated", (row) => number(row.escalated)],
        ["Active time", (row) => seconds(row.active_ms)],
      ], people),
    );
}

show().catch(complain);
