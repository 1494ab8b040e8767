// Goes on under the pages' own name if this browser reaches antifake there, or else under this one.

const PATIENCE_MS = 2_000;
const { own, identity, link } = document.getElementById("opening").dataset;

location.replace(`${(await isReached()) ? own : ""}${link}`);

/** Returns whether the name leads to the same daemon, and not to another program or computer. */
async function isReached() {
  try {
    const answer = await fetch(`${own}/here`, {
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return answer.ok && (await answer.text()) === identity;
  } catch {
    return false;
  }
}
