// A scan: its lesions in a table and as pictures, the volume viewer, and the decisions of the reviewer.
"use strict";
globalThis.lesionflow ??= {};

(() => {
  const { html, useEffect, useRef, useState } = libraries;
  const KEYS = { a: "accepted", r: "rejected", u: "unsure" };
  const PLANES = ["axial", "coronal", "sagittal"];

  /** A number with at most `digits` decimals; empty for a missing one. */
  const number = (value, digits = 1) => (value === null || value === "" ? "" : String(Number(Number(value).toFixed(digits))));
  const position = ({ x_mm, y_mm, z_mm }) => [x_mm, y_mm, z_mm].map((value) => number(value)).join(", ");

  /** Call the functions of `keys` when their keys are pressed, but not while something is typed. */
  function useKeys(keys) {
    const latest = useRef(keys);
    latest.current = keys; // an effect would follow later: a key pressed meanwhile would act on the lesion before
    useEffect(() => {
      const press = (event) => {
        const typing = event.target.closest?.("textarea, select, input:not([type=checkbox], [type=file])");
        if (typing || event.altKey || event.metaKey || localStorage.getItem("lesionflow-keys") === "off") return;
        const name = (event.ctrlKey ? "ctrl+" : "") + event.key;
        if (!latest.current[name]) return;
        event.preventDefault();
        event.stopPropagation(); // the viewer has keys of its own
        latest.current[name]();
      };
      document.addEventListener("keydown", press, true);
      return () => document.removeEventListener("keydown", press, true);
    }, []);
  }

  /** Draw again when a decision changes. */
  function useStore(store) {
    const [, redraw] = useState(0);
    useEffect(() => {
      const listener = () => redraw((count) => count + 1);
      store?.listeners.add(listener);
      return () => store?.listeners.delete(listener);
    }, [store]);
  }

  /** Say something to a screen reader and in the status line of the page. */
  function announce(text) {
    document.getElementById("status").textContent = text;
  }

  /** Decide, or say why it was not kept: a reviewer has to be named, and the browser may be full. */
  function decide(store, data, decision) {
    if (!store.reviewer) {
      announce("Type your name as the reviewer first.");
      document.getElementById("reviewer")?.focus();
      return false;
    }
    try {
      store.decide(data, decision);
    } catch (error) {
      announce(`The decision was NOT kept: the browser refuses to store it (${error.name}). Export your review now.`);
      return false;
    }
    const what = decision.lesion ? `Lesion ${decision.lesion}` : "Scan";
    announce(`${what}: ${decision.decision ?? "decision removed"}.`);
    return true;
  }

  /** The name of the reviewer, kept as it is typed. */
  function Reviewer({ store }) {
    const [name, setName] = useState(store.reviewer);
    const type = (event) => {
      setName(event.target.value);
      store.reviewer = event.target.value;
    };
    return html`<label>Reviewer <input id="reviewer" value=${name} onInput=${type} autocomplete="name" /></label>`;
  }

  /** What a row of review.tsv says of a lesion. */
  const rowOf = ({ label, lesion, x_mm, y_mm, z_mm, voxels }) => ({ label, lesion, x_mm, y_mm, z_mm, voxels });

  /** What is known of a lesion; without what the model says of it if blinded. */
  function Facts({ lesion, blinded }) {
    const facts = [
      ["label", lesion.label],
      ["side", lesion.side],
      ["slices", PLANES.map((plane) => `${plane} ${lesion.slices[plane]}`).join(", ")],
      ["centre (mm)", position(lesion)],
      ["volume", `${number(lesion.volume_mm3)} mm³, diameter ${number(lesion.equivalent_diameter_mm)} mm`],
      !blinded && ["probability", `${number(lesion.max_probability, 2)}, mean ${number(lesion.mean_probability, 2)}`],
      !blinded && ["fold agreement", number(lesion.fold_agreement, 2)],
      ["elongation", number(lesion.elongation, 1)],
      lesion.edge_distance_mm !== null && ["to the brain's edge", `${number(lesion.edge_distance_mm)} mm`],
      lesion.region && ["region", lesion.region],
      !blinded && !lesion.kept && ["dropped because", lesion.dropped_because],
    ].filter(Boolean);
    return html`<dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
  }

  /** Three buttons and a note. */
  function Decision({ data, lesion, store }) {
    const mine = store.current(data).find((row) => row.lesion === lesion.lesion);
    const others = store.current(data, null).filter((row) => row.lesion === lesion.lesion && row.reviewer !== store.reviewer);
    const set = (decision, note = mine?.note) => decide(store, data, { ...rowOf(lesion), decision, note });
    return html`<div class="decision">
      <div role="group" aria-label=${`Decision on lesion ${lesion.lesion}`}>
        ${Object.entries(KEYS).map(
          ([key, decision]) => html`<button
            type="button"
            class=${decision}
            aria-pressed=${mine?.decision === decision}
            aria-keyshortcuts=${key}
            onClick=${() => set(mine?.decision === decision ? null : decision)}
          >${decision}</button>`,
        )}
      </div>
      <label>Note <textarea
        rows="1"
        value=${mine?.note ?? ""}
        onChange=${(event) => set(mine?.decision ?? "unsure", event.target.value || null)}
      ></textarea></label>
      ${!store.blinded &&
      others.map((row) => html`<p class="other">${row.reviewer}: ${row.decision}${row.note && `, ${row.note}`}</p>`)}
    </div>`;
  }

  /** The pictures of a lesion in three planes, what is known of it, and the decision. */
  function Lesion({ data, lesion, store, blinded = false, heading = "h3", current = false, onSelect }) {
    const kind = blinded || lesion.kept ? "" : ", dropped";
    return html`<article class=${`lesion${current ? " current" : ""}`} id=${`lesion-${lesion.lesion}`}>
      <${heading}>Lesion ${lesion.lesion}${kind}<//>
      <div class="pictures">
        ${PLANES.map(
          (plane) => html`<figure>
            <img
              loading="lazy"
              src=${lesion.pictures[plane]}
              alt=${`Lesion ${lesion.lesion} (${lesion.label}${kind}), ${lesion.side}: ${plane} slice ${lesion.slices[plane]} through its peak, outlined`}
            />
            <figcaption>${plane} ${lesion.slices[plane]}</figcaption>
          </figure>`,
        )}
      </div>
      ${!blinded && lesion.reasons.length > 0 && html`<ul class="reasons" aria-label="Why to look">${lesion.reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`}
      <${Facts} lesion=${lesion} blinded=${blinded} />
      ${store && html`<${Decision} data=${data} lesion=${lesion} store=${store} />`}
      ${onSelect && html`<button type="button" onClick=${onSelect}>Show in the viewer</button>`}
    </article>`;
  }

  const COLUMNS = [
    ["lesion", (l) => l.lesion],
    ["label", (l) => l.label],
    ["side", (l) => l.side],
    ["voxel i, j, k", (l) => `${l.i}, ${l.j}, ${l.k}`],
    ["centre (mm)", position],
    ["volume (mm³)", (l) => number(l.volume_mm3)],
    ["probability", (l) => number(l.max_probability, 2)],
    ["fold agreement", (l) => number(l.fold_agreement, 2)],
    ["counted", (l) => (l.kept ? "yes" : `no: ${l.dropped_because}`)],
  ];

  /** The lesions of a scan as a table. */
  function LesionTable({ data, store, current, onSelect }) {
    const decisions = new Map(store ? store.current(data).map((row) => [row.lesion, row.decision]) : []);
    return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of the lesions"><table>
      <caption>Lesions of ${data.scan} under ${data.model}</caption>
      <thead><tr>${COLUMNS.map(([name]) => html`<th scope="col">${name}</th>`)}${store && html`<th scope="col">decision</th>`}</tr></thead>
      <tbody>${data.lesions.map(
        (lesion) => html`<tr aria-current=${lesion.lesion === current?.lesion}>
          ${COLUMNS.map(([name, cell], n) =>
            n
              ? html`<td>${cell(lesion)}</td>`
              : html`<th scope="row"><button type="button" class="link" onClick=${() => onSelect(lesion)}>${cell(lesion)}</button></th>`,
          )}
          ${store && html`<td>${decisions.get(lesion.lesion) ?? ""}</td>`}
        </tr>`,
      )}</tbody>
    </table></div>`;
  }

  /** Lesions that the reviewer has marked in a scan, and whether the whole scan was looked at. */
  function Marks({ data, store }) {
    const rows = store.current(data);
    const missed = rows.filter((row) => row.decision === "missed");
    const complete = rows.some((row) => row.decision === "complete");
    return html`<div class="marks">
      ${missed.length > 0 && html`<ul aria-label="Missed lesions">${missed.map(
        (row) => html`<li>missed ${row.label} at ${position(row)} mm <button
          type="button"
          onClick=${() => decide(store, data, { ...row, decision: null })}
          aria-label=${`Remove the mark at ${position(row)} mm`}
        >Remove</button></li>`,
      )}</ul>`}
      <label><input
        type="checkbox"
        checked=${complete}
        onChange=${(event) => decide(store, data, { decision: event.target.checked ? "complete" : null })}
      /> I have looked at the whole scan${data.lesions.some((lesion) => lesion.kept) ? "" : " (a scan without a counted lesion is only then complete)"}</label>
    </div>`;
  }

  /** Mark a missed lesion at a place; with several labels the reader chooses one. */
  function mark(store, data, place) {
    let label = data.labels[0];
    if (data.labels.length > 1) {
      label = prompt(`Label of the missed lesion (${data.labels.join(", ")})`, label)?.trim();
      if (!data.labels.includes(label)) return announce("Nothing was marked: the model has no such label.");
    }
    const [x_mm, y_mm, z_mm] = place.map((value) => Number(value.toFixed(4)));
    if (decide(store, data, { label, x_mm, y_mm, z_mm, decision: "missed" }))
      announce(`Missed ${label} marked at ${position({ x_mm, y_mm, z_mm })} mm.`);
  }

  /** The page of a scan. */
  function ScanView({ data, store, first = null }) {
    useStore(store);
    const [selected, setSelected] = useState(first);
    const lesions = data.lesions;
    const index = Math.max(0, lesions.findIndex(({ lesion }) => lesion === selected));
    const current = lesions[index] ?? null;
    const step = (by) => () => {
      const next = lesions[Math.min(Math.max(index + by, 0), lesions.length - 1)];
      if (next) setSelected(next.lesion);
    };
    const set = (decision) => () => current && decide(store, data, { ...rowOf(current), decision });
    const keys = { ArrowRight: step(1), ArrowLeft: step(-1), j: step(1), k: step(-1) };
    keys.l = () => document.getElementById("coloured")?.click();
    keys.m = () => document.getElementById("mark")?.click();
    if (store) {
      for (const [key, decision] of Object.entries(KEYS)) keys[key] = set(decision);
      keys.n = () => document.querySelector(".lesion.current textarea")?.focus();
      keys.z = keys["ctrl+z"] = () => announce(store.undo() ? "Undone." : "Nothing to undo.");
    }
    useKeys(keys);
    const kept = lesions.filter((lesion) => lesion.kept).length;
    return html`<div class="scan">
      <p>${data.structures
        ? `${lesions.length} structures.`
        : `${kept} lesions counted, ${lesions.length - kept} dropped by a filter.`}
      ${data.flags && html` <strong class="flag">${data.flags.replaceAll(";", ", ")}</strong>`}
      ${" "}<a href=${data.folder + data.figure}>Quality-control picture</a>, <a href=${data.folder + data.pages}>all its pages (PDF)</a>.</p>
      <${lesionflow.Viewer} data=${data} lesion=${current} onMark=${store && !data.structures && ((place) => mark(store, data, place))} />
      ${store && !data.structures && html`<${Marks} data=${data} store=${store} />`}
      <h2>Table</h2>
      <${LesionTable} data=${data} store=${data.structures ? null : store} current=${current} onSelect=${(lesion) => setSelected(lesion.lesion)} />
      ${data.structures
        ? html`<img class="figure" src=${data.folder + data.figure} alt=${`Axial slices of ${data.scan} with the structures in colour`} />`
        : html`<h2>Pictures</h2><div class="gallery">${lesions.map(
            (lesion) => html`<${Lesion}
              key=${lesion.lesion} data=${data} lesion=${lesion} store=${store} current=${lesion === current}
              onSelect=${() => setSelected(lesion.lesion)}
            />`,
          )}</div>`}
    </div>`;
  }

  Object.assign(lesionflow, { KEYS, Lesion, Marks, Reviewer, ScanView, announce, decide, mark, rowOf, useKeys, useStore });
})();
