// Logging in and accepting an invitation, as somebody new or with a new password; what is being worked on stays on the page meanwhile.

import { open, tell } from "./dialogs.js";
import { invitation, join, login, whoAmI } from "./server.js";

let asking = null;

/** Who works here: asks for name and password where the server wants them. */
export async function enter(why = "") {
  try {
    return await whoAmI();
  } catch (fault) {
    if (fault.status !== 401) throw fault;
    return loginAgain(why);
  }
}

/** Asks until the server knows who it is. */
export function loginAgain(why) {
  asking ??= ask("#login", why, login).finally(() => (asking = null));
  return asking;
}

/** Makes an account by an invitation, or gives an account a new password. */
export async function enterByInvitation(token) {
  const { role, person } = await invitation(token);
  const { name, password } = document.querySelector("#join form");
  document.querySelector("#join-title").textContent = person ? "Choose a new password" : "You are invited";
  name.value = person ?? "";
  name.readOnly = password.autofocus = person !== null;
  return ask("#join", `Your part: ${role}.`, (name, password) => join(token, name, password));
}

async function ask(selector, why, send) {
  const dialog = document.querySelector(selector);
  dialog.querySelector(".why").textContent = why;
  dialog.oncancel = (event) => event.preventDefault(); // there is nothing to do without
  for (;;) {
    tell(dialog, "");
    const me = await open(dialog, async (form) => {
      try {
        await send(form.name.value, form.password.value);
        form.password.value = "";
        return await whoAmI();
      } catch (fault) {
        tell(dialog, fault.wait ? `${fault.message} Try again in ${fault.wait} s.` : fault.message);
        return undefined;
      }
    });
    if (me) return me;
  }
}
