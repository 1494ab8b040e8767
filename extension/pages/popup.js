// The popup of the toolbar button. No page can imitate it, so its verdicts are the ones to believe.

import { OF_CONNECTION, ask, diagnose, problemOfError } from "../lib/doctor.js";
import { openHistory } from "../lib/history.js";
import { problemOf, recall, remember, resultsOf } from "../lib/results.js";
import { loadConnection } from "../lib/storage.js";
import { toneOf, wordOf } from "../lib/verdict.js";
import { words } from "../lib/words.js";
import { act, connect } from "./actions.js";
import { button, byId, element, sign, translate } from "./elements.js";
import { listOf, rowOfCheck, rowOfResult } from "./results.js";
import { showSite } from "./site.js";
import { isOpenToUs, pick, shownTab } from "./tab.js";

/**
 * @typedef {import("../lib/doctor.js").Diagnosis} Diagnosis
 * @typedef {import("../lib/messages.js").Problem} Problem
 */

const MOST_HERE = 4;
const MOST_LATEST = 3;
const SKELETON_MS = 100;

/** Shows what is known here, and then what antifake says. */
async function show() {
  translate();
  byId("history").addEventListener("click", () => details());
  byId("options").addEventListener("click", () => leave(chrome.runtime.openOptionsPage()));
  const tab = await shownTab();
  byId("private").hidden = !tab?.incognito;
  const [isOpen] = await Promise.all([showPage(tab), showSite(byId("site"), tab)]);
  await showPick(isOpen ? (tab?.id ?? null) : null);
  await showDaemon();
  reveal();
}

function reveal() {
  document.body.classList.remove("loading");
}

/**
 * Shows the verdicts of this tab.
 *
 * @param {chrome.tabs.Tab|null} tab
 * @returns {Promise<boolean>} Whether the extension may work in its page.
 */
async function showPage(tab) {
  const tabId = tab?.id ?? null;
  const isOpen = await isOpenToUs(tabId);
  const rows = tabId === null ? [] : (await resultsOf(tabId)).slice(0, MOST_HERE);
  const kept = tabId === null ? null : await problemOf(tabId);
  const confirm = await confirmer(() => void showPage(tab), tabId);
  const parts = rows.length > 0 ? [listOf(rows.map(rowOfResult), details, confirm)] : [];
  // How the connection is now is said above; what it was like may no longer be true.
  if (tabId !== null && kept !== null && !OF_CONNECTION.has(kept.cause)) {
    const after = () => void Promise.all([showPage(tab), showDaemon()]);
    parts.push(element("div", { class: "note warn" }, ...partsOf(kept, after, () => retry(tabId))));
  } else if (rows.length === 0 || !isOpen) {
    parts.push(nothing(words(isOpen ? "popup_nothing" : "problem_page_forbidden")));
  }
  byId("page").replaceChildren(...parts);
  return isOpen;
}

/** The cards of a tab try again, where it is seen. @param {number} tabId */
async function retry(tabId) {
  await leave(chrome.tabs.sendMessage(tabId, { type: "card.retry" }).catch(() => {}));
}

/** @param {number|null} tabId Null where no picture can be picked. */
async function showPick(tabId) {
  const place = /** @type {HTMLButtonElement} */ (byId("pick"));
  place.hidden = tabId === null;
  if (tabId === null) {
    return;
  }
  const key = (await chrome.commands.getAll()).find((one) => one.name === "pick")?.shortcut;
  const shown = key ? element("kbd", { "aria-hidden": "true" }, key) : null;
  place.replaceChildren(words("popup_pick"), ...(shown ? [shown] : []));
  place.addEventListener("click", () => leave(pick(tabId)));
}

/** Shows the state of the connection and the latest checks of all. */
async function showDaemon() {
  const slow = setTimeout(showSkeleton, SKELETON_MS);
  const [diagnosis, connection] = await Promise.all([diagnose(), loadConnection()]);
  const latest = await latestOf(diagnosis, connection?.scopes ?? []);
  clearTimeout(slow);
  showState(diagnosis);
  byId("latest-part").hidden = latest === null;
  byId("latest").replaceChildren(...(latest ? [latest] : []));
}

