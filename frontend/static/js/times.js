// Times are written in UTC by the server; here they become the reader's own.
const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

const localize = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.title = time.dateTime;
    time.textContent = FORMAT.format(at);
  }
};

localize(document);
document.addEventListener("htmx:after:swap", () => localize(document));
