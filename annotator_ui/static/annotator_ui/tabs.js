// Tabs of one browser tell each other which assignment they hold, so that one object is worked on in one of them.

export class Tabs {
  /** channel: a BroadcastChannel or its like; onElsewhere(): another tab has the same work; onTaken(): it goes on there. */
  constructor({ channel, onElsewhere, onTaken }) {
    this.channel = channel;
    this.own = null;
    channel.onmessage = ({ data: { kind, id } }) => {
      if (id !== this.own) return;
      if (kind === "open") channel.postMessage({ kind: "held", id });
      else if (kind === "held") onElsewhere();
      else if (kind === "take") {
        this.own = null;
        onTaken();
      }
    };
  }

  /** This tab shows an assignment now; null: none any more. */
  show(id) {
    this.own = id;
    if (id !== null) this.channel.postMessage({ kind: "open", id });
  }

  /** The person wants to work on it here: the other tab steps back. */
  take(id) {
    this.own = id;
    this.channel.postMessage({ kind: "take", id });
  }
}
