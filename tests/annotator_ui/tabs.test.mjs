import assert from "node:assert/strict";
import { test } from "node:test";
import { Tabs } from "../../annotator_ui/static/annotator_ui/tabs.js";

/** Tabs of one browser: what one posts, the others hear. */
function browser() {
  const channels = [];
  return () => {
    const channel = { postMessage: (data) => channels.filter((other) => other !== channel).forEach((other) => other.onmessage({ data })) };
    channels.push(channel);
    return channel;
  };
}

function tab(channel) {
  const heard = [];
  return { heard, tabs: new Tabs({ channel, onElsewhere: () => heard.push("elsewhere"), onTaken: () => heard.push("taken") }) };
}

test("a second tab on the same assignment hears at once that it is open elsewhere", () => {
  const channel = browser();
  const [first, second] = [tab(channel()), tab(channel())];
  first.tabs.show(7);
  second.tabs.show(7);
  assert.deepEqual([first.heard, second.heard], [[], ["elsewhere"]]);
});

test("the tab where the person goes on takes the work from the other one", () => {
  const channel = browser();
  const [first, second] = [tab(channel()), tab(channel())];
  first.tabs.show(7);
  second.tabs.show(7);
  second.tabs.take(7);
  assert.deepEqual(first.heard, ["taken"]);
  second.tabs.show(7);
  assert.deepEqual(second.heard, ["elsewhere"]);
  first.tabs.take(7);
  first.tabs.show(7);
  assert.deepEqual([first.heard, second.heard], [["taken"], ["elsewhere", "taken"]]);
});

test("tabs on different assignments do not meet", () => {
  const channel = browser();
  const [first, second] = [tab(channel()), tab(channel())];
  first.tabs.show(7);
  second.tabs.show(8);
  first.tabs.show(null);
  assert.deepEqual([first.heard, second.heard], [[], []]);
});
