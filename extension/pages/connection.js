// The connection to antifake: how it is, what it allows, and connecting by comparing six digits.

import { diagnose } from "../lib/doctor.js";
import { FIRST_SCOPES, revoke } from "../lib/pairing.js";
import { forgetConnection, loadConnection, loadSettings, saveSettings } from "../lib/storage.js";
import { words } from "../lib/words.js";
import { act, tellChange } from "./actions.js";
import { button, byId, element, sign } from "./elements.js";
import { pair } from "./pairing.js";

/**
 * @typedef {import("../lib/doctor.js").Diagnosis} Diagnosis
 * @typedef {import("../lib/storage.js").Connection} Connection
 *
 * @typedef {object} View
 * @property {HTMLElement} place
 * @property {HTMLElement} told Says aloud what happened.
 */

const SCOPES = ["check", "correct", "open", "read"];
const CAN_CONNECT = ["not-paired", "revoked", "not-proved"];

/**
 * Shows the connection. An address with a scope, or at #connect without a connection, comes from a
 * button that said so: then connecting begins at once.
 *
 * @param {HTMLElement} place
 * @param {HTMLElement} told
 */
export async function showConnection(place, told) {
  const view = { place, told };
  const { searchParams, hash } = new URL(location.href);
  const scope = searchParams.get("scope");
  history.replaceState(null, "", location.pathname);
  await showPort(view);
  const diagnosis = await draw(view);
  const isWanted = hash === "#connect" && CAN_CONNECT.includes(diagnosis.cause);
  if ((scope !== null && SCOPES.includes(scope)) || isWanted) {
    await begin(view, scope === null ? [] : [scope]);
  }
}

/** Where antifake is, if it is on none of its usual ports. @param {View} view */
async function showPort(view) {
  const input = /** @type {HTMLInputElement} */ (byId("port"));
  const { port } = await loadSettings();
  input.value = port === null ? "" : String(port);
  /** @type {HTMLDetailsElement} */ (byId("elsewhere")).open = port !== null;
  input.addEventListener("change", async () => {
    if (input.reportValidity()) {
      await saveSettings({ port: input.value === "" ? null : input.valueAsNumber });
      await draw(view);
    }
  });
}

/** @param {View} view @returns {Promise<Diagnosis>} */
async function draw(view) {
  const [diagnosis, connection] = await Promise.all([diagnose(), loadConnection()]);
  const isFine = connection !== null && diagnosis.state !== null;
  const part = isFine ? connected(view, diagnosis, connection) : apart(view, diagnosis, connection);
  view.place.replaceChildren(part);
  return diagnosis;
}

/** @param {View} view @param {Diagnosis} diagnosis @param {Connection} connection */
function connected(view, { cause, text }, { scopes, name, port }) {
  const kind = { ok: "good", loading: "busy" }[/** @type {string} */ (cause)] ?? "bad";
  return element(
    "div",
    { class: "box" },
    element("p", { class: `state ${kind}` }, sign(kind), text),
    element("p", { class: "quiet" }, words("connection_as", name, port)),
    element("h3", {}, words("connection_may")),
    element("ul", { class: "grants" }, ...SCOPES.map((one) => grant(view, one, scopes))),
    element("p", { class: "buttons" }, disconnectButton(view, "connection_disconnect")),
  );
}

/** @param {View} view @param {string} scope @param {string[]} scopes */
function grant(view, scope, scopes) {
  const text = words(`scope_${scope}`);
  if (scopes.includes(scope)) {
    const given = element("span", { class: "away" }, words("scope_given"));
    return element("li", {}, element("span", { class: "state good" }, sign("good"), text, given));
  }
  const allow = button(words("scope_allow"), () => begin(view, [scope]));
  allow.setAttribute("aria-label", words("scope_allow_what", text));
  return element("li", {}, element("span", { class: "state quiet" }, text), allow);
}

/** Without a connection that works. @param {View} view @param {Diagnosis} diagnosis */
function apart(view, diagnosis, /** @type {Connection|null} */ connection) {
  const { cause, text } = diagnosis;
  const isNew = cause === "not-paired";
  const state = element("p", { class: "state bad" }, sign("bad"), text);
  const parts = [state, ...(isNew ? [element("p", {}, words("connection_why"))] : [])];
  const main = mending(view, diagnosis);
  const forget = connection ? [disconnectButton(view, "connection_forget")] : [];
  const buttons = [...(main ? [main] : []), ...forget];
  return element(
    "div",
    { class: "box" },
    ...parts,
    ...(buttons.length > 0 ? [element("p", { class: "buttons" }, ...buttons)] : []),
  );
}

/** @param {View} view @param {Diagnosis} diagnosis */
function mending(view, { cause, button: found }) {
  if (CAN_CONNECT.includes(cause)) {
    return button(words("connection_connect"), () => begin(view, []), "button main");
  }
  if (found === null) {
    return null;
  }
  const isHere = found.action === "connect"; // It would only open this page again.
  const again = () => draw(view);
  const mend = () => (isHere ? again() : act(found.action, again));
  return button(isHere ? words("problem_button_retry") : found.text, mend, "button main");
}

/** @param {View} view @param {string} key */
function disconnectButton(view, key) {
  return button(words(key), () => disconnect(view), "button danger");
}

/** Gives the token back and forgets it. @param {View} view */
async function disconnect(view) {
  const connection = await loadConnection();
  const isRevoked = connection === null || (await revoke(connection));
  await forgetConnection();
  await draw(view);
  await tellChange();
  tell(view, isRevoked ? words("connection_gone") : words("connection_left_there"), isRevoked);
}

/** @param {View} view @param {string[]} scopes Those beyond what it has. */
async function begin(view, scopes) {
  const ends = async (/** @type {import("./pairing.js").End} */ end) => {
    await draw(view);
    if (end === "accepted") {
      await tellChange();
    }
    tell(view, words(`pairing_${end}`), end === "accepted");
  };
  await pair(view.place, view.told, [...FIRST_SCOPES, ...scopes], ends);
}

/** Says what happened, to see and to hear. @param {View} view @param {string} text */
function tell({ place, told }, text, /** @type {boolean} */ isGood) {
  told.textContent = text;
  const note = element("p", { class: isGood ? "note" : "note warn", tabindex: -1 }, text);
  place.prepend(note);
  note.focus();
}
