// The card at the picture: waits visibly, shows the verdict, and takes corrections. One at a time;
// pictures asked for meanwhile wait their turn.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.card) {
    return;
  }
  const { dom, words, messaging, pictures, checking, cardView, cardStyle, placement } = antifake;

  const LAYOUT_MS = 250;
  const MOST_QUEUED = 20;
  const KEPT_TO_US = [
    "click",
    "dblclick",
    "auxclick",
    "mousedown",
    "mouseup",
    "pointerdown",
    "pointerup",
    "touchstart",
    "touchend",
    "keydown",
    "keyup",
    "keypress",
    "wheel",
    "selectstart",
  ];

  const surface = antifake.surface.create(cardStyle.COMMON + cardStyle.CARD, {
    isTop: true,
    onLost: () => leave(),
  });
  const card = cardView.element("div", "card");
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-labelledby", "word");
  card.setAttribute("aria-describedby", "body");
  card.tabIndex = -1;
  const status = cardView.element("p", "away");
  status.setAttribute("role", "status");
  surface.root.append(card, status);

  /** @type {CardRequest|null} the one that the card shows */
  let current = null;
  /** @type {CardRequest[]} */
  let queue = [];
  let isCovered = false;
  let frame = 0;
  let timer = 0;
  /** @type {Element|null} what had the focus before the card took it */
  let before = null;

  /** @param {CardRequest} request @returns {boolean} */
  function isOver(request) {
    return request.outcome !== null && request.outcome.state !== "waiting";
  }

  /** @param {CardRequest} request @returns {"here"|"away"|"gone"} its picture */
  function whereabouts({ found }) {
    if (checking.isGone(found)) {
      return "gone";
    }
    return pictures.isInView(found) ? "here" : "away";
  }

  /** @param {CardRequest} request @returns {{notes: string[], links: Action[]}} that every state has */
  function surroundings(request) {
    const notes = [];
    const links = [];
    if (request.where === "gone") {
      notes.push(words.say("card_removed"));
    }
    if (request.where === "away") {
      notes.push(words.say("card_out_of_view"));
      links.push({ id: "show", text: words.say("card_show") });
    }
    if (queue.length) {
      links.push({ id: "next", text: words.count("card_next", queue.length) });
    }
    return { notes, links };
  }

  /**
   * What a person can say of a picture. To confirm a verdict is to give the same one.
   *
   * @param {Outcome} outcome
   * @returns {Action[]}
   */
  function judgements({ tone }) {
    const right = { text: words.say("card_say_right"), icon: "right" };
    const real = { text: words.say("card_say_real"), icon: "real" };
    const made = { text: words.say("card_say_made"), icon: "made" };
    /** @type {Action[]} */
    const both = [
      { id: "real", ...(tone === "real" ? right : real) },
      { id: "fake", ...(tone === "made" ? right : made) },
    ];
    return tone === "made" ? both.reverse() : both;
  }

  /** @param {CardRequest} request @param {Outcome} outcome @returns {View} */
  function viewOfDone(request, outcome) {
    const { notes, links } = surroundings(request);
    const own = [
      outcome.seen || request.seenText,
      outcome.said?.isNearCopy ? words.say("card_near_copy") : "",
      outcome.isPrivate ? words.say("card_private") : "",
    ];
    /** @type {Action[]} */
    const actions = [];
    if (outcome.canCorrect && (!outcome.said || outcome.said.isNearCopy)) {
      actions.push(...judgements(outcome));
    }
    if (outcome.canUndo) {
      actions.push({ id: "undo", text: words.say("card_undo") });
    }
    if (!outcome.isPrivate) {
      links.unshift({ id: "details", text: words.say("card_details") });
    }
    const { tone, word, sure, lines } = outcome;
    return { tone, word, sure, lines, notes: [...own, ...notes], actions, links };
  }

  /** @param {{id: string, text: string}} choice @param {number} place @returns {Action} */
  function actionOf({ id, text }, place) {
    return { id: `choose ${id}`, text, look: place ? "" : "main" };
  }

  /** @param {CardRequest} request @returns {View} */
  function viewOf(request) {
    const { outcome } = request;
    const around = surroundings(request);
    if (!outcome || outcome.state === "waiting") {
      const word = outcome?.text || words.say("card_checking");
      const actions = [{ id: "stop", text: words.say("card_stop") }];
      return { tone: "waiting", word, isWaiting: true, actions, ...around };
    }
    if (outcome.state === "done") {
      return viewOfDone(request, outcome);
    }
    if (outcome.state === "ask") {
      const actions = outcome.choices.map(actionOf);
      return { tone: "question", word: outcome.text, text: outcome.reason, actions, ...around };
    }
    const { button } = outcome;
    const actions = button ? [{ id: "mend", text: button.text, look: "main" }] : [];
    const word = words.say("card_problem");
    return { tone: "problem", word, text: outcome.text, actions, ...around };
  }

  /** @returns {string|undefined} the button that has the focus */
  function focusedAct() {
    return /** @type {HTMLElement|null} */ (surface.shadow.activeElement)?.dataset?.act;
  }

  /** Draws the current request; the focus stays where it was as far as that is still there. */
  function draw() {
    if (!current || !surface.isShown()) {
      return;
    }
    const hadFocus = surface.hasFocus();
    const act = focusedAct();
    current.where = whereabouts(current);
    const view = viewOf(current);
    view.isBusy = current.isBusy;
    view.notice = current.notice;
    cardView.draw(card, view);
    const body = /** @type {HTMLElement} */ (card.querySelector(".body"));
    if (body.scrollHeight > body.clientHeight) {
      body.tabIndex = 0;
    }
    if (hadFocus) {
      /** @type {HTMLElement[]} */
      const buttons = [...card.querySelectorAll("button")];
      const same = buttons.find((one) => one.dataset.act === act);
      surface.focus(same ?? card);
    }
    const spoken = [view.word, view.sure, view.text, view.notice?.text].filter(Boolean).join(". ");
    if (status.textContent !== spoken) {
      status.textContent = spoken;
    }
    put();
  }

  /** Moves the card to its picture. */
  function put() {
    if (!current || !surface.isShown()) {
      return;
    }
    const { found } = current;
    const host = dom.rect(surface.host);
    const box = checking.isGone(found) ? null : dom.rect(found.element);
    const anchor = box && {
      x: box.left - host.left,
      y: box.top - host.top,
      width: box.width,
      height: box.height,
    };
    const size = { width: card.offsetWidth, height: card.offsetHeight };
    const view = { width: host.width, height: host.height };
    const { x, y } = placement.place(anchor, size, view, words.direction);
    card.style.left = `${Math.round(x)}px`;
    card.style.top = `${Math.round(y)}px`;
  }

  function follow() {
    frame = 0;
    if (!current) {
      return;
    }
    if (whereabouts(current) !== current.where) {
      draw();
    } else {
      put();
    }
  }

  function soon() {
    if (!frame) {
      frame = requestAnimationFrame(follow);
    }
  }

  /** @param {CardRequest} request @param {{isScreen?: boolean}} [how] @returns {Promise<void>} */
  async function check(request, { isScreen = false } = {}) {
    request.abort.abort();
    request.abort = new AbortController();
    const { signal } = request.abort;
    request.outcome = null;
    request.notice = null;
    draw();
    const outcome = await checking.run({
      found: request.found,
      isAutomatic: false,
      answers: request.answers,
      isScreen,
      signal,
      onWait: (waiting) => {
        if (signal.aborted) {
          return;
        }
        request.outcome = waiting;
        request.seen = waiting.seen;
        if (request === current) {
          draw();
        }
      },
    });
    if (signal.aborted || !outcome) {
      return;
    }
    settle(request, outcome);
  }

  /** @param {CardRequest} request @param {Outcome} outcome @returns {void} */
  function settle(request, outcome) {
    request.outcome = outcome;
    request.seenText = outcome.seen || request.seenText;
    if (outcome.state === "done") {
      request.onVerdict?.(outcome);
    }
    if (request === current) {
      draw();
    }
  }

  /** @param {CardRequest} request @param {object} message @returns {Promise<void>} */
  async function tell(request, message) {
    if (request.isBusy) {
      return;
    }
    request.isBusy = true;
    request.notice = null;
    draw();
    const outcome = await messaging.ask(message);
    request.isBusy = false;
    if (outcome?.state === "done") {
      settle(request, outcome);
    } else if (!outcome || outcome.state === "problem") {
      const button = outcome?.button;
      request.notice = {
        text: outcome?.text ?? words.say("card_lost"),
        action: button ? { id: `act ${button.action}`, text: button.text, look: "main" } : null,
      };
    }
    if (request === current) {
      draw();
    }
  }

  /** @param {string} id @param {CardRequest} request @returns {void} */
  function choose(id, request) {
    if (id === "yes" || id === "no") {
      request.answers = { linked: id };
      check(request);
    } else if (id === "screen") {
      check(request, { isScreen: true });
    } else {
      messaging.ask({ type: "problem.act", action: id });
    }
  }

  /** @param {string} act the name of a button @param {CardRequest} request @returns {void} */
  function perform(act, request) {
    const outcome = request.outcome ?? { state: "waiting" };
    const [verb, rest] = act.split(" ");
    const about = { id: outcome.id, ...(request.seen ? { seen: request.seen } : {}) };
    /** @type {Record<string, () => unknown>} */
    const deeds = {
      close: () => close(),
      stop: () => close(),
      next: () => turn(request),
      show: () => request.found.element.scrollIntoView({ block: "center", inline: "center" }),
      real: () => tell(request, { type: "picture.correct", ...about, label: "real" }),
      fake: () => tell(request, { type: "picture.correct", ...about, label: "fake" }),
      undo: () => tell(request, { type: "picture.undo", ...about }),
      details: () => tell(request, { type: "picture.details", id: outcome.id }),
      mend: () => messaging.ask({ type: "problem.act", action: outcome.button.action }),
      act: () => messaging.ask({ type: "problem.act", action: rest }),
      choose: () => choose(rest, request),
    };
    deeds[verb]?.();
  }

  /** @param {MouseEvent} event @returns {void} */
  function onClick(event) {
    if (!event.isTrusted || !current) {
      return;
    }
    const path = /** @type {HTMLElement[]} */ (event.composedPath());
    const target = path.find((one) => one.dataset?.act);
    if (!target || target.getAttribute("aria-disabled") === "true") {
      return;
    }
    sight?.takeRecords().forEach(see);
    const isByPointer = event.detail > 0;
    if (isCovered && isByPointer && target.dataset.act !== "close") {
      // The page may have put something over the card, so that people press what they do not see.
      surface.raise();
      status.textContent = words.say("card_covered");
      return;
    }
    perform(String(target.dataset.act), current);
  }

  /** @param {KeyboardEvent} event @returns {void} */
  function onKey(event) {
    if (!event.isTrusted || event.key !== "Escape" || !surface.isShown()) {
      return;
    }
    if (event.isComposing || antifake.picker?.isOn()) {
      return;
    }
    if (surface.hasFocus()) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
    close();
  }

  /** @param {IntersectionObserverEntry} entry @returns {void} */
  function see(entry) {
    if ("isVisible" in entry) {
      isCovered = !entry.isVisible;
    }
  }

  /** @returns {IntersectionObserver|null} that knows what covers the card; Chromium has it */
  function watchSight() {
    if (!("isVisible" in IntersectionObserverEntry.prototype)) {
      return null;
    }
    const options = { threshold: [0, 0.5, 1], trackVisibility: true, delay: 100 };
    return new IntersectionObserver((entries) => entries.forEach(see), options);
  }

  const sight = watchSight();

  /** @param {CardRequest} request @returns {void} */
  function enter(request) {
    surface.show(request.found.element);
    isCovered = false;
    sight?.observe(card);
    timer ||= setInterval(soon, LAYOUT_MS);
    dom.listen(window, "scroll", soon, { capture: true, passive: true });
    dom.listen(window, "resize", soon, { passive: true });
  }

  function leave() {
    if (surface.isShown()) {
      surface.hide();
    }
    sight?.disconnect();
    clearInterval(timer);
    timer = 0;
    dom.unlisten(window, "scroll", soon, { capture: true });
    dom.unlisten(window, "resize", soon);
    current = null;
    queue = [];
  }

  /** @param {CardRequest} request @returns {void} */
  function present(request) {
    current = request;
    enter(request);
    draw();
    if (request.isByKeyboard) {
      surface.focus(card);
    }
  }

  /** Closes the card; the next picture in the queue gets it. */
  function close() {
    if (!current) {
      return;
    }
    const hadFocus = surface.hasFocus();
    current.abort.abort();
    const next = queue.shift();
    if (next) {
      current = null;
      present(next);
      if (hadFocus) {
        surface.focus(card);
      }
      return;
    }
    leave();
    if (hadFocus && before && dom.isConnected(before)) {
      dom.focus(before, { preventScroll: true });
    }
    before = null;
  }

  /** @param {CardRequest} request makes room for the next one; an unfinished one comes again later */
  function turn(request) {
    if (isOver(request)) {
      close();
      return;
    }
    queue.push(request);
    const hadFocus = surface.hasFocus();
    present(/** @type {CardRequest} */ (queue.shift()));
    if (hadFocus) {
      surface.focus(card);
    }
  }

  /** @param {Found} found @returns {CardRequest|undefined} one that is open for this picture */
  function requestFor(found) {
    const waiting = [...(current ? [current] : []), ...queue];
    return waiting.find(
      (one) => one.found.element === found.element && one.found.url === found.url && !found.still,
    );
  }

  /** @param {Found} found @param {Opening} how @returns {CardRequest} */
  function requestOf(found, { isByKeyboard = false, outcome = null, onVerdict }) {
    return {
      found,
      isByKeyboard,
      outcome,
      onVerdict,
      answers: { linked: null },
      abort: new AbortController(),
      seen: null,
      seenText: outcome?.seen ?? "",
      isBusy: false,
      notice: null,
      where: "here",
    };
  }

  /** @param {CardRequest} request @returns {void} now, or when the one before it is finished */
  function enqueue(request) {
    if (current && !isOver(current)) {
      if (queue.length < MOST_QUEUED) {
        queue.push(request);
      }
      draw();
      return;
    }
    current?.abort.abort();
    present(request);
  }

  /**
   * @param {Found} found a picture, from pictures.js
   * @param {Opening} [how]
   * @returns {void}
   */
  function open(found, how = {}) {
    if (how.isByKeyboard && !surface.hasFocus()) {
      before = dom.focused();
    }
    const same = requestFor(found);
    if (same && same.outcome?.state !== "problem") {
      if (same === current && how.isByKeyboard) {
        surface.focus(card);
      }
      return;
    }
    const request = requestOf(found, how);
    enqueue(request);
    if (!request.outcome) {
      check(request);
    }
  }

  /** A permission was granted or the connection works again. */
  function retry() {
    for (const request of [current, ...queue]) {
      if (!request) {
        continue;
      }
      const { outcome } = request;
      const isStuck = outcome?.state === "problem" || outcome?.question === "permission";
      if (isStuck) {
        check(request);
      } else if (request.notice) {
        request.notice = null;
        draw();
      }
    }
  }

  for (const type of KEPT_TO_US) {
    // The page's own listeners would take a press on the card for one beside its dialogs.
    dom.listen(surface.shadow, type, (/** @type {Event} */ event) => event.stopPropagation(), {
      passive: true,
    });
  }
  dom.listen(card, "click", onClick);
  dom.listen(window, "keydown", onKey, { capture: true });
  antifake.card = Object.freeze({ open, retry, close: leave, isOpen: () => current !== null });
})();