function showSkeleton() {
  reveal();
  const state = byId("state");
  state.className = "state busy";
  state.replaceChildren(sign("busy"), words("popup_looking"));
  const bars = Array.from({ length: MOST_LATEST }, () => element("i"));
  byId("latest").replaceChildren(element("div", { class: "skeleton" }, ...bars));
}

/** @param {Diagnosis} diagnosis */
function showState(diagnosis) {
  const { cause, text, state } = diagnosis;
  const kind = { ok: "good", loading: "busy" }[/** @type {string} */ (cause)] ?? "bad";
  const bad = words(state === null ? "popup_not_connected" : "popup_no_model");
  const place = byId("state");
  place.className = `state ${kind}`;
  place.replaceChildren(sign(kind), kind === "bad" ? bad : text);
  showProblem(kind === "bad" ? diagnosis : null);
}

/** @param {{text: string, button: import("../lib/messages.js").Button|null}|null} problem */
function showProblem(problem) {
  const place = byId("problem");
  place.hidden = problem === null;
  place.replaceChildren(...(problem === null ? [] : partsOf(problem, again)));
}

/**
 * The sentence of a problem, and the button that mends it.
 *
 * @param {{text: string, button: import("../lib/messages.js").Button|null}} problem
 * @param {() => void} after Looks once more how things are.
 * @param {() => void} [once] What trying again means here.
 * @returns {HTMLElement[]}
 */
function partsOf({ text, button: found }, after, once = after) {
  const sentence = element("p", {}, text);
  if (found === null) {
    return [sentence];
  }
  const { action } = found;
  const mend = () => {
    if (action === "retry") {
      once();
    } else if (action.startsWith("connect")) {
      leave(act(action, after));
    } else {
      act(action, after);
    }
  };
  return [sentence, button(found.text, mend, "button main")];
}

function again() {
  showDaemon();
}

/**
 * The latest checks, or an offer to allow the popup to see them.
 *
 * @param {Diagnosis} diagnosis
 * @param {string[]} scopes
 * @returns {Promise<Node|null>} Null without a connection.
 */
async function latestOf(diagnosis, scopes) {
  if (diagnosis.state === null) {
    return null;
  }
  if (!scopes.includes("read")) {
    const allow = button(words("popup_allow_latest"), () => leave(connect("read")), "link");
    return element("div", { class: "offer" }, nothing(words("popup_latest_closed")), allow);
  }
  try {
    const { body } = await ask({ method: "GET", path: `/checks?limit=${MOST_LATEST}` });
    const rows = body.checks.map(rowOfCheck);
    const confirm = await confirmer(again, null);
    return rows.length > 0 ? listOf(rows, details, confirm) : nothing(words("popup_latest_none"));
  } catch {
    return nothing(words("popup_latest_gone"));
  }
}

/**
 * How a verdict is confirmed.
 *
 * @param {() => void} after Shows what is said then.
 * @param {number|null} tabId Where its result is kept. Null: it is not.
 * @returns {Promise<((row: import("./results.js").Row) => void)|null>} Null if it may not be.
 */
async function confirmer(after, tabId) {
  const scopes = (await loadConnection())?.scopes ?? [];
  return scopes.includes("correct") ? (row) => void confirmIt(row, after, tabId) : null;
}

/**
 * @param {import("./results.js").Row} row
 * @param {() => void} after
 * @param {number|null} tabId
 */
async function confirmIt({ id, confirms }, after, tabId) {
  try {
    const label = { label: confirms };
    const { body } = await ask({ method: "PUT", path: `/checks/${id}/label`, json: label });
    const known = tabId === null ? null : await recall(tabId, id);
    if (tabId !== null && known !== null) {
      const said = { tone: toneOf(body), word: wordOf(body), sure: "", confirms: null };
      await remember(tabId, { ...known, ...said });
    }
    after();
  } catch (error) {
    showProblem(problemOfError(error));
  }
}

/** Opens the history, at one picture if it is named. @param {string} [id] */
async function details(id) {
  const problem = await openHistory(id ? `/picture/${id}` : null).catch(problemOfError);
  if (problem === null) {
    window.close();
  }
  showProblem(problem);
}

/** Closes the popup when something else is shown. @param {Promise<unknown>} done */
async function leave(done) {
  await done;
  window.close();
}

/** @param {string} text */
function nothing(text) {
  return element("p", { class: "nothing" }, text);
}

show();
