// Access to the page's DOM that the page cannot disturb. Content scripts run in a world of their
// own, so prototypes that a page overrides do not matter here. Names do: <img name="body"> changes
// what document.body is, in this world too. Everything is therefore called through prototypes.
"use strict";

(() => {
  // An own property, since a page can make window.antifake with <form id="antifake">.
  if (!Object.hasOwn(globalThis, "antifake")) {
    Object.defineProperty(globalThis, "antifake", { value: Object.create(null) });
  }
  const antifake = globalThis.antifake;
  if (antifake.dom) {
    return;
  }

  /** @param {object} prototype @param {string} name @returns {(node: any) => any} */
  function getter(prototype, name) {
    const get = Object.getOwnPropertyDescriptor(prototype, name)?.get;
    return get ? (node) => get.call(node) : () => null;
  }

  /** @param {any} prototype @param {string} name @returns {(node: any, ...rest: any[]) => any} */
  function method(prototype, name) {
    const call = prototype[name];
    return (node, ...rest) => call.apply(node, rest);
  }

  /** Elements at one point; a page can stack thousands. */
  const MOST_STACKED = 64;
  const page = window.document;
  /** What this extension adds to pages: never searched for pictures. */
  const own = new WeakSet();
  /** @type {Record<number, (node: any, ...rest: any[]) => any>} by type of node */
  const queryIn = {
    [Node.DOCUMENT_NODE]: method(Document.prototype, "querySelectorAll"),
    [Node.DOCUMENT_FRAGMENT_NODE]: method(DocumentFragment.prototype, "querySelectorAll"),
    [Node.ELEMENT_NODE]: method(Element.prototype, "querySelectorAll"),
  };
  /** @type {Record<number, (node: any, ...rest: any[]) => any>} */
  const hitsIn = {
    [Node.DOCUMENT_NODE]: method(Document.prototype, "elementsFromPoint"),
    [Node.DOCUMENT_FRAGMENT_NODE]: method(ShadowRoot.prototype, "elementsFromPoint"),
  };
  const typeOf = getter(Node.prototype, "nodeType");
  const parentNode = getter(Node.prototype, "parentNode");
  const localName = getter(Element.prototype, "localName");
  const slotOf = getter(Element.prototype, "assignedSlot");
  const openRoot = getter(Element.prototype, "shadowRoot");
  const anyRoot = getter(Element.prototype, "openOrClosedShadowRoot");
  const rootOf = method(Node.prototype, "getRootNode");
  const isLinked = getter(Node.prototype, "isConnected");
  const listen = method(EventTarget.prototype, "addEventListener");
  const unlisten = method(EventTarget.prototype, "removeEventListener");
  const visibility = method(Element.prototype, "checkVisibility");
  const rectOf = method(Element.prototype, "getBoundingClientRect");

  /** @param {string} tag @returns {any} an element of HTML, also in an XML document */
  function create(tag) {
    return Document.prototype.createElementNS.call(page, "http://www.w3.org/1999/xhtml", tag);
  }

  /** @param {string} tag @returns {any} */
  function createSvg(tag) {
    return Document.prototype.createElementNS.call(page, "http://www.w3.org/2000/svg", tag);
  }

  /** @param {Node} root @param {string} selector @returns {Element[]} */
  function query(root, selector) {
    const find = queryIn[typeOf(root)];
    return find ? Array.from(find(root, selector)) : [];
  }

  /** @param {Element} element @returns {ShadowRoot|null} closed ones too, where browsers allow it */
  function shadowRoot(element) {
    if (anyRoot(element)) {
      return anyRoot(element);
    }
    try {
      const root = globalThis.chrome?.dom?.openOrClosedShadowRoot?.(/** @type {any} */ (element));
      if (root) {
        return root;
      }
    } catch {
      // Not an HTML element.
    }
    return openRoot(element);
  }

  /** @param {Node} node @returns {Element|null} the parent, out of shadow trees as they are drawn */
  function parent(node) {
    if (typeOf(node) === Node.ELEMENT_NODE && slotOf(node)) {
      return slotOf(node);
    }
    const up = parentNode(node);
    if (up && typeOf(up) === Node.DOCUMENT_FRAGMENT_NODE) {
      return up.host ?? null;
    }
    return up && typeOf(up) === Node.ELEMENT_NODE ? up : null;
  }

  /** @param {Element} element @returns {Element[]} the element and what it lies in, inside out */
  function lineage(element) {
    const line = [];
    for (
      let node = /** @type {Element|null} */ (element);
      node && line.length < 2000;
      node = parent(node)
    ) {
      line.push(node);
    }
    return line;
  }

  /** @param {Element} element @param {string} selector @returns {boolean} */
  function matches(element, selector) {
    try {
      return Element.prototype.matches.call(element, selector);
    } catch {
      return false;
    }
  }

  /** @param {Element} element @param {string} name @returns {string|null} */
  function attribute(element, name) {
    return Element.prototype.getAttribute.call(element, name);
  }

  /** @param {Element} element @returns {DOMRect} */
  function rect(element) {
    return rectOf(element);
  }

  /** @param {Element} element @param {string} [pseudo] @returns {CSSStyleDeclaration} */
  function style(element, pseudo) {
    return window.getComputedStyle(element, pseudo);
  }

  /** @param {Element} element @returns {boolean} drawn, and neither hidden nor transparent */
  function isVisible(element) {
    return visibility(element, {
      checkOpacity: true,
      checkVisibilityCSS: true,
      opacityProperty: true,
      visibilityProperty: true,
      contentVisibilityAuto: false,
    });
  }

  /**
   * @param {number} x
   * @param {number} y
   * @param {Document|ShadowRoot} [root]
   * @returns {Element[]} what is at this point, topmost first, and what lies in shadow trees there
   */
  function elementsAt(x, y, root = page) {
    const hits = [];
    const hitsOf = hitsIn[typeOf(root)];
    for (const element of hitsOf ? hitsOf(root, x, y).slice(0, MOST_STACKED) : []) {
      // A shadow root's own search also gives elements around it: those are listed by the caller.
      if (rootOf(element) !== root) {
        continue;
      }
      if (own.has(element)) {
        continue;
      }
      const inner = shadowRoot(element);
      if (inner) {
        hits.push(...elementsAt(x, y, inner));
      }
      hits.push(element);
    }
    return hits;
  }

  /** @param {Element} element @returns {ShadowRoot|null} as `shadowRoot`, but fast for thousands */
  function likelyShadowRoot(element) {
    // Asking the browser takes long. Closed trees are in custom elements nearly always.
    return openRoot(element) ?? (localName(element).includes("-") ? shadowRoot(element) : null);
  }

  /**
   * @param {Node} root
   * @returns {Generator<Element>} all elements, each before its shadow tree
   */
  function* elements(root) {
    const walker = Document.prototype.createTreeWalker.call(page, root, NodeFilter.SHOW_ELEMENT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = /** @type {Element} */ (node);
      if (own.has(element)) {
        continue;
      }
      yield element;
      const inner = likelyShadowRoot(element);
      if (inner) {
        yield* elements(inner);
      }
    }
  }

  /**
   * @param {string} selector
   * @returns {Element[]} what matches in the page, in shadow trees too
   */
  function find(selector) {
    const found = query(page, selector);
    for (const element of elements(page)) {
      const inner = likelyShadowRoot(element);
      if (inner) {
        found.push(...query(inner, selector));
      }
    }
    return found;
  }

  /** @returns {Element|null} what has the focus, inside open shadow trees */
  function focused() {
    let element = getter(Document.prototype, "activeElement")(page);
    for (let inner = element && shadowRoot(element); inner;) {
      const next = getter(ShadowRoot.prototype, "activeElement")(inner);
      if (!next) {
        break;
      }
      element = next;
      inner = shadowRoot(element);
    }
    return element;
  }

  antifake.dom = Object.freeze({
    getter,
    method,
    create,
    createSvg,
    query,
    shadowRoot,
    parent,
    lineage,
    matches,
    attribute,
    rect,
    style,
    isVisible,
    elementsAt,
    find,
    elements,
    focused,
    listen,
    unlisten,
    isConnected: isLinked,
    root: () => getter(Document.prototype, "documentElement")(page),
    isHidden: () => getter(Document.prototype, "hidden")(page),
    baseURI: getter(Node.prototype, "baseURI"),
    append: (/** @type {Node} */ node, /** @type {Node} */ child) =>
      Node.prototype.appendChild.call(node, child),
    remove: (/** @type {Element} */ node) => Element.prototype.remove.call(node),
    focus: (/** @type {Element} */ element, /** @type {FocusOptions} */ options) =>
      HTMLElement.prototype.focus.call(element, options),
    isOwn: (/** @type {Node} */ element) => own.has(element),
    markOwn: (/** @type {Element} */ element) => own.add(element),
    document: page,
  });
})();
