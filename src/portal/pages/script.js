// What pages gain where scripts run: times in the viewer's zone that keep moving, parts that follow the journal, the way back
// to the application by itself, and small help with forms. Every page is complete without it.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // the server's clock counts, not the viewer's
  let ahead = Date.now() - Date.parse(document.documentElement.dataset.now);
  const now = () => Date.now() - ahead;

  // --- times

  const inZone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const inDay = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const zoneName = new Intl.DateTimeFormat().resolvedOptions().timeZone;

  function span(milliseconds, exactly) {
    const seconds = Math.max(0, Math.ceil(milliseconds / 1000));
    const [d, h, m, s] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (large, one, small, other) => (small ? `${large} ${one} ${small} ${other}` : `${large} ${one}`);
    if (d) return two(d, "d", h, "h");
    if (h) return two(h, "h", m, "min");
    if (m) return exactly ? `${m} min ${String(s).padStart(2, "0")} s` : `${m} min`;
    return `${s} s`;
  }

  const isSameDay = (one, other) => new Date(one).toDateString() === new Date(other).toDateString();

  function moment(at) {
    return isSameDay(at, now()) ? `today, ${inDay.format(at)}` : inZone.format(at);
  }

  function distance(at) {
    const past = now() - at;
    if (past >= 0) return past < 60000 ? "just now" : `${span(past - 999)} ago`;
    return `in ${span(-past)}`;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick() {
    let over = false;
    for (const time of all("time[data-time]")) {
      const at = Date.parse(time.dateTime);
      if (time.dataset.time === "moment") write(time, moment(at));
      if (time.dataset.time === "end") write(time, isSameDay(at, Date.parse(time.dataset.from)) ? inDay.format(at) : moment(at));
      if (time.dataset.time === "distance") write(time, distance(at));
      if (time.dataset.time === "countdown") {
        const left = at - now();
        write(time, left > 0 ? `${span(left, true)} left` : "over");
        time.classList.toggle("soon", left > 0 && left < 300000);
        if (left <= 0 && !time.dataset.over) over = time.dataset.over = "yes";
      }
    }
    if (over) setTimeout(() => refresh(), 300);
  }

  // --- forms

  const pad = (number) => String(number).padStart(2, "0");
  const asInput = (date) =>
    `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}`;

  function localMoment(input) {
    const field = input.closest(".moment");
    const offset = field.querySelector("[data-offset]");
    const toOffset = () => {
      const minutes = input.value ? -new Date(input.value).getTimezoneOffset() : 0;
      const [h, m] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
      offset.value = `${minutes < 0 ? "-" : "+"}${pad(h)}:${pad(m)}`;
    };
    if (input.value && offset.value === "+00:00") input.value = asInput(new Date(`${input.value}Z`));
    write(field.querySelector("[data-zone]"), zoneName || "your time");
    input.addEventListener("input", toOffset);
    toOffset();
  }

  function otherValue(text) {
    const radios = all(`input[type=radio][name="${text.dataset.other}"]`, text.form);
    const other = radios.find((radio) => radio.value === "other");
    text.addEventListener("input", () => { if (text.value && other) other.checked = true; });
    for (const radio of radios) {
      radio.addEventListener("change", () => {
        if (radio === other) text.focus();
        else text.value = "";
      });
    }
  }

  function selectAll(box) {
    // they stand outside of the form they belong to
    const boxes = () => [...box.form.elements].filter((one) => one.type === "checkbox" && one.name === box.dataset.all);
    const told = document.getElementById(box.dataset.told || "");
    const show = () => {
      const chosen = boxes().filter((one) => one.checked).length;
      box.checked = chosen > 0 && chosen === boxes().length;
      box.indeterminate = chosen > 0 && !box.checked;
      if (told) write(told, chosen ? `${chosen} selected` : "");
    };
    box.addEventListener("change", () => { for (const one of boxes()) one.checked = box.checked; show(); });
    document.addEventListener("change", (event) => { if (event.target.name === box.dataset.all) show(); });
    box.closest("[hidden]")?.removeAttribute("hidden");
    box.hidden = false;
    show();
  }

  function dress(within) {
    all("input[data-moment]", within).forEach(localMoment);
    all("input[data-other]", within).forEach(otherValue);
    all("input[data-all]", within).forEach(selectAll);
  }

  // a form is sent once; coming back to the page makes it ready again
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", (event) => {
    for (const form of all("form[data-sent]")) delete form.dataset.sent;
    if (event.persisted) refresh("acts");
  });

  // --- parts that follow the journal: elements with an id and data-live

  let asking = false;
  let again = false;

  const isBusy = (part) =>
    part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")
    || all("input, textarea", part).some((one) => one.value !== one.defaultValue || one.checked !== one.defaultChecked);

  // what a part says, without what differs from one look to the next
  function essence(part) {
    const copy = part.cloneNode(true);
    for (const time of all("time[data-time]", copy)) time.replaceWith(time.dateTime);
    for (const input of all("input[type=hidden]", copy)) input.remove();
    for (const zone of all("[data-zone]", copy)) zone.remove();
    return copy.innerHTML;
  }

  let signedOut = false;

  // by itself, unless somebody `acts`: a page left open must not keep its owner signed in
  async function refresh(acts) {
    if (signedOut) return;
    if (asking) { again = true; return; }
    asking = true;
    try {
      const headers = { accept: "text/html" };
      if (!acts) headers["x-hallpass-follows"] = "page";
      const answer = await fetch(location.href, { headers, redirect: "manual" });
      if (answer.type === "opaqueredirect" || answer.status === 401) tellSignedOut();
      else if (answer.ok) take(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // no connection: the next event or tick tries again
    } finally {
      asking = false;
    }
    if (again) { again = false; refresh(); }
  }

  // going to sign in by itself would sign in again whoever left hours ago
  function tellSignedOut() {
    signedOut = true;
    const notice = document.createElement("div");
    notice.className = "notice waiting";
    notice.setAttribute("role", "status");
    const told = document.createElement("p");
    const link = document.createElement("a");
    link.href = location.href;
    link.textContent = "Load it again";
    told.append("Your sign-in has ended, and this page shows how things stood then. ", link, ".");
    notice.append(told);
    document.getElementById("main").prepend(notice);
  }

  function take(fresh) {
    ahead = Date.now() - Date.parse(fresh.documentElement.dataset.now);
    for (const part of all("[data-live][id]")) {
      const other = fresh.getElementById(part.id);
      if (!other || isBusy(part) || essence(part) === essence(other)) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
      const replacement = document.importNode(other, true);
      replacement.dataset.changed = "yes";
      part.replaceWith(replacement);
      dress(replacement);
      if (focused) document.getElementById(focused)?.focus();
    }
    document.title = fresh.title;
    tick();
    goBack();
  }

  function follow() {
    if (!document.querySelector("[data-live]") || !document.querySelector(".account")) return;
    let waiting = 0;
    const soon = () => { clearTimeout(waiting); waiting = setTimeout(() => refresh(), 50); };
    let stream;
    const open = () => {
      stream = new EventSource("/api/v1/events");
      for (const noun of ["activation", "assignment", "principal", "configuration", "reset"]) stream.addEventListener(noun, soon);
      // when the server says no it stays at no: then look now and then
      stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) setTimeout(() => refresh(), 15000); });
    };
    open();
    addEventListener("pagehide", () => stream.close());
    addEventListener("pageshow", (event) => { if (event.persisted) open(); });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { tick(); refresh("acts"); } });
  }

  // --- after approval, the way back by itself, once

  function goBack() {
    const link = document.querySelector("a[data-go]");
    if (!link) return;
    const key = `hallpass went ${link.dataset.go}`;
    try {
      if (sessionStorage.getItem(key)) return;
      sessionStorage.setItem(key, "yes");
    } catch {
      return;
    }
    location.replace(link.href);
  }

  document.querySelector(".top nav a[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  dress(document);
  tick();
  setInterval(tick, 1000);
  follow();
  goBack();
})();
