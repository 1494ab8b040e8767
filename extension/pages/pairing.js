// Connecting: the six digits, the time that is left, and what became of it.

import { DaemonError } from "../lib/daemon.js";
import { begin, cancel, look } from "../lib/pairing.js";
import { count, words } from "../lib/words.js";
import { button, element } from "./elements.js";

/**
 * @typedef {import("../lib/pairing.js").Pairing} Pairing
 * @typedef {"accepted"|"rejected"|"expired"|"cancelled"|"busy"|"failed"|"stranger"} End
 * @typedef {(end: End) => void} Ends
 */

const LOOK_MS = 1000;
const VALID_S = 60;

/**
 * Asks antifake to let this browser in, and shows how that goes.
 *
 * @param {HTMLElement} place
 * @param {HTMLElement} told Says aloud what is to be done.
 * @param {string[]} scopes
 * @param {Ends} ends
 */
export async function pair(place, told, scopes, ends) {
  let pairing;
  try {
    pairing = await begin(scopes);
  } catch (error) {
    ends(endOf(error));
    return;
  }
  const left = element("span");
  const bar = element("progress", { max: VALID_S, "aria-hidden": "true" });
  const ending = once(pairing, ends);
  place.replaceChildren(panel(pairing, [left, bar], () => giveUp(pairing, ending)));
  told.textContent = words("pairing_told", [...pairing.code].join(" "));
  /** @type {HTMLElement} */ (place.querySelector("h3")).focus();
  follow(pairing, left, /** @type {HTMLProgressElement} */ (bar), ending);
}

/** @param {unknown} error @returns {End} */
function endOf(error) {
  const cause = error instanceof DaemonError ? error.problem : "";
  return cause === "too-many" ? "busy" : cause === "not-proved" ? "stranger" : "failed";
}

/**
 * Ends once, whatever comes first. Leaving the page withdraws the request, so that the next one
 * need not wait for it.
 *
 * @param {Pairing} pairing
 * @param {Ends} ends
 * @returns {{isOver: boolean, end: Ends}}
 */
function once(pairing, ends) {
  const withdraw = () => cancel(pairing);
  addEventListener("pagehide", withdraw);
  const ending = {
    isOver: false,
    end: (/** @type {End} */ end) => {
      if (!ending.isOver) {
        ending.isOver = true;
        removeEventListener("pagehide", withdraw);
        ends(end);
      }
    },
  };
  return ending;
}

/** @param {Pairing} pairing @param {HTMLElement[]} left @param {() => void} stop */
function panel({ code }, left, stop) {
  const steps = ["pairing_step_open", "pairing_step_compare", "pairing_step_accept"];
  return element(
    "section",
    { class: "pairing", "aria-labelledby": "pairing-title" },
    element("h3", { id: "pairing-title", tabindex: -1 }, words("pairing_title")),
    digits(code),
    element("p", { class: "left", role: "timer" }, ...left),
    element("ol", { class: "steps" }, ...steps.map((key) => element("li", {}, words(key)))),
    button(words("pairing_cancel"), stop),
  );
}

/** The code in two groups to see, and digit by digit to hear. @param {string} code */
function digits(code) {
  const groups = [code.slice(0, 3), code.slice(3)];
  const seen = groups.map((group) => element("span", { "aria-hidden": "true" }, group));
  const heard = element("span", { class: "away" }, [...code].join(" "));
  return element("p", { class: "code" }, ...seen, heard);
}

/**
 * Counts down, and asks every second what the person has decided.
 *
 * @param {Pairing} pairing
 * @param {HTMLElement} left
 * @param {HTMLProgressElement} bar
 * @param {{isOver: boolean, end: Ends}} ending
 */
async function follow(pairing, left, bar, ending) {
  const until = Date.parse(pairing.expires);
  while (!ending.isOver) {
    const seconds = Math.max(0, Math.ceil((until - Date.now()) / 1000));
    left.textContent = count("pairing_left", seconds);
    bar.value = Math.min(VALID_S, seconds);
    const state = await stateOf(pairing);
    if (state !== "waiting") {
      ending.end(state);
    } else if (seconds === 0) {
      ending.end("expired");
    } else {
      await new Promise((done) => setTimeout(done, LOOK_MS));
    }
  }
}

/** @param {Pairing} pairing @returns {Promise<"waiting"|End>} */
async function stateOf(pairing) {
  try {
    return await look(pairing);
  } catch (error) {
    // An answer may get lost; one that is not from antifake ends it.
    return error instanceof DaemonError ? endOf(error) : "waiting";
  }
}

/** @param {Pairing} pairing @param {{end: Ends}} ending */
async function giveUp(pairing, ending) {
  ending.end("cancelled");
  await cancel(pairing);
}
