// Where the background of the extension starts. All listeners are registered here, at the top
// level: the browser stops this worker when it is idle and starts it again for the next event.
// So nothing is kept in variables.

import { OF_CONNECTION, problem, problemOfError } from "../lib/doctor.js";
import { fault } from "../lib/messages.js";
import { forgetTab } from "../lib/results.js";
import { closeStorage } from "../lib/storage.js";
import { act } from "./actions.js";
import { clearProblems, showCount } from "./badge.js";
import { check, correct, details, poll, undo } from "./checking.js";
import { clicked, commanded, makeMenu } from "./menu.js";
import { askerOf } from "./sender.js";
import { marksFor, retryCards, syncSites } from "./sites.js";
import { noteProblem, noticePage, seePage } from "./tabs.js";

/** @type {Record<string, (message: any, asker: import("./sender.js").Asker) => Promise<object>>} */
const ANSWERS = {
  "picture.check": check,
  "picture.poll": poll,
  "picture.correct": correct,
  "picture.undo": undo,
  "picture.details": details,
  "problem.act": act,
  "marks.ask": (_, asker) => marksFor(asker),
};

chrome.runtime.onInstalled.addListener(() => start());
chrome.runtime.onStartup.addListener(() => start());
chrome.contextMenus.onClicked.addListener((info, tab) => clicked(info, tab));
chrome.commands.onCommand.addListener((command, tab) => commanded(command, tab));
chrome.tabs.onRemoved.addListener((tabId) => forgetTab(tabId));
chrome.tabs.onUpdated.addListener((tabId, { status }) => status && noticePage(tabId));
chrome.permissions.onAdded.addListener(() => mend());
chrome.permissions.onRemoved.addListener(() => syncSites());
chrome.storage.onChanged.addListener((changes, area) => changed(changes, area));

chrome.runtime.onMessage.addListener((message, sender, respond) => {
  if (sender.id !== chrome.runtime.id) {
    return false;
  }
  answer(message, sender).then(respond, (error) => respond(problemOfError(error)));
  return true;
});

/** @param {any} message @param {chrome.runtime.MessageSender} sender @returns {Promise<object>} */
async function answer(message, sender) {
  const isPage = sender.url?.startsWith(chrome.runtime.getURL("")) ?? false;
  if (fault(message, isPage ? "page" : "content") !== null) {
    return problem("refused");
  }
  if (isPage) {
    await mend();
    return {};
  }
  const asker = askerOf(sender);
  return asker === null ? problem("refused") : answerTo(message, asker);
}

/** @param {any} message @param {import("./sender.js").Asker} asker @returns {Promise<object>} */
async function answerTo(message, asker) {
  const { type, ...fields } = message;
  const found = await ANSWERS[type](fields, asker).catch(problemOfError);
  if (type.startsWith("picture.")) {
    await show(/** @type {any} */ (found), message, asker);
  }
  return found;
}

/** @param {any} outcome @param {any} message @param {import("./sender.js").Asker} asker */
async function show(outcome, message, asker) {
  if (outcome.state === "done" && !asker.isPrivate) {
    await seePage(asker.tabId);
    await showCount(asker.tabId);
  }
  if (outcome.state === "problem" && isForToolbar(outcome.cause, message)) {
    await noteProblem(asker.tabId, outcome, asker.isPrivate);
  }
}

/**
 * Whether the toolbar shows a problem too. What may not be corrected or opened, the card says
 * alone; and a queue that is full of checks that nobody has asked for is no news.
 *
 * @param {string} cause
 * @param {{type: string, isAutomatic?: boolean}} message
 */
function isForToolbar(cause, { type, isAutomatic }) {
  if (cause === "scope") {
    return type === "picture.check";
  }
  const isBusy = ["queue-full", "too-many"].includes(cause);
  return OF_CONNECTION.has(cause) || (isBusy && type === "picture.check" && !isAutomatic);
}

// At every start: an extension that is switched on again is neither installed nor started up.
closeStorage().catch(console.error);

async function start() {
  await makeMenu();
  await syncSites();
}

/** Something was mended: a permission or the connection. */
async function mend() {
  await syncSites();
  await clearProblems();
  await retryCards();
}

/** @param {Record<string, unknown>} changes @param {string} area */
async function changed(changes, area) {
  if (area === "local" && changes.settings) {
    await makeMenu();
  }
  if (area === "local" && changes.sites) {
    await syncSites();
  }
}
