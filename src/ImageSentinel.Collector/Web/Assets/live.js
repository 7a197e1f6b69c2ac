// New records redraw the page; without this script the page is the same, only still.
"use strict";
(() => {
  const status = document.getElementById("live");
  let due = 0;

  async function redraw() {
    due = 0;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      const open = document.querySelectorAll("main details[open]").length > 0;
      const typing = document.activeElement && document.activeElement.closest("form");
      if (answer.ok && next && !open && !typing && String(getSelection()) === "") {
        document.getElementById("main").replaceWith(next);
        status.textContent = "live, " + new Date().toISOString().slice(0, 19) + "Z";
      }
    } catch {
      status.textContent = "the collector does not answer";
    }
  }

  function soon() {
    due = due || setTimeout(redraw, 500);
  }

  const stream = new EventSource("/api/v1/stream");
  for (const kind of ["build", "finding", "coverage", "lost"]) {
    stream.addEventListener(kind, soon);
  }
  stream.onopen = soon;
  stream.onerror = () => { status.textContent = "not live: connection lost, trying again"; };

  // A host that falls silent sends nothing, so look from time to time.
  setInterval(soon, 15000);
})();
