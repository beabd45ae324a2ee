// The console: what the cluster does, and the three verbs to try. No library, no build.

import { cosine, plane, segments, shade } from "/console/math.js";

const $ = (selector, root = document) => root.querySelector(selector);
const WINDOW = 120;
const waiting = [];
const SILENT_MS = 5000;
let heardAt = Infinity;

// Every text from the server goes through here: as text, never as markup.
function element(name, attributes = {}, ...children) {
  const svg = ["circle", "text", "polyline", "title"].includes(name);
  const made = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

const row = (...cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));

function headers() {
  const token = $("#token").value.trim();
  return { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
}

async function call(method, path, body) {
  const reply = await fetch(path, { method, headers: headers(), body: body && JSON.stringify(body) });
  const value = await reply.json();
  if (reply.status === 202) throw new Error(`${value.message} (try again in ${reply.headers.get("retry-after")} s)`);
  if (!reply.ok) throw new Error(value.error?.message ?? `HTTP ${reply.status}`);
  return value;
}

const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;

function showCluster({ cluster, workers, models, lanes, pools }) {
  heardAt = performance.now();
  $("#summary").textContent =
    `${cluster.worker_count} of ${workers.length} workers ready, models in memory: ${cluster.models_loaded}`;
  $("#workers").replaceChildren(...workers.map((worker) => row(
    worker.name,
    `${worker.pool} / ${worker.gpu} / ${worker.bundle}`,
    worker.healthy ? "ready" : "not ready",
    worker.queue_depth,
    worker.memory_total_bytes
      ? `${megabytes(worker.memory_used_bytes)} of ${megabytes(worker.memory_total_bytes)}` : "",
    [...worker.loaded_models, ...worker.failed_models.map((model) => `${model.name} (failed: ${model.error_class})`)].join(", "))));
  $("#lanes").replaceChildren(...lanes.map((lane) => row(
    lane.pool, lane.gpu, lane.bundle, lane.worker_count, lane.queue_depth,
    lane.in_demand ? "wants a worker" : "")));
  $("#pools").replaceChildren(...pools.map(({ spec, status }) => row(
    spec.name,
    status.state,
    Object.entries(spec.gpus).map(([gpu, count]) => `${count} ${gpu}`).join(", "),
    status.assigned_workers.map((worker) => worker.name).join(", "),
    status.reason)));
  $("#models").replaceChildren(...models.map((model) => row(
    model.name, model.worker_count, model.gpu_types.join(", "), model.total_queue_depth)));
  waiting.push(lanes.reduce((sum, lane) => sum + lane.queue_depth, 0));
  waiting.splice(0, waiting.length - WINDOW);
  const top = Math.max(1, ...waiting);
  const points = waiting.map((depth, index) => `${(index * 600) / (WINDOW - 1)},${78 - (76 * depth) / top}`);
  $("#history").replaceChildren(element("polyline", { points: points.join(" ") }));
}

// Sockets of browsers carry no token, so with one the same is asked for once a second.
function follow() {
  if ($("#token").value.trim()) { poll(); return; }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/ws/cluster-status`);
  socket.onmessage = (event) => showCluster(JSON.parse(event.data));
  socket.onclose = async () => {
    $("#summary").textContent = "not connected; trying again";
    setTimeout(follow, 2000);
    // A browser does not tell why a socket was refused.
    try { await call("GET", "/health"); }
    catch (error) { if (!(error instanceof TypeError)) $("#summary").textContent = error.message; }
  };
}

async function poll() {
  try { showCluster(await call("GET", "/health")); }
  catch (error) { $("#summary").textContent = error.message; }
  setTimeout(poll, 1000);
}

// A gateway that hangs keeps its connections, and says nothing.
setInterval(() => {
  const silent = performance.now() - heardAt;
  if (silent > SILENT_MS) $("#summary").textContent = `nothing heard for ${Math.round(silent / 1000)} s`;
}, 1000);

async function listModels() {
  let models = [];
  try { ({ models } = await call("GET", "/v1/models")); }
  catch (error) { $("#summary").textContent = error.message; return; }
  models.sort((one, other) => other.loaded - one.loaded || one.name.localeCompare(other.name));
  for (const select of document.querySelectorAll("select.model")) {
    const { task } = select.dataset;
    const fitting = models.filter((model) =>
      model.tasks.includes(task) && (task !== "encode" || model.outputs.includes("dense")));
    select.replaceChildren(...fitting.map((model) =>
      element("option", { value: model.name }, model.loaded ? model.name : `${model.name} (not loaded)`)));
  }
}

function lines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

const verbs = {
  async encode(model, form) {
    const texts = lines($("textarea", form).value);
    const body = { items: texts.map((text) => ({ text })), params: { output_types: ["dense"] } };
    const { items } = await call("POST", `/v1/encode/${model}`, body);
    const vectors = items.map((item) => {
      if (item.error) throw new Error(item.error.message);
      return item.dense.values;
    });
    const heads = texts.map((_, index) => element("th", {}, index + 1));
    $("#heat").replaceChildren(element("tr", {}, element("th"), ...heads), ...vectors.map((one, index) => {
      const cells = vectors.map((other) => {
        const value = cosine(one, other);
        return element("td", { style: `background:${shade(value)}` }, value.toFixed(2));
      });
      return element("tr", {}, element("th", { title: texts[index] }, `${index + 1} ${texts[index].slice(0, 30)}`), ...cells);
    }));
    $("#plane").replaceChildren(...plane(vectors).flatMap(([x, y], index) => [
      element("circle", { cx: x, cy: -y, r: 0.03 }, element("title", {}, texts[index])),
      element("text", { x: x > 0 ? x - 0.05 : x + 0.05, y: -y, "text-anchor": x > 0 ? "end" : "start" },
        texts[index].slice(0, 28)),
    ]));
  },

  async score(model, form) {
    const texts = lines($("textarea", form).value);
    const body = { query: { text: form.elements.query.value }, items: texts.map((text) => ({ text })) };
    const { scores, kind } = await call("POST", `/v1/score/${model}`, body);
    const values = scores.map((entry) => entry.score);
    const [low, high] = [Math.min(0, ...values), Math.max(1e-9, ...values)];
    $("#ranking").replaceChildren(...scores.map((entry) => row(
      entry.rank + 1,
      element("meter", { min: low, max: high, value: entry.score }),
      `${entry.score.toFixed(4)} ${kind}`,
      texts[entry.index])));
  },

  async extract(model, form) {
    const text = $("textarea", form).value;
    const labels = form.elements.labels.value.split(",").map((label) => label.trim()).filter(Boolean);
    const body = { items: [{ text }], params: labels.length ? { labels } : {} };
    const { items: [result] } = await call("POST", `/v1/extract/${model}`, body);
    if (result.error) throw new Error(result.error.message);
    $("#marked").replaceChildren(...segments(text, result.entities).map(({ content, entity }) =>
      entity ? element("mark", {}, content, element("small", {}, entity.label)) : content));
    $("#found").replaceChildren(
      ...result.entities.map((entity) => row(entity.label, entity.text, entity.score.toFixed(3))),
      ...result.relations.map((found) => row(found.relation, `${found.head} → ${found.tail}`, found.score.toFixed(3))),
      ...result.classifications.map((found) => row(found.label, "", found.score.toFixed(3))));
  },
};

for (const [verb, run] of Object.entries(verbs)) {
  const section = $(`#${verb}`);
  $("form", section).addEventListener("submit", async (event) => {
    event.preventDefault();
    const [button, problem, model] = [$("button", section), $(".problem", section), $("select", section)];
    button.disabled = true;
    problem.textContent = "";
    try {
      if (!model.value) throw new Error(`no model is registered that can ${verb}`);
      await run(model.value, event.target);
      model.selectedOptions[0].textContent = model.value;
    } catch (error) {
      // What an earlier request gave is no answer to this one.
      for (const answer of section.querySelectorAll(".answer")) answer.replaceChildren();
      problem.textContent = error.message;
    }
    button.disabled = false;
  });
}

for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[role=tab]")) {
      other.setAttribute("aria-selected", other === tab);
      $(`#${other.dataset.tab}`).hidden = other !== tab;
    }
  });
}

$("#token").value = sessionStorage.getItem("token") ?? "";
$("#token").addEventListener("change", () => {
  sessionStorage.setItem("token", $("#token").value.trim());
  location.reload();
});
listModels();
follow();
