import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Bracket } from "../../annotator_ui/static/annotator_ui/bracket.js";

const CASES = JSON.parse(readFileSync(new URL("../bracket_cases.json", import.meta.url)));
const letters = (text) => [...text].map((letter) => letter === "L");
const started = ({ n, sides, ties, grid }) =>
  new Bracket(
    {
      candidates: Array.from({ length: n }, (_, at) => ({ key: String(at) })),
      coins: { sides: letters(sides), ties: letters(ties) },
      history: [],
      next_seq: 1,
    },
    grid,
  );

function move(bracket, { answer, picked }) {
  if (answer === "undo") return bracket.undo();
  return answer === "grid" ? bracket.pick(picked.map(String)) : bracket.answer(answer);
}

for (const played of CASES)
  test(`the page's twin: ${played.name}`, () => {
    const bracket = started(played);
    for (const [at, wanted] of played.play.entries()) {
      const { step, picking, survivor, done, total } = bracket.state;
      assert.deepEqual(step, wanted.step?.map(String) ?? null);
      assert.equal(picking, wanted.picking ?? false);
      assert.equal(survivor, wanted.survivor === undefined || wanted.survivor === null ? null : String(wanted.survivor));
      assert.equal(done, wanted.done ?? done);
      assert.equal(total, wanted.total ?? total);
      if (wanted.answer) assert.equal(move(bracket, wanted).seq, at + 1);
    }
  });

test("a bracket goes on where the server says it stands", () => {
  const played = CASES[0];
  const bracket = started(played);
  bracket.answer("left");
  const resumed = new Bracket(
    { candidates: bracket.order.map((key) => ({ key })), coins: bracket.coins, history: bracket.rows, next_seq: 2 },
    false,
  );
  assert.deepEqual(resumed.state.step, played.play[1].step.map(String));
  assert.equal(resumed.answer("left").seq, 2);
});

test("the server agrees with every answer under way, and only with what was shown then", () => {
  const bracket = started(CASES[0]);
  bracket.answer("left");
  bracket.answer("left");
  const pair = (left, right) => ({ left: { key: left }, right: { key: right } });
  assert.ok(bracket.agrees({ step: pair("2", "0"), picking: false, done: 1, next_seq: 2 }));
  assert.ok(bracket.agrees({ step: pair("2", "3"), picking: false, done: 2, next_seq: 3 }));
  assert.ok(!bracket.agrees({ step: pair("3", "2"), picking: false, done: 2, next_seq: 3 }));
  assert.ok(!bracket.agrees({ step: null, picking: false, done: 3, next_seq: 9 }));
});
