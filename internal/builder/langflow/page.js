// Runs on Langflow's pages before their own code. People sign in and out at Sluice. The page's own forms
// for that are never shown, so that no one types a password here. Versions without an admin page get
// Sluice's.
(() => {
  "use strict";
  const forms = /^\/(login|signup)(\/|$)/;
  const people = "/.sluice/people";
  const ask = window.fetch.bind(window); // the page replaces it with its own

  const leaveFor = (path) => {
    document.documentElement.style.visibility = "hidden";
    location.replace(path);
  };

  // A person who gets a page is already signed in. Return only to a path of this origin.
  if (forms.test(location.pathname)) {
    const wish = new URLSearchParams(location.search).get("redirect") || "/";
    const to = new URL(wish, location.origin);
    leaveFor(to.origin === location.origin && !forms.test(to.pathname) ? to.pathname + to.search : "/");
    return;
  }

  // New versions ask the server to sign out, also when they notice that the session has expired.
  const logout = "/api/v1/logout";
  const signedOut = () => leaveFor("/.sluice/enter?return=%2F");
  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url, ...rest) {
    if (new URL(url, location.href).pathname === logout) {
      this.addEventListener("load", () => this.status === 200 && signedOut());
    }
    open.call(this, method, url, ...rest);
  };

  let leaving = false;
  const signOut = async () => {
    if (leaving) {
      return;
    }
    leaving = true;
    document.documentElement.style.visibility = "hidden";
    // Old versions do not ask. Without an answer the session may still exist, and the sign-in page would
    // lead back here.
    const done = await ask(logout, { method: "POST" }).then((r) => r.ok, () => false);
    if (done) {
      signedOut();
      return;
    }
    document.body.textContent = "Sluice could not sign you out. Reload this page to try again.";
    document.documentElement.style.visibility = "";
  };

  let asked;
  const isSuperuser = () => {
    asked ||= ask("/api/v1/session").then((r) => r.json()).then((s) => s.user?.is_superuser === true, () => false);
    return asked;
  };

  // The page shows its sign-in form after signing out, and when the session has expired. A page that does
  // not know "/admin" replaces it.
  for (const name of ["pushState", "replaceState"]) {
    const go = history[name];
    history[name] = function (state, title, url) {
      const to = url === undefined || url === null ? location.pathname : new URL(url, location.href).pathname;
      if (forms.test(to)) {
        signOut();
        return;
      }
      if (name === "replaceState" && location.pathname === "/admin" && to !== "/admin") {
        isSuperuser().then((yes) => yes && leaveFor(people));
      }
      go.call(this, state, title, url);
    };
  }

  // The entry in the user menu, below the settings, as in older versions.
  new MutationObserver(async () => {
    const settings = document.getElementById("menu_settings_button")?.closest("[role=menuitem]");
    if (!settings || document.getElementById("menu_admin_page_button") || !(await isSuperuser()) || !settings.isConnected) {
      return;
    }
    if (document.getElementById("menu_admin_page_button")) {
      return;
    }
    const item = settings.cloneNode(true);
    const label = item.querySelector("#menu_settings_button");
    label.id = label.dataset.testid = "menu_admin_page_button";
    label.textContent = "Admin Page";
    item.addEventListener("click", () => location.assign(people));
    settings.after(item);
  }).observe(document, { childList: true, subtree: true });
})();
