// Dialogs that ask for something: opened, filled in, and closed with an answer or without.

/** Opens a dialog; resolves to what `answer(form)` gives when its form is sent, or null when it is closed. `answer` may return
 * undefined to keep it open. */
export function open(dialog, answer = (form) => new FormData(form)) {
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    let given = null;
    const onKey = (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || form.method === "dialog") return;
      event.preventDefault();
      form.requestSubmit();
    };
    form.onsubmit = async (event) => {
      if (form.method === "dialog") return;
      event.preventDefault();
      const found = await answer(form);
      if (found === undefined) return;
      given = found;
      dialog.close();
    };
    for (const button of dialog.querySelectorAll(".cancel")) button.onclick = () => dialog.close();
    dialog.addEventListener("keydown", onKey);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("keydown", onKey);
      resolve(given);
    }, { once: true });
    dialog.showModal();
  });
}

/** An element with text and attributes; text is never read as HTML. */
export function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

export function tell(dialog, sentence) {
  dialog.querySelector(".told").textContent = sentence;
}
