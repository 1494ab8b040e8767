// Questions to the worker of the extension. The browser may end the worker at any moment, so a
// question without an answer is asked again; the daemon joins equal pictures, so nothing is doubled.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.messaging) {
    return;
  }

  const TRIES = 5;
  const ANSWER_S = 25;
  const PAUSE_MS = 250;

  /** @returns {boolean} false once the extension was updated or removed under this script */
  function isAlive() {
    try {
      return Boolean(chrome.runtime?.id);
    } catch {
      return false;
    }
  }

  /** @param {number} ms @returns {Promise<void>} */
  function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** @param {object} message @returns {Promise<Outcome|null>} */
  async function once(message) {
    try {
      const late = pause(ANSWER_S * 1000).then(() => null);
      return await Promise.race([chrome.runtime.sendMessage(message), late]);
    } catch {
      return null;
    }
  }

  /**
   * @param {object} message
   * @returns {Promise<Outcome|null>} the answer, null if there was none after some tries
   */
  async function ask(message) {
    for (let turn = 0; turn < TRIES && isAlive(); turn++) {
      const answer = await once(message);
      if (answer && typeof answer === "object") {
        return answer;
      }
      await pause(PAUSE_MS * 2 ** turn);
    }
    return null;
  }

  antifake.messaging = Object.freeze({ ask, isAlive, pause });
})();
