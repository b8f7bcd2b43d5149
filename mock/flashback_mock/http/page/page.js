// Swagger UI on the mock's contract; the bar above it chooses whose token is sent.
"use strict";

const docs = document.getElementById("docs");
const role = document.getElementById("role");
const scheme = role.dataset.scheme;

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

// What Swagger UI leaves without a name, a screen reader could not name either.
const NAMES = { ".body-param__text": "Request body", ".examples-select-element": "Examples" };
const label = () => {
  for (const [selector, name] of Object.entries(NAMES))
    for (const element of docs.querySelectorAll(`${selector}:not([aria-label])`))
      element.setAttribute("aria-label", name);
};
new MutationObserver(label).observe(docs, { childList: true, subtree: true });

const send = () => {
  if (role.value) ui.preauthorizeApiKey(scheme, role.value);
  else ui.authActions.logout([scheme]);
};

// Swagger UI's own dialog takes any token; the bar then says so.
const show = () => {
  const token = ui.authSelectors.authorized().getIn([scheme, "value"]) ?? "";
  const offered = [...role.options].some((option) => option.value === token);
  role.value = offered ? token : "other";
};

const ui = SwaggerUIBundle({
  url: "/__admin/docs/openapi.json",
  domNode: docs,
  docExpansion: "full",
  tryItOutEnabled: true,
  displayRequestDuration: true,
  validatorUrl: null, // it would ask another host
  onComplete: () => {
    send();
    role.addEventListener("change", send);
    ui.getStore().subscribe(show);
  },
});
