// Airflow shows this page in a sandboxed frame: the page around it opens links to Airflow's own pages.
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

// The Trigger form opens a dialog with the run's name and the price.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form.trigger");
  if (!form) return;
  event.preventDefault();
  document.getElementById(form.buy_again.checked ? "buy_again" : "plain").showModal();
});

// Triggers a run through Airflow's API, or clears an existing one, with the rights of the person who clicks.
document.addEventListener("click", async (event) => {
  const yes = event.target.closest("dialog button.yes");
  if (!yes) return;
  const dialog = yes.closest("dialog");
  const form = document.querySelector("form.trigger");
  const status = dialog.querySelector("output");
  const run = dialog.dataset.run;
  const conf = { day: form.day.value, buy_again: dialog.id === "buy_again" };
  const [path, body] =
    "clears" in dialog.dataset
      ? [`/${encodeURIComponent(run)}/clear`, { dry_run: false }]
      : ["", { dag_run_id: run, logical_date: null, conf }];
  yes.disabled = true;
  status.textContent = "Triggering…";
  try {
    const response = await fetch(form.dataset.api + path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.status === 409) throw new Error("another person has started the run: reload this page");
    if (!response.ok) {
      const { detail } = await response.json();
      throw new Error(typeof detail === "string" ? detail : JSON.stringify(detail));
    }
    open(form.dataset.runs + encodeURIComponent(run), false);
  } catch (error) {
    status.textContent = `Not triggered: ${error.message}`;
    yes.disabled = false;
  }
});

// Follow Airflow's theme, which may differ from the system's.
if (framed) {
  const follow = () => {
    const around = window.parent.document.documentElement;
    const theme = ["dark", "light"].find((name) => around.classList.contains(name));
    if (theme) document.documentElement.dataset.theme = theme;
  };
  follow();
  new MutationObserver(follow).observe(window.parent.document.documentElement, { attributeFilter: ["class"] });
}
