// Events of antifake, as DOM events "antifake:KIND" on the document; "antifake:tick" every 10 s; and
// "antifake:connection" when that changes: "here", "gone" if antifake does not answer, "out" if it
// answers but no longer knows this browser.
// Only a visible page keeps a stream: browsers allow six connections in all.

import { isLost, json } from "./asking.js";
import { comeBack } from "./remembered.js";

const KINDS = ["check", "correction", "forgotten", "state", "pairing", "watch", "settings", "training", "reset"];
const LOOK_MS = 4_000; // with the patience below 8 s at most, until the page says "Not connected"
const PATIENCE_MS = 4_000;
const TICK_MS = 10_000;

let last = document.body.dataset.last;
let stream = null;
let connection = "here";
let isLooking = false;

export function start() {
  document.addEventListener("visibilitychange", adapt);
  document.addEventListener("antifake:unanswered", look);
  addEventListener("pagehide", close);
  setInterval(() => {
    if (!document.hidden) look();
  }, LOOK_MS);
  setInterval(() => {
    if (!document.hidden) tell("tick", {});
  }, TICK_MS);
  adapt();
}

function adapt() {
  close();
  if (document.hidden) return;
  open();
  look();
}

function open() {
  stream = new EventSource(`/live?after=${last}`);
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      last = event.lastEventId || last;
      tell(kind, JSON.parse(event.data));
    });
  }
  stream.addEventListener("error", look);
}

function close() {
  stream?.close();
  stream = null;
}

/** Ask for news. They count only without a stream, which is refused if too many pages are open. */
async function look() {
  if (isLooking) return;
  isLooking = true;
  try {
    hear(await json(`/news?after=${last}`, AbortSignal.timeout(PATIENCE_MS)));
    become("here");
  } catch (error) {
    become(await stateAfter(error));
  } finally {
    isLooking = false;
  }
}

async function stateAfter(error) {
  if (!isLost(error)) return "here";
  if (error.isUnanswered) return "gone";
  return (await comeBack()) ? "here" : "out";
}

function hear(news) {
  if (connection === "here" && stream?.readyState === EventSource.OPEN) return;
  // Nonsense is no news: with a place that is none, the page would hear of nothing any more.
  if (!Number.isSafeInteger(news?.last) || !Array.isArray(news.events)) return;
  last = news.last;
  if (news.reset) tell("reset", {});
  for (const { kind, data } of news.events) tell(kind, data);
}

function become(next) {
  if (next === connection) return;
  connection = next;
  tell("connection", next);
  if (next !== "here") return;
  close();
  if (!document.hidden) open();
  tell("reset", {});
}

function tell(kind, data) {
  document.dispatchEvent(new CustomEvent(`antifake:${kind}`, { detail: data }));
}

/** Call `act` with the data of each event of a kind. */
export function on(kind, act) {
  document.addEventListener(`antifake:${kind}`, (event) => act(event.detail));
}

export { KINDS };
