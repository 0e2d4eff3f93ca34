// While a compared study goes on, the comparison is fetched again every few seconds.
// Several studies would need several streams; a browser has few connections to one server.
const EVERY_MS = 5000;

let timer = 0;
let lost = false;

const part = () => document.getElementById("comparison");

const say = () => {
  const dot = document.getElementById("live-state");
  if (!dot) return;
  dot.hidden = part().dataset.live !== "yes";
  dot.dataset.state = lost ? "reconnecting" : "live";
  dot.textContent = lost ? "reconnecting" : "live";
};

const tell = (name) => document.body.dispatchEvent(new CustomEvent(`live:${name}`));

const follow = () => {
  clearInterval(timer);
  // a hidden tab asks for nothing
  if (part().dataset.live === "yes" && !document.hidden) {
    timer = setInterval(() => tell("comparison"), EVERY_MS);
  }
  say();
};

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && part().dataset.live === "yes") tell("comparison");
  follow();
});
for (const name of ["htmx:error", "htmx:response:error"]) {
  document.addEventListener(name, () => {
    lost = true;
    say();
  });
}
document.addEventListener("htmx:after:request", (event) => {
  lost = !(event.detail?.ctx?.response?.status < 400);
  say();
});
document.addEventListener("htmx:after:swap", () => {
  // it is sent only when there is more to show
  tell("figures");
  if (part().dataset.live !== "yes") clearInterval(timer);
  say();
});

follow();
