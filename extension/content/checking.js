// Runs one check from the picture to an outcome that ends it. The worker keeps nothing in mind
// between messages: what must survive is here.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.checking) {
    return;
  }
  const { dom, words, messaging, pictures, bytes, surface } = antifake;

  const QUICK_MS = 300;
  const MOST_TRANSFERS = 6;

  /** @param {Plan} plan @param {{way: Way, base64: string|null}|null} given @returns {Promise<Outcome|null>} */
  function check({ found, isAutomatic, answers }, given) {
    const picture = pictures.describe(found);
    return messaging.ask({ type: "picture.check", picture, bytes: given, isAutomatic, answers });
  }

  /** @param {string} key @returns {Outcome} a problem that the worker knows nothing of */
  function problem(key) {
    return { state: "problem", cause: "gone", text: words.say(key), button: null };
  }

  /** @param {Plan} plan @returns {Promise<Outcome|null>} */
  async function copyScreen(plan) {
    const { found } = plan;
    if (!pictures.isUnchanged(found)) {
      return problem("card_changed");
    }
    if (pictures.isEmptyVideo(pictures.read(found.element))) {
      return problem("card_no_frame");
    }
    if (!pictures.isInView(found)) {
      found.element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    }
    return surface.whileHidden(async (isHidden) =>
      isHidden ? check(plan, { way: "screen", base64: null }) : problem("card_still"),
    );
  }

  /** @param {Plan} plan @param {Way[]} ways @returns {Promise<Outcome|null>} */
  async function transfer(plan, ways) {
    for (const way of ways) {
      if (way === "screen") {
        return copyScreen(plan);
      }
      const got = await bytes.get(plan.found, way);
      if (got) {
        return check(plan, { way, ...got });
      }
    }
    const last = ways.at(-1);
    return last ? check(plan, { way: last, base64: null }) : problem("card_no_bytes");
  }

  /** @param {Outcome} outcome @returns {Promise<Outcome|null>} */
  async function poll({ id, seen }) {
    const start = performance.now();
    const next = await messaging.ask({ type: "picture.poll", id, seen });
    if (next?.state === "waiting" && performance.now() - start < QUICK_MS) {
      await messaging.pause(QUICK_MS);
    }
    return next;
  }

  /**
   * @param {Plan} plan
   * @returns {Promise<Outcome|null>} an outcome that is done, asks or has a problem; null if stopped
   */
  async function run(plan) {
    const tried = new Set();
    let rounds = 0;
    let outcome = plan.isScreen ? await copyScreen(plan) : await check(plan, null);
    for (;;) {
      if (plan.signal.aborted) {
        return null;
      }
      if (!outcome) {
        return problem("card_lost");
      }
      if (outcome.state === "waiting") {
        plan.onWait?.(outcome);
        outcome = await poll(outcome);
      } else if (outcome.state === "bytes") {
        const ways = outcome.ways.filter(
          (/** @type {Way} */ way) => !tried.has(way) && !(plan.isAutomatic && way === "screen"),
        );
        for (const way of ways) {
          tried.add(way);
        }
        rounds += 1;
        if (rounds > MOST_TRANSFERS) {
          return problem("card_no_bytes");
        }
        outcome = await transfer(plan, ways);
      } else {
        return outcome;
      }
    }
  }

  antifake.checking = Object.freeze({ run, isGone: (found) => !dom.isConnected(found.element) });
})();
