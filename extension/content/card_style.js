// How card, marks and pick mode look: the colours and shapes of the daemon's own pages.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.cardStyle) {
    return;
  }

  const COMMON = `
    .antifake {
      --paper: #ffffff; --card: #f4f5f7; --ink: #1b1f24; --quiet: #57606a; --rule: #d5dae0;
      --edge: #7d8791; --ours: #0b5cad; --on-ours: #ffffff; --tint: #e6f0fa;
      --real: #00796b; --made: #c2410c; --unsure: #8a5a00; --bad: #b3261e;
      --warn: #fff4d6; --warn-edge: #b07d00;
      --shade: 0 0 0 1px rgb(0 0 0 / .08), 0 2px 6px rgb(0 0 0 / .12), 0 12px 32px rgb(0 0 0 / .22);
      color: var(--ink); text-align: start;
      font: 14px/1.45 system-ui, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif;
      text-size-adjust: none; -webkit-text-size-adjust: none;
    }
    @media (prefers-color-scheme: dark) {
      .antifake {
        --paper: #1b2027; --card: #262c35; --ink: #e6e9ee; --quiet: #a9b3bf; --rule: #39424d;
        --edge: #7f8a97; --ours: #6cb6ff; --on-ours: #0b1726; --tint: #1a2c40;
        --real: #4fd1b5; --made: #ff9b6b; --unsure: #e3b341; --bad: #ff8a80;
        --warn: #33290f; --warn-edge: #e3b341;
        --shade: 0 0 0 1px rgb(255 255 255 / .14), 0 2px 6px rgb(0 0 0 / .4),
          0 12px 32px rgb(0 0 0 / .6);
      }
    }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    p, ul { margin: 0; padding: 0; list-style: none; }
    button { font: inherit; color: inherit; margin: 0; cursor: pointer; }
    :focus { outline: none; }
    :focus-visible { outline: 3px solid var(--ours); outline-offset: 2px; }
    .away { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
      white-space: nowrap; }
    .shape { width: 20px; height: 20px; flex: none; fill: none; stroke: currentColor;
      stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
    .shape.solid { fill: currentColor; }
    .shape .sign { fill: none; stroke-width: 1.9; }
    .shape .dot { fill: currentColor; stroke: none; }
    .shape.solid .sign { stroke: var(--paper); }
    .shape.solid .dot { fill: var(--paper); }
    .made { color: var(--made); }
    .real { color: var(--real); }
    .unsure { color: var(--unsure); }
    .failed, .waiting { color: var(--quiet); }
    .problem { color: var(--unsure); }
    .question { color: var(--ours); }
    /* Motion begins late: drawing it would slow the model down, and most checks end before. */
    .waiting .turning { transform-origin: 10px 10px; animation: turn 1.1s linear .7s infinite; }
    @keyframes turn { to { transform: rotate(360deg); } }
    @media (prefers-reduced-motion: reduce) {
      *, .waiting .turning { animation: none !important; transition: none !important; }
    }
  `;

  const CARD = `
    .card {
      position: absolute; left: 0; top: 0; pointer-events: auto; display: flex;
      flex-direction: column; width: min(340px, calc(100vw - 16px));
      max-height: min(520px, calc(100vh - 16px)); overflow: hidden; border-radius: 14px;
      background: var(--paper); box-shadow: var(--shade);
    }
    .head { display: flex; align-items: flex-start; gap: 11px; padding: 14px 8px 10px 16px; }
    [dir=rtl] .head { padding: 14px 16px 10px 8px; }
    .head > .shape { width: 26px; height: 26px; margin-top: 1px; }
    .title { flex: 1 1 auto; min-width: 0; overflow-wrap: anywhere; }
    .word { font-size: 18px; line-height: 1.3; font-weight: 650; color: var(--ink); }
    .word.made { color: var(--made); }
    .word.real { color: var(--real); }
    .word.unsure { color: var(--unsure); }
    .sure { color: var(--quiet); }
    .close { display: grid; place-items: center; flex: none; width: 32px; height: 32px; padding: 0;
      margin-top: -2px; border: 0; border-radius: 8px; background: none; color: var(--quiet); }
    .close:hover { background: var(--card); color: var(--ink); }
    .close svg { width: 16px; height: 16px; fill: none; stroke: currentColor; stroke-width: 2;
      stroke-linecap: round; }
    .bar { height: 3px; margin: 0 16px; border-radius: 2px; background: var(--rule);
      overflow: hidden; flex: none; --forward: 1; }
    [dir=rtl] .bar { --forward: -1; }
    .bar i { display: block; width: 34%; height: 100%; border-radius: 2px; background: var(--ours);
      animation: slide 1.5s ease-in-out .7s infinite alternate; }
    @keyframes slide { to { translate: calc(194% * var(--forward)); } }
    @media (prefers-reduced-motion: reduce) { .bar i { width: 100%; opacity: .55; } }
    .body { min-height: 0; padding: 2px 16px 0; overflow: auto; overflow-wrap: anywhere;
      overscroll-behavior: contain; scrollbar-width: thin; }
    .why { display: grid; gap: 6px; padding-bottom: 8px; }
    .why li { position: relative; padding-inline-start: 14px; }
    .why li::before { content: ""; position: absolute; inset-inline-start: 2px; top: .6em;
      border: 2px solid var(--edge); border-radius: 50%; }
    .quiet { color: var(--quiet); font-size: 12.5px; padding-bottom: 6px; }
    .text { padding-bottom: 8px; }
    .notice { display: grid; gap: 8px; margin: 0 0 10px; padding: 9px 12px; border-radius: 8px;
      background: var(--warn); border-inline-start: 4px solid var(--warn-edge); }
    .buttons { display: flex; flex-wrap: wrap; gap: 8px; padding: 6px 16px 12px; flex: none; }
    .button { display: inline-flex; align-items: center; justify-content: center; gap: 7px;
      flex: 1 1 auto; min-height: 36px; padding: 6px 12px; border: 1px solid var(--edge);
      border-radius: 8px; background: var(--paper); color: var(--ink); font-weight: 550;
      line-height: 1.2; overflow-wrap: anywhere; }
    .button .shape { width: 16px; height: 16px; }
    .button:hover { background: var(--card); border-color: var(--ink); }
    .button.main { background: var(--ours); border-color: var(--ours); color: var(--on-ours); }
    .button.main:hover { filter: brightness(1.08); }
    .button[aria-disabled=true] { opacity: .55; cursor: default; }
    .foot { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 12px; flex: none;
      padding: 6px 16px 8px; border-top: 1px solid var(--rule); color: var(--quiet);
      font-size: 12.5px; }
    .foot .brand { margin-inline-end: auto; overflow-wrap: anywhere; }
    .link { min-height: 28px; min-width: 24px; padding: 2px; border: 0; border-radius: 4px;
      background: none; color: var(--ours); text-decoration: underline;
      text-underline-offset: 2px; text-align: start; }
    .link:hover { text-decoration-thickness: 2px; }
    @media (forced-colors: active) {
      .card { border: 2px solid CanvasText; }
      .button.main { forced-color-adjust: none; background: Highlight; color: HighlightText; }
      .bar i { background: Highlight; forced-color-adjust: none; }
    }
  `;

  antifake.cardStyle = Object.freeze({ COMMON, CARD });
})();
