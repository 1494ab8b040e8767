// Pick mode: outlines around the pictures in view; arrow keys or the pointer choose one.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.picker) {
    return;
  }
  const { dom, words, pictures, spatial, cardView, cardStyle, card } = antifake;
  const { element } = cardView;

  const LEAST_SIDE = 24;
  const MOST = 200;
  /** These still scroll or reload the page. */
  const PAGE_KEYS = new Set(["PageUp", "PageDown", "F5"]);
  /** @type {Record<string, string>} */
  const DIRECTIONS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };
  const POINTER = [
    "click",
    "dblclick",
    "auxclick",
    "contextmenu",
    "mousedown",
    "mouseup",
    "mouseover",
    "mouseout",
    "mousemove",
    "pointerdown",
    "pointerup",
    "pointermove",
    "pointerover",
    "pointerout",
    "touchstart",
    "touchend",
    "dragstart",
  ];
  const CSS = `
    .sheet { position: absolute; inset: 0; pointer-events: auto; cursor: crosshair; overflow: hidden;
      background: rgb(10 14 20 / .18); }
    .frame { position: absolute; border-radius: 4px; outline: 2px solid #fff; outline-offset: 0;
      box-shadow: 0 0 0 4px rgb(11 92 173 / .9), inset 0 0 0 1px rgb(11 92 173 / .6); }
    .frame[aria-selected=true] { outline: 3px solid #fff; background: rgb(108 182 255 / .22);
      box-shadow: 0 0 0 8px #0b5cad, 0 0 0 10px #fff; z-index: 1; }
    .hint { position: absolute; left: 50%; bottom: 16px; transform: translateX(-50%); z-index: 2;
      width: max-content; max-width: calc(100vw - 16px); padding: 10px 16px; border-radius: 12px;
      background: var(--paper); box-shadow: var(--shade); text-align: center; cursor: default;
      overflow-wrap: anywhere; max-height: calc(100vh - 16px); overflow: auto; }
    .hint.high { bottom: auto; top: 16px; }
    .hint .name { font-weight: 650; font-size: 15px; }
    .hint .keys { display: flex; flex-wrap: wrap; justify-content: center; gap: 4px 16px;
      color: var(--quiet); font-size: 13px; padding-top: 3px; }
    .hint kbd { font: 12px/1.4 system-ui, "DejaVu Sans", sans-serif; padding: 0 6px;
      border: 1px solid var(--edge); border-radius: 4px; color: var(--ink); }
    .hint .more { color: var(--quiet); font-size: 12.5px; padding-top: 4px; }
    @media (forced-colors: active) {
      .frame { outline-color: CanvasText; }
      .frame[aria-selected=true] { outline: 6px solid Highlight; }
      .hint { border: 2px solid CanvasText; }
    }
    @media (max-width: 400px) { .hint { padding: 8px 10px; } }
  `;

  const surface = antifake.surface.create(cardStyle.COMMON + CSS, {
    isTop: true,
    onLost: () => forget(),
  });
  const sheet = element("div", "sheet");
  sheet.setAttribute("role", "listbox");
  sheet.setAttribute("aria-describedby", "keys");
  sheet.tabIndex = 0;
  const hint = element("div", "hint");
  const name = element("p", "name");
  name.setAttribute("aria-live", "polite");
  const keys = element("p", "keys");
  keys.id = "keys";
  const more = element("p", "more");
  hint.append(name, keys, more);
  surface.root.append(sheet, hint);

  /** @type {Item[]} */
  let items = [];
  let chosen = -1;
  let frame = 0;
  /** @type {Element|null} */
  let before = null;
  /** @type {Point|null} */
  let pointer = null;

  /** @returns {{x: number, y: number, width: number, height: number}} */
  function view() {
    return { x: 0, y: 0, width: window.innerWidth, height: window.innerHeight };
  }

  /** @param {Found} found @returns {string} what a screen reader says of it */
  function nameOf(found) {
    const alt = dom.attribute(found.element, "alt") ?? dom.attribute(found.element, "aria-label");
    const text = alt?.trim().slice(0, 120) || words.say(`pick_kind_${found.kind}`);
    return words.say("pick_name", text, found.shown.width, found.shown.height);
  }

  /** @param {Item[]} all @returns {Item[]} without doubles at one place */
  function withoutTwins(all) {
    const seen = new Set();
    return all.filter(({ found, box }) => {
      const key = [found.url, box.x, box.y, box.width, box.height].map(String).join(" ");
      if (seen.has(key)) {
        return false;
      }
      return seen.add(key);
    });
  }

  function collect() {
    const held = items[chosen]?.found.element;
    const all = pictures.inView(LEAST_SIDE).flatMap((found) => {
      const box = placement(found);
      return box ? { found, box, frame: null } : [];
    });
    items = withoutTwins(all).slice(0, MOST);
    chosen = items.findIndex((one) => one.found.element === held);
    sheet.replaceChildren(...items.map(outline));
  }

  /** @param {Found} found @returns {Box|null} the part of it that is in view */
  function placement(found) {
    const { x, y, width, height } = dom.rect(found.element);
    return antifake.placement.visiblePart({ x, y, width, height }, view());
  }

  /** @param {Item} item @param {number} place @returns {HTMLElement} */
  function outline(item, place) {
    const node = element("div", "frame");
    const { x, y, width, height } = item.box;
    Object.assign(node.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    node.id = `picture${place}`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-label", nameOf(item.found));
    item.frame = node;
    return node;
  }

  /** @param {number} place @returns {void} */
  function choose(place) {
    items[chosen]?.frame?.removeAttribute("aria-selected");
    chosen = place;
    const item = items[place];
    if (item) {
      item.frame?.setAttribute("aria-selected", "true");
    }
    if (item) {
      sheet.setAttribute("aria-activedescendant", `picture${place}`);
    } else {
      sheet.removeAttribute("aria-activedescendant");
    }
    describe();
  }

  /** @param {string} key @param {string} text @returns {HTMLElement} */
  function keyHint(key, text) {
    const part = element("span");
    part.append(element("kbd", "", key), ` ${text}`);
    return part;
  }

  /** @returns {number} frames of other sites in view, which only a right-click reaches */
  function closedFrames() {
    return dom.query(dom.document, "iframe,frame").filter((one) => {
      const box = dom.rect(one);
      return box.width >= 64 && box.height >= 64 && pictures.isInView({ element: one });
    }).length;
  }

  function describe() {
    const total = items.length;
    const item = items[chosen];
    name.textContent = total
      ? words.say("pick_place", chosen + 1, total, item ? nameOf(item.found) : "")
      : words.say("pick_none");
    const esc = keyHint("Esc", words.say("pick_leave"));
    keys.replaceChildren(
      ...(total
        ? [keyHint("← ↑ → ↓", words.say("pick_move")), keyHint("↵", words.say("pick_check")), esc]
        : [esc]),
    );
    const frames = closedFrames();
    more.textContent = frames ? words.count("pick_frames", frames) : "";
    more.hidden = !frames;
    const box = item?.box;
    hint.classList.toggle(
      "high",
      Boolean(box && box.y + box.height > window.innerHeight - 90 && box.y > 120),
    );
  }

  /** Chooses what is under the pointer, else what is nearest to the middle. */
  function chooseFirst() {
    const boxes = items.map((one) => one.box);
    const hovered = pictures.hovered();
    let place = hovered ? items.findIndex((one) => one.found.element === hovered.element) : -1;
    if (place < 0 && pointer) {
      place = spatial.under(boxes, pointer);
    }
    const { width, height } = view();
    if (place < 0) {
      place = spatial.nearest(boxes, { x: width / 2, y: height / 2 });
    }
    choose(place);
  }

  /** @param {string} direction @returns {void} */
  function move(direction) {
    const boxes = items.map((one) => one.box);
    const place = chosen < 0 ? -1 : spatial.next(boxes, chosen, direction);
    if (place >= 0) {
      return choose(place);
    }
    const { width, height } = view();
    const left = { left: -0.6, right: 0.6 }[direction] ?? 0;
    const top = { up: -0.6, down: 0.6 }[direction] ?? 0;
    window.scrollBy({ left: left * width, top: top * height, behavior: "instant" });
    return undefined;
  }

  /** @param {number} step @returns {void} */
  function turn(step) {
    if (items.length) {
      choose((chosen + step + items.length) % items.length);
    }
  }

  /** @param {boolean} isByKeyboard @returns {void} */
  function take(isByKeyboard) {
    const item = items[chosen];
    if (!item) {
      return;
    }
    const focus = before;
    stop();
    if (isByKeyboard && focus && dom.isConnected(focus)) {
      dom.focus(focus, { preventScroll: true });
    }
    card.open(pictures.hold(item.found), { isByKeyboard });
  }

  /** @param {KeyboardEvent} event @returns {(() => void)|undefined} what its key does */
  function deedOf({ key, shiftKey }) {
    /** @type {Record<string, () => void>} */
    const deeds = {
      Enter: () => take(true),
      " ": () => take(true),
      Escape: leave,
      Tab: () => turn(shiftKey ? -1 : 1),
      Home: () => choose(items.length ? 0 : -1),
      End: () => choose(items.length - 1),
    };
    return Object.hasOwn(DIRECTIONS, key) ? () => move(DIRECTIONS[key]) : deeds[key];
  }

  /** @param {KeyboardEvent} event @returns {void} */
  function onKey(event) {
    if (!isOn()) {
      return;
    }
    event.stopImmediatePropagation();
    if (!event.isTrusted || event.type !== "keydown") {
      return;
    }
    if (event.isComposing || event.ctrlKey || event.metaKey || PAGE_KEYS.has(event.key)) {
      return;
    }
    event.preventDefault();
    deedOf(event)?.();
  }

  /** @param {MouseEvent} event @returns {void} */
  function onPointer(event) {
    if (!isOn()) {
      return;
    }
    event.stopImmediatePropagation();
    if (event.cancelable && event.type !== "touchstart") {
      event.preventDefault();
    }
    if (!event.isTrusted) {
      return;
    }
    if (event.type === "pointermove" || event.type === "click") {
      pointer = { x: event.clientX, y: event.clientY };
      const place = spatial.under(
        items.map((one) => one.box),
        pointer,
      );
      if (place >= 0 && place !== chosen) {
        choose(place);
      }
      if (event.type === "click" && place >= 0) {
        take(false);
      }
    }
    if (event.type === "contextmenu") {
      leave();
    }
  }

  function onMove() {
    if (!frame) {
      frame = requestAnimationFrame(() => {
        frame = 0;
        if (!isOn()) {
          return;
        }
        collect();
        if (chosen < 0) {
          chooseFirst();
        } else {
          choose(chosen);
        }
      });
    }
  }

  /** @param {typeof dom.listen} change @returns {void} */
  function bind(change) {
    for (const type of ["keydown", "keyup", "keypress"]) {
      change(window, type, onKey, true);
    }
    for (const type of POINTER) {
      change(window, type, onPointer, { capture: true, passive: false });
    }
    change(window, "scroll", onMove, { capture: true, passive: true });
    change(window, "resize", onMove, { passive: true });
  }

  /** @returns {boolean} */
  function isOn() {
    return surface.isShown();
  }

  function start() {
    if (isOn()) {
      return stop();
    }
    before = dom.focused();
    sheet.setAttribute("aria-label", words.say("pick_title"));
    chosen = -1;
    collect();
    surface.show(null);
    chooseFirst();
    surface.focus(sheet);
    return bind(dom.listen);
  }

  function forget() {
    bind(dom.unlisten);
    sheet.replaceChildren();
    items = [];
  }

  function stop() {
    if (!isOn()) {
      return;
    }
    surface.hide();
    forget();
  }

  function leave() {
    const focus = before;
    stop();
    if (focus && dom.isConnected(focus)) {
      dom.focus(focus, { preventScroll: true });
    }
  }

  antifake.picker = Object.freeze({ start, stop, isOn });
})();
