// The page of one scan, opened by itself: its data come with the next script.
// It keeps no decisions: Firefox gives each file that is opened from disk a storage of its own, so that the report would
// not have them.
"use strict";

lesionflow.files = document.body.dataset.files;
lesionflow.receive = (data) => {
  const { html, render } = libraries;
  const link = document.getElementById("review-link");
  link.href = `${document.body.dataset.root}/report.html#scan/${encodeURIComponent(data.model)}/${data.scan}`;
  const first = Number(/^#lesion-(\d+)$/.exec(location.hash)?.[1]) || null;
  const view = document.getElementById("view");
  view.replaceChildren();
  render(html`<${lesionflow.ScanView} data=${{ ...data, folder: "" }} first=${first} />`, view);
  document.documentElement.dataset.ready = "true";
};
