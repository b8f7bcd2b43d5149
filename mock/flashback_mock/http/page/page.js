// Shows the contract in Swagger UI and, in a panel, the request log and planned responses.
"use strict";

const $ = (id) => document.getElementById(id);
const docs = $("docs");
const role = $("role");
const PROXY_STATUSES = [502, 503, 504];
const UNKNOWN = "00000000-0000-0000-0000-000000000000";
window.noZensmooth = true; // Swagger UI would animate jumps within the page, even with reduced motion

const dark = matchMedia("(prefers-color-scheme: dark)");
const applyColorScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyColorScheme);
applyColorScheme();

// Attributes that screen readers need but Swagger UI does not set.
const ATTRIBUTES = [
  [".body-param__text", "aria-label", "Request body"],
  [".examples-select-element", "aria-label", "Examples"],
  ["h1", "aria-level", "2"],
  [".information-container section", "aria-label", "Contract"],
];
const label = () => {
  for (const [selector, attribute, value] of ATTRIBUTES)
    for (const element of docs.querySelectorAll(`${selector}:not([${attribute}])`))
      element.setAttribute(attribute, value);
};
new MutationObserver(label).observe(docs, { childList: true, subtree: true });

// When this event fires, all deferred scripts have run, including Swagger UI.
const loaded = new Promise((resolve) => addEventListener("DOMContentLoaded", resolve));

const call = async (method, path, content) => {
  const body = content === undefined ? undefined : JSON.stringify(content);
  const response = await fetch(`/__admin/${path}`, { method, body });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
};

const item = (...parts) => {
  const element = document.createElement("li");
  element.append(...parts);
  return element;
};

const text = (tag, content, className = "") => {
  const element = document.createElement(tag);
  element.textContent = content;
  element.className = className;
  return element;
};

// Return the contract with this mock's ids as examples for the path parameter.
const withIds = (contract, path, ids) => {
  const values = Object.entries({ ...ids, unknown: UNKNOWN });
  const examples = Object.fromEntries(values.map(([role, value]) => [role, { value }]));
  const parameters = inlined(contract, [...(path.parameters ?? []), ...(path.put.parameters ?? [])]);
  path.put.parameters = parameters.map(({ example, ...parameter }) =>
    parameter.in === "path" ? { ...parameter, examples } : parameter);
  return { ...contract, servers: [{ url: "/", description: "This mock." }] };
};

// Replace every $ref with its target.
const inlined = (contract, value) => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((part) => inlined(contract, part));
  if (typeof value.$ref === "string") {
    const names = value.$ref.slice(2).split("/");
    const target = names.reduce((part, name) => part[name.replaceAll("~1", "/").replaceAll("~0", "~")], contract);
    return inlined(contract, target);
  }
  const parts = Object.entries(value).map(([name, part]) => [name, inlined(contract, part)]);
  return Object.fromEntries(parts);
};

// Resolve references here, because Swagger UI would take longer to resolve them than to show the
// rest of the page.
const resolved = (contract) => {
  const whole = inlined(contract, contract);
  const requestResolvedSubtree = (_, { specActions }) => (path) =>
    specActions.updateResolvedSubtree(path, path.reduce((part, name) => part[name], whole));
  return () => ({ statePlugins: { spec: { wrapActions: { requestResolvedSubtree } } } });
};

const addOptions = (operation, { tokens, access }) => {
  const users = Object.entries(tokens).map(([user, token]) => new Option(`${user}: ${access[user]}`, token));
  role.prepend(...users);
  role.selectedIndex = 0;
  const errors = Object.keys(operation.responses).filter((status) => status >= 400);
  const statuses = [...new Set([...errors.map(Number), ...PROXY_STATUSES])].sort();
  $("statuses").append(...statuses.map((status) => new Option(status)));
  $("plan").elements.answer.selectedIndex = 0;
};

const scrollToAnswer = () => {
  requestAnimationFrame(() => {
    const answer = docs.querySelector(".live-responses-table");
    if (answer) answer.scrollIntoView({ block: "nearest" });
  });
};

