// report.html: the overview of the cohort, and in the same page each scan and the review, since in Firefox the decisions
// are kept by page.
"use strict";

(() => {
  const { html, render } = libraries;
  lesionflow.files = document.body.dataset.files;
  const cohort = JSON.parse(document.getElementById("cohort").textContent);
  const store = new lesionflow.Store(cohort.pages, cohort.decisions);
  store.blinded = localStorage.getItem("lesionflow-blinded") === "on";
  const overview = document.getElementById("overview");
  const view = document.getElementById("view");
  const heading = document.querySelector("h1");
  const title = heading.textContent;
  const arrived = new Map();
  lesionflow.receive = (data) => arrived.set(`${data.model}/${data.scan}`, data);

  /** The data of a scan, from its script. */
  async function loadScan(page) {
    const key = `${page.model}/${page.scan}`;
    await lesionflow.loadScript(page.folder + page.script);
    const data = arrived.get(key);
    arrived.delete(key); // some megabytes
    if (data?.lesion_map_sha256 !== page.lesion_map_sha256)
      throw new Error(`report.html is of another run than the results of ${page.scan}: run the same command again.`);
    return { ...data, folder: page.folder };
  }

  lesionflow.setBlinded = (blinded) => {
    localStorage.setItem("lesionflow-blinded", blinded ? "on" : "off");
    store.blinded = blinded;
    if (blinded && !location.hash.startsWith("#review")) location.hash = "review";
    else route();
    store.changed();
  };

  function show(name, content) {
    render(null, view);
    overview.hidden = content !== null;
    // each view has its own field for the reviewer, so that only one is in the page
    const section = content === null && html`<${lesionflow.ReviewSection} cohort=${cohort} store=${store} />`;
    render(section || null, document.getElementById("review-content"));
    view.hidden = content === null;
    document.body.classList.toggle("blinded", store.blinded);
    heading.textContent = name;
    document.title = name;
    if (content) {
      render(content, view);
      heading.focus();
      scrollTo(0, 0);
    }
  }

  async function showScan(model, scan) {
    const page = cohort.pages.find((other) => other.model === model && other.scan === scan);
    if (!page) return show("No such scan", html`<p>This cohort has no results of ${model} for ${scan}.</p>`);
    show(`${scan}, ${model}`, html`<p>Loading ...</p>`);
    const address = location.hash;
    try {
      const data = await loadScan(page);
      if (location.hash !== address) return;
      const place = cohort.pages.indexOf(page);
      const link = (other, text) => other && html`<a href=${lesionflow.scanAddress(other)}>${text}: ${other.scan}</a> `;
      const current = { ...data, ...page, figure: data.figure };
      render(html`<nav aria-label="Scans">${link(cohort.pages[place - 1], "Previous")}${link(cohort.pages[place + 1], "Next")}</nav>
        <${lesionflow.Reviewer} store=${store} />
        <${lesionflow.ScanView} data=${current} store=${store} />`, view);
      view.dataset.shows = `${model}/${scan}`;
    } catch (error) {
      render(html`<p role="alert" class="problem">${error.message} Were the folders beside report.html moved or deleted?</p>`, view);
    }
  }

  function route() {
    const [name, ...rest] = location.hash.slice(1).split("/").map(decodeURIComponent);
    if (store.blinded && name !== "review")
      return show("Blinded review", html`<p>The overview and the pages of the scans are hidden while you review without names and probabilities.</p>
        <p><a class="button primary" href="#review">Go on with the review</a>
        <button type="button" onClick=${() => lesionflow.setBlinded(false)}>End the blinded review</button></p>`);
    if (name === "review")
      return show("Review", html`${store.blinded && html`<p><button type="button" onClick=${() => lesionflow.setBlinded(false)}>End the blinded review</button></p>`}
        <${lesionflow.ReviewView} key=${store.blinded} cohort=${cohort} store=${store} loadScan=${loadScan} />`);
    if (name === "scan") return showScan(...rest);
    show(title, null);
    if (name) document.getElementById(name)?.scrollIntoView();
  }

  lesionflow.drawTable(document.getElementById("scans-table"), cohort);
  render(html`<${lesionflow.Distributions} cohort=${cohort} />`, document.getElementById("distributions-content"));
  render(html`<${lesionflow.ContactSheet} cohort=${cohort} />`, document.getElementById("contact-sheet-content"));
  addEventListener("hashchange", route);
  addEventListener("storage", () => store.changed()); // another tab has made a decision
  route();
  document.documentElement.dataset.ready = "true";
})();
