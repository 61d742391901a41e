// The review of a cohort: every lesion in the order in which it most needs a look, progress, export and import.
"use strict";
globalThis.lesionflow ??= {};

(() => {
  const { html, useEffect, useMemo, useRef, useState } = libraries;
  const { KEYS, Lesion, Marks, Reviewer, announce, decide, mark, rowOf, useKeys, useStore } = lesionflow;

  /**
   * A number that depends on a text alone, to shuffle in the same way at each visit: FNV-1a, whose bits the last step of
   * MurmurHash3 then mixes. Without that, texts that differ at their end have numbers close to each other, and the lesions
   * of a scan follow each other.
   */
  function hash(text) {
    let value = [...text].reduce((before, c) => Math.imul(before ^ c.codePointAt(0), 0x01000193), 0x811c9dc5);
    value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
    value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
    return (value ^ (value >>> 16)) >>> 0;
  }

  /** The data of a scan without what a filter has dropped: the viewer would show it in another colour. */
  const alike = (data) => ({ ...data, lesions: data.lesions.map((lesion) => ({ ...lesion, kept: true })) });

  function download(name, content, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  /** Lesions of a scan that are decided by the reviewer, of those that are counted. */
  function progress(store, page) {
    const rows = store.current(page);
    const decided = new Set(rows.filter((row) => ["accepted", "rejected"].includes(row.decision)).map((row) => row.lesion));
    const done = page.kept.filter((lesion) => decided.has(lesion)).length;
    const looked = rows.some((row) => ["complete", "missed"].includes(row.decision));
    return { done, of: page.kept.length, complete: done === page.kept.length && (page.kept.length > 0 || looked) };
  }

  /** The scans that can be reviewed: those of models that find lesions, not structures. */
  const reviewedPages = (cohort) => cohort.pages.filter((page) => !page.structures);

  /** What there is to review, in order: a lesion, or a scan without a counted one (lesion null). */
  function reviewItems(cohort, store, { order, dropped, decided }) {
    let items = cohort.queue
      .filter(([, , kept]) => kept || dropped)
      .map(([page, lesion]) => ({ page: cohort.pages[page], lesion }));
    items.push(...reviewedPages(cohort).filter((page) => page.kept.length === 0).map((page) => ({ page, lesion: null })));
    if (!decided)
      items = items.filter(({ page, lesion }) =>
        lesion === null
          ? !progress(store, page).complete
          : !store.current(page).some((row) => row.lesion === lesion && row.decision !== "unsure"),
      );
    const place = new Map(cohort.pages.map((page, n) => [page, n]));
    if (order === "scan") items.sort((a, b) => place.get(a.page) - place.get(b.page) || a.lesion - b.lesion);
    if (order === "random") {
      const key = ({ page, lesion }) => hash(`${store.reviewer}/${page.model}/${page.scan}/${lesion}`);
      items.sort((a, b) => key(a) - key(b));
    }
    return items;
  }

  /** Name of the reviewer, progress, export and import. */
  function ReviewPanel({ cohort, store }) {
    useStore(store);
    const file = useRef(null);
    const [problem, setProblem] = useState("");
    const states = reviewedPages(cohort).map((page) => progress(store, page));
    const done = states.reduce((sum, state) => sum + state.done, 0);
    const all = states.reduce((sum, state) => sum + state.of, 0);
    const rows = store.all();
    const save = () => {
      download("review.tsv", lesionflow.formatReview(rows), "text/tab-separated-values");
      download("review.json", JSON.stringify(cohort.review_columns, null, 2) + "\n", "application/json");
      localStorage.removeItem(lesionflow.UNEXPORTED);
      store.changed();
      announce(`${rows.length} decisions exported to review.tsv.`);
    };
    const load = async (event) => {
      const [chosen] = event.target.files;
      if (!chosen) return;
      try {
        const counts = store.merge(lesionflow.parseReview(await chosen.text()));
        setProblem("");
        announce(`${counts.new} decisions imported, ${counts.newer} replaced by newer ones, ${counts.same} were here already, ${counts.older} are older than those here and were left out.`);
      } catch (error) {
        setProblem(`${chosen.name} was not imported. ${error.message}`);
      }
      event.target.value = "";
    };
    return html`<div class="panel">
      <${Reviewer} store=${store} />
      <span><label for="progress">Progress</label> <progress id="progress" max=${Math.max(all, 1)} value=${done}></progress>
        ${" "}${done} of ${all} lesions, ${states.filter((state) => state.complete).length} of ${states.length} scans</span>
      <button type="button" disabled=${!rows.length} onClick=${save}>Export review.tsv</button>
      <label class="button">Import review.tsv <input type="file" accept=".tsv" ref=${file} onChange=${load} /></label>
      ${localStorage.getItem(lesionflow.UNEXPORTED) && html`<span class="note">Not exported yet: this browser alone has your decisions.</span>`}
      ${problem && html`<p role="alert" class="problem">${problem}</p>`}
    </div>`;
  }

  /** What is decided in each scan, unfinished scans first. */
  function ScanProgress({ cohort, store }) {
    const [open, setOpen] = useState(false);
    const states = open ? reviewedPages(cohort).map((page) => ({ page, ...progress(store, page) })) : [];
    states.sort((a, b) => a.complete - b.complete);
    return html`<details onToggle=${(event) => setOpen(event.target.open)}>
      <summary>Progress by scan</summary>
      <ul class="progress">${states.map(
        ({ page, done, of, complete }) => html`<li><a href=${lesionflow.scanAddress(page)}>${page.scan}${cohort.models.length > 1 && `, ${page.model}`}</a>:
          ${" "}${of ? `${done} of ${of}` : "no lesion"}${complete ? ", complete" : ""}</li>`,
      )}</ul>
    </details>`;
  }

  /** The settings of a review and its first key. */
  function ReviewSection({ cohort, store }) {
    useStore(store);
    const [shortcuts, setShortcuts] = useState(localStorage.getItem("lesionflow-keys") !== "off");
    return html`<${ReviewPanel} cohort=${cohort} store=${store} />
      <p><a class="button primary" href="#review">Review the lesions</a></p>
      <${ScanProgress} cohort=${cohort} store=${store} />
      <p><label><input type="checkbox" checked=${store.blinded} onChange=${(event) => lesionflow.setBlinded(event.target.checked)} />
        ${" "}Blinded: no names of scans, no probabilities, in random order</label></p>
      <p><label><input type="checkbox" checked=${shortcuts} onChange=${(event) => {
        localStorage.setItem("lesionflow-keys", event.target.checked ? "on" : "off");
        setShortcuts(event.target.checked);
      }} />
        ${" "}Single keys decide (a accepted, r rejected, u unsure, m missed lesion at the crosshair, n note, z undo, l colour of the lesions, arrows)</label></p>`;
  }

  /** One lesion after the other. */
  function ReviewView({ cohort, store, loadScan }) {
    useStore(store);
    const [settings, setSettings] = useState({ order: store.blinded ? "random" : "look", dropped: false, decided: false });
    const [round, setRound] = useState(0);
    // not again after each decision: the list would move under the reader
    const items = useMemo(() => reviewItems(cohort, store, settings), [settings, store.reviewer, round]);
    const [index, setIndex] = useState(0);
    const [loaded, setLoaded] = useState(null);
    const [problem, setProblem] = useState("");
    const item = items[Math.min(index, items.length - 1)] ?? null;
    const data = loaded?.page === item?.page ? loaded?.data : null;
    const lesion = data?.lesions.find((other) => other.lesion === item.lesion) ?? null;

    useEffect(() => {
      setProblem("");
      if (!item) return;
      let isWanted = true; // data that come after those of a later scan would never be replaced
      loadScan(item.page).then(
        (result) => isWanted && setLoaded({ page: item.page, data: result }),
        (error) => isWanted && setProblem(store.blinded ? "The data of this case cannot be loaded, or are of another run." : error.message),
      );
      return () => (isWanted = false);
    }, [item?.page]);

    const step = (by) => () => {
      if (index + by < items.length) return setIndex(Math.max(index + by, 0));
      setRound(round + 1); // from the first of those that are left
      setIndex(0);
    };
    const set = (decision) => () => {
      if (!data) return announce("The scan is still loading.");
      const row = lesion
        ? { ...rowOf(lesion), decision }
        : { decision: decision === "accepted" ? "complete" : null };
      if (!lesion && decision !== "accepted") return announce("This scan has no counted lesion: a confirms that you have looked at all of it.");
      if (decide(store, item.page, row)) step(1)();
    };
    const undo = () => {
      const undone = store.undo();
      if (!undone) return announce("Nothing to undo.");
      const place = items.findIndex(({ page, lesion: other }) => page === undone.page && other === undone.lesion);
      if (place >= 0) setIndex(place);
      announce("Undone.");
    };
    const choose = (change) => {
      setSettings({ ...settings, ...change });
      setIndex(0);
    };
    const keys = { ArrowRight: step(1), ArrowLeft: step(-1), j: step(1), k: step(-1), z: undo, "ctrl+z": undo };
    for (const [key, decision] of Object.entries(KEYS)) keys[key] = set(decision);
    keys.n = () => document.querySelector(".lesion textarea")?.focus();
    keys.l = () => document.getElementById("coloured")?.click();
    keys.m = () => document.getElementById("mark")?.click();
    useKeys(keys);

    const name = item && (store.blinded ? `Case ${index + 1}` : `${item.page.scan}, ${item.page.model}`);
    return html`<${ReviewPanel} cohort=${cohort} store=${store} />
      <div class="panel">
        <label>Order <select value=${settings.order} onChange=${(event) => choose({ order: event.target.value })}>
          ${!store.blinded && html`<option value="look">those that most need a look first</option><option value="scan">scan by scan</option>`}
          <option value="random">random</option>
        </select></label>
        ${!store.blinded && html`<label><input type="checkbox" checked=${settings.dropped} onChange=${(e) => choose({ dropped: e.target.checked })} /> also lesions dropped by a filter</label>`}
        <label><input type="checkbox" checked=${settings.decided} onChange=${(e) => choose({ decided: e.target.checked })} /> also what I have decided</label>
      </div>
      ${problem && html`<p role="alert" class="problem">${problem}</p>`}
      ${!item && html`<p>Nothing is left to review with these settings. Export your review, and give the file to the next run: <code>review: [review.tsv]</code>.</p>`}
      ${item && html`<section aria-label="Lesion under review">
        <h2>${index + 1} of ${items.length}: ${store.blinded || !data ? name : html`<a href=${lesionflow.scanAddress(item.page)}>${name}</a>`}</h2>
        <div class="controls">
          <button type="button" aria-keyshortcuts="ArrowLeft" onClick=${step(-1)}>Previous</button>
          <button type="button" aria-keyshortcuts="ArrowRight" onClick=${step(1)}>Next</button>
          <button type="button" aria-keyshortcuts="z" onClick=${undo}>Undo</button>
        </div>
        ${!data && !problem && html`<p>Loading ...</p>`}
        ${data && html`<div class="review">
          <div>${lesion
            ? html`<${Lesion} data=${item.page} lesion=${lesion} store=${store} blinded=${store.blinded} current=${true} />`
            : html`<p>No lesion of this scan is counted. ${!store.blinded && html`<a href=${data.folder + data.pages}>Look at its pictures</a>, then confirm below.`}</p>
                ${!store.blinded && html`<img class="figure" src=${data.folder + data.figure} alt="Overview slices of the scan" />`}`}
            <${Marks} data=${{ ...data, ...item.page }} store=${store} /></div>
          <${lesionflow.Viewer} data=${store.blinded ? alike(data) : data} lesion=${lesion} hidden=${store.blinded ? ["probability"] : []}
            onMark=${(place) => mark(store, { ...item.page, labels: data.labels }, place)} />
        </div>`}
      </section>`}`;
  }

  Object.assign(lesionflow, { ReviewSection, ReviewView, progress, reviewItems });
})();
