// Events of antifake, as DOM events "antifake:KIND" on the document; "antifake:tick" every 10 s.
// Only a visible page keeps a stream: browsers allow six connections in all.

import { json } from "./asking.js";

const KINDS = ["check", "correction", "forgotten", "state", "pairing", "watch", "settings", "training", "reset"];
const POLL_MS = 10_000;

let last = document.body.dataset.last;
let stream = null;
let isPolling = false;

export function start() {
  document.addEventListener("visibilitychange", adapt);
  addEventListener("pagehide", close);
  setInterval(() => {
    if (document.hidden) return;
    if (isPolling) poll();
    tell("tick", {});
  }, POLL_MS);
  adapt();
}

function adapt() {
  close();
  if (!document.hidden) open();
}

function open() {
  isPolling = false;
  stream = new EventSource(`/live?after=${last}`);
  for (const kind of KINDS) {
    stream.addEventListener(kind, (event) => {
      last = event.lastEventId || last;
      tell(kind, JSON.parse(event.data));
    });
  }
  stream.addEventListener("error", () => {
    // Refused, for example because too many pages are open. From now on it polls.
    isPolling = stream?.readyState === EventSource.CLOSED;
  });
}

function close() {
  stream?.close();
  stream = null;
}

async function poll() {
  try {
    const news = await json(`/news?after=${last}`);
    last = news.last;
    if (news.reset) tell("reset", {});
    for (const { kind, data } of news.events) tell(kind, data);
  } catch {
    tell("away", {});
  }
}

function tell(kind, data) {
  document.dispatchEvent(new CustomEvent(`antifake:${kind}`, { detail: data }));
}

/** Call `act` with the data of each event of a kind. */
export function on(kind, act) {
  document.addEventListener(`antifake:${kind}`, (event) => act(event.detail));
}

export { KINDS };
