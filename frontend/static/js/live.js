// Follows the event stream of a study, or of several that are compared, and tells the parts of the
// page what has changed. htmx and charts.js fetch again what they show; nothing here draws a number.
const study = document.querySelector("[data-events]");
const PARTS = {
  run_state: ["header", "grid", "runs", "figures", "comparison"],
  step: ["header", "figures"],
  verdict: ["header", "verdict", "figures", "comparison"],
  study_cancelled: ["header", "grid", "runs", "comparison"],
  attempt_ended: ["header", "grid", "runs", "figures", "comparison"],
};
const EVERYTHING = ["header", "verdict", "grid", "runs", "figures", "comparison"];
const RETRY_MS = 3000;

// on a phone the tabs scroll; the open one must be seen
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// a page may have a part that says itself when its figures are old
const own = study.dataset.parts?.split(" ");
let { after } = study.dataset;
let source = null;
let retry = 0;

const say = (state, text) => {
  const dot = document.getElementById("live-state");
  if (!dot) return;
  dot.hidden = false;
  dot.dataset.state = state;
  if (dot.textContent !== text) dot.textContent = text;
};

const tell = (parts) => {
  for (const part of own ? parts.filter((one) => own.includes(one)) : parts) document.body.dispatchEvent(new CustomEvent(`live:${part}`));
};

const clock = () => new Date().toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });

let offlineSince = "";
const lost = () => {
  if (source && source.readyState === EventSource.CONNECTING) {
    say("reconnecting", "reconnecting");
  }
  offlineSince ||= clock();
  if (source && source.readyState === EventSource.CLOSED) {
    // the browser has given up, so we ask again ourselves
    say("offline", `offline since ${offlineSince}`);
    close();
    retry = setTimeout(open, RETRY_MS);
  }
};

const close = () => {
  clearTimeout(retry);
  source?.close();
  source = null;
};

const end = () => {
  close();
  study.dataset.live = "no";
  document.getElementById("live-state").hidden = true;
  tell(EVERYTHING);
};

const open = () => {
  close();
  const url = new URL(study.dataset.events, window.location);
  url.searchParams.set("after", after);
  source = new EventSource(url);
  source.onopen = () => {
    offlineSince = "";
    say("live", "live");
  };
  source.onerror = lost;
  source.onmessage = (message) => {
    after = message.lastEventId;
    tell(PARTS[JSON.parse(message.data).kind] ?? EVERYTHING);
  };
  source.addEventListener("end", end);
};

if (study.dataset.live === "yes") {
  open();
  // a hidden tab holds no stream; shown again, it resumes after the last event it saw
  document.addEventListener("visibilitychange", () => {
    if (study.dataset.live !== "yes") return;
    if (document.hidden) close();
    else open();
  });
  window.addEventListener("pagehide", close);
}
