// Airflow shows this page in a frame that may not leave it: links to Airflow's own pages are opened by the page around.
const framed = window.parent !== window;

function open(href, inNew) {
  const around = framed ? window.parent.document : document;
  const link = around.createElement("a");
  link.href = href;
  link.target = inNew ? "_blank" : "";
  around.body.append(link);
  link.click();
  link.remove();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[target=_top]");
  if (!link || !framed) return;
  event.preventDefault();
  open(link.href, event.ctrlKey || event.metaKey);
});

// Triggers a run through Airflow's API, with the rights of who clicks.
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const said = form.querySelector("output");
  const conf = { day: form.day.value, buy_again: form.buy_again.checked };
  said.textContent = "Triggering…";
  try {
    const answer = await fetch(form.dataset.api, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ logical_date: null, conf }),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(typeof told.detail === "string" ? told.detail : JSON.stringify(told.detail));
    open(form.dataset.runs + encodeURIComponent(told.dag_run_id), false);
  } catch (error) {
    said.textContent = `Not triggered: ${error.message}`;
  }
});

// Light or dark as Airflow is, which need not be what the system says.
if (framed) {
  const follow = () => {
    const around = window.parent.document.documentElement;
    const theme = ["dark", "light"].find((name) => around.classList.contains(name));
    if (theme) document.documentElement.dataset.theme = theme;
  };
  follow();
  new MutationObserver(follow).observe(window.parent.document.documentElement, { attributeFilter: ["class"] });
}
