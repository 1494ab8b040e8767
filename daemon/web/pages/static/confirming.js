// Changes before which antifake asks again. It refuses the first request with a question and a
// one-time confirmation, which is sent with the second request once the person has said yes.

/** Send a change, and ask the person if antifake wants that. `attempt` is called with the
 *  confirmation, "" at first. Returns the answer's JSON, or null if the person said no. */
export async function sure(attempt) {
  for (let confirmation = ""; ; ) {
    try {
      return await attempt(confirmation);
    } catch (error) {
      if (error.about?.code !== "confirm") throw error;
      if (!(await isYes(error.about))) return null;
      ({ confirmation } = error.about);
    }
  }
}

async function isYes({ title, words, yes, no, again, is_danger: isDanger }) {
  const dialog = document.getElementById("confirm");
  if (dialog.open) return false; // a double click asks twice
  const before = document.activeElement;
  const [keep, go] = dialog.querySelectorAll("button");
  dialog.querySelector("h2").textContent = title;
  dialog.querySelector(".error").textContent = again;
  const sentences = (Array.isArray(words) ? words : []).map((text) =>
    Object.assign(document.createElement("p"), { textContent: text }),
  );
  document.getElementById("confirm-words").replaceChildren(...sentences);
  keep.textContent = no;
  go.textContent = yes;
  go.className = isDanger ? "button danger" : "button main";
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  // What had the focus may have been rendered again meanwhile.
  if (!before.isConnected) document.getElementById("main").focus();
  return dialog.returnValue === "yes";
}
