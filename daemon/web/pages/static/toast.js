// One sentence at the foot of the page, read aloud. It stays until the next one or until closed.

const place = document.getElementById("toast");

/** @param {string} sentence  @param {{undo?: () => void, isError?: boolean}} more */
export function say(sentence, { undo, isError = false } = {}) {
  const words = document.createElement("span");
  words.textContent = sentence;
  const buttons = [undo && button("Undo", undo), button("×", () => {}, "Close this message")];
  place.classList.toggle("bad", isError);
  place.replaceChildren(words, ...buttons.filter(Boolean));
}

function button(name, act, label) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = name;
  made.className = label ? "link close" : "button";
  if (label) made.setAttribute("aria-label", label);
  made.addEventListener("click", () => {
    place.replaceChildren();
    act();
  });
  return made;
}
