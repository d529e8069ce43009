// The bracket as the page plays it while its answers are on their way: the twin of backend/annotation/bracket.py.
// Both play the cases of tests/bracket_cases.json. Candidates are named by their opaque keys.

export const PICKS = 4;

/** What stands after rows [{answer, kept, picked}] that still count. coins: {sides, ties}, one of each per step. */
export function replay(order, rows, coins, grid = false) {
  let picking = grid && order.length > PICKS;
  let waiting = [...order];
  for (const { answer, kept, picked } of rows) {
    if (answer === "grid") {
      picking = false;
      waiting = order.filter((key) => picked.includes(key));
      continue;
    }
    waiting = waiting.slice(2);
    // The winner stays on the hill, or waits for the winners of the other pairs.
    if (kept !== null) waiting.splice(grid ? waiting.length : 0, 0, kept);
  }
  const done = rows.length;
  const [first, second] = waiting;
  const step = waiting.length > 1 && !picking ? (coins.sides[done] ? [first, second] : [second, first]) : null;
  return {
    step,
    picking,
    survivor: !step && !picking ? (first ?? null) : null,
    done,
    total: done + (picking ? PICKS : Math.max(waiting.length - 1, 0)),
  };
}

/** Which candidate stays after an answer; `tie` is the step's coin. */
export function keep(answer, left, right, tie) {
  if (answer === "left" || (answer === "equal" && tie)) return left;
  if (answer === "right" || answer === "equal") return right;
  return null;
}

export class Bracket {
  /** compare: the bracket as the server describes it; grid: the batch's protocol picks first. */
  constructor(compare, grid) {
    this.cards = new Map(compare.candidates.map((card) => [card.key, card]));
    this.order = [...this.cards.keys()];
    this.coins = compare.coins;
    this.grid = grid;
    this.rows = [...compare.history];
    this.seq = compare.next_seq;
    this.expected = new Map();
  }

  get state() {
    return replay(this.order, this.rows, this.coins, this.grid);
  }

  get canUndo() {
    return this.rows.length > 0;
  }

  /** Answer the pair on screen; the body to send. */
  answer(answer) {
    const { step, done } = this.state;
    return this.#sent({ answer }, [...this.rows, { answer, kept: keep(answer, ...step, this.coins.ties[done]), picked: [] }]);
  }

  /** Answer the grid with the keys that go on; the body to send. */
  pick(picked) {
    return this.#sent({ answer: "grid", picked }, [...this.rows, { answer: "grid", kept: null, picked }]);
  }

  /** Take back the last answer; the body to send. */
  undo() {
    return this.#sent({}, this.rows.slice(0, -1));
  }

  #sent(body, rows) {
    this.rows = rows;
    const seq = this.seq;
    this.seq += 1;
    this.expected.set(this.seq, this.#sight());
    return { seq, ...body };
  }

  #sight() {
    const { step, picking, done } = this.state;
    return JSON.stringify([step, picking, done]);
  }

  /** Whether the server, after one of the answers sent, shows what this page showed then. */
  agrees({ step, picking, done, next_seq }) {
    return this.expected.get(next_seq) === JSON.stringify([step && [step.left.key, step.right.key], picking, done]);
  }
}
