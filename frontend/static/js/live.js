// Follows a study's event stream and tells the parts of the page what has changed.
// htmx and charts.js fetch again what they show; nothing here draws a number.
const study = document.getElementById("study");
const PARTS = {
  run_state: ["header", "grid", "runs", "figures"],
  step: ["header", "figures"],
  verdict: ["header", "verdict", "figures"],
  study_cancelled: ["header", "grid", "runs"],
  attempt_ended: ["header", "grid", "runs", "figures"],
};
const EVERYTHING = ["header", "verdict", "grid", "runs", "figures"];
const RETRY_MS = 3000;

// on a phone the tabs scroll; the open one must be seen
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

let after = Number(study.dataset.after);
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
  for (const part of parts) document.body.dispatchEvent(new CustomEvent(`live:${part}`));
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
  source = new EventSource(`${study.dataset.events}?after=${after}`);
  source.onopen = () => {
    offlineSince = "";
    say("live", "live");
  };
  source.onerror = lost;
  source.onmessage = (message) => {
    after = Number(message.lastEventId);
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
