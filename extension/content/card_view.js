// Draws one state of the card. Text goes in as text only; nothing is parsed as HTML.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.cardView) {
    return;
  }
  const { dom, words } = antifake;

  /** The same shapes as on the daemon's pages: a verdict is never a colour alone. */
  /** @type {Record<string, [string, Record<string, string|number>][]>} */
  const SHAPES = {
    made: [["path", { d: "M10 1.6 18.4 10 10 18.4 1.6 10Z" }]],
    real: [["circle", { cx: 10, cy: 10, r: 7.8 }]],
    unsure: [
      ["rect", { x: 2.4, y: 2.4, width: 15.2, height: 15.2, rx: 2.4 }],
      ["path", { class: "sign", d: "M7.7 8.1a2.3 2.3 0 1 1 3.4 2c-.8.4-1.1.9-1.1 1.7" }],
      ["circle", { class: "dot", cx: 10, cy: 14.5, r: 1.05 }],
    ],
    failed: [["circle", { cx: 10, cy: 10, r: 7.8, "stroke-dasharray": "3.1 3.03" }]],
    question: [
      ["circle", { cx: 10, cy: 10, r: 7.8 }],
      ["path", { class: "sign", d: "M7.7 8.1a2.3 2.3 0 1 1 3.4 2c-.8.4-1.1.9-1.1 1.7" }],
      ["circle", { class: "dot", cx: 10, cy: 14.5, r: 1.05 }],
    ],
    problem: [
      ["path", { d: "M10 2.4 18.6 17.2H1.4Z" }],
      ["path", { class: "sign", d: "M10 8v4" }],
      ["circle", { class: "dot", cx: 10, cy: 14.6, r: 1.05 }],
    ],
    waiting: [
      ["circle", { cx: 10, cy: 10, r: 7.8, opacity: 0.25 }],
      ["path", { class: "turning", d: "M10 2.2A7.8 7.8 0 0 1 17.8 10" }],
    ],
    right: [["path", { d: "m3.6 10.6 4.3 4.3 8.5-9.8" }]],
    close: [["path", { d: "M4 4 16 16M16 4 4 16" }]],
  };
  const SOLID = new Set(["made", "real", "unsure"]);

  /**
   * @template {keyof HTMLElementTagNameMap} T
   * @param {T} tag
   * @param {string} [name]
   * @param {string} [text]
   * @returns {HTMLElementTagNameMap[T]}
   */
  function element(tag, name = "", text = "") {
    const node = dom.create(tag);
    if (name) {
      node.className = name;
    }
    if (text) {
      node.textContent = text;
    }
    return node;
  }

  /** @param {string} kind @returns {SVGElement} */
  function shape(kind) {
    const svg = dom.createSvg("svg");
    const solid = SOLID.has(kind) ? " solid" : "";
    svg.setAttribute("class", kind === "close" ? "" : `shape ${kind}${solid}`);
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("aria-hidden", "true");
    for (const [tag, attributes] of SHAPES[kind]) {
      const part = dom.createSvg(tag);
      for (const [name, value] of Object.entries(attributes)) {
        part.setAttribute(name, String(value));
      }
      svg.append(part);
    }
    return svg;
  }

  /** @param {Action} action @param {boolean} isBusy @returns {HTMLElement} */
  function button({ id, text, look, icon }, isBusy) {
    const node = element("button", look === "link" ? "link" : `button ${look ?? ""}`.trim());
    node.type = "button";
    node.dataset.act = id;
    if (icon) {
      node.append(shape(icon));
    }
    node.append(element("span", "", text));
    if (isBusy) {
      node.setAttribute("aria-disabled", "true");
    }
    return node;
  }

  /** @param {View} view @returns {HTMLElement} */
  function head({ tone, word, sure }) {
    const line = element("div", "head");
    const title = element("div", "title");
    const name = element("p", `word ${tone}`, word);
    name.id = "word";
    title.append(name);
    if (sure) {
      title.append(element("p", "sure", sure));
    }
    const close = element("button", "close");
    close.type = "button";
    close.dataset.act = "close";
    close.setAttribute("aria-label", words.say("card_close"));
    close.append(shape("close"));
    line.append(shape(tone), title, close);
    return line;
  }

  /** @param {View} view @returns {HTMLElement} */
  function body({ lines = [], notes = [], text, notice, isBusy = false }) {
    const part = element("div", "body");
    part.id = "body";
    if (text) {
      part.append(element("p", "text", text));
    }
    if (lines.length) {
      const list = element("ul", "why");
      for (const line of lines) {
        const item = element("li", "", line.text);
        item.lang = line.lang;
        item.dir = "auto";
        list.append(item);
      }
      part.append(list);
    }
    for (const note of notes.filter(Boolean)) {
      part.append(element("p", "quiet", note));
    }
    if (notice) {
      const box = element("div", "notice");
      box.append(element("p", "", notice.text));
      if (notice.action) {
        box.append(button(notice.action, isBusy));
      }
      part.append(box);
    }
    return part;
  }

  /**
   * Makes a node like another one. What is the same stays: a press counts only if its button is
   * the same one when it is let go, and the text of a waiting card changes meanwhile.
   *
   * @param {Node} old
   * @param {Node} next
   * @returns {void}
   */
  function renew(old, next) {
    if (old.isEqualNode(next)) {
      return;
    }
    if (!old.cloneNode().isEqualNode(next.cloneNode())) {
      old.parentNode?.replaceChild(next, old);
      return;
    }
    const before = [...old.childNodes];
    const after = [...next.childNodes];
    after.forEach((one, i) => (before[i] ? renew(before[i], one) : old.appendChild(one)));
    before.slice(after.length).forEach((one) => old.removeChild(one));
  }

  /**
   * @param {HTMLElement} card
   * @param {View} view
   * @returns {void}
   */
  function draw(card, view) {
    const parts = [head(view)];
    if (view.isWaiting) {
      const bar = element("div", "bar");
      bar.append(element("i"));
      parts.push(bar);
    }
    parts.push(body(view));
    if (view.actions.length) {
      const row = element("div", "buttons");
      row.append(...view.actions.map((one) => button(one, Boolean(view.isBusy))));
      parts.push(row);
    }
    const foot = element("div", "foot");
    foot.append(element("span", "brand", words.say("card_brand")));
    foot.append(...view.links.map((one) => button({ ...one, look: "link" }, false)));
    parts.push(foot);
    const next = card.cloneNode();
    parts.forEach((one) => next.appendChild(one));
    renew(card, next);
  }

  antifake.cardView = Object.freeze({ draw, shape, element });
})();
