"use strict";
// What every page does: language, theme, printing. Without it the texts can be read in both languages all the same.
const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
root.classList.add("script");

// What the reader chose is kept where the browser allows it.
const kept = (key) => { try { return localStorage.getItem("headtohead-" + key); } catch { return null; } };
const keep = (key, value) => { try { localStorage.setItem("headtohead-" + key, value); } catch { /* not allowed */ } };

// Language: the style shows the texts of the one that is checked; attributes such as alt have their Russian in data-ru-NAME.
const ATTRIBUTES = ["alt", "aria-label"];
const languages = all("[name=language]");
function speak(language) {
  root.lang = language;
  for (const name of ATTRIBUTES) {
    for (const element of all(`[data-ru-${name}]`)) {
      if (!element.hasAttribute(`data-en-${name}`)) element.setAttribute(`data-en-${name}`, element.getAttribute(name));
      element.setAttribute(name, element.getAttribute(`data-${language}-${name}`));
    }
  }
  languages.find((choice) => choice.value === language).checked = true;
}
languages.forEach((choice) => choice.addEventListener("change", () => { speak(choice.value); keep("language", choice.value); }));
speak(kept("language") === "ru" || (!kept("language") && navigator.language.startsWith("ru")) ? "ru" : "en");

// Theme: that of the system until the button is pressed.
const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
if (["light", "dark"].includes(kept("theme"))) root.dataset.theme = kept("theme");
one("[data-theme-switch]").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; keep("theme", root.dataset.theme); });

// Print: all folds open, and closed again afterwards.
let opened = [];
addEventListener("beforeprint", () => { opened = all("details:not([open])"); opened.forEach((d) => { d.open = true; }); });
addEventListener("afterprint", () => opened.forEach((d) => { d.open = false; }));
one("[data-print]").addEventListener("click", () => print());
