// Requests of the page to antifake. Every failure is one sentence for the user.

import { _ } from "./i18n.js";
import { pageKey } from "./page_key.js";

const UNANSWERED = _("antifake does not answer. This page reconnects by itself; try again then.");
const LONGEST = 1000;
const LONGEST_WAIT_S = 60;
const HEADERS = { "X-Requested-By": "antifake" };

/** Send a change. Returns the answer's JSON, or throws an Error with the sentence. */
export async function change(address, body, confirmation = "") {
  const headers = changing("application/json", confirmation);
  const answer = await ask(address, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.status === 204 ? {} : answer.json();
}

/** Send the bytes of a picture. Returns and throws as `change` does. */
export async function send(address, bytes, confirmation = "") {
  const headers = changing("application/octet-stream", confirmation);
  return (await ask(address, { method: "POST", headers, body: bytes })).json();
}

export const text = async (address) => (await ask(address, { headers: HEADERS })).text();
export const json = async (address, signal) => (await ask(address, { headers: HEADERS, signal })).json();

/** Returns whether a request failed because antifake is away, or no longer knows this browser. */
export const isLost = ({ isUnanswered, about }) => Boolean(isUnanswered) || about?.code === "no_session";

/** Returns whether a picture was not taken because too many wait already. `waitMs` says until when. */
export const isFull = ({ about }) => about?.code === "queue_full";

/** Returns whether a change was refused as the page has not got the key of its session (yet). */
export const isKeyless = ({ about }) => about?.code === "no_page_key";

const changing = (type, confirmation) => ({
  ...HEADERS,
  "X-Page-Key": pageKey(),
  "Content-Type": type,
  ...(confirmation && { "X-Confirmation": confirmation }),
});

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", redirect: "error", ...options });
  } catch {
    if (!options.signal) document.dispatchEvent(new Event("antifake:unanswered"));
    throw Object.assign(new Error(UNANSWERED), { isUnanswered: true });
  }
  if (!answer.ok) {
    // The pages answer with `error`, the guards with `detail`.
    const about = (await answer.json().catch(() => null)) ?? {};
    const unknown = _("antifake could not do that ({status}).", { status: answer.status });
    const sentence = about.error || about.detail || unknown;
    const waitMs = 1000 * Math.min(Number(answer.headers.get("Retry-After")) || 1, LONGEST_WAIT_S);
    throw Object.assign(new Error(String(sentence).slice(0, LONGEST)), { about, waitMs });
  }
  return answer;
}