const start = async () => {
  const [contract, fixtures] = await Promise.all([call("GET", "docs/openapi.json"), call("GET", "fixtures")]);
  const path = Object.values(contract.paths).find((candidate) => candidate.put);
  const [scheme] = Object.keys(contract.components.securitySchemes);
  document.title = `${contract.info.title} (mock)`;
  addOptions(path.put, fixtures);
  const spec = withIds(contract, path, fixtures.ids);

  const authorize = () => {
    sessionStorage.setItem("role", role.value);
    if (role.value) ui.preauthorizeApiKey(scheme, role.value);
    else ui.authActions.logout([scheme]);
  };

  await loaded;
  const ui = SwaggerUIBundle({
    spec,
    plugins: [resolved(spec)],
    domNode: docs,
    docExpansion: "full",
    tryItOutEnabled: true,
    displayRequestDuration: true,
    validatorUrl: null, // the validator would send requests to another host
    responseInterceptor: (response) => {
      setTimeout(scrollToAnswer, 50); // wait until the response is rendered
      refresh();
      return response;
    },
    onComplete: () => {
      const known = [...role.options].map((option) => option.value);
      const last = sessionStorage.getItem("role");
      if (known.includes(last)) role.value = last;
      if (role.value) authorize(); // logging out before the first login is an error
      role.addEventListener("change", authorize);
    },
  });
};

const requestItem = (entry) => {
  const outcome = [entry.status || "no response", entry.fault].filter(Boolean).join(" ");
  const rejected = entry.status < 200 || entry.status >= 300 || entry.fault;
  const time = new Date(entry.time).toLocaleTimeString();
  const fields = entry.fields.length ? ` (${entry.fields.join(", ")})` : "";
  const detail = `${entry.method} as ${entry.user || "nobody"}${fields}, ${time}`;
  const reason = entry.reason ? [document.createElement("br"), entry.reason] : [];
  return item(text("strong", outcome, rejected ? "rejected" : ""), " ", text("span", detail), ...reason);
};

const planItem = (plan) => {
  const outcome = [plan.status, plan.example, plan.fault].filter(Boolean).join(" ") || "the real response";
  const times = plan.times > 1 ? `, ${plan.times} times` : "";
  const delay = plan.delay ? `, after ${plan.delay} ms` : "";
  const id = plan.id ? `, for ${plan.id}` : "";
  return item(`${outcome}${times}${delay}${id}`);
};

let shown = "";
const refresh = async () => {
  try {
    const [log, settings] = await Promise.all([call("GET", "requests?last=50"), call("GET", "settings")]);
    const state = JSON.stringify([log, settings]);
    if (state === shown) return;
    shown = state;
    $("requests").replaceChildren(...log.requests.reverse().map(requestItem));
    $("planned").replaceChildren(...settings.planned.slice(0, 20).map(planItem));
    showStatus(log.total ? `${log.total} logged` : "No requests yet.");
  } catch (error) {
    shown = "";
    showStatus(`The mock is not responding: ${error.message}`);
  }
};
const showStatus = (message) => { $("status").textContent = message; };

const callAndRefresh = async (...request) => {
  try {
    await call(...request);
    await refresh();
  } catch (error) {
    showStatus(error.message);
  }
};

$("plan").addEventListener("submit", (event) => {
  event.preventDefault();
  const { answer, times, delay } = event.target.elements;
  const step = { times: Number(times.value) };
  if (Number(delay.value)) step.delay = Number(delay.value);
  if (Number(answer.value)) step.status = Number(answer.value);
  else step.fault = answer.value;
  callAndRefresh("POST", "settings", { answerNext: step });
});
$("clear-planned").addEventListener("click", () => callAndRefresh("DELETE", "settings"));
$("clear-requests").addEventListener("click", () => callAndRefresh("DELETE", "requests"));
$("reset").addEventListener("click", () => callAndRefresh("POST", "reset"));

start().catch((error) => showStatus(`The page could not be loaded: ${error.message}`));
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 1000);
