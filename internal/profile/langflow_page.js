// Runs on Langflow's pages before their own code. People sign in and out at Sluice: the page's own forms for that are never shown, so that nobody types a password here.
(() => {
  "use strict";
  const forms = /^\/(login|signup)(\/|$)/;

  const leaveFor = (path) => {
    document.documentElement.style.visibility = "hidden";
    location.replace(path);
  };

  // Whoever gets a page is signed in already. Only a path of this origin is gone back to.
  if (forms.test(location.pathname)) {
    const wish = new URLSearchParams(location.search).get("redirect") || "/";
    const to = new URL(wish, location.origin);
    leaveFor(to.origin === location.origin && !forms.test(to.pathname) ? to.pathname + to.search : "/");
    return;
  }

  let leaving = false;
  const signOut = async () => {
    if (leaving) {
      return;
    }
    leaving = true;
    document.documentElement.style.visibility = "hidden";
    // Not every version asks the server to sign out. Without an answer the session may still be there, and the way to the sign-in page would lead back here.
    const done = await fetch("/api/v1/logout", { method: "POST" }).then((r) => r.ok, () => false);
    if (done) {
      leaveFor("/.sluice/enter?return=%2F");
      return;
    }
    document.body.textContent = "Sluice could not sign you out. Load this page again to try once more.";
    document.documentElement.style.visibility = "";
  };

  // The page shows its sign-in form after signing out, and when the session has ended.
  for (const name of ["pushState", "replaceState"]) {
    const go = history[name];
    history[name] = function (state, title, url) {
      if (url !== undefined && url !== null && forms.test(new URL(url, location.href).pathname)) {
        signOut();
        return;
      }
      go.call(this, state, title, url);
    };
  }
})();
