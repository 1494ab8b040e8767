// Takes the messages of the worker.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.isStarted) {
    return;
  }
  antifake.isStarted = true;
  const { card, pictures, picker, marks } = antifake;

  /** @param {{srcUrl: string|null, targetElementId: number|null}} message of the menu */
  function openCard(message) {
    const found = pictures.fromMenu(message);
    if (found) {
      card.open(found, { isByKeyboard: pictures.wasByKeyboard() });
    }
    // No picture was under the pointer, or the page had none of our scripts yet to see which one.
    else {
      picker.start();
    }
  }

  /** @type {Record<string, (message: any) => void>} */
  const deeds = {
    "card.open": openCard,
    "card.retry": () => {
      card.retry();
      marks.retry();
    },
    "pick.start": () => picker.start(),
    "marks.start": () => marks.start(),
    "marks.stop": () => marks.stop(),
  };

  /** @param {{type: string}} message that the worker hands over when it puts these scripts here */
  function take(message) {
    deeds[message.type](message);
  }

  chrome.runtime.onMessage.addListener((message, sender, answer) => {
    if (sender.id !== chrome.runtime.id || !Object.hasOwn(deeds, message?.type)) {
      return;
    }
    take(message);
    answer({});
  });

  antifake.take = take;
  // What was handed over before these scripts were loaded.
  const waiting = Object.getOwnPropertyDescriptor(globalThis, "antifakeWaiting")?.value ?? [];
  waiting.forEach(take);
})();
