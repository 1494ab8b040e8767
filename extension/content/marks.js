// Marks pictures by itself on sites where the person wants that: what is in view and large enough,
// a few at a time, never more than a page's share. A mark is a small button at the picture's corner.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.marks) {
    return;
  }
  const { dom, words, messaging, pictures, checking, cardView, cardStyle, card } = antifake;

  const KINDS = "img,input[type=image],image,video[poster],[style*=background]";
  const TICK_MS = 700;
  const STILL_MS = 120;
  const BUSY_MS = 5000;
  const MOST_BUSY = 3;
  const SIDE = 28;
  const INSET = 6;
  const CSS = `
    .mark { position: absolute; display: grid; place-items: center; width: ${SIDE}px;
      height: ${SIDE}px; padding: 0; border: 0; border-radius: 50%; background: var(--paper);
      box-shadow: 0 0 0 1px rgb(0 0 0 / .25), 0 1px 5px rgb(0 0 0 / .45); pointer-events: auto; }
    .mark .shape { width: 17px; height: 17px; }
    .mark.real { opacity: .82; }
    .mark:hover, .mark:focus-visible { opacity: 1; transform: scale(1.12); }
    .mark:focus-visible { outline: 3px solid var(--ours); outline-offset: 2px; }
    @media (forced-colors: active) { .mark { border: 2px solid ButtonText; } }
  `;

  const surface = antifake.surface.create(cardStyle.COMMON + CSS, {
    isTop: false,
    onLost: () => stop(),
  });

  /** @type {Limits|null} null while marking is off */
  let limits = null;
  /** What was found, by element. @type {Map<Element, MarkEntry>} */
  const entries = new Map();
  /** One check for pictures with one address. @type {Map<string, MarkCheck>} */
  const checks = new Map();
  let running = 0;
  let started = 0;
  let busy = 0;
  let timer = 0;
  let frame = 0;
  let idle = 0;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  let still;
  /** @type {Set<Node>} */
  let added = new Set();
  /** @type {IntersectionObserver|null} */
  let sight = null;
  /** @type {MutationObserver|null} */
  let changes = null;
  let abort = new AbortController();

  /** @param {Element} element @returns {boolean} its background is a pattern or cut out of a sprite */
  function isPattern(element) {
    const { backgroundSize, backgroundPosition, backgroundRepeat } = dom.style(element);
    if (backgroundSize !== "auto") {
      return false;
    }
    const isRepeated = /(?:^|\s|,)repeat/.test(backgroundRepeat);
    return isRepeated || !/^0(?:px|%) 0(?:px|%)$/.test(backgroundPosition);
  }

  /** @param {Found} found @returns {boolean} neither an icon nor a sprite */
  function isWorth({ url, natural, shown, kind, element }) {
    const sides = [shown.width, shown.height];
    if (natural) {
      sides.push(natural.width, natural.height);
    }
    if (Math.min(...sides) < (limits?.minSide ?? Infinity)) {
      return false;
    }
    const isDrawing = !url || /^data:image\/svg|\.svgz?(?:[?#]|$)/i.test(url);
    return !isDrawing && !(kind === "background" && isPattern(element));
  }

  /** @param {MarkEntry} entry @returns {boolean} another element shows the same picture at its place */
  function isTwin(entry) {
    const box = dom.rect(entry.element);
    for (const other of entries.values()) {
      if (other === entry || !other.isShown || other.found?.url !== entry.found?.url) {
        continue;
      }
      const { left, top } = dom.rect(other.element);
      if (Math.abs(left - box.left) < 8 && Math.abs(top - box.top) < 8) {
        return true;
      }
    }
    return false;
  }

  /** @param {Found} found @returns {MarkCheck} */
  function newCheck(found) {
    return { found, outcome: null, isRunning: false, isOver: false, times: 0 };
  }

  /** @param {MarkEntry} entry @returns {void} looks at an element that came into view */
  function consider(entry) {
    if (entry.check) {
      return;
    }
    entry.found = dom.isVisible(entry.element) ? pictures.read(entry.element) : null;
    if (!entry.found || !isWorth(entry.found) || isTwin(entry)) {
      entry.found = null;
      return;
    }
    const known = checks.get(String(entry.found.url));
    entry.check = known ?? newCheck(entry.found);
    checks.set(String(entry.found.url), entry.check);
  }

  /** @returns {MarkCheck|null} the next check that may start */
  function nextCheck() {
    for (const entry of entries.values()) {
      if (!entry.isShown) {
        continue;
      }
      consider(entry);
      const { check } = entry;
      if (check && !check.isRunning && !check.isOver) {
        return check;
      }
    }
    return null;
  }

  /** Starts as many checks as may run. */
  function advance() {
    while (limits && !dom.isHidden() && performance.now() >= busy) {
      if (running >= limits.atOnce || started >= limits.perPage) {
        break;
      }
      const check = nextCheck();
      if (!check) {
        break;
      }
      run(check);
    }
    place(true);
  }

  /** @param {MarkCheck} check @returns {Promise<void>} */
  async function run(check) {
    check.isRunning = true;
    running += 1;
    started += 1;
    const { signal } = abort;
    const { found } = check;
    const outcome = await checking.run({
      found,
      isAutomatic: true,
      answers: { linked: null },
      signal,
    });
    if (signal.aborted) {
      return;
    }
    running -= 1;
    check.isRunning = false;
    finish(check, outcome);
    advance();
  }

  /** @param {MarkCheck} check @param {Outcome|null} outcome @returns {void} */
  function finish(check, outcome) {
    check.isOver = true;
    if (outcome?.state === "done" && outcome.tone !== "failed") {
      check.outcome = outcome;
    }
    const isBusy = outcome?.cause === "queue-full";
    check.times += 1;
    if (isBusy && check.times <= MOST_BUSY) {
      check.isOver = false;
      started -= 1;
      busy = performance.now() + BUSY_MS;
    }
    // Without a daemon every further picture would fail in the same way: wait for "card.retry".
    const isStuck =
      outcome?.state === "problem" &&
      !["queue-full", "gone", "too-large", "not-a-picture", "host-permission"].includes(
        outcome.cause,
      );
    if (isStuck) {
      check.isOver = false;
      started -= 1;
      busy = Infinity;
    }
  }

  /** @param {MarkEntry} entry @param {MarkCheck} check @returns {HTMLElement} */
  function markOf(entry, check) {
    const outcome = /** @type {Outcome} */ (check.outcome);
    const node = cardView.element("button", `mark ${outcome.tone}`);
    node.type = "button";
    const text = [outcome.word, outcome.sure].filter(Boolean).join(", ");
    node.title = text;
    node.setAttribute("aria-label", words.say("mark_name", text));
    node.append(cardView.shape(outcome.tone));
    dom.listen(node, "click", (/** @type {MouseEvent} */ event) => {
      if (!event.isTrusted) {
        return;
      }
      event.stopPropagation();
      const shown = { ...check.found, element: entry.element };
      card.open(shown, {
        outcome: check.outcome,
        isByKeyboard: event.detail === 0,
        onVerdict: (verdict) => renewMarks(check, verdict),
      });
    });
    surface.root.append(node);
    return node;
  }

  /**
   * @param {MarkCheck} check
   * @param {Outcome} verdict after a correction on the card
   */
  function renewMarks(check, verdict) {
    check.outcome = verdict;
    for (const entry of entries.values()) {
      if (entry.check === check) {
        unmark(entry);
      }
    }
    place(true);
  }

  /** @param {MarkEntry} entry @returns {void} */
  function unmark(entry) {
    entry.mark?.remove();
    entry.mark = null;
  }

  /** @param {Element} element @returns {boolean} one cannot see through it */
  function isOpaque(element) {
    if (dom.matches(element, "img,video,canvas,iframe,object,embed")) {
      return true;
    }
    const { backgroundColor, backgroundImage } = dom.style(element);
    if (backgroundImage.includes("url(")) {
      return true;
    }
    const alpha = /[,/]\s*([\d.]+)(%?)\s*\)$/.exec(backgroundColor);
    const isRgb = /^rgb\(/.test(backgroundColor);
    return isRgb || (alpha ? Number(alpha[1]) / (alpha[2] ? 100 : 1) > 0.5 : true);
  }

  /** @param {MarkEntry} entry @param {DOMRect} box @returns {boolean} something covers it there */
  function isCovered({ element, found }, box) {
    const around = dom.lineage(element);
    for (const hit of dom.elementsAt(box.left + INSET + SIDE / 2, box.top + INSET + SIDE / 2)) {
      if (around.includes(hit)) {
        return false;
      }
      // Pages lay the same picture over itself, as an image and as a background.
      if (isOpaque(hit) && pictures.read(hit)?.url !== found?.url) {
        return true;
      }
    }
    return false;
  }

  /**
   * @param {MarkEntry} entry
   * @param {boolean} isThorough looks for what covers it, which is too slow for every frame
   * @returns {DOMRect|null} the place of its picture, if a mark can be seen there
   */
  function boxFor(entry, isThorough) {
    if (!entry.isShown || !dom.isConnected(entry.element)) {
      return null;
    }
    const box = dom.rect(entry.element);
    if (Math.min(box.width, box.height) < SIDE * 2) {
      return null;
    }
    if (isThorough) {
      entry.isCovered = isCovered(entry, box);
    }
    return entry.isCovered ? null : box;
  }

  /**
   * Puts the marks at their pictures. All is read before anything is written.
   *
   * @param {boolean} isThorough
   */
  function place(isThorough) {
    const ready = limits ? [...entries.values()].filter((one) => one.check?.outcome) : [];
    if (!ready.length) {
      return;
    }
    surface.show(null);
    const origin = dom.rect(surface.host);
    for (const [entry, box] of ready.map(
      (one) => /** @type {const} */ ([one, boxFor(one, isThorough)]),
    )) {
      if (box && entry.check) {
        entry.mark ??= markOf(entry, entry.check);
        const isRight = words.direction === "rtl";
        const x = isRight ? box.right - SIDE - INSET : box.left + INSET;
        move(entry.mark, Math.round(x - origin.left), Math.round(box.top + INSET - origin.top));
      }
      if (entry.mark) {
        entry.mark.hidden = !box;
      }
    }
  }

  /** @param {HTMLElement} mark @param {number} x @param {number} y @returns {void} */
  function move(mark, x, y) {
    const [left, top] = [`${x}px`, `${y}px`];
    if (mark.style.left !== left) {
      mark.style.left = left;
    }
    if (mark.style.top !== top) {
      mark.style.top = top;
    }
  }

  /** @param {Element} element @returns {void} */
  function add(element) {
    if (entries.has(element)) {
      return;
    }
    entries.set(element, {
      element,
      isShown: false,
      isCovered: false,
      found: null,
      check: null,
      mark: null,
    });
    sight?.observe(element);
  }

  /** @param {Element} element @returns {void} */
  function free(element) {
    const entry = entries.get(element);
    if (!entry) {
      return;
    }
    sight?.unobserve(element);
    unmark(entry);
    entries.delete(element);
  }

  /** @param {any} root @returns {void} */
  function scan(root) {
    if (root !== dom.document && !dom.isConnected(root)) {
      return;
    }
    if (root !== dom.document && dom.matches(root, KINDS)) {
      add(root);
    }
    for (const element of dom.query(root, KINDS)) {
      add(element);
    }
  }

  /** Looks at what the page added since the last time, when there is time for it. */
  function later() {
    idle ||= window.requestIdleCallback(
      () => {
        idle = 0;
        const roots = added;
        added = new Set();
        if (!limits) {
          return;
        }
        for (const root of roots) {
          scan(root);
        }
        for (const element of entries.keys()) {
          if (!dom.isConnected(element)) {
            free(element);
          }
        }
      },
      { timeout: 500 },
    );
  }

  /** @param {MutationRecord[]} records @returns {void} */
  function onChange(records) {
    for (const record of records) {
      if (record.type === "attributes") {
        renew(/** @type {Element} */ (record.target));
      }
      for (const node of record.addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE && !dom.isOwn(node)) {
          added.add(node);
        }
      }
    }
    later();
  }

  /** @param {Element} element @returns {void} it may show another picture now */
  function renew(element) {
    const entry = entries.get(element);
    if (!entry) {
      if (dom.matches(element, KINDS)) {
        added.add(element);
      }
      return;
    }
    if (!entry.found && !entry.check) {
      return;
    }
    const now = pictures.read(element);
    if (now && entry.check && now.url === entry.check.found.url) {
      return;
    }
    unmark(entry);
    entry.check = null;
    entry.found = null;
  }

  /** @param {IntersectionObserverEntry[]} records @returns {void} */
  function onSight(records) {
    for (const { target, isIntersecting, intersectionRect } of records) {
      const entry = entries.get(target);
      if (!entry) {
        continue;
      }
      const side = Math.min(intersectionRect.width, intersectionRect.height);
      entry.isShown = isIntersecting && side >= (limits?.minSide ?? 0) / 2;
    }
    advance();
  }

  function soon() {
    clearTimeout(still);
    still = setTimeout(() => place(true), STILL_MS);
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      place(false);
    });
  }

  /** @param {Event} event @returns {void} a picture was loaded, perhaps another one than before */
  function onLoad(event) {
    if (event.target instanceof HTMLImageElement) {
      renew(event.target);
    }
  }

  function tick() {
    if (!messaging.isAlive()) {
      return stop();
    }
    return dom.isHidden() ? undefined : advance();
  }

  /** @param {typeof dom.listen} change @returns {void} */
  function bind(change) {
    change(window, "scroll", soon, { capture: true, passive: true });
    change(window, "resize", soon, { passive: true });
    change(dom.document, "load", onLoad, { capture: true, passive: true });
    change(dom.document, "visibilitychange", tick);
  }

  /** @returns {Promise<void>} */
  async function start() {
    if (limits) {
      return;
    }
    const answer = await messaging.ask({ type: "marks.ask" });
    if (!answer?.isOn || limits) {
      return;
    }
    limits = answer.limits;
    abort = new AbortController();
    sight = new IntersectionObserver(onSight, { threshold: [0, 0.25, 0.5, 0.75, 1] });
    changes = new MutationObserver(onChange);
    changes.observe(dom.document, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: ["src", "srcset", "style", "href", "poster"],
    });
    bind(dom.listen);
    timer = setInterval(tick, TICK_MS);
    added.add(dom.document);
    later();
  }

  function stop() {
    if (!limits) {
      return;
    }
    limits = null;
    abort.abort();
    clearInterval(timer);
    sight?.disconnect();
    changes?.disconnect();
    bind(dom.unlisten);
    entries.clear();
    checks.clear();
    surface.root.replaceChildren();
    if (surface.isShown()) {
      surface.hide();
    }
    running = started = busy = 0;
  }

  /** The connection works again. */
  function retry() {
    busy = 0;
    advance();
  }

  antifake.marks = Object.freeze({ start, stop, retry });
})();
